"""With any texts in data files, and any names of files, commands print nothing that controls a terminal."""

import itertools
import json
import os
import re
import sqlite3
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from processes import NO_SUCH_PID, Running, process

from instrument import cli
from instrument.analysis.source_file import version_of
from instrument.data import schema
from instrument.data.writer import Writer

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.skipif(os.name != "posix", reason="file names can hold less elsewhere")

#: Escape sequences that change colours and the title, a carriage return, a bell, and a C1 control. Also a line that
#: looks like a message, reversed letters, and bytes that are not UTF-8.
HOSTILE = "\x1b[31;1m\x1b]0;owned\x07\rX\nSkipping nothing\u202eevil\u2066\x85\x9b31m\u2028"
VALUES = {"text": HOSTILE, "bytes": HOSTILE.encode() + b"\xff\xed\xb2\x80"}

#: All text columns of all tables of the schema.
FIELDS = [
    (table, column)
    for table, statement in schema.TABLES.items()
    for column in re.findall(r"(\w+) TEXT", statement)
]


@pytest.fixture(autouse=True)
def in_own_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("INSTRUMENT_DIR", raising=False)
    monkeypatch.setattr("instrument.commands.live.top._TIMEOUT", 5.0)


def test_the_fields_are_those_of_the_schema():
    """The columns that these tests fill are all text columns of the schema."""
    assert {("process", "argv"), ("file", "version"), ("function", "name"), ("not_measured", "reason")} <= set(FIELDS)
    assert {("given_out", "name"), ("given_out", "taker")} <= set(FIELDS)


def write(folder, pid, count):
    """Write the data of the process *pid* to *folder*; return the path of the file."""
    source = Path("shop.py")
    source.write_text("def f():\n    return 1\nf()\n")
    key = str(source.absolute()), version_of(source.read_bytes())
    writer = Writer(folder, process("one", pid))
    writer.write(
        {"lines": [(key, {1: (1, 1.0, 1.0), 2: (count, 1.0, 1.0)}), (("/gone.py", "sha256:" + "0" * 64), {1: (1, 1.0, 1.0)})], "functions": [(key, {("f", 1): (count, 1.0, 1.0)})]},
        {"/frozen.py": "it is frozen"},
        given_out=[(key, "f", 1, "cloudpickle")],
    )
    if pid == NO_SUCH_PID:
        writer.write({}, {"/frozen.py": "it is frozen"}, "exit")
    return writer.path


def inject(path, table, column, value, how):
    """Replace the *column* of each row of *table* by *value*, or append *value*, in the data file at *path*."""
    connection = sqlite3.connect(path)
    new = "?" if how == "replaced" else f"CAST(CAST({column} AS BLOB) || ? AS {'BLOB' if type(value) is bytes else 'TEXT'})"
    with connection:
        connection.execute(f"UPDATE {table} SET {column} = {new}", (value,))
    connection.close()


def ended(command, *arguments):
    """Run *command* to its end, with any exit status."""
    try:
        cli._execute(command, [*map(str, arguments)])
    except SystemExit:  # of the parser of arguments
        pass


def check(output):
    """Check that *output* consists of printable lines."""
    for text in output:
        assert all(character.isprintable() or character == "\n" for character in text), ascii(text)


@pytest.mark.parametrize(("kind", "how"), [("text", "appended"), ("bytes", "replaced")])
@pytest.mark.parametrize(("table", "column"), FIELDS)
@pytest.mark.slow
def test_texts_of_a_data_file_are_escaped(table, column, kind, how, capsys, monkeypatch):
    """Each text column is filled with control characters, for each command that reads data, in all its modes."""
    monkeypatch.setenv("COLUMNS", "80")
    hostile = Path(write("data", NO_SUCH_PID, 5))
    write("earlier", NO_SUCH_PID, 2)
    inject(hostile, table, column, VALUES[kind], how)

    for command in (
        ("report", "data"),
        ("report", "--missing", "data"),
        ("report", "--unused-for", "1s", "data"),
        ("report", "--sort", "hits", "data"),
        ("report", "--include", "x*", "data"),
        ("report", "--json", "data"),
        ("html", "data", "-o", "pages"),
        ("html", "data", "--single", "pages.html"),
        ("annotate", "data", "-d", "listings"),
        *((command, "data", "-o", "-") for command in ("lcov", "xml", "json", "callgrind")),
        ("coverage", "data", "-o", "coverage.data"),
        ("diff", "earlier", "data"),
        ("diff", "data", "earlier"),
        ("diff", "--json", "earlier", "data"),
        ("gate", "earlier", "data"),
        ("combine", "--keep", "data", "-o", "sum.sqlite"),
        ("combine", "--keep", "data", "-o", "sum.sqlite"),
        ("report", "sum.sqlite"),
        ("debug", "--dir", "data", "shop.py"),
        ("snapshot", "--dir", "data", os.getpid(), "--timeout", "0.01"),
        ("erase", "data"),
    ):
        ended(*command)
        output = capsys.readouterr()
        check(output)
        if {"--json", "json"} & set(command) and output.out:
            json.loads(output.out)
    for folder, folders, files in os.walk("."):
        check([folder, *folders, *files])
    for listing in Path().glob("listings/*"):
        check([listing.read_text()])


@pytest.mark.parametrize("kind", VALUES)
@pytest.mark.parametrize(("table", "column"), [field for field in FIELDS if field[0] in ("file", "function", "given_out")])
def test_texts_of_a_running_process_are_escaped(table, column, kind, capsys):
    """The same for the commands that request a flush: `top` and `snapshot`."""
    with Running() as pid:
        inject(write("data", pid, 5), table, column, VALUES[kind], "replaced")
        is_over = threading.Event()

        def answer():
            while not is_over.is_set():
                for request in Path("data").glob("*.flush"):
                    request.unlink()
                time.sleep(0.002)

        thread = threading.Thread(target=answer)
        thread.start()
        try:
            ended("top", "--dir", "data", "--once", "--interval", "0.01", pid)
            tables = capsys.readouterr()
            ended("snapshot", "--dir", "data", pid)
            ended("snapshot", "--dir", "data", pid, "--copy", "copy.sqlite")
        finally:
            is_over.set()
            thread.join()
    assert "calls/s" in tables.out
    check(tables)
    check(capsys.readouterr())


@pytest.mark.slow
def test_names_of_files_are_escaped(capsys):
    """Data files, data folders, sources and other files can have any name."""
    folder = HOSTILE.replace("/", "") + os.fsdecode(b"\xff")
    path = Path(write(folder, NO_SUCH_PID, 5))
    path.rename(path.with_name(f"{HOSTILE}.sqlite"))
    (Path(folder) / f"bad{HOSTILE}.sqlite").write_text("bad")
    Path(f"{HOSTILE}.py").write_text("def broken(:\n")
    for command in (
        *(("report", folder), ("report", f"{folder}/nothing"), ("report", "--unused-for", "1s", folder)),
        *((command, folder, "-o", "-") for command in ("lcov", "xml", "json", "callgrind")),
        *(("annotate", folder), ("diff", folder, folder), ("diff", folder, "nothing"), ("gate", folder, folder), ("gate", folder, "nothing"), ("combine", "--keep", folder)),
        *(("debug", "--dir", folder, f"{HOSTILE}.py", f"./{HOSTILE}", f"{HOSTILE}"), ("debug", "--signal", HOSTILE)),
        *(("snapshot", "--dir", folder, "1", "--timeout", "0.01"), ("top", "--dir", folder, "--once")),
        *(("debug", "--scope", f"{HOSTILE}/x"), ("run", "--flush", HOSTILE, "x"), ("warm", f"./{HOSTILE}.py")),
        *(("warm", f"{HOSTILE}/nothing"), ("erase", f"{folder}/nothing"), ("erase", folder)),
    ):
        ended(*command)
        check(capsys.readouterr())


@pytest.mark.parametrize("what", ["pipe", "zero", "folder", "large"])
def test_sources_are_only_read_if_they_are_files(what, capsys, monkeypatch):
    """A data file can name any path as a source: no command blocks on it, or fills the memory."""
    source = Path("source.py").absolute()
    if what == "pipe":
        os.mkfifo(source)
    elif what == "zero":
        source.symlink_to("/dev/zero")
    elif what == "folder":
        source.mkdir()
    else:
        source.write_text("x = 1\n")
        os.truncate(source, 1 << 36)
    assert not stat.S_ISREG(source.stat().st_mode) or source.stat().st_size > 1 << 30
    version = "sha256:" + "0" * 64
    with Running() as pid:
        writer = Writer("data", process("one", pid))
        counts = itertools.count(1)

        def run_line(*_):  # top shows only lines that ran between two readings
            writer.write({"lines": [((str(source), version), {1: (next(counts), 1.0, 1.0)})]}, {})

        run_line()
        monkeypatch.setattr("instrument.commands.live.top.wait_for_answers", run_line)
        ended("top", "--dir", "data", "--once", "--interval", "0.01", pid)
        assert "(source has changed)" in capsys.readouterr().out
        for command in (
            *(("report", "data"), ("report", "--missing", "data"), ("report", "--unused-for", "1s", "data")),
            *(("report", "--json", "data"), ("annotate", "data"), ("diff", "data", "data"), ("debug", str(source))),
            *(("combine", "--keep", "data"), ("warm", "-q", str(source))),
        ):
            ended(*command)
            assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize("command", ["report", "report --json", "combine --dir data"])
def test_paths_that_the_encoding_of_the_locale_cannot_spell(command):
    """A report in an ASCII locale calls files with other characters in their paths missing."""
    os.mkdir("\u4e2d")
    os.chdir("\u4e2d")
    write("../data", NO_SUCH_PID, 3)
    os.chdir("..")
    arguments = command.split() + ([] if "--dir" in command.split() else ["data"])
    done = subprocess.run(
        [sys.executable, "-m", "instrument", *arguments],
        env={
            **{name: value for name, value in os.environ.items() if not name.startswith(("LC_", "PYTHONIO"))},
            "LC_ALL": "C",
            "PYTHONUTF8": "0",
            "PYTHONCOERCECLOCALE": "0",
            "PYTHONPATH": str(ROOT),
        },
        capture_output=True,
        text=True,
        timeout=50,
    )

    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert ("\\u4e2d" in done.stdout + done.stderr) == (command != "combine --dir data")
