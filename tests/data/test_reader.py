"""Reader: copies are consistent while a process writes, and files that are no valid data files are refused."""

import os
import random
import shutil
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from data_files import add, in_format, sql
from data_files import good as good
from processes import A, B, counts, files, more, write

from instrument.data import reader, schema
from instrument.data.query import StoredMeasurement
from instrument.data.reader import Copy
from instrument.data.scratch import Scratch
from instrument.errors import DataError

ROOT = Path(__file__).parents[2]


def test_a_table_that_the_format_does_not_have_is_refused(good):
    """A file of format 2 with the table `given_out` of format 3 is refused."""
    in_format(2, good)
    sql(good, schema.TABLES["given_out"])
    refuses(good, "something that no data file does", "given_out")


BUSY = """
import itertools, sys
from instrument.data.process_identity import ProcessInfo
from instrument.data.writer import Writer
writer = Writer(sys.argv[1], ProcessInfo.current())
for n in itertools.count(1):
    rows = dict.fromkeys(range(1500), (n, 1.0, 2.0))
    functions = [(("/src/1.py", "v"), {(f"f{n}" * 200, n): (1, 1.0, 2.0)})]
    writer.write({"lines": [((f"/src/{i}.py", "v"), rows) for i in range(4)], "functions": functions}, {})
    if n == 1:
        print(writer.path, flush=True)
"""


def test_a_process_that_writes_all_the_time_is_read_whole(tmp_path):
    """Each copy of the file is one state of it, never a mixture of two; later copies are newer."""
    with subprocess.Popen(
        [sys.executable, "-c", BUSY, str(tmp_path)], stdout=subprocess.PIPE, text=True, cwd=ROOT
    ) as busy:
        path = busy.stdout.readline().strip()
        seen = []
        try:
            for _ in range(15):
                result, refused = add([path])
                if refused:  # only ever for this reason
                    assert "written all the time" in refused[0]
                    continue
                [n] = {count for lines in result.values() for count in lines.values()}
                assert sum(map(len, result.values())) == 6000
                seen.append(n)
        finally:
            busy.kill()
    assert seen == sorted(seen)
    assert len(seen) > 5
    assert add([path])[1] == []


def test_the_journal_of_a_killed_process_takes_the_copy_back(tmp_path):
    """An unfinished transaction is rolled back in the copy; the file itself is not touched."""
    writer = write(tmp_path / "data", "one", {A: dict.fromkeys(range(5000), 1)})
    connection = sqlite3.connect(writer.path, isolation_level=None)
    connection.execute("PRAGMA cache_size = 1")  # pages go to the file before the end of the transaction
    connection.execute("BEGIN")
    connection.execute("UPDATE line SET count = 77")
    killed = tmp_path / "killed"
    shutil.copytree(tmp_path / "data", killed)
    connection.close()
    path = killed / os.path.basename(writer.path)
    before = {name: (killed / name).read_bytes() for name in files(killed)}

    assert len(before) == 2
    assert b"\xd9\xd5\x05\xf9\x20\xa1\x63\xd7" in before[path.name + "-journal"]
    assert add([path]) == ({A: dict.fromkeys(range(5000), 1)}, [])
    assert {name: (killed / name).read_bytes() for name in files(killed)} == before


def test_readers_do_not_block_the_writer(tmp_path):
    """While a reader copies the file all the time, no write fails or waits for a lock."""
    writer = write(tmp_path, "one", {A: {1: 1}})
    stop = threading.Event()

    def read():
        while not stop.is_set():
            add([writer.path])

    thread = threading.Thread(target=read)
    thread.start()
    try:
        for n in range(30):
            more(writer, {A: dict.fromkeys(range(100), n + 1)})
    finally:
        stop.set()
        thread.join()
    assert counts(writer.path) == {A: dict.fromkeys(range(100), 30) | {}}


def refuses(path, *words):
    """Check that the file at *path* is refused with these *words*, adds nothing, and stays unchanged."""
    try:
        before = path.read_bytes() if path.is_file() else None
    except PermissionError:
        before = None
    beside = files(path.parent)
    result, [reason] = add([path])
    assert result == {}
    assert all(word in reason for word in words), reason
    assert files(path.parent) == beside
    if before is not None:
        assert path.read_bytes() == before


def test_an_empty_file_is_refused(good):
    """A file of 0 bytes is refused."""
    good.write_bytes(b"")
    refuses(good, "empty")


def test_text_is_refused(good):
    """A file of text is refused."""
    good.write_text("x" * 5000)
    refuses(good, "no data file of instrument")


def test_a_database_of_another_program_is_refused(good):
    """An SQLite file without our application id is refused."""
    good.unlink()
    sql(good, "CREATE TABLE line (path TEXT)", "INSERT INTO line VALUES ('x')")
    refuses(good, "no data file of instrument")


@pytest.mark.parametrize("n", [1, 15, 16, 99])
def test_a_file_cut_off_in_its_header_is_refused(good, n):
    """A file that ends within its header is refused, and its size is named."""
    good.write_bytes(good.read_bytes()[:n])
    refuses(good, f"cut off after {n} bytes")


@pytest.mark.parametrize("part", [0.1, 0.3, 0.5, 0.9])
def test_a_file_cut_off_later_is_refused(good, part):
    """A file that is shorter than its header says is refused."""
    data = good.read_bytes()
    good.write_bytes(data[: int(len(data) * part)])
    refuses(good, "damaged")


def test_a_newer_format_is_refused(good):
    """A file of a later format is refused, and the message says to upgrade."""
    sql(good, f"PRAGMA user_version = {schema.VERSION + 1}")
    refuses(good, f"format {schema.VERSION + 1}", "upgrade")


def test_format_0_is_refused(good):
    """There never was a format 0."""
    sql(good, "PRAGMA user_version = 0")
    refuses(good, "never was")


def test_another_journal_mode_is_refused(good):
    """A file in WAL mode is refused, and the message says how to change that."""
    sql(good, "PRAGMA journal_mode = WAL")
    refuses(good, "journal mode")


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE VIEW v AS SELECT 1",
        "CREATE TRIGGER t AFTER INSERT ON line BEGIN SELECT 1; END",
        "CREATE TABLE more (x)",
        "CREATE INDEX i ON line (count)",
        "CREATE INDEX i ON line (abs(count))",
        "ALTER TABLE line ADD COLUMN more",
        "ALTER TABLE line ADD COLUMN more AS (abs(count))",
        "UPDATE sqlite_master SET sql = replace(sql, 'count INTEGER', 'count  INTEGER') WHERE name = 'line'",
    ],
)
def test_anything_but_plain_tables_is_refused(good, statement):
    """A file with views, triggers, indexes or other columns is refused, so SQLite evaluates nothing in it."""
    sql(good, statement)
    refuses(good, "something that no data file does")


def test_a_view_in_place_of_a_table_is_refused(good):
    """A view with the name of a table is refused."""
    sql(
        good,
        "DROP TABLE line",
        "CREATE VIEW line AS SELECT 1 AS part, 1 AS file, 1 AS line, 1 AS count, 1 AS first, 1 AS last",
    )
    refuses(good, "something that no data file does", "view")


@pytest.mark.parametrize("name", ["not_measured", "given_out"])
def test_a_missing_table_is_refused(good, name):
    """A file that lacks a table is refused."""
    sql(good, f"DROP TABLE {name}")
    refuses(good, "lacks tables")


@pytest.mark.parametrize(
    ("table", "change"),
    [
        ("line", "count = 'x'"), ("line", "count = -1"), ("line", "count = 1.5"), ("line", "line = -1"),
        ("line", "count = x'00'"), ("line", "first = 'x'"), ("line", "last = 9e999"), ("line", "last = -1.0"),
        ("line", "file = 77"), ("line", "part = 77"), ("line", "line = x'00'"), ("function", "line = 'x'"),
        ("function", "count = -9223372036854775808"), ("function", "file = 77"), ("function", "part = 0"),
        ("file", "id = -id"), ("process", "flushes = -1"), ("process", "pid = 'x'"), ("process", "part = -1"),
        ("process", "started = 9e999"), ("process", "ticks = 0.5"), ("given_out", "part = 77"),
        ("given_out", "file = 77"), ("given_out", "line = -1"), ("given_out", "line = 'x'"), ("given_out", "part = x'00'"),
    ],
)  # fmt: skip
def test_a_value_of_a_wrong_type_or_range_is_refused(good, table, change):
    """Each value must have the type and the range of its column."""
    sql(
        good,
        f"UPDATE {table} SET {change} WHERE rowid IN (SELECT rowid FROM {table} LIMIT 1)"
        if table == "file"
        else f"UPDATE {table} SET {change}"
        if table != "line"
        else f"UPDATE {table} SET {change} WHERE file = 1",
    )
    refuses(good, "value that cannot be", table)


def test_a_file_of_no_process_is_refused(good):
    """A file without a row in `process` is refused."""
    sql(good, *(f"DELETE FROM {table}" for table in schema.TABLES if table != "file"))
    refuses(good, "of no process")


def test_two_processes_in_one_part_are_refused(good):
    """A file in which two processes have one part is refused, unless it is part 0."""
    sql(
        good,
        "INSERT INTO process SELECT 'two', part, pid, parent, host, started, argv, python, directory, place, ticks, flushes, updated, ended, scope, root FROM process",
    )
    refuses(good, "value that cannot be")


def test_text_that_is_no_utf8_does_no_harm(good):
    """Such text is shown with a replacement character, and its counts are added."""
    sql(
        good,
        "UPDATE process SET host = CAST(x'ff' AS TEXT), ended = CAST(x'fe' AS TEXT)",
        "UPDATE file SET path = CAST(x'fd' AS TEXT) WHERE id = 1",
    )
    with StoredMeasurement([str(good)]) as stored:
        assert {path for path, _version in stored.files()} == {"\N{REPLACEMENT CHARACTER}", B[0]}


@pytest.mark.slow
def test_random_damage_never_crashes(good):
    """A file with random changes is refused with a message, or read as plain counts."""
    data = good.read_bytes()
    chance = random.Random(3)
    for _ in range(300):
        damaged = bytearray(data)
        for _ in range(chance.choice([1, 5, 100])):
            damaged[chance.randrange(len(data))] = chance.randrange(256)
        good.write_bytes(damaged)
        result, refused = add([good])
        assert len(refused) == 1 or all(count >= 0 for lines in result.values() for count in lines.values())


def test_a_journal_that_names_another_file_is_not_obeyed(good, tmp_path):
    """SQLite would delete the file that such a journal calls its super-journal."""
    victim = tmp_path / "victim"
    victim.write_text("precious")
    name = str(victim).encode()
    magic = bytes.fromhex("d9d505f920a163d7")
    head = magic + b"\0\0\0\0" + b"\0" * 4 + b"\0\0\0\1" + (512).to_bytes(4, "big") + (4096).to_bytes(4, "big")
    tail = name + len(name).to_bytes(4, "big") + sum(name).to_bytes(4, "big") + magic
    (good.parent / (good.name + "-journal")).write_bytes(head.ljust(512, b"\0") + b"\0\0\0\1" + tail)
    refuses(good, "journal names another file")
    assert victim.read_text() == "precious"


@pytest.mark.parametrize("make", [os.mkfifo, lambda path: path.symlink_to("/dev/zero"), lambda path: path.mkdir()])
def test_pipes_devices_and_folders_are_refused(good, make):
    """A read of a pipe or a device would block or never end."""
    good.unlink()
    make(good)
    refuses(good, "no file")


def test_a_journal_that_is_no_file_is_refused(good):
    """A file is refused if its journal is a pipe."""
    os.mkfifo(good.parent / (good.name + "-journal"))
    refuses(good, "journal")


def test_a_journal_without_end_is_refused(good, monkeypatch):
    """A file is refused if its journal is larger than the limit."""
    monkeypatch.setattr(reader, "LARGEST_JOURNAL", 100)
    (good.parent / (good.name + "-journal")).write_bytes(b"x" * 101)
    refuses(good, "larger than")


def test_a_link_to_nowhere_is_refused(good):
    """A symbolic link without a target is refused."""
    good.unlink()
    good.symlink_to("nowhere")
    refuses(good, "gone")


def test_a_file_too_large_to_be_copied_is_refused(good, monkeypatch):
    """A file that is larger than the free space is not copied."""
    os.truncate(good, 1 << 42)
    monkeypatch.setattr("instrument.data.reader._GREATEST_COMPRESSION", 1 << 40)
    with Scratch() as scratch, pytest.raises(DataError, match="too large"):
        Copy(str(good), scratch)


@pytest.mark.parametrize("size", [1 << 25, 10 << 30])
def test_a_file_of_holes_is_refused(good, size):
    """A sparse file takes no space, and its copy would fill the disk; the header may claim any size."""
    os.truncate(good, size)
    with open(good, "r+b") as file:
        header = bytearray(file.read(100))
        page = int.from_bytes(header[16:18], "big")
        header[28:32] = (size // page).to_bytes(4, "big")
        file.seek(0)
        file.write(header)
    with Scratch() as scratch:
        with pytest.raises(DataError, match=r"only \d+ were ever written"):
            Copy(str(good), scratch)
        assert not any(os.path.getsize(os.path.join(scratch, name)) > 1 << 24 for name in os.listdir(scratch))


def test_a_copy_that_a_write_overtook_is_made_again(tmp_path, monkeypatch):
    """A transaction during the copy is noticed, whether it has ended or not, and the copy is repeated."""
    writer = write(tmp_path, "one", {A: {1: 1}})
    fill = Copy._fill
    journal = Path(writer.path + "-journal")
    calls = []

    def overtaken(self, *args):
        fill(self, *args)
        calls.append(1)
        if len(calls) == 1:
            more(writer, {A: {1: 2}})
        elif len(calls) == 2:
            journal.write_bytes(b"\0" * 512)  # another one has begun
        elif len(calls) == 3:
            journal.unlink()
            more(writer, {A: {1: 3}})

    monkeypatch.setattr(Copy, "_fill", overtaken)
    assert add([writer.path]) == ({A: {1: 3}}, [])
    assert len(calls) == 4

