"""The folder of the cache is used only if it can be trusted, and holds only code of this state of the package."""

import os
import shutil
import stat
import time

import pytest
from link.filled_cache import filled, is_stored, tree
from link.linked_code import unlinked_tree
from test_floors import imports_by_module

from instrument.flow import placement
from instrument.guest import own_loader
from instrument.link import cache_files
from instrument.link.cache import Batch, Cache
from instrument.link.cache_files import is_older, listed

posix = pytest.mark.skipif(os.name != "posix", reason="owners, links and pipes are those of POSIX")

#: Modules that the module which rewrites and stores imports, and that do not decide how code is rewritten: why.
NOT_HASHED = {
    "errors": "exceptions only",
    "guest": "how the package stays unnoticed; isolation gives the package bytecode, whose version is hashed",
    "model": "counts, which exist after linking",
    "version": "part of the folder's name",
}


def is_hashed(module):
    """Return whether the text of *module*, a dotted name, is part of the name of the cache's folder."""
    folder = "/".join(module.split(".")[:-1])
    return folder in cache_files.HASHED_FOLDERS or module.replace(".", "/") in cache_files.HASHED_MODULES


@pytest.mark.slow
def test_every_module_that_decides_how_code_is_rewritten_is_hashed():
    """Otherwise a cache would have code of another version of the package executed."""
    imports = imports_by_module()
    reached = ["session.unlinked_code"]
    for module in reached:
        reached += sorted(imports[module] - set(reached))
    assert {"rewrite.rewriter", "flow.placement", "decode.instructions", "link.fast_linking"} <= set(reached)
    not_hashed = {module.split(".")[0] for module in reached if not is_hashed(module)}
    assert not_hashed <= NOT_HASHED.keys()


@pytest.mark.slow
def test_only_the_module_that_rewrites_calls_the_rewriter():
    """The test above starts from it."""
    callers = [module for module, imported in imports_by_module().items() if "rewrite.rewriter" in imported]
    assert [module for module in callers if not module.startswith("rewrite.")] == ["session.unlinked_code"]


def test_the_names_of_hashed_files_exist():
    """A folder or module that was renamed would no longer be hashed, without a word."""
    package = os.path.dirname(os.path.dirname(cache_files.__file__))
    for folder in cache_files.HASHED_FOLDERS:
        assert os.path.isdir(os.path.join(package, folder)), folder
    for module in cache_files.HASHED_MODULES:
        assert os.path.isfile(os.path.join(package, f"{module}.py")), module
    hashed = {os.path.relpath(path, package) for path in cache_files._HASHED_FILES}
    assert {os.path.join("rewrite", "rewriter.py"), os.path.join("link", "linker.py")} <= hashed


def test_another_text_of_a_hashed_file_leads_to_another_folder(tmp_path, monkeypatch):
    """Code that another version of the package has stored is not found."""
    filled(tmp_path / "cache")
    assert is_stored(tmp_path / "cache")
    source = tmp_path / "source.py"
    source.write_text("1")
    monkeypatch.setattr(cache_files, "_HASHED_FILES", [*cache_files._HASHED_FILES, str(source)])
    folders = [Cache(placement.MINIMAL, str(tmp_path / "cache")).folder]
    source.write_text("2")
    own_loader._stamps.clear()  # as in another process
    folders.append(Cache(placement.MINIMAL, str(tmp_path / "cache")).folder)
    assert folders[0] != folders[1]
    assert not is_stored(tmp_path / "cache")


@posix
def test_a_folder_that_other_users_can_write_to_is_not_used(tmp_path):
    """Files in it could be theirs, and would be executed."""
    filled(tmp_path)
    tmp_path.chmod(0o777)

    assert not is_stored(tmp_path)


def test_only_the_user_can_read_the_files(tmp_path):
    """No other user has any right to files and folders."""
    stored = filled(tmp_path / "cache")

    assert stat.S_IMODE(stored.stat().st_mode) & 0o077 == 0
    assert stat.S_IMODE(stored.parent.stat().st_mode) & 0o077 == 0


def test_a_folder_that_cannot_be_made_turns_the_cache_off(tmp_path):
    """A file is in the way, or the name is invalid. That is no error."""
    (tmp_path / "file").write_text("")

    for folder in (tmp_path / "file" / "cache", tmp_path / ("x" * 300), tmp_path / "zero\0"):
        cache = Batch(Cache(placement.MINIMAL, str(folder)))
        assert cache.get(tree(), "shelf") is None
        cache.put(tree(), unlinked_tree(tree()), "shelf")
        cache.flush()


@posix
@pytest.mark.skipif(hasattr(os, "geteuid") and os.geteuid() != 0, reason="only root can give a folder away")
def test_a_folder_of_another_user_is_not_used(tmp_path):
    """Its owner could put code there that is executed. The reason names the owner."""
    stored = filled(tmp_path / "cache")
    for folder in (tmp_path / "cache", stored.parent):
        os.chown(folder, 12345, 12345)
        assert not is_stored(tmp_path / "cache")
        assert "another user" in Cache(placement.MINIMAL, str(tmp_path / "cache")).trouble
        os.chown(folder, 0, 0)

    assert is_stored(tmp_path / "cache")


@posix
@pytest.mark.skipif(hasattr(os, "geteuid") and os.geteuid() != 0, reason="only root can give a link away")
def test_a_link_of_another_user_is_not_followed(tmp_path):
    """Its owner can make it lead to any other folder, at any time."""
    filled(tmp_path / "cache")
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "cache")
    os.chown(link, 12345, 12345, follow_symlinks=False)
    assert not is_stored(link)
    assert "is a link that belongs to another user" in Cache(placement.MINIMAL, str(link)).trouble


@posix
@pytest.mark.parametrize(("mode", "is_safe"), [(0o777, False), (0o775, False), (0o1777, True), (0o755, True)])
def test_other_users_must_not_be_able_to_replace_the_folder(tmp_path, mode, is_safe):
    """Any user who can write to a folder above can, unless that has the sticky bit."""
    filled(tmp_path / "above" / "between" / "cache")
    (tmp_path / "above").chmod(mode)
    assert bool(is_stored(tmp_path / "above" / "between" / "cache")) == is_safe
    trouble = Cache(placement.MINIMAL, str(tmp_path / "above" / "between" / "cache")).trouble
    assert ("others can write to" in trouble and "above', which it is in" in trouble) == (not is_safe)


@posix
@pytest.mark.skipif(hasattr(os, "geteuid") and os.geteuid() != 0, reason="only root can give a folder away")
def test_a_folder_above_of_another_user_is_not_trusted(tmp_path):
    """Its owner can rename folders in it, whatever its mode."""
    filled(tmp_path / "above" / "cache")
    for mode in (0o755, 0o1777):
        os.chown(tmp_path / "above", 12345, 12345)
        (tmp_path / "above").chmod(mode)
        assert not is_stored(tmp_path / "above" / "cache")


@posix
def test_a_link_is_followed_if_it_leads_to_a_trusted_folder(tmp_path):
    """It must not lead to a folder that other users can write to."""
    stored = filled(tmp_path / "cache")
    (tmp_path / "link").symlink_to(tmp_path / "cache")
    assert is_stored(tmp_path / "link")

    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    (tmp_path / "other").symlink_to(tmp_path / "open")
    assert not is_stored(tmp_path / "other")
    assert not any((tmp_path / "open").iterdir())

    # A link in place of a file is replaced, and the file that it leads to is unchanged.
    (tmp_path / "precious").write_text("precious")
    stored.unlink()
    stored.symlink_to(tmp_path / "precious")
    filled(tmp_path / "cache")
    assert (tmp_path / "precious").read_text() == "precious"
    assert is_stored(tmp_path / "cache")


@posix
def test_special_files_are_ignored(tmp_path):
    """A pipe, a device or a folder in place of a file, or of the key, is neither read nor waited for."""
    stored = filled(tmp_path)
    for make in (os.mkfifo, os.mkdir, lambda path: os.symlink("/dev/zero", path)):
        for path in (stored, tmp_path / "key"):
            content = path.read_bytes()
            path.unlink()
            make(path)
            assert not is_stored(tmp_path)
            if path.is_dir():
                path.rmdir()
            else:
                path.unlink()
            path.write_bytes(content)
            assert is_stored(tmp_path)


@pytest.mark.parametrize("damage", [b"", b"short", b"x" * 17, b"y" * 16])
def test_a_damaged_key_is_replaced(tmp_path, damage):
    """Files with checksums of the old key are ignored, and written again with the new one."""
    filled(tmp_path)
    (tmp_path / "key").write_bytes(damage)

    assert not is_stored(tmp_path)
    filled(tmp_path)
    assert is_stored(tmp_path)
    assert len((tmp_path / "key").read_bytes()) == 16


def test_a_folder_that_is_deleted_turns_the_cache_off(tmp_path):
    """A process that has opened it continues without. The next process makes the folder again."""
    filled(tmp_path / "cache")
    cache = Cache(placement.MINIMAL, str(tmp_path / "cache"))
    batch = Batch(cache)
    shutil.rmtree(tmp_path / "cache")

    assert batch.get(tree(), "shelf") is None
    batch.put(tree(), unlinked_tree(tree()), "shelf")
    batch.flush()
    assert cache.module("/somewhere/program.py", b"") is None
    cache.tidy()
    assert not (tmp_path / "cache").exists()
    filled(tmp_path / "cache")
    assert is_stored(tmp_path / "cache")


@pytest.mark.parametrize("name", [".instrument-0123456789abcdef.tmp", "0123456789abcdef"])
def test_files_that_another_process_removes_are_no_error(name, tmp_path, monkeypatch):
    """Many processes share the folder: a temporary file often goes between the listing and the look at its age."""
    filled(tmp_path)
    cache = Cache(placement.MINIMAL, str(tmp_path))
    monkeypatch.setattr("instrument.link.cache.listed", lambda folder: [*listed(folder), name])
    cache.tidy()
    assert len(cache.names()) == 1
    assert not is_older(f"{cache.folder}{os.sep}{name}", 0.0)
    assert is_stored(tmp_path)


def test_a_folder_in_the_place_of_an_entry_is_no_entry(tmp_path):
    """It is neither read nor removed, and the other entries stay in use."""
    filled(tmp_path)
    cache = Cache(placement.MINIMAL, str(tmp_path))
    folder = f"{cache.folder}{os.sep}0123456789abcdef"
    os.mkdir(folder)
    cache.tidy()
    assert len(cache.names()) == 1
    assert os.path.isdir(folder)
    assert is_stored(tmp_path)


def test_folders_that_no_process_opens_are_removed(tmp_path):
    """A folder is removed after 60 days, when a new one is stored. Opening a folder renews its time."""
    stored = filled(tmp_path)
    day = 24 * 60 * 60
    old, younger = time.time() - 61 * day, time.time() - 59 * day
    for name, age in (("old", old), ("younger", younger)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text("")
        os.utime(tmp_path / name, (age, age))
    os.utime(stored.parent, (old, old))
    assert is_stored(tmp_path)  # which is a use of it
    filled_line = Cache(placement.LINE, str(tmp_path))

    assert filled_line.folder is not None
    assert {path.name for path in tmp_path.iterdir()} == {
        *("key", "younger", stored.parent.name, os.path.basename(filled_line.folder))
    }
    assert is_stored(tmp_path)
