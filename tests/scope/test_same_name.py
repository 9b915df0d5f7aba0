"""Names that modules on both sides have are found where modules may come from."""

import os
import sys

import pytest

from instrument.scope import same_name
from instrument.scope.same_name import names_ignored_and_measured
from instrument.scope.trace_ignore import Ignore


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """Return a function that makes a tree of files, the search path of which is its folder `path`."""
    (tmp_path / "path").mkdir()
    monkeypatch.setattr(sys, "path", [str(tmp_path / "path"), str(tmp_path / "no such folder"), None])

    def make(*files):
        for file in files:
            path = tmp_path / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"")
        return Ignore(["named"], [str(tmp_path / "ignored"), str(tmp_path / "path" / "within")])

    return make


def names(tmp_path, ignore, *loaded):
    return names_ignored_and_measured(ignore, [str(tmp_path / file) for file in loaded])


def test_what_is_loaded_is_on_both_sides(tmp_path, tree):
    """Two files of one name are loaded, one of them from a directory that is ignored."""
    ignore = tree()
    assert names(tmp_path, ignore, "ignored/a.py", "elsewhere/a.py", "ignored/b.py", "elsewhere/c.py") == {"a"}


@pytest.mark.parametrize(
    "file", ["path/a.py", "path/deep/er/a.py", "path/a.pyc", "home/a.py", "home/below/a.py", "path/__init__/a.py"]
)
def test_what_may_be_imported_is_found(tmp_path, tree, file):
    """Below the search path, and below the folders of what is loaded and measured, at any depth."""
    ignore = tree(file)
    assert names(tmp_path, ignore, "ignored/a.py", "ignored/b.py", "home/program.py") == {"a"}


@pytest.mark.parametrize(
    "file", ["path/within/a.py", "path/no-name/a.py", "path/__pycache__/a.pyc", "path/a.txt", "path/a", "other/a.py"]
)
def test_what_is_ignored_or_no_module_is_not_found(tmp_path, tree, file):
    """Neither what is below a directory that is ignored, nor what no import leads to."""
    ignore = tree(file)
    assert names(tmp_path, ignore, "ignored/a.py", "home/program.py") == set()


def test_what_does_not_depend_on_order_is_left_out(tmp_path, tree):
    """Names that are ignored wherever they are, and those that were decided about."""
    ignore = tree("path/named.py", "path/decided.py", "path/open.py")
    ignore.names("decided.py", "decided")
    assert names(tmp_path, ignore, "ignored/named.py", "ignored/decided.py", "ignored/open.py") == {"open"}
    assert names(tmp_path, Ignore(["named"]), "ignored/open.py", "elsewhere/open.py") == set()


def test_the_current_folder_is_looked_at(tmp_path, tree, monkeypatch):
    """An empty entry of the search path stands for it."""
    ignore = tree("path/deep/a.py", "ignored/b.py")
    monkeypatch.setattr(sys, "path", [""])
    monkeypatch.chdir(tmp_path / "path")
    assert names(tmp_path, ignore, "ignored/a.py") == {"a"}
    monkeypatch.chdir(tmp_path / "ignored")
    assert names(tmp_path, ignore, "ignored/b.py") == set()


def test_a_tree_without_end_is_left(tmp_path, tree, monkeypatch):
    """What is next to the root is looked at first, and no more than a start can afford."""
    ignore = tree("path/a.py", "path/one/two/b.py")
    os.symlink(tmp_path / "path", tmp_path / "path" / "one" / "again")
    assert names(tmp_path, ignore, "ignored/a.py", "ignored/b.py", "ignored/c.py") == {"a", "b"}
    for most, a_folder in ((1, 1), (1_000, 1_000), (2, 0)):  # both folders and the names in them are limited
        monkeypatch.setattr(same_name, "_MOST_NAMES", most)
        monkeypatch.setattr(same_name, "_NAMES_PER_FOLDER", a_folder)
        assert names(tmp_path, ignore, "ignored/a.py", "ignored/b.py") == {"a"}
