"""Archives of rewritten code serve equal sources elsewhere; a file that is not surely this user's is refused."""

import hashlib
import os
import py_compile
import shutil
import sys
import time
from pathlib import Path

import pytest
from commands.test_warm import FILES, imported, make_package, python, warmed
from link.linked_code import as_tuples, tree_of, unlinked_tree

from instrument.errors import ArchiveError
from instrument.flow.placement_names import MINIMAL, NOTHING
from instrument.link.cache import Batch, Cache, key_of, module_of
from instrument.link.cache_files import today, version_of_entries
from instrument.warming import archive
from instrument.warming.archive import MODULE, SECRET, TREE, add_to_cache, modules_in_cache, read_archive, write_archive
from instrument.warming.outcomes import Outcome, Result

as_root = pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can give a file away")
KEY = bytes(range(16))


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setattr("instrument.link.cache._folder", str(tmp_path / "cache"))
    monkeypatch.delenv(SECRET, raising=False)


@pytest.fixture
def path(tmp_path):
    """The path of an archive with two modules."""
    file = tmp_path / "shop.archive"
    write_archive(str(file), {(MINIMAL, MODULE, KEY): (today(), b"content"), (NOTHING, TREE, KEY[::-1]): (today(), b"more\n")})
    return file


def as_bytes(modules):
    """Return *modules* with their contents as bytes."""
    return {name: bytes(content) for name, (_, content) in modules.items()}


def at(days_ago, modules):
    """Return *modules* as if each had been used last so many days ago."""
    return {name: (today() - days_ago, content) for name, (_, content) in modules.items()}


def stored_files(folder):
    """Return the files below *folder* that hold code."""
    return [file for file in folder.rglob("*") if file.is_file() and file.name != "key"]


# The code #############################################################################################################


@pytest.mark.parametrize("form", ["with bytecode", "without bytecode", "unused", "used"])
def test_a_module_is_found_by_its_content_under_another_path(tmp_path, form):
    """The entry may be by a bytecode file or by content. From an archive it goes on to the next, until it is unused for long."""
    here, there = tree_of("x = [1]\ndef f():\n    return x", "/here/a.py"), tree_of("x = [1]\ndef f():\n    return x", "/there/b.py")
    cache = Cache(MINIMAL, str(tmp_path / "cache"))
    if form == "with bytecode":
        cache.store_module("/here/a.py", b"bytecode", None, key_of(here), module_of(unlinked_tree(here), "/here/a.py"))
    else:
        batch = Batch(cache)
        assert batch.get(here) is None
        batch.put(here, unlinked_tree(here))
        batch.flush()
    modules = modules_in_cache(MINIMAL)
    assert modules.keys() == {(MINIMAL, MODULE, key_of(there))}
    assert add_to_cache(at(7, modules)) == 1  # the archive may also have it, as it was used earlier
    assert modules_in_cache(MINIMAL) == modules
    if form in ("unused", "used"):
        shutil.rmtree(tmp_path / "cache")
        for days_ago in (7, 31):
            assert add_to_cache(at(days_ago, modules)) == 1
            if days_ago == 7:  # a module that is named is in use
                assert archive.modules_of([Outcome("/there/b.py", Result.READY, key=key_of(there))], MINIMAL) == modules
            if form == "used":
                assert Cache(MINIMAL, str(tmp_path / "cache")).module_by_content(key_of(there), "", "/x.py") is not None
                assert modules_in_cache(MINIMAL) == modules
            else:
                assert modules_in_cache(MINIMAL) == (at(7, modules) if days_ago == 7 else {})
    shutil.rmtree(tmp_path / "cache")
    assert add_to_cache(modules) == 1

    module = Cache(MINIMAL, str(tmp_path / "cache")).module_by_content(key_of(there), "/there/b.py", "/there/b.py")
    expected = module_of(unlinked_tree(there), "/there/b.py")
    assert (module[0], module[1].as_tuple(), module[2]) == (expected[0], expected[1].as_tuple(), expected[2])
    assert Cache(MINIMAL, str(tmp_path / "cache")).module_by_content(KEY, "/there/b.py", "/there/b.py") is None


def test_other_code_is_found_by_its_content_too(tmp_path):
    """Exec'd code and existing functions of a module elsewhere: code that was unused for long leaves the archives."""
    used, unused = tree_of("x = 1", "/here/a.py"), tree_of("y = 1", "/here/a.py")
    batch = Batch(Cache(MINIMAL, str(tmp_path / "cache")))
    for tree in (used, unused):
        assert batch.get(tree, "exec in /here/a.py") is None
        batch.put(tree, unlinked_tree(tree), "exec in /here/a.py")
    batch.flush()
    modules = modules_in_cache(MINIMAL)
    assert modules.keys() == {(MINIMAL, TREE, key_of(used)), (MINIMAL, TREE, key_of(unused))}
    outcome = Outcome("/here/a.py", Result.READY)
    assert archive.modules_of([outcome], MINIMAL) == modules
    shutil.rmtree(tmp_path / "cache")
    assert add_to_cache(at(30, modules)) == 2
    assert modules_in_cache(MINIMAL) == at(30, modules)
    assert add_to_cache(at(31, modules)) == 2

    for _ in range(2):
        batch = Batch(Cache(MINIMAL, str(tmp_path / "cache")))
        elsewhere = tree_of("x = 1", "/there/b.py")
        assert as_tuples(batch.get(elsewhere, "exec in /there/b.py")) == as_tuples(unlinked_tree(elsewhere))
        batch.flush()
        assert modules_in_cache(MINIMAL) == {name: piece for name, piece in modules.items() if name[2] == key_of(used)}
    assert Batch(Cache(MINIMAL, str(tmp_path / "cache"))).get(tree_of("z = 1", "/there/b.py"), "exec in /there/b.py") is None


def test_what_is_written_is_read(path):
    """Modules, placements and keys are the same."""
    modules, reason = read_archive(str(path))

    assert as_bytes(modules) == {(MINIMAL, MODULE, KEY): b"content", (NOTHING, TREE, KEY[::-1]): b"more\n"}
    assert reason == ""
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("dontwrite", ["", "1"], ids=["bytecode is written", "bytecode is not written"])
def test_an_archive_serves_equal_sources_in_another_folder(tmp_path, dontwrite):
    """Their times and their cache are others. Nothing is rewritten, and the counts are the same. One file was edited."""
    for name in ("here", "there"):
        make_package(tmp_path / name, {**FILES, "edited.py": f"x = '{name}'\n"})
    for source in (tmp_path / "there" / "package").iterdir():
        os.utime(source, (1_000_000_000, 1_000_000_000))
    written = tmp_path / "shop.archive"
    status, printed = warmed(tmp_path / "here", "package", "--archive", str(written), PYTHONDONTWRITEBYTECODE=dontwrite)
    assert (status, printed.splitlines()[-1][:45]) == (0, "instrument: 4 modules were written to " + str(written)[:7])
    shutil.rmtree(tmp_path / "here" / "cache")

    if not dontwrite:  # as pip does
        for source in (tmp_path / "there" / "package").iterdir():
            py_compile.compile(str(source), doraise=True)
    variables = {"PYTHONDONTWRITEBYTECODE": dontwrite}
    assert warmed(tmp_path / "there", "--from", str(written), **variables) == (0, f"instrument: 4 modules were taken from {written}\n")
    for _ in range(2):  # the second import finds the code by its bytecode file
        assert imported(tmp_path / "there", **variables) == (0, imported(tmp_path / "there", INSTRUMENT_CACHE="")[1])
    _, printed = warmed(tmp_path / "there", "package", "--archive", str(tmp_path / "next"), **variables)
    assert "1 prepared, 3 ready before" in printed
    assert "4 modules were written" in printed


# Refused archives #####################################################################################################


def rewritten(path, change):
    """Replace the content of the archive at *path* by `change(content)`."""
    path.write_bytes(change(path.read_bytes()))


def sealed(body, version=None):
    """Return the content of an archive with this *body* and the checksum that belongs to it."""
    version = version or version_of_entries()
    checksum = hashlib.sha256(f"{version}\n".encode() + body).hexdigest()
    return f"instrument archive 1\nversion {version}\nsha256 {checksum}\n".encode() + body


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda data: data[:-1], id="truncated"),
        pytest.param(lambda data: data[: data.index(b"sha256")], id="truncated in its head"),
        pytest.param(lambda data: data + b"x", id="longer"),
        pytest.param(lambda data: data.replace(b"content", b"CONTENT"), id="other content"),
        pytest.param(lambda data: data.replace(b"minimal", b"nothing"), id="other placement"),
        pytest.param(lambda data: data.replace(b"sha256", b"sha512"), id="other kind of checksum"),
        pytest.param(lambda data: data.replace(b"\n", b"", 3), id="without lines"),
        pytest.param(lambda data: data[:22] + bytes([255]) * 2_000, id="bytes that are no text"),
        pytest.param(lambda data: sealed(b"../../evil module " + KEY.hex().encode() + b" 1\nx"), id="a path as placement"),
        pytest.param(lambda data: sealed(b"minimal script " + KEY.hex().encode() + b" 1\nx"), id="an unknown kind"),
        pytest.param(lambda data: sealed(b"minimal module ../../../../evil 1\nx"), id="a path as key"),
        pytest.param(lambda data: sealed(b"minimal module " + b"00" * 17 + b" 1\nx"), id="a longer key"),
        pytest.param(lambda data: sealed(b"minimal module " + KEY.hex().encode() + b" 99999999999999\nx"), id="a false size"),
        pytest.param(lambda data: sealed(b"minimal module " + KEY.hex().encode() + b" -20\nx"), id="a negative size"),
        pytest.param(lambda data: sealed(b"minimal module " + KEY.hex().encode() + b" 0\n" * 3), id="nothing"),
        pytest.param(lambda data: b"PK\x03\x04" + data, id="another format"),
        pytest.param(lambda data: b"", id="empty"),
    ],
)
def test_a_damaged_archive_is_refused(path, tmp_path, change):
    """That holds also if somebody has computed the checksum anew. Nothing is added to the cache."""
    rewritten(path, change)

    with pytest.raises(ArchiveError, match=r"is damaged|is no archive"):
        read_archive(str(path))
    assert stored_files(tmp_path) == [path]


def test_an_archive_of_another_version_is_left_alone(path):
    """That is no error: after an update of Python or of this package the next archive fits."""
    assert read_archive(str(path))[1] == ""
    for text in (hex(sys.hexversion)[2:], version_of_entries()[-8:]):
        content = path.read_bytes()
        rewritten(path, lambda data, text=text: data.replace(text.encode(), b"0" * len(text)))
        assert read_archive(str(path)) == ({}, f"{path} is of another release of instrument, or of another Python")
        path.write_bytes(content)
    assert read_archive(str(path) + "2") == ({}, f"there is no file {path}2 yet")


@as_root
def test_an_archive_of_another_user_is_refused(path):
    """Its content would be executed with the rights of this user. A link does not help."""
    os.chown(path, 12345, 12345)
    path.with_suffix(".link").symlink_to(path)
    for each in (path, path.with_suffix(".link")):
        with pytest.raises(ArchiveError, match=r"belongs to another user \(12345\)"):
            read_archive(str(each))


@pytest.mark.parametrize("mode", [0o620, 0o602])
def test_an_archive_that_others_can_write_to_is_refused(path, mode):
    """The message names the way out."""
    path.chmod(mode)
    with pytest.raises(ArchiveError, match=r"others can write to it.*chmod go-w"):
        read_archive(str(path))


def test_a_secret_shows_who_made_an_archive(path, monkeypatch):
    """With a secret, neither an archive without one nor one with another secret is used."""
    monkeypatch.setenv(SECRET, "ours")
    with pytest.raises(ArchiveError, match="did not have your INSTRUMENT_ARCHIVE_KEY"):
        read_archive(str(path))
    write_archive(str(path), {(MINIMAL, MODULE, KEY): (today(), b"content")})
    assert as_bytes(read_archive(str(path))[0]) == {(MINIMAL, MODULE, KEY): b"content"}

    monkeypatch.setenv(SECRET, "theirs")
    with pytest.raises(ArchiveError, match="had another INSTRUMENT_ARCHIVE_KEY"):
        read_archive(str(path))
    monkeypatch.delenv(SECRET)
    with pytest.raises(ArchiveError, match="had a secret; set INSTRUMENT_ARCHIVE_KEY"):
        read_archive(str(path))


def test_special_and_large_files_are_refused(path, tmp_path, monkeypatch):
    """A pipe is not waited for, and no file fills the memory."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    for name, words in (("pipe", "is no regular file"), ("folder", "is no regular file|Is a directory"), ("/dev/zero", "is no regular file")):
        with pytest.raises(ArchiveError, match=words):
            read_archive(str(tmp_path / name))
    monkeypatch.setattr(archive, "_LARGEST", 100)
    with pytest.raises(ArchiveError, match="too large"):
        read_archive(str(path))


def test_only_archives_are_replaced(path, tmp_path):
    """A file of another kind, a folder or a link stays as it is."""
    write_archive(str(path), {})
    assert read_archive(str(path)) == ({}, "")
    (tmp_path / "empty").touch()
    write_archive(str(tmp_path / "empty"), {})
    (tmp_path / "notes").write_text("precious")
    (tmp_path / "link").symlink_to(path)
    for name in ("notes", "link", "cache"):
        (tmp_path / "cache").mkdir(exist_ok=True)
        with pytest.raises(ArchiveError, match="is no archive, and is not replaced"):
            write_archive(str(tmp_path / name), {})
    with pytest.raises(ArchiveError, match="cannot be written"):
        write_archive(str(tmp_path / "none" / "x"), {})
    assert (tmp_path / "notes").read_text() == "precious"
    assert not [file for file in tmp_path.iterdir() if file.name.endswith(".tmp")]


def test_a_module_is_added_whole_or_not_at_all(path, monkeypatch):
    """If a module cannot be written, or the user interrupts, no part of it stays."""
    modules, _ = read_archive(str(path))
    written = []

    def write(to, data):
        if written:
            raise error
        written.append(to)
        Path(to).write_bytes(data)

    monkeypatch.setattr("instrument.link.cache.write_file", write)
    error = OSError(28, "No space left on device")
    assert add_to_cache(modules) == 1
    written.clear()
    error = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        add_to_cache(modules)
    assert stored_files(path.parent / "cache") == [Path(written[0])]


def test_the_command_names_what_it_did(tmp_path):
    """A damaged archive gives status 1, and the PATHs are prepared all the same; a missing one is no failure."""
    make_package(tmp_path)
    (tmp_path / "bad").write_text("nonsense")
    status, printed = warmed(tmp_path, "package", "--from", "bad", "--jobs", "1")
    assert (status, "bad is no archive" in printed, "3 prepared" in printed) == (1, True, True)
    assert warmed(tmp_path, "--from", "none", "--archive", "all") == (
        *(0, "instrument: nothing was taken: there is no file none yet\n" + printed_for(tmp_path / "all")),
    )
    assert warmed(tmp_path, "--from", "all", "--quiet") == (0, "")
    process = python(tmp_path, "-m", "instrument", "warm")
    assert "Name a PATH, --from FILE or --archive FILE" in process.communicate(timeout=60)[1]
    assert process.returncode == 2


def printed_for(path):
    """Return the line for three modules that were written to the archive at *path*."""
    return f"instrument: 3 modules were written to {path.name}, {path.stat().st_size / 1e6:.1f} MB\n"


def test_unused_code_from_archives_is_removed_after_a_while(path, tmp_path):
    """Code that no process uses for thirty days goes."""
    add_to_cache(read_archive(str(path))[0])
    files = stored_files(tmp_path / "cache")
    assert len(files) == 3  # a module, the other code, and its days
    for file in files:
        os.utime(file, (time.time() - 31 * 86_400,) * 2)
    Cache(MINIMAL, str(tmp_path / "cache")).tidy()
    assert len(stored_files(tmp_path / "cache")) == 2
    Cache(NOTHING, str(tmp_path / "cache")).tidy()
    assert not stored_files(tmp_path / "cache")
