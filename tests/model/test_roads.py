"""Every road of the counts carries every field of the model, or says here why it does not.

The roads: the recorder reads counters into the measurement of its process. A process writes its data file. Data files
are merged and read. A measurement is analysed and reported. `Trace`, `counting` and `snapshot` return results.

Whoever adds a field to `FileCounts` or `Measurement` must
add it to `NOT_CARRIED`, or make it arrive at the end of each road. The tests fill the field of a new fact by
themselves. It is named in `OF_ONE_PROCESS`, or in `ATTRIBUTES_OF_RESULTS`: one place.
"""

import io
import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from processes import data_files

from instrument.analysis.analysis import Analysis
from instrument.analysis.patterns import FilePatterns
from instrument.analysis.source_file import version_of
from instrument.data import schema
from instrument.data.merge import Merge
from instrument.data.process_identity import ProcessInfo
from instrument.data.query import StoredMeasurement
from instrument.data.scratch import Scratch
from instrument.data.writer import Writer
from instrument.model.counts import Counts
from instrument.model.measurement import FACTS, FileCounts, Measurement
from instrument.record.process_counts import ProcessCounts
from instrument.report import json_documents
from instrument.report.formats import Choices

#: Fields that the results in a process do not have: they have the attributes of the standard library's class.
OF_ONE_PROCESS = {
    "given_out": "the standard library's results have no place for it; what was given out is in the data files",
    "processes": "the results are those of one process",
}

#: Fields that a road does not carry, with the reason.
NOT_CARRIED = {
    "data files": {},
    "JSON": {},
    "process": {
        "given_out": "a process keeps it beside the originals (session.originals), and the writer gets it from there",
        "not_measured": "a process keeps it in its sessions, and the writer gets it from there",
        "processes": "a process writes its own row from ProcessInfo",
    },
    "Trace": OF_ONE_PROCESS,
    "counting": {**OF_ONE_PROCESS, "functions": "a scope counts lines only"},
    "snapshot": OF_ONE_PROCESS,
}

#: How a field of the model is stored: the table of data files.
TABLES = {
    **{fact.field: fact.table for fact in FACTS},
    "given_out": "given_out",
    "files": "file",
    "not_measured": "not_measured",
    "processes": "process",
}

#: Tables that hold no field of the model: FlowCounts are recovered from them, and the work of contexts.
TABLES_OF_PROBES = {"plan", "probe_counts", "without_probe_counts", "pattern", "context"}

ROOT = Path(__file__).parents[2]
SOURCE = b"def f():\n    return 1\nf()\n"


@pytest.fixture
def file(tmp_path):
    """The path and the version of a source file."""
    path = tmp_path / "a.py"
    path.write_bytes(SOURCE)
    return str(path), version_of(SOURCE)


def key_of(fact, line):
    """Return a key of *fact*: *line*, or the function `f` in this line."""
    values = [line if kind is int else "f" for _, kind in fact.columns]
    return values[0] if len(values) == 1 else tuple(values)


def full_measurement(file):
    """Return a measurement with content in each field that data files carry, of a process that is given as its info."""
    measurement = Measurement()
    counts = measurement.file(file)
    for n, fact in enumerate(FACTS):
        for line in (1, 2, 3):
            getattr(counts, fact.field).add(key_of(fact, line), line + n, 10.0, 20.0 + line)
    counts.given_out["g", 5] = {"dill", "marshal"}
    measurement.not_measured["/src/c.py"] = {"it is frozen"}
    return measurement


def write(measurement, directory, suffix=schema.COMPACT_SUFFIX):
    """Write *measurement* to a data file in *directory*, as a process does; return the file and the process.

    A process that has written before its end has a file of another format, with another *suffix*.
    """
    process = ProcessInfo.current()
    writer = Writer(str(directory), process)
    if suffix == schema.SUFFIX:
        writer.write({}, {})
    writer.write(
        {
            fact.field: [
                (key, series.tallies(series))
                for key, counts in measurement.files.items()
                for series in (getattr(counts, fact.field),)
            ]
            for fact in FACTS
        },
        {path: reason for path, reasons in measurement.not_measured.items() for reason in reasons},
        "exit",
        [
            (key, name, line, receiver)
            for key, counts in measurement.files.items()
            for (name, line), receivers in counts.given_out.items()
            for receiver in receivers
        ],
    )
    [path] = [path for path in data_files(directory) if path.stem == Path(writer.path).stem]
    assert path.suffix == suffix
    return str(path), process


def carried(kind, road):
    """Return the fields of the class *kind* that the *road* carries."""
    return [field for field in kind.__slots__ if field not in NOT_CARRIED[road]]


@pytest.mark.parametrize("road", NOT_CARRIED)
def test_every_exception_is_a_field_of_the_model(road):
    """A field that was removed from the model, or is carried by now, leaves the list of exceptions."""
    assert set(NOT_CARRIED[road]) <= {*FileCounts.__slots__, *Measurement.__slots__}


def test_every_field_has_a_table_and_every_table_a_field():
    """The format of data files has a table for each field that it carries, and no other tables."""
    fields = [*carried(FileCounts, "data files"), *carried(Measurement, "data files")]

    assert set(fields) == set(TABLES)
    assert set(TABLES.values()) | TABLES_OF_PROBES == set(schema.TABLES)


@pytest.mark.parametrize("kind", [FileCounts, Measurement])
def test_every_field_has_content_in_this_test(file, kind):
    """The measurement that the tests below send down the roads has content in each field that is carried."""
    measurement = full_measurement(file)
    value = measurement if kind is Measurement else measurement.file(file)
    empty = [field for field in carried(kind, "data files") if not getattr(value, field)]

    assert empty == (["processes"] if kind is Measurement else [])  # the writer adds its process


@pytest.mark.parametrize("suffix", schema.SUFFIXES)
def test_data_files_carry_every_field(tmp_path, file, suffix):
    """A measurement that is written, merged and read again is the same, field by field."""
    measurement = full_measurement(file)
    path, process = write(measurement, tmp_path / "data", suffix)
    merged = tmp_path / "merged.sqlite"
    with Scratch() as scratch, Merge(str(merged), scratch) as merge:
        merge.add_all([path])
        assert merge.refused == []
    for data in (path, str(merged)):
        with StoredMeasurement([data]) as stored:
            read = stored.whole()
        for field in carried(FileCounts, "data files"):
            assert getattr(read.files[file], field) == getattr(measurement.files[file], field), field
        for field in carried(Measurement, "data files"):
            if field != "processes":
                assert getattr(read, field) == getattr(measurement, field), field
        [measured] = read.processes.values()
        for column in ("id", "pid", "parent", "host", "started", "python", "root"):
            assert getattr(measured, column) == getattr(process, column), column
        assert (measured.directory, measured.ended, measured.flushes) == (process.cwd, "exit", 1 + (suffix == schema.SUFFIX))


def test_sums_of_data_files_are_sums_of_measurements(tmp_path, file):
    """The merge of two data files is the sum of their measurements."""
    one, two = full_measurement(file), full_measurement(file)
    two.file(file).lines.add(9, 1, 1.0, 1.0)
    two.not_measured["/src/d.py"] = {"it is gone"}
    for measurement in (one, two):
        write(measurement, tmp_path)
    total = one + two
    with StoredMeasurement([str(tmp_path)]) as stored:
        read = stored.whole()

    assert (read.files, read.not_measured) == (total.files, total.not_measured)
    assert len(read.processes) == 2


def test_every_column_of_a_process_is_read():
    """`MeasuredProcess` has all columns of the table, except two that no report needs."""
    from instrument.model.measured_process import MeasuredProcess

    connection = sqlite3.connect(":memory:")
    connection.execute(schema.TABLES["process"])
    columns = {name for _, name, *_ in connection.execute("PRAGMA table_info(process)")}
    connection.close()

    assert columns - {"part", "argv"} == set(MeasuredProcess.__slots__) - {"is_optimized"}


def tallies_in_json(fact, described):
    """Yield each key of *fact* with its tally, as they are *described* in JSON: by line, or in a list of objects."""
    if isinstance(described, dict):
        described = [{"line": int(line), **tally} for line, tally in described.items()]
    for each in described:
        key = tuple(each[column] for column, _ in fact.columns)
        count = each["count" if "count" in each else "calls"]
        yield key if len(key) > 1 else key[0], (count, each["first"], each["last"])


def test_json_has_every_field(tmp_path, file):
    """`instrument report --json` shows the content of each field."""
    measurement = full_measurement(file)
    write(measurement, tmp_path / "data")
    with StoredMeasurement([str(tmp_path / "data")]) as stored:
        analysis = Analysis(stored, FilePatterns())
    out = io.StringIO()
    json_documents.write_analysis(analysis, out, Choices())
    document = json.loads(out.getvalue())
    [described] = document["files"]
    shown = {
        **{fact.field: dict(tallies_in_json(fact, described[fact.field])) for fact in FACTS},
        "given_out": {(each["name"], each["line"]): set(each["to"]) for each in described["given_out"]},
        "files": [(described["path"], described["version"])],
        "not_measured": {each["path"]: {each["reason"]} for each in document["not_measured"]},
        "processes": document["processes"],
    }
    counts = measurement.file(file)
    expected = {
        **{fact.field: dict(series.items()) for fact, series in counts.series()},
        "given_out": counts.given_out,
        "files": [file],
        "not_measured": measurement.not_measured,
        "processes": 1,
    }

    assert set(expected) == {*carried(FileCounts, "JSON"), *carried(Measurement, "JSON")}
    assert shown == expected


def test_counts_of_a_process_have_every_field(file):
    """Counts of a code object arrive in the measurement of the process, and are marked as changed."""
    counts, of_code = ProcessCounts(), Counts()
    for field in Counts.__slots__:
        setattr(of_code, field, {1: 3} if isinstance(getattr(of_code, field), dict) else 3)
    counts.add(file, ("f", 1), of_code, 10.0)

    assert {field for field in FileCounts.__slots__ if getattr(counts.measurement.files[file], field)} == set(
        carried(FileCounts, "process")
    )
    assert {field for field in Measurement.__slots__ if getattr(counts.measurement, field)} == set(
        carried(Measurement, "process")
    )
    changed = {fact.field: {key_of(fact, 1)} for fact in FACTS}

    def taken():
        return {field: dict(changes.take()) for field, changes in counts.changes.items()}

    assert taken() == {field: {file: keys} for field, keys in changed.items()}
    assert not counts.have_changed()
    counts.restore()
    assert taken() == {field: {file: keys} for field, keys in changed.items()}
    counts.commit()
    counts.mark_all()
    assert taken() == {field: {file: keys} for field, keys in changed.items()}


PROGRAM = """
def numbers():
    try:
        yield 1
    except KeyError:
        pass

def failing():
    raise ValueError

for _ in range(3):
    running = numbers()
    next(running)
    try:
        running.throw(KeyError())
    except StopIteration:
        pass
try:
    failing()
except ValueError:
    pass
"""


def test_a_program_that_runs_fills_every_fact(tmp_path):
    """The whole road: the counters of a program, its data file, the analysis, and the JSON document."""
    (tmp_path / "program.py").write_text(PROGRAM)
    environment = {"INSTRUMENT": "1", "INSTRUMENT_DIR": str(tmp_path / "data"), "PYTHONPATH": str(ROOT)}
    for arguments in (["run", "program.py"], ["report", "--json", "data"]):
        done = subprocess.run(
            [sys.executable, "-m", "instrument", *arguments],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env={**os.environ, **(environment if arguments[0] == "run" else {"PYTHONPATH": str(ROOT)})},
        )
        assert (done.stderr, done.returncode) == ("", 0)
    [described] = json.loads(done.stdout)["files"]
    tallies = {fact.field: dict(tallies_in_json(fact, described[fact.field])) for fact in FACTS}

    assert [field for field, of_field in tallies.items() if not of_field] == []
    assert {line: count for line, (count, _, _) in tallies["lines"].items()} == {
        **dict.fromkeys((3, 4, 5, 6, 12, 13, 14, 15, 16, 17), 3),
        **dict.fromkeys((2, 8, 9, 18, 19, 20, 21), 1),
        11: 4,
    }
    assert {name: count for (name, _), (count, _, _) in tallies["functions"].items() if not name.startswith("<")} == {
        "numbers": 6,
        "failing": 1,
    }


#: The attributes of `CoverageResults`, the drop-in's results, that hold a field of the model.
ATTRIBUTES_OF_RESULTS = {"files": "counts", "lines": "counts", "functions": "calledfuncs", "not_measured": "not_measured"}


def results_of(program, tmp_path, **environment):
    """Return the truth of each attribute of the results that *program* computes for a module `a`, by its name."""
    code = f"{program}\nimport json\nprint(json.dumps([name for name in {[*ATTRIBUTES_OF_RESULTS.values()]!r} "
    code += "if getattr(results, name)]))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}", "INSTRUMENT_QUIET": "1", **environment},
    )
    assert done.stderr == ""
    return set(json.loads(done.stdout))


PROGRAMS = {
    "Trace": """
import gc
from instrument.trace import Trace
gc.freeze()
lines, functions = Trace(count=1, trace=0), Trace(count=0, trace=0, countfuncs=1)
lines.runfunc(__import__, "a")
functions.runfunc(__import__("a").f)
results = lines.results()
results.update(functions.results())
""",
    "counting": """
import instrument
with instrument.counting("a") as results:
    import a
""",
    "snapshot": """
import a, instrument
results = instrument.snapshot()
""",
}


@pytest.mark.parametrize("road", PROGRAMS)
def test_results_in_the_process_have_every_field(tmp_path, file, road):
    """The results of `Trace`, `counting` and `snapshot` have the fields of the model, but for those listed above."""
    environment = {"INSTRUMENT": "a", "INSTRUMENT_DIR": str(tmp_path / "data")} if road == "snapshot" else {}
    fields = [*carried(FileCounts, road), *carried(Measurement, road)]
    unknown = [field for field in fields if field not in ATTRIBUTES_OF_RESULTS]
    assert unknown == [], "to be named in OF_ONE_PROCESS, with a reason, or in ATTRIBUTES_OF_RESULTS"
    present = results_of(PROGRAMS[road], tmp_path, **environment)

    assert present == {ATTRIBUTES_OF_RESULTS[field] for field in fields} - {"not_measured"}  # all was measured here
