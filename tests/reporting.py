"""Helpers for tests of analyses, reports and commands: run a command, and write data of processes for it."""

import argparse
import importlib
import os
import sqlite3
from pathlib import Path

import pytest
from processes import files, process, write

from instrument.analysis.source_file import version_of
from instrument.data.writer import Writer


@pytest.fixture(autouse=True)
def in_own_folder(tmp_path, monkeypatch):
    """Work in an empty folder, without settings in the environment."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("INSTRUMENT") and name != "INSTRUMENT_CACHE"]:
        monkeypatch.delenv(name)


UNRELATED = "it is no data file of instrument"


def run(command, *arguments):
    """Run *command* as the command line does, and return its exit status."""
    room = importlib.import_module(f"instrument.commands.{command}")
    parser = argparse.ArgumentParser()
    room.add_arguments(parser)
    return room.execute(parser.parse_args([str(argument) for argument in arguments]))


def table_rows(output):
    """Return the rows of the table in *output*, each as a list of words."""
    lines = output.splitlines()
    rules = [n for n, line in enumerate(lines) if line.startswith("---")]
    return [line.split() for line in lines[rules[0] + 1 : rules[1]]]


def measured(name, source, counts, functions=()):
    """Write *source* to the file *name*, and data that it ran with *counts*; return path and version."""
    path = Path(name).absolute()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(source)
    key = str(path), version_of(source.encode())
    write(".instrument", name.replace("/", "_"), {key: counts}, functions=[(key, dict(functions))])
    return key


def damage():
    """Put unreadable files beside the data; return their names with the reasons."""
    [good] = [name for name in files(".instrument") if name.endswith(".sqlite")]
    data = Path(".instrument", good).read_bytes()
    Path(".instrument/cut.sqlite").write_bytes(data[:5000])
    Path(".instrument/empty.sqlite").write_bytes(b"")
    Path(".instrument/foreign.sqlite").write_bytes(b"something else")
    Path(".instrument/page.sqlite").write_bytes(data[:4096] + b"\xff" * 4096 + data[8192:])
    Path(".instrument/reserved.sqlite").write_bytes(data[:20] + b"\xf0" + data[21:])
    return {
        "cut": f"it is damaged: it has 5000 bytes, not {len(data)}",
        "empty": "it is empty",
        "foreign": UNRELATED,
        "page": "it is damaged: ",
        "reserved": "it is damaged: ",
    }


NEVER = "def f():\n    return 1\n\n\nclass C:\n    def m(self):\n        return 2\n"


def scoped(name, sources, scope, *, directory=None, started=None, pid=None, parent=None, root=0, ticks=None):
    """Write the data of a process with this *scope*, one item a line, in which the first line of each file ran once."""
    info = process(name)
    info.scope, info.cwd = scope, str(directory or Path.cwd())
    info.started = info.started if started is None else started
    info.pid, info.parent, info.root = pid or info.pid, parent or info.parent, root
    lines = []
    for source in sources:
        path = Path(source).absolute()
        lines.append(((str(path), version_of(path.read_bytes())), {1: (1, 1e9, 1e9)}))
    writer = Writer(".instrument", info)
    writer.write({"lines": lines}, {})
    writer.write({}, {}, "exit")
    if ticks is not None:
        connection = sqlite3.connect(writer.path)
        with connection:
            connection.execute("UPDATE process SET ticks = ?", (ticks,))
        connection.close()


@pytest.fixture
def project(tmp_path):
    """A project with modules, tests, and folders that are not part of it."""
    for name in (
        "main.py",
        "src/pkg/__init__.py",
        "src/pkg/used.py",
        "src/pkg/never.py",
        "src/pkg/build/__init__.py",
        "src/pkg/build/never.py",
        "src/other.py",
        "tests/test_pkg.py",
        "build/lib/pkg/never.py",
        ".hidden/x.py",
        "venv/lib/x.py",
        "node_modules/x/x.py",
        "lib/site-packages/x.py",
        "docs/notes.txt",
    ):
        path = Path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(NEVER)
    Path("src/pkg/__init__.py").write_text('"""Of no code."""\n')
    Path("src/pkg/build/__init__.py").write_text("")
    Path("venv/pyvenv.cfg").write_text("")
    Path("docs/broken.py").write_text("def (\n")
    os.symlink(tmp_path / "src", "link")
    return tmp_path


def elsewhere(name, places, source, **known):
    """Write data of a process for each of *places*, where *source* ran once."""
    for n, place in enumerate(places):
        write(".instrument", f"{name}{n}", {(str(place), version_of(source.encode())): {1: 1, **known}})


SHOP = """\
def price(items):
    total = 0
    for item in items:
        if item > 100:
            total += item * 0.9
        else:
            total += item
    return total


def refund(x):
    '''Give back.'''
    y = x
    return y


price(range(3))
"""


SHOP_COUNTS = {1: 1, 2: 1, 3: 4, 4: 3, 7: 3, 8: 1, 11: 1, 17: 1}


@pytest.fixture
def shop(tmp_path):
    """A source file that was measured; its path and version."""
    path = tmp_path / "shop.py"
    path.write_text(SHOP)
    key = (str(path), version_of(SHOP.encode()))
    write(".instrument", "one", {key: SHOP_COUNTS}, functions=[(key, {("price", 1): (1, 100.0, 200.0)})])
    return key


LISTING = """\
    1: def price(items):
    1:     total = 0
    4:     for item in items:
    3:         if item > 100:
>>>>>>             total += item * 0.9
               else:
    3:             total += item
    1:     return total
       
       
    1: def refund(x):
           '''Give back.'''
>>>>>>     y = x
>>>>>>     return y
       
       
    1: price(range(3))
"""  # noqa: W293

