"""Bare names that ignored and measured modules share are found, loaded or not."""

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


def test_names_that_loaded_modules_share_are_found(tmp_path, tree):
    """Two files of one name are loaded, one of them from an ignored directory."""
    ignore = tree()
    assert names(tmp_path, ignore, "ignored/a.py", "elsewhere/a.py", "ignored/b.py", "elsewhere/c.py") == {"a"}


@pytest.mark.parametrize(
    "file", ["path/a.py", "path/deep/er/a.py", "path/a.pyc", "home/a.py", "home/below/a.py", "path/__init__/a.py"]
)
def test_names_of_modules_that_may_be_imported_are_found(tmp_path, tree, file):
    """They are below the search path, or below the folders of loaded and measured modules, at any depth."""
    ignore = tree(file)
    assert names(tmp_path, ignore, "ignored/a.py", "ignored/b.py", "home/program.py") == {"a"}


@pytest.mark.parametrize(
    "file", ["path/within/a.py", "path/no-name/a.py", "path/__pycache__/a.pyc", "path/a.txt", "path/a", "other/a.py"]
)
def test_names_of_ignored_files_and_of_other_files_are_not_found(tmp_path, tree, file):
    """They are below an ignored directory, or no import leads to them."""
    ignore = tree(file)
    assert names(tmp_path, ignore, "ignored/a.py", "home/program.py") == set()


def test_names_that_do_not_depend_on_the_order_are_left_out(tmp_path, tree):
    """They are ignored everywhere, or were decided about before."""
    ignore = tree("path/named.py", "path/decided.py", "path/open.py")
    ignore.names("decided.py", "decided")
    assert names(tmp_path, ignore, "ignored/named.py", "ignored/decided.py", "ignored/open.py") == {"open"}
    assert names(tmp_path, Ignore(["named"]), "ignored/open.py", "elsewhere/open.py") == set()


def test_the_working_directory_is_searched_for_an_empty_entry_of_the_search_path(tmp_path, tree, monkeypatch):
    """An empty entry stands for it."""
    ignore = tree("path/deep/a.py", "ignored/b.py")
    monkeypatch.setattr(sys, "path", [""])
    monkeypatch.chdir(tmp_path / "path")
    assert names(tmp_path, ignore, "ignored/a.py") == {"a"}
    monkeypatch.chdir(tmp_path / "ignored")
    assert names(tmp_path, ignore, "ignored/b.py") == set()


def test_the_search_of_an_endless_tree_ends(tmp_path, tree, monkeypatch):
    """Folders next to the root are searched first, up to the limit."""
    ignore = tree("path/a.py", "path/one/two/b.py")
    os.symlink(tmp_path / "path", tmp_path / "path" / "one" / "again")
    assert names(tmp_path, ignore, "ignored/a.py", "ignored/b.py", "ignored/c.py") == {"a", "b"}
    for most, a_folder in ((1, 1), (1_000, 1_000), (2, 0)):  # both folders and the names in them are limited
        monkeypatch.setattr(same_name, "_MOST_NAMES", most)
        monkeypatch.setattr(same_name, "_NAMES_PER_FOLDER", a_folder)
        assert names(tmp_path, ignore, "ignored/a.py", "ignored/b.py") == {"a"}
