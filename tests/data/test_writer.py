"""Writer: a data file has the last state that was written, whatever happens to the process, the disk and the folder."""

import os
import random
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from data_files import writer as writer

from instrument.data import schema
from instrument.data.data_files import data_files
from instrument.data.merge import Merge
from instrument.data.process_identity import ProcessInfo
from instrument.data.query import StoredMeasurement
from instrument.data.scratch import Scratch
from instrument.data.writer import Writer
from instrument.errors import DataError, DataGoneError

ROOT = Path(__file__).parents[2]


A = ("/src/a.py", "sha256:" + "a" * 64)


B = ("/src/b.py", "sha256:" + "b" * 64)


def table(path, query):
    """Return the rows that *query* returns for the database at *path*, after a check of its integrity."""
    with sqlite3.connect(path) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        rows = connection.execute(query).fetchall()
    connection.close()
    return rows


def lines_of(path):
    """Return path, line, count, first and last time of each line in the file at *path*."""
    return table(path, "SELECT path, line, count, first, last FROM line JOIN file ON file.id = file ORDER BY 1, 2")


def test_nothing_is_created_before_the_first_write(writer, tmp_path):
    """A process that never writes leaves no file."""
    assert list(tmp_path.iterdir()) == []
    writer.write({}, {})
    assert [path.name for path in (tmp_path / "new" / "data").iterdir()] == [os.path.basename(writer.path)]


def test_what_was_written_can_be_read_by_any_tool(writer):
    """Lines, functions, reasons and the process are rows of plain tables."""
    writer.write({"lines": [(A, {1: (5, 10.0, 20.0)})], "functions": [(A, {("f", 1): (2, 10.0, 20.0)})]}, {"/src/c.py": "it is frozen"})

    assert lines_of(writer.path) == [("/src/a.py", 1, 5, 10.0, 20.0)]
    assert table(writer.path, "SELECT name, line, count FROM function") == [("f", 1, 2)]
    assert table(writer.path, "SELECT path, reason FROM not_measured") == [("/src/c.py", "it is frozen")]
    [(pid, host, python, flushes)] = table(writer.path, "SELECT pid, host, python, flushes FROM process")
    assert (pid, host, python, flushes) == (os.getpid(), os.uname().nodename, sys.version.split()[0], 1)


def test_later_counts_replace_earlier_ones(writer):
    """A later write replaces its rows, adds new rows, and keeps the others; to repeat it changes nothing."""
    writer.write({"lines": [(A, {1: (5, 10.0, 20.0), 2: (1, 11.0, 11.0)})]}, {"/c": "old", "/d": "stays"})
    for _ in range(2):
        writer.write({"lines": [(B, {7: (1, 30.0, 30.0)}), (A, {1: (9, 10.0, 30.0)})]}, {"/c": "new", "/d": "stays"}, "exit")

    assert lines_of(writer.path) == [
        ("/src/a.py", 1, 9, 10.0, 30.0),
        ("/src/a.py", 2, 1, 11.0, 11.0),
        ("/src/b.py", 7, 1, 30.0, 30.0),
    ]
    assert table(writer.path, "SELECT path, reason FROM not_measured ORDER BY 1") == [("/c", "new"), ("/d", "stays")]
    assert table(writer.path, "SELECT ended FROM process") == [("exit",)]


@pytest.mark.parametrize("n", [1, 15, 16, 17, 189, 190, 191, 999, 1000, 1001, 2207])
def test_any_number_of_rows_is_written(writer, n):
    """One statement writes many rows, and no row is lost between two statements."""
    writer.write(
        {"lines": [(A, {line: (line + 1, 1.0, 2.0) for line in range(n)})], "functions": [(A, {(f"f{i}", i): (i, 1.0, 2.0) for i in range(n)})]},
        {},
    )

    assert [row[1:3] for row in lines_of(writer.path)] == [(line, line + 1) for line in range(n)]
    assert table(writer.path, "SELECT count(*), sum(count) FROM function") == [(n, n * (n - 1) // 2)]


GIVEN_OUT = "SELECT path, version, name, line, taker FROM given_out JOIN file ON file.id = given_out.file ORDER BY name"


def test_functions_that_were_given_out_are_written_once(writer):
    """Each is written once, whether its file has counts or not, and again to a new data file."""
    writer.write({"lines": [(A, {1: (5, 10.0, 20.0)})]}, {}, "", [(A, "f", 1, "dill")])
    writer.write({}, {}, "", [(A, "f", 1, "dill"), (A, "f", 1, "marshal"), (B, "g\ud800", 2, "dill")])
    before = os.stat(writer.path)
    writer.write({}, {}, "", [(A, "f", 1, "dill")])

    assert os.stat(writer.path).st_mtime_ns == before.st_mtime_ns
    *rows, last = table(writer.path, GIVEN_OUT)
    assert sorted(rows) == [(*A, "f", 1, "dill"), (*A, "f", 1, "marshal")]
    assert (*last[:2], schema.from_text(last[2]), *last[3:]) == (*B, "g\ud800", 2, "dill")
    os.unlink(writer.path)
    with pytest.raises(DataGoneError):
        writer.write({}, {}, "exit", [(A, "f", 1, "dill")])
    writer.write({}, {}, "exit", [(A, "f", 1, "dill")])
    assert table(writer.path, GIVEN_OUT) == [(*A, "f", 1, "dill")]


def test_a_write_without_changes_does_not_touch_the_file(writer):
    """An idle process costs its disk nothing."""
    writer.write({"lines": [(A, {1: (5, 10.0, 20.0)})]}, {"/c": "why"})
    before = os.stat(writer.path)
    writer.write({}, {"/c": "why"})

    assert os.stat(writer.path).st_mtime_ns == before.st_mtime_ns


@pytest.mark.slow
def test_a_file_grows_with_new_code_only(writer):
    """Growing counts take no more space than the first ones, except for larger numbers."""
    sizes = []
    for n in range(50):
        writer.write({"lines": [(A, dict.fromkeys(range(1000), (10 ** (n // 3), 1.0, 2.0 + n)))]}, {})
        sizes.append(os.path.getsize(writer.path))

    assert sizes[-1] < 2 * sizes[0]
    assert os.listdir(writer.directory) == [os.path.basename(writer.path)]


def test_names_that_utf8_cannot_encode_are_kept(writer):
    """A file name of other bytes is stored as a blob and read back unchanged."""
    path = os.fsdecode(b"/src/\xff.py")
    writer.write({"lines": [((path, "sha256:0"), {1: (1, 1.0, 1.0)})]}, {path: "why"})

    [(kept,)] = table(writer.path, "SELECT path FROM file")
    assert schema.from_text(kept) == path


@pytest.mark.parametrize("now", [-1e18, -1.0, 1e11 + 1, 1e18, float("inf"), float("nan")])
def test_times_out_of_range_are_clipped(writer, monkeypatch, now):
    """A time that readers would refuse becomes the nearest time that they accept."""
    for module in ("process_identity", "rows"):
        monkeypatch.setattr(f"instrument.data.{module}.CLOCK", (lambda: now,))
    writer.process.started = now
    for n in (1, 2):
        writer.write({"lines": [(A, {1: (n, now, now)})], "functions": [(A, {("f", 1): (n, now, now)})]}, {}, "exit" if n == 2 else "")
    with StoredMeasurement([writer.path]) as stored:
        assert stored.refused == []
        [file] = stored.files()
        assert dict(stored.counts(file).lines.items()) == {1: (2, *[1e11 if now > 0 else 0.0] * 2)}
        assert stored.began() == (1e11 if now > 0 else 0.0)


def test_hostile_host_names_stay_inside_the_folder(tmp_path):
    """A host name with separators or escape sequences does not lead out of the folder."""
    process = ProcessInfo.current()
    process.host = "../../\x1b[31m\nevil" + "x" * 500
    writer = Writer(str(tmp_path), process)
    writer.write({}, {})

    assert os.path.dirname(writer.path) == str(tmp_path)
    assert os.path.basename(writer.path).replace("-", "").replace(".", "").replace("_", "").isalnum()


@pytest.mark.parametrize("name", ["a b", "50%?mode=memory#x", "ä€", os.fsdecode(b"\xff\xfe"), "a'b\"c"])
def test_the_folder_may_have_any_name(tmp_path, name):
    """Characters with a meaning in a URI have none in the name of a folder."""
    writer = Writer(str(tmp_path / name), ProcessInfo.current())
    writer.write({"lines": [(A, {1: (1, 1.0, 1.0)})]}, {})
    writer.write({"lines": [(A, {1: (2, 1.0, 1.0)})]}, {})

    assert os.listdir(tmp_path / name) == [os.path.basename(writer.path)]
    with open(writer.path, "rb") as file:
        data = file.read()
    copy = tmp_path / "copy.sqlite"
    copy.write_bytes(data)
    assert lines_of(copy) == [("/src/a.py", 1, 2, 1.0, 1.0)]


def test_a_busy_program_does_not_delay_the_writer(writer):
    """With a busy thread, 20,000 rows do not take 5 ms each, because few statements write them."""
    stop = threading.Event()

    def busy():
        while not stop.is_set():
            sum(range(100))

    thread = threading.Thread(target=busy)
    thread.start()
    try:
        writer.write({}, {})
        begin = time.perf_counter()
        writer.write({"lines": [(A, dict.fromkeys(range(20000), (1, 1.0, 2.0)))]}, {})
        took = time.perf_counter() - begin
    finally:
        stop.set()
        thread.join()
    assert took < 20  # one by one it would take 100 s


def test_a_child_does_not_write_into_its_parents_file(writer):
    """After a fork the parent's writer raises DataError with a hint."""
    writer.write({"lines": [(A, {1: (1, 1.0, 1.0)})]}, {})
    writer._pid -= 1  # as if this were the child

    with pytest.raises(DataError, match="make a new Writer"):
        writer.write({"lines": [(A, {1: (2, 1.0, 1.0)})]}, {})
    assert lines_of(writer.path)[0][2] == 1


def test_a_removed_file_is_created_again(writer):
    """The writer raises DataGoneError once, and then creates a file with all counts."""
    writer.write({"lines": [(A, {1: (1, 1.0, 1.0)})]}, {})
    os.unlink(writer.path)
    with pytest.raises(DataGoneError, match="was removed"):
        writer.write({"lines": [(B, {2: (2, 1.0, 1.0)})]}, {})
    writer.write({"lines": [(A, {1: (1, 1.0, 1.0)}), (B, {2: (2, 1.0, 1.0)})]}, {})

    assert [row[:3] for row in lines_of(writer.path)] == [("/src/a.py", 1, 1), ("/src/b.py", 2, 2)]


def statement(text):
    """Return a function that executes *text* in the database at a path."""

    def execute(path):
        connection = sqlite3.connect(path)
        with connection:
            connection.execute(text)
        connection.close()

    return execute


def cut_off(path):
    """Truncate the file at *path*."""
    os.truncate(path, 5000)


def overwrite(path):
    """Overwrite the begin of the file at *path*."""
    Path(path).write_text("no database, but something much longer than the header of one" * 100)


def replace_by_a_folder(path):
    """Put a folder in place of the file at *path*."""
    os.unlink(path)
    make_folder(path)


def make_folder(path):
    """Make a folder beside the file at *path*, with the name of its journal."""
    os.makedirs(os.path.join(path, "full"))


WRECKS = {
    "empty": lambda path: os.truncate(path, 0),
    "cut off": cut_off,
    "overwritten": overwrite,
    "without a table": statement("DROP TABLE line"),
    "without its process": statement("DELETE FROM process"),
    "a folder": replace_by_a_folder,
}


@pytest.mark.parametrize("wreck", WRECKS)
def test_a_file_that_cannot_be_written_is_replaced(writer, wreck):
    """If another program has damaged the file, the writer raises DataGoneError once, and a new file has all counts."""
    writer.write({"lines": [(A, {1: (1, 1.0, 1.0)})]}, {})
    WRECKS[wreck](writer.path)
    with pytest.raises(DataGoneError, match="cannot be written any more"):
        writer.write({"lines": [(B, {2: (2, 1.0, 1.0)})]}, {})
    writer.write({"lines": [(A, {1: (1, 1.0, 1.0)}), (B, {2: (2, 1.0, 1.0)})]}, {})
    writer.write({"lines": [(B, {2: (3, 1.0, 1.0)})]}, {})

    assert [row[:3] for row in lines_of(writer.path)] == [("/src/a.py", 1, 1), ("/src/b.py", 2, 3)]
    assert [name for name in os.listdir(writer.directory) if name.endswith(".tmp")] == []


def test_a_locked_file_is_replaced(writer):
    """A lock of another program delays the process for a moment only, and no count is lost."""
    writer.write({"lines": [(A, {1: (1, 1.0, 1.0)})]}, {})
    connection = sqlite3.connect(writer.path)
    connection.execute("BEGIN")
    connection.execute("SELECT * FROM line").fetchall()
    since = time.monotonic()
    with pytest.raises(DataGoneError, match="locked"):
        writer.write({"lines": [(A, {1: (2, 1.0, 1.0)})]}, {}, "exit")
    writer.write({"lines": [(A, {1: (2, 1.0, 1.0)})]}, {}, "exit")
    connection.close()

    assert time.monotonic() - since < 4
    assert [row[:3] for row in lines_of(writer.path)] == [("/src/a.py", 1, 2)]


def test_the_newer_of_two_files_of_a_process_counts(writer, tmp_path):
    """If the old file can be neither written nor replaced, there are two files, and readers take the newer state."""
    for n in range(1, 4):
        writer.write({"lines": [(A, {1: (n, 1.0, 1.0)})]}, {})
    first = writer.path
    for n in range(4, 15):
        kept = tmp_path / "kept"
        os.rename(writer.path, kept)
        make_folder(writer.path)
        with pytest.raises(DataGoneError):
            writer.write({"lines": [(A, {1: (n, 1.0, 1.0)})]}, {})
        before = writer.path
        writer.write({"lines": [(A, {1: (n, 1.0, 1.0)})]}, {}, "exit")
        shutil.rmtree(before)
        os.rename(kept, before)
    paths, _ = data_files([writer.directory])

    assert len(paths) == 12
    assert [row[:3] for row in lines_of(first)] == [("/src/a.py", 1, 3)]
    for order in (paths, paths[::-1]):
        with Scratch() as scratch, Merge(os.path.join(scratch, "all.sqlite"), scratch) as sums:
            sums.add_all(order)
            assert sums.refused == []
            assert sums.n_processes == 1
            assert sums.connection.execute("SELECT SUM(count) FROM line").fetchall() == [(14,)]


def test_a_tree_that_was_removed_stays_removed(writer, tmp_path):
    """The data folder is created again, the folders above it are not: they were temporary."""
    writer.write({}, {})
    for path in (writer.path, writer.directory, tmp_path / "new"):
        os.unlink(path) if os.path.isfile(path) else os.rmdir(path)
    with pytest.raises(DataGoneError):
        writer.write({"lines": [(A, {1: (1, 1.0, 1.0)})]}, {})
    with pytest.raises(DataError, match=r"cannot be saved to '.*': No such file or directory"):
        writer.write({"lines": [(A, {1: (1, 1.0, 1.0)})]}, {})
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "new").mkdir()
    writer.write({"lines": [(A, {1: (1, 1.0, 1.0)})]}, {})
    assert lines_of(writer.path)


def test_a_folder_that_is_a_file_is_named(tmp_path):
    """If a file has the name of the data folder, the error says so."""
    (tmp_path / "data").write_text("precious")
    with pytest.raises(DataError, match=r"cannot be saved to '.*data/.*': Not a directory"):
        Writer(str(tmp_path / "data"), ProcessInfo.current()).write({}, {})
    assert (tmp_path / "data").read_text() == "precious"


def test_a_folder_that_became_a_file_is_named(writer, tmp_path):
    """If a file replaces the data folder later, the error says so, too."""
    writer.write({}, {})
    os.rename(writer.directory, tmp_path / "moved")
    (tmp_path / "new" / "data").write_text("precious")
    for _ in range(2):
        with pytest.raises(DataError):
            writer.write({"lines": [(A, {1: (1, 1.0, 1.0)})]}, {})
    assert (tmp_path / "new" / "data").read_text() == "precious"


@pytest.fixture
def small_disk(tmp_path):
    """A folder on a disk of 200 kB."""
    path = tmp_path / "small"
    path.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=200k,mode=700", "tmpfs", str(path)], capture_output=True, check=False
    )
    if done.returncode:
        pytest.skip("only root can mount a file system")
    yield path
    subprocess.run(["umount", str(path)], check=True)


MANY = [(A, dict.fromkeys(range(20000), (1, 1.0, 2.0)))]


def test_a_full_disk_at_the_first_write_leaves_nothing(small_disk):
    """No partial file stays, and a later write that fits succeeds."""
    writer = Writer(str(small_disk), ProcessInfo.current())
    with pytest.raises(DataError, match=r"full|No space"):
        writer.write({"lines": MANY}, {})
    assert os.listdir(small_disk) == []
    writer.write({"lines": [(A, {1: (1, 1.0, 1.0)})]}, {})
    assert len(lines_of(writer.path)) == 1


def test_a_full_disk_at_a_later_write_leaves_the_previous_state(small_disk):
    """The earlier counts stay, and the writer goes on when there is space again."""
    writer = Writer(str(small_disk), ProcessInfo.current())
    writer.write({"lines": [(A, {1: (1, 1.0, 1.0)})]}, {})
    with pytest.raises(DataError, match=r"full|No space"):
        writer.write({"lines": MANY}, {})
    assert lines_of(writer.path) == [("/src/a.py", 1, 1, 1.0, 1.0)]
    writer.write({"lines": [(B, {1: (3, 1.0, 1.0)})]}, {})
    assert [row[:3] for row in lines_of(writer.path)] == [("/src/a.py", 1, 1), ("/src/b.py", 1, 3)]


def test_a_read_only_disk_is_named(small_disk):
    """The earlier counts stay, and the error gives the reason."""
    writer = Writer(str(small_disk), ProcessInfo.current())
    writer.write({"lines": [(A, {1: (1, 1.0, 1.0)})]}, {})
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with pytest.raises(DataError, match=r"[Rr]ead.?only"):
        writer.write({"lines": [(A, {1: (2, 1.0, 1.0)})]}, {})
    with pytest.raises(DataError, match=r"[Rr]ead.?only"):
        Writer(str(small_disk), ProcessInfo.current()).write({}, {})


def test_a_limit_on_file_sizes_leaves_the_previous_state(writer):
    """A file at the limit of its size keeps its counts."""
    writer.write({"lines": [(A, {1: (1, 1.0, 1.0)})]}, {})
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(DataError):
            writer.write({"lines": MANY}, {})
        with pytest.raises(DataError):
            Writer(writer.directory, ProcessInfo.current()).write({"lines": MANY}, {})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert lines_of(writer.path) == [("/src/a.py", 1, 1, 1.0, 1.0)]
    assert os.listdir(writer.directory) == [os.path.basename(writer.path)]


def test_an_error_of_the_caller_leaves_the_previous_state(writer):
    """If the caller's iterator raises, nothing is written, and the caller gets that error."""

    def broken():
        yield A, {1: (2, 1.0, 1.0)}
        raise RuntimeError("mine")

    with pytest.raises(RuntimeError, match="mine"):
        writer.write({"lines": broken()}, {})
    assert os.listdir(writer.directory) == []
    writer.write({"lines": [(A, {1: (1, 1.0, 1.0)})]}, {})
    with pytest.raises(RuntimeError, match="mine"):
        writer.write({"lines": broken()}, {})
    assert lines_of(writer.path) == [("/src/a.py", 1, 1, 1.0, 1.0)]


KILLED = """
import itertools, sys
from instrument.data.process_identity import ProcessInfo
from instrument.data.writer import Writer
process = ProcessInfo.current()
process.id = "id"
writer = Writer(sys.argv[1], process)
for n in itertools.count(1):
    rows = {line: (n, 1.0, n) for line in range(3000)}
    writer.write({"lines": [((f"/src/{i}.py", "v"), rows) for i in range(1, 2 + n % 2)]}, {}, "")
    if n == 1:
        print(writer.path, flush=True)
    print(n, flush=True)
"""


def test_a_kill_at_any_moment_leaves_a_whole_state(tmp_path):
    """A process is killed many times while it writes: each time its file has the last state, or the next one."""
    chance = random.Random(4)
    for attempt in range(20):
        folder = tmp_path / str(attempt)
        with subprocess.Popen(
            [sys.executable, "-c", KILLED, str(folder)], stdout=subprocess.PIPE, text=True, cwd=ROOT
        ) as process:
            path = process.stdout.readline().strip()
            time.sleep(chance.uniform(0, 0.15))
            process.send_signal(signal.SIGKILL)
            written = [int(line) for line in process.stdout.read().split()]
        # (SQLite rolls an unfinished transaction back when it opens the file.)
        [(flushes,)] = table(path, "SELECT flushes FROM process")
        states = table(
            path, "SELECT DISTINCT file.path, count, count(*) FROM line JOIN file ON file.id = file GROUP BY 1, 2"
        )

        assert flushes in (written[-1], written[-1] + 1)
        assert {path: count for path, count, _ in states} == {
            "/src/1.py": flushes,
            "/src/2.py": flushes - (flushes + 1) % 2,
        }
        assert {n for _, _, n in states} == {3000}


def test_replaced_functions_of_the_program_are_not_called(writer, monkeypatch):
    """A program may replace functions of `os`, `time` and builtins, as gevent does; the writer calls the originals."""

    def patched(*args, **kwargs):
        raise RuntimeError("patched")

    names = (
        "open close stat fstat mkdir rename replace unlink fsync getpid getppid uname urandom read readlink fsencode"
    )
    process = None
    with monkeypatch.context() as patch:
        for name in names.split():
            patch.setattr(os, name, patched)
        patch.setattr(time, "time", patched)
        patch.setattr(sys, "path", [])
        patch.setattr("builtins.open", patched)
        patch.setattr("instrument.data.sqlite._loaded", [])
        process = ProcessInfo.current()
        writer.write({"lines": [(A, {1: (1, 1.0, 1.0)})]}, {})
        writer.write({"lines": [(A, {1: (2, 1.0, 1.0)})]}, {})
        Writer(writer.directory, process).write({}, {})
    assert lines_of(writer.path) == [("/src/a.py", 1, 2, 1.0, 1.0)]

