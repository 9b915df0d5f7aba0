"""Counts files: `trace` and `instrument` read each other's files, no file does harm, and none is written partly."""

import errno
import io
import os
import pathlib
import pickle
import stat
import subprocess
import sys
import threading
import trace
import tracemalloc

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from instrument.errors import CountsFileError
from instrument.trace_results import counts_file

ROOT = pathlib.Path(__file__).parents[2]

words = st.integers(-(2**63) + 1, 2**63 - 1)
functions = st.tuples(st.text(), st.none() | st.text(), st.text())
contents = st.tuples(
    st.dictionaries(st.tuples(st.text(), words), words | st.booleans()),
    st.dictionaries(functions, st.just(1)),
    st.dictionaries(st.tuples(functions, functions) | st.text(), st.just(1)),
)


@settings(deadline=None)
@given(content=contents, protocol=st.integers(0, pickle.HIGHEST_PROTOCOL))
@pytest.mark.slow
def test_pickles_of_counts_are_decoded(content, protocol):
    """Counts in a pickle of any protocol are decoded unchanged."""
    assert counts_file.decode(pickle.dumps(content, protocol)) == content


@settings(deadline=None)
@given(content=contents)
def test_files_pass_between_trace_and_instrument(tmp_path_factory, content):
    """`store` writes the bytes that `trace` writes, and each reads the files of the other."""
    path = str(tmp_path_factory.mktemp("counts") / "counts")
    counts, calledfuncs, callers = content
    counts_file.store(path, counts, calledfuncs, callers)
    with open(path, "rb") as file:
        stored = file.read()
    theirs = trace.CoverageResults(infile=path, outfile=path)

    assert stored == pickle.dumps(content, 1)
    assert (theirs.counts, theirs.calledfuncs, theirs.callers) == (counts, calledfuncs, callers)
    # There are no sources to list: let `trace` write nothing but the file.
    theirs.calledfuncs, theirs.callers, theirs.is_ignored_filename = {}, {}, lambda filename: True
    theirs.write_results()
    assert counts_file.load(path) == (counts, {}, {})


FRAGMENTS = [bytes([byte]) for byte in b"().}{]01FJKMINTQRVX\\abcdeghijlopqrstu"]
FRAGMENTS += [bytes([byte]) for byte in range(0x80, 0x99)]
FRAGMENTS += [b"K\x01", b"h\x00", b"q\x00", b"X\x01\x00\x00\x00a", b"I7\n", b"posix\nsystem\n", b"\x82\x01", b"N"]
pickle_like = st.lists(st.sampled_from(FRAGMENTS), max_size=40).map(lambda parts: b"".join(parts) + b".")


class Forbidding(pickle._Unpickler):
    """The standard library's unpickler, which here finds no name."""

    def find_class(self, module, name):
        """Refuse every name."""
        raise pickle.UnpicklingError(name)


@settings(deadline=None, max_examples=settings().max_examples * 10 // 3)
@given(data=st.binary(max_size=60) | pickle_like)
@example(data=b"(K\x01K\x02d.")
@example(data=b"}(K\x01K\x02K\x03u.")
@example(data=b"(lp0\n.")
@example(data=b"t.")
@example(data=b"K\x01u.")
@example(data=b"V\\ud800\n.")
@example(data=b"I" + b"9" * 5000 + b"\n.")
@example(data=b"\x8b\xff\xff\xff\xff.")
@example(data=b"\x8b\x00\x00\x00\x80.")
@example(data=b"\x8e" + b"\xff" * 8 + b".")
def test_any_bytes_are_decoded_or_refused(data):
    """Any bytes raise CountsFileError and no other exception, or have the value that an unpickler returns."""
    try:
        value = counts_file.decode(data)
    except CountsFileError:
        pass
    else:
        assert value == Forbidding(io.BytesIO(data)).load()


@settings(deadline=None)
@given(content=contents, protocol=st.integers(0, pickle.HIGHEST_PROTOCOL), at=st.floats(0, 1, exclude_max=True))
def test_truncated_pickles_are_refused(content, protocol, at):
    """A truncated pickle is refused, never read in part."""
    data = pickle.dumps(content, protocol)

    with pytest.raises(CountsFileError):
        counts_file.decode(data[: int(at * len(data))])


@settings(deadline=None)
@given(content=contents, flipped=st.dictionaries(st.integers(0, 10_000), st.integers(1, 255), min_size=1, max_size=3))
def test_damaged_files_are_read_or_refused(tmp_path_factory, content, flipped):
    """A file with changed bytes is refused with a message, or still has counts."""
    data = bytearray(pickle.dumps(content, 1))
    for at, change in flipped.items():
        data[at % len(data)] ^= change
    path = tmp_path_factory.mktemp("counts") / "counts"
    path.write_bytes(data)
    try:
        counts, calledfuncs, callers = counts_file.load(str(path))
    except CountsFileError:
        pass
    else:
        assert [type(part) for part in (counts, calledfuncs, callers)] == [dict, dict, dict]


class Harmful:
    """An object whose pickle calls `os.mkdir`."""

    def __reduce__(self):
        """Return the call."""
        return os.mkdir, ("executed",)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_nothing_in_a_file_is_executed(tmp_path, monkeypatch, protocol):
    """A pickle that would call a function is refused, and the function is not called."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "counts").write_bytes(pickle.dumps(({("a", 1): Harmful()}, {}, {}), protocol))

    with pytest.raises(CountsFileError, match=r"it asks for something to be called .* that was not done"):
        counts_file.load("counts")
    assert os.listdir() == ["counts"]


@pytest.mark.parametrize(
    "data",
    [
        b"}(K\x01" + b"\x85" * 200_000 + b"K\x01u.",
        b"}" * 200_000 + b"s" * 100_000 + b".",
        b"(" * 500_000 + b"t" * 500_000 + b".",
        b"(" + b"K\x01" * 100_000 + b"tq\x00(" + b"h\x00" * 100_000 + b"t}h\x01K\x01s.",
        b"r\xff\xff\xff\xff.",
        b"X\xff\xff\xff\xff.",
        b"\x8b\xff\xff\xff\x7f.",
    ],
    ids=["deep tuple", "deep dictionary", "deep marks", "wide tuple", "large memo", "long string", "long integer"],
)
def test_bombs_are_refused(data):
    """Files that would exhaust the stack, the memory or the time of an unpickler are refused at once."""
    with pytest.raises(CountsFileError):
        counts_file.decode(data)


@pytest.mark.parametrize(
    "value",
    [
        ([], {}, {}),
        ({}, {}),
        {},
        None,
        ({("a", 1): "one"}, {}, {}),
        ({("a", 1): None}, {}, {}),
        ({"a": 1}, {}, {}),
        ({("a", 1, 1): 1}, {}, {}),
        ({("a", 1): 1.5}, {}, {}),
        ({("a", 1): 2**64}, {}, {}),
        ({("a", 1): 1}, {("a", b"a", "f"): 1}, {}),
    ],
    ids=repr,
)
def test_pickles_of_anything_else_are_refused(tmp_path, value):
    """A pickle of values that are no counts is refused."""
    path = tmp_path / "counts"
    path.write_bytes(pickle.dumps(value, 1))

    with pytest.raises(CountsFileError):
        counts_file.load(str(path))


def test_empty_and_missing_files_have_the_errors_of_trace(tmp_path):
    """An empty file raises EOFError, a missing one FileNotFoundError, a folder IsADirectoryError."""
    (tmp_path / "empty").touch()

    with pytest.raises(EOFError, match=r"^Ran out of input$"):
        counts_file.load(str(tmp_path / "empty"))
    with pytest.raises(FileNotFoundError):
        counts_file.load(str(tmp_path / "missing"))
    with pytest.raises(IsADirectoryError):
        counts_file.load(str(tmp_path))


@pytest.mark.slow
@pytest.mark.parametrize(
    "pattern",
    [b"(", b"N", b"}", b"}\x94", b"}r\0\0\0\0", b"N\x94", b"(N", b"J\x01\x01\x01\x01", b"}(", b")\x94", b"(t", b"(}u"],
)
def test_many_small_instructions_are_refused(pattern):
    """Decoding a file takes no more memory than the counts of a file of that size."""
    data = b"\x80\x04" + pattern * (2_000_000 // len(pattern))
    if pattern == b"}r\0\0\0\0":
        data = b"\x80\x04" + b"".join(b"}r" + n.to_bytes(4, "little") for n in range(300_000))
    tracemalloc.start()
    try:
        with pytest.raises(CountsFileError):
            counts_file.decode(data)
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()


def test_a_file_without_end_is_refused(monkeypatch):
    """Reading stops at a limit, so a device does not fill the memory."""
    monkeypatch.setattr(counts_file, "LARGEST_FILE", 1000)

    with pytest.raises(CountsFileError, match="larger than 1000 bytes"):
        counts_file.load("/dev/zero")


def store(path, count=1):
    """Store *count* in the counts file at *path*."""
    counts_file.store(str(path), {("a", 1): count}, {}, {})


def test_an_old_file_keeps_its_mode(tmp_path):
    """A replaced file keeps its mode; a new file has the mode that the umask gives."""
    new, old = tmp_path / "new", tmp_path / "old"
    old.touch()
    old.chmod(0o640)
    before = os.umask(0o026)
    try:
        store(new)
        store(old)
    finally:
        os.umask(before)

    assert stat.S_IMODE(new.stat().st_mode) == 0o640
    assert stat.S_IMODE(old.stat().st_mode) == 0o640
    old.chmod(0o666)
    store(old)
    assert stat.S_IMODE(old.stat().st_mode) == 0o666


def test_links_are_followed(tmp_path):
    """A symbolic link stays a link, and its target is written, even if it does not exist yet."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to(os.path.join("folder", "counts"))
    for count in (1, 2):
        store(tmp_path / "link", count)

        assert (tmp_path / "link").is_symlink()
        assert counts_file.load(str(tmp_path / "folder" / "counts")) == ({("a", 1): count}, {}, {})


def test_devices_and_pipes_are_written_to_and_stay(tmp_path):
    """A path that is no regular file is written to, and not replaced."""
    store("/dev/null")
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    received = []
    reader = threading.Thread(target=lambda: received.append(pipe.read_bytes()))
    reader.start()
    store(pipe)
    reader.join()

    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)
    assert stat.S_ISFIFO(os.stat(pipe).st_mode)
    assert counts_file.decode(received[0]) == ({("a", 1): 1}, {}, {})


def test_a_full_disk_leaves_the_old_file(tmp_path, monkeypatch):
    """If the new file cannot be written, the old file is unchanged, and no other file stays."""
    path = tmp_path / "counts"
    store(path)

    def full(_descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)

    with pytest.raises(OSError, match="No space left"):
        store(path, 2)
    assert counts_file.load(str(path)) == ({("a", 1): 1}, {}, {})
    assert os.listdir(tmp_path) == ["counts"]


def test_counts_that_cannot_be_pickled_leave_the_old_file(tmp_path):
    """Counts are pickled before any file is opened."""
    path = tmp_path / "counts"
    store(path)

    with pytest.raises((pickle.PicklingError, AttributeError, TypeError)):
        store(path, lambda: None)
    assert counts_file.load(str(path)) == ({("a", 1): 1}, {}, {})


def test_a_killed_process_leaves_the_old_file(tmp_path):
    """If a process dies while it writes, the old file is unchanged, and later writes succeed."""
    path = tmp_path / "counts"
    store(path)
    program = f"""
import os
from instrument.trace_results import counts_file
os.getpid = lambda: {os.getpid()}
os.fsync = lambda descriptor: os._exit(9)
counts_file.store({str(path)!r}, {{("a", 1): 2}}, {{}}, {{}})
"""
    finished = subprocess.run([sys.executable, "-c", program], cwd=ROOT)

    assert finished.returncode == 9
    assert counts_file.load(str(path)) == ({("a", 1): 1}, {}, {})
    assert len(os.listdir(tmp_path)) == 2
    store(path, 3)
    assert counts_file.load(str(path)) == ({("a", 1): 3}, {}, {})


@pytest.mark.slow
def test_many_writers_leave_one_whole_file(tmp_path):
    """If several processes write at once, the file is complete at every moment."""
    path = tmp_path / "counts"
    store(path, 0)
    writers = [threading.Thread(target=lambda: [store(path, count) for count in range(30)]) for _ in range(4)]
    for writer in writers:
        writer.start()
    while any(writer.is_alive() for writer in writers):
        counts, _calledfuncs, _callers = counts_file.load(str(path))
        assert list(counts) == [("a", 1)]
    for writer in writers:
        writer.join()

    assert os.listdir(tmp_path) == ["counts"]


def refuse(function, error, *, when=lambda *arguments: True):
    """Return a stand-in for *function* that raises *error* if the arguments meet a condition."""

    def stand_in(*arguments):
        if when(*arguments):
            raise error(errno.EPERM, os.strerror(errno.EPERM), *arguments[:1])
        return function(*arguments)

    return stand_in


def test_a_file_in_a_read_only_folder_is_written_in_place(tmp_path, monkeypatch):
    """`trace` can write such a file, so `store` can, too."""
    path = tmp_path / "counts"
    store(path)
    monkeypatch.setattr(
        os, "open", refuse(os.open, PermissionError, when=lambda path, flags, mode=0: flags & os.O_CREAT)
    )
    store(path, 2)

    assert counts_file.load(str(path)) == ({("a", 1): 2}, {}, {})


def test_a_mount_point_is_written_in_place(tmp_path, monkeypatch):
    """A rename to a mount point fails; no other file stays."""
    path = tmp_path / "counts"
    store(path)
    monkeypatch.setattr(os, "replace", refuse(os.replace, OSError))
    store(path, 2)

    assert counts_file.load(str(path)) == ({("a", 1): 2}, {}, {})
    assert os.listdir(tmp_path) == ["counts"]


def test_a_read_only_file_stays(tmp_path, monkeypatch):
    """A file without permission to write is not replaced, although its folder allows that."""
    path = tmp_path / "counts"
    store(path)
    monkeypatch.setattr(os, "open", refuse(os.open, PermissionError))

    with pytest.raises(PermissionError):
        store(path, 2)
    assert counts_file.load(str(path)) == ({("a", 1): 1}, {}, {})


@pytest.mark.parametrize("path", ["no/such/folder/counts", "", "file/counts", "folder", "x" * 300])
def test_errors_are_those_of_opening_the_file(tmp_path, monkeypatch, path):
    """A path that cannot be written raises the error of `open`, with the given name."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError) as ours:
        store(path)
    with pytest.raises(OSError) as theirs:
        open(path, "wb")

    assert str(ours.value) == str(theirs.value)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes")
def test_a_pipe_does_not_block_the_reader(tmp_path):
    """A pipe without a writer is refused."""
    os.mkfifo(tmp_path / "pipe")

    with pytest.raises(counts_file.CountsFileError, match="it is a pipe, which would be waited for"):
        counts_file.load(tmp_path / "pipe")
