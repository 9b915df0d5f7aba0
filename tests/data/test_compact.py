"""Compact data files hold all that a process writes. Readers refuse others, and later writes replace them."""

import contextlib
import os
import struct
from array import array

import pytest
from data_files import add
from hypothesis import given
from hypothesis import strategies as st
from processes import A, B, Running, connect, data_files, more, process, write_compact

from instrument.data import compact, reader, schema
from instrument.data.compact import reading, writing
from instrument.data.merge import Merge
from instrument.data.process_identity import ProcessInfo
from instrument.data.scratch import Scratch
from instrument.data.writer import Writer
from instrument.errors import DataError, DataGoneError
from instrument.model.measurement import FACTS, GREATEST_COUNT, Series

TEXTS = st.text(st.characters(codec=None) | st.characters(categories=["Cs"]), max_size=8)
NUMBERS = st.integers(0, GREATEST_COUNT)
TIMES = st.floats(allow_nan=True) | st.sampled_from([0.0, 1e9, schema.LATEST])
FILES = st.tuples(TEXTS, TEXTS)
VALUES = {str: TEXTS, int: NUMBERS}


def keys_of(fact):
    """Return a strategy for the keys of *fact*."""
    values = [VALUES[type_] for _, type_ in fact.columns]
    return values[0] if len(values) == 1 else st.tuples(*values)


TALLIES = st.fixed_dictionaries(
    {
        fact.field: st.dictionaries(
            FILES, st.dictionaries(keys_of(fact), st.tuples(NUMBERS, TIMES, TIMES), max_size=4), max_size=3
        )
        for fact in FACTS
    }
)
GIVEN_OUT = st.lists(st.tuples(FILES, TEXTS, NUMBERS, TEXTS), max_size=3)
INFOS = st.builds(
    ProcessInfo,
    **dict.fromkeys(("host", "python", "cwd"), TEXTS),
    **dict.fromkeys(("pid", "parent", "root"), NUMBERS),
    id=st.just("0f"),
    started=st.floats(0, schema.LATEST),  # of a clock; the name of the file has it
    argv=st.lists(TEXTS, max_size=3).map(tuple),
    scope=st.none() | TEXTS,
)


def selected(path, query):
    """Return the rows that *query* finds in the data file at *path*."""
    with contextlib.closing(connect(path)) as connection:
        return connection.execute(query).fetchall()


def rows_of(path):
    """Return all rows of the data file at *path* by table, with the paths and versions of files for their numbers."""
    connection = connect(path)
    files = {number: key for number, *key in connection.execute("SELECT * FROM file")}
    rows = {}
    for table in schema.TABLES:
        cursor = connection.execute(f"SELECT * FROM {table}")
        columns = [column for column, *_ in cursor.description]
        rows[table] = sorted(
            [
                [repr(files[value]) if column == "file" else repr(value) for column, value in zip(columns, row)]
                for row in cursor
            ]
        )
    rows["file"] = sorted(map(repr, files.values()))
    connection.close()
    return rows


@given(TALLIES, st.dictionaries(TEXTS, TEXTS, max_size=3), GIVEN_OUT, INFOS, TEXTS.filter(bool), st.booleans())
def test_a_compact_file_holds_what_an_sqlite_file_holds(tmp_path_factory, tallies, reasons, given_out, info, ended, has_series):
    """All values that a process can have are the same: by its own reader, and written by SQLite."""
    folder = tmp_path_factory.mktemp("data")
    chunks = {
        field: [(file, series_of(counts) if has_series else counts) for file, counts in files.items()]
        for field, files in tallies.items()
    }
    for writes_first in (False, True):
        writer = Writer(str(folder / f"{writes_first}"), info)
        writer._has_database = writes_first
        writer.write(chunks, reasons, ended, given_out)
    rows = [rows_of(path) for writes_first in (False, True) for path in data_files(folder / f"{writes_first}")]
    for each in rows:
        [row] = each["process"]
        row[12] = "updated"

    assert rows[0] == rows[1]


def test_rows_with_the_same_first_time_keep_their_last_times(tmp_path):
    """One time stands for all rows only if all first times are the same, and all last times."""
    for name, rows in (("first", {1: (1, 1.0, 2.0), 2: (1, 1.0, 3.0)}), ("last", {1: (1, 1.0, 3.0), 2: (1, 2.0, 3.0)})):
        Writer(str(tmp_path / name), process("one")).write({"lines": [(A, rows)]}, {}, "exit")
        [path] = data_files(tmp_path / name)

        assert selected(path, "SELECT line, count, first, last FROM line") == [(n, *row) for n, row in rows.items()]


def series_of(tallies):
    """Return *tallies* as a Series."""
    series = Series()
    for key, (count, first, last) in tallies.items():
        series.add(key, count, first, last)
    return series


@pytest.fixture
def data(tmp_path):
    """The bytes of a compact file with all kinds of content."""
    _, path = write_compact(
        *(tmp_path / "one", "one", {A: {1: 5, 7: 2**40}, B: {2: 1}}),
        functions=[(A, {("f", 1): (1, 1.0, 2.0), ("g\udc80", 3): (2, 1.0, 3.0)})],
        not_measured={"/c": "it is frozen"},
        given_out=[(A, "f", 1, "cloudpickle")],
    )
    return path.read_bytes()


def test_every_truncation_is_refused(data):
    """A file that was cut off, or has a byte more, is named as damaged."""
    reading.Content(data)
    for n in range(len(compact.MAGIC), len(data)):
        with pytest.raises(DataError, match=r"it is (cut off|damaged)"):
            reading.Content(data[:n])
    with pytest.raises(DataError, match="it is damaged: it has"):
        reading.Content(data + b"\0")


def test_every_flipped_bit_is_refused(data):
    """No bit of a file can change unnoticed. In the magic number, the file becomes one that is not ours."""
    for n in range(8 * len(compact.MAGIC), 8 * len(data)):
        changed = bytearray(data)
        changed[n // 8] ^= 1 << n % 8
        with pytest.raises(DataError):
            reading.Content(bytes(changed))


def forged(numbers, times, text):
    """Return a file with these *numbers* and *times* as arrays, and *text* as bytes, and the checksum that fits."""
    body = numbers.tobytes() + times.tobytes() + text
    return writing.header(schema.VERSION, len(numbers), len(times), len(text), body) + body


def parts(data):
    """Return the numbers, the times and the text of the file *data*, as `forged` takes them."""
    _magic, _layout, _version, n_numbers, n_times, *_ = struct.unpack(compact.HEADER, data[: compact.HEADER_SIZE])
    begin, middle = compact.HEADER_SIZE, compact.HEADER_SIZE + 8 * n_numbers
    end = middle + 8 * n_times
    return array("q", data[begin:middle]), array("d", data[middle:end]), data[end:]


def test_values_that_belong_to_nothing_are_refused(data):
    """A file with a number, a time or a character more than its lists take is no sound one."""
    numbers, times, text = parts(data)
    for more_numbers, more_times, more_text in (([0], [], b""), ([], [0.0], b""), ([], [], b"x")):
        with pytest.raises(DataError, match="it has values that belong to nothing"):
            reading.Content(forged(numbers + array("q", more_numbers), times + array("d", more_times), text + more_text))


@given(st.data())
def test_a_forged_file_is_refused_or_holds_possible_values(tmp_path_factory, draw):
    """A file with any numbers and times and a fitting checksum causes no other error, and no value that cannot be."""
    encoder = writing.encoded(
        {"id": "0f", "host": "h", "argv": "", "python": "3", "directory": "/", "place": "", "ended": "exit", "scope": ""}
        | {"pid": 1, "parent": 1, "ticks": 1, "flushes": 1, "root": 0, "started": 1.0, "updated": 2.0},
        {"lines": [(A, {1: (5, 1.0, 1.0), 2: (6, 2.0, 2.0)}), (B, {1: (5, 1.0, 1.0)})], "functions": [(B, {("f", 1): (1, 1.0, 2.0)})]},
        {"/c": "why"},
        [(A, "f", 1, "dill")],
    )
    numbers, times, text = parts(encoder)
    small = st.integers(-2, 40) | st.integers(-(2**63), 2**63 - 1)
    for _ in range(draw.draw(st.integers(1, 3))):
        numbers[draw.draw(st.integers(0, len(numbers) - 1))] = draw.draw(small)
    if draw.draw(st.booleans()):
        times[draw.draw(st.integers(0, len(times) - 1))] = draw.draw(st.floats())
    if draw.draw(st.booleans()):
        text = draw.draw(st.binary(max_size=len(text)))
    path = tmp_path_factory.mktemp("forged") / "copy.sqlite"
    try:
        reading.make_database(reading.Content(forged(numbers, times, text)), str(path))
    except DataError:
        return
    with contextlib.closing(connect(path)) as connection:
        connection.execute("ATTACH ? AS source", (str(path),))
        reader.check(connection)


@pytest.mark.parametrize(
    ("at", "value", "reason"),
    [
        (8, compact.LAYOUT + 1, f"it is in format {schema.VERSION}, layout {compact.LAYOUT + 1}, and this version of instrument reads none newer than"),
        (12, schema.VERSION + 1, f"it is in format {schema.VERSION + 1}, layout {compact.LAYOUT}, and this version of instrument reads none"),
        (12, 0, f"it is in format 0, layout {compact.LAYOUT}, which never was"),
    ],
)
def test_a_file_of_another_version_is_named(tmp_path, data, at, value, reason):
    """A newer layout or format is refused with advice, like an SQLite file of a newer format."""
    path = tmp_path / "host-1-1-1.compact"
    path.write_bytes(data[:at] + struct.pack("<I", value) + data[at + 4 :])

    assert add([path])[1][0].startswith(reason)


def test_files_that_are_no_files_are_named(tmp_path, data, monkeypatch):
    """A large file is not read, and a file that only begins like a compact one is named."""
    path = tmp_path / "host-1-1-1.compact"
    path.write_bytes(data)
    monkeypatch.setattr(compact, "LARGEST", len(data) - 1)
    too_large = add([path])[1]
    path.write_bytes(compact.MAGIC[:5])

    assert too_large == [f"it is too large: compact data files have {len(data) - 1} bytes at most"]
    assert add([path])[1] == ["it is no data file of instrument"]


def names(writer):
    """Return the suffixes of the files in the folder of *writer*, sorted."""
    return sorted(os.path.splitext(name)[1] for name in os.listdir(writer.directory))


def counted(folder):
    """Return the counts of lines of all data files in *folder*, of which none is refused, and how many processes."""
    with Scratch() as scratch, Merge(os.path.join(scratch, "sum"), scratch) as merge:
        merge.add_all(map(str, data_files(folder)))
        assert merge.refused == []
        rows = merge.connection.execute("SELECT path, line, sum(count) FROM line JOIN file ON id = file GROUP BY 1, 2")
        return {(path, line): count for path, line, count in rows}, merge.n_processes


@pytest.mark.parametrize("ended", ["", "exit"])
def test_a_process_that_writes_again_writes_all(tmp_path, ended):
    """All totals are needed after a compact file. They go to an SQLite file, or at another end to a compact one."""
    writer, _ = write_compact(tmp_path, "one", {A: {1: 5}})
    with pytest.raises(DataGoneError, match="with all counts"):
        more(writer, {B: {1: 1}}, ended=ended)
    assert counted(tmp_path) == ({(A[0], 1): 5}, 1)
    more(writer, {A: {1: 6}, B: {1: 1}}, ended=ended)

    assert counted(tmp_path) == ({(A[0], 1): 6, (B[0], 1): 1}, 1)
    assert names(writer) == [".compact" if ended else ".sqlite"]
    if not ended:
        more(writer, {B: {1: 2}})
        assert (counted(tmp_path), names(writer)) == (({(A[0], 1): 6, (B[0], 1): 2}, 1), [".sqlite"])


class _Observed:
    """Stands for the functions of the system: before and after each call, *look* is called."""

    def __init__(self, system, look):
        self._system, self._look = system, look

    def __getattr__(self, name):
        function = getattr(self._system, name)

        def observed(*arguments, **more_arguments):
            self._look()
            result = function(*arguments, **more_arguments)
            self._look()
            return result

        return observed if callable(function) else function


@pytest.mark.slow
def test_readers_see_one_whole_state_at_any_moment(tmp_path, monkeypatch):
    """Before and after each call of the system, the data are those before the write or those after it, never twice."""
    states = []

    def look():
        if tmp_path.joinpath("data").is_dir():
            monkeypatch.undo()
            state = counted(tmp_path / "data")
            patch()
            if state not in states:
                states.append(state)

    def patch():
        for module in ("instrument.data.writer", "instrument.guest.atomic_files"):
            monkeypatch.setattr(f"{module}._system", _Observed(system, look))

    from instrument.guest.own_builtins import system

    patch()
    writer, _ = write_compact(tmp_path / "data", "one", {A: {1: 5}})
    with contextlib.suppress(DataGoneError):
        more(writer, {}, ended="exec")
    more(writer, {A: {1: 6}}, ended="exec")
    with contextlib.suppress(DataGoneError):
        more(writer, {}, ended="")
    more(writer, {A: {1: 7}}, ended="")

    assert states == [({}, 0), *[({(A[0], 1): n}, 1) for n in (5, 6, 7)]]
    assert names(writer) == [".sqlite"]


def test_the_sqlite_file_counts_if_both_are_there(tmp_path, monkeypatch):
    """A process that was killed before it removed the compact file has two files, and readers take the newer one."""
    monkeypatch.setattr(Writer, "_remove_compact", lambda self: None)
    writer, _ = write_compact(tmp_path, "one", {A: {1: 5}})
    writer._needs_all = False
    more(writer, {A: {1: 6}}, ended="")
    more(writer, {}, ended="exit")
    paths = data_files(tmp_path)

    flushes = [(path.suffix, selected(path, "SELECT flushes FROM process")) for path in paths]
    assert flushes == [(".compact", [(1,)]), (".sqlite", [(3,)])]
    for order in (paths, paths[::-1]):
        assert add(order) == ({A: {1: 6}}, [])
    with Scratch() as scratch, Merge(os.path.join(scratch, "sum"), scratch) as merge:
        merge.add_all(map(str, paths))
        assert sorted(merge.settled) == sorted(map(str, paths))  # `combine` removes both


def test_a_file_that_was_replaced_meanwhile_is_found(tmp_path):
    """If a process replaces its compact file after a reader has listed it, the reader takes the SQLite file."""
    writer, path = write_compact(tmp_path, "one", {A: {1: 5}})
    writer._needs_all = False
    more(writer, {A: {1: 6}}, ended="")
    assert names(writer) == [".sqlite"]

    assert add([path]) == ({A: {1: 6}}, [])
    os.unlink(writer.path)
    assert add([path]) == ({}, ["it is gone"])


def test_a_running_process_keeps_its_part(tmp_path):
    """A process that announced an end and runs on, as after a failed exec, is not added up for good."""
    with Running() as pid:
        info = process("one", pid)
        writer = Writer(str(tmp_path), info)
        more(writer, {A: {1: 5}}, ended="exec")
        with Scratch() as scratch, Merge(os.path.join(scratch, "sum"), scratch) as merge:
            merge.add_all(map(str, data_files(tmp_path)))
            assert (merge.settled, merge.n_running, merge.n_processes) == ([], 1, 1)


def test_a_copy_notices_that_the_file_was_replaced(tmp_path):
    """`Copy.is_current` compares the header of a compact file, which has the checksum."""
    writer, path = write_compact(tmp_path / "data", "one", {A: {1: 5}})
    copy = reader.Copy(str(path), str(tmp_path))
    assert copy.is_current()
    writer._needs_all = False
    more(writer, {A: {1: 6}}, ended="exit")
    assert not copy.is_current()


def test_counts_that_are_too_many_go_to_sqlite(tmp_path, monkeypatch):
    """Readers hold a compact file in memory, so a large one is not written."""
    monkeypatch.setattr(compact, "LARGEST", 1000)
    writer = Writer(str(tmp_path), process("one"))
    with pytest.raises(DataGoneError):
        more(writer, {A: dict.fromkeys(range(100), 1)})
    more(writer, {A: dict.fromkeys(range(100), 1)})

    assert names(writer) == [".sqlite"]
    assert sum(counted(tmp_path)[0].values()) == 100
