"""Writes data files for tests: of processes that ran, that run, or that never existed."""

import os
import sqlite3
import subprocess
import sys
from pathlib import Path

from instrument.data import compact, schema
from instrument.data.compact import reading
from instrument.data.process_identity import ProcessInfo
from instrument.data.writer import Writer
from instrument.plans.found_plans import Plans
from instrument.plans.plan_folder import FOLDER

A = ("/src/a.py", "sha256:" + "a" * 64)
B = ("/src/b.py", "sha256:" + "b" * 64)
A_CHANGED = ("/src/a.py", "sha256:" + "c" * 64)
NO_SUCH_PID = 2**22 + 1  # Linux has none so high


def process(name, pid=NO_SUCH_PID):
    """Return the ProcessInfo of a process with the id *name*."""
    info = ProcessInfo.current()
    info.id, info.pid = name, pid
    return info


def data_files(folder):
    """Return the paths of the data files in *folder*, sorted."""
    return sorted(path for path in Path(folder).glob("[!.]*") if path.suffix in schema.SUFFIXES)


def connect(path):
    """Return a connection to the data file at *path*; to a database in memory if that is a compact file."""
    data = Path(path).read_bytes()
    if not data.startswith(compact.MAGIC):
        return sqlite3.connect(path)
    connection = sqlite3.connect(":memory:", isolation_level=None)
    for statement in schema.create():
        connection.execute(statement)
    content, plans = reading.Content(data), Plans()
    plans.search_beside([path])
    content.recover(plans)
    reading._fill(connection, content)
    return connection


def write(directory, name, lines, *, pid=NO_SUCH_PID, ended="exit", functions=(), not_measured=None, given_out=()):
    """Write the data of a process that has ended; return its writer. *lines* is a dict from file keys to counts by line.

    The process writes before it ends, so its file is SQLite.
    """
    writer = Writer(str(directory), process(name, pid))
    more(writer, lines, ended="", functions=functions, not_measured=not_measured, given_out=given_out)
    if ended:
        more(writer, {}, ended=ended, not_measured=not_measured)
    return writer


def write_compact(directory, name, lines, *, pid=NO_SUCH_PID, ended="exit", **more_to_write):
    """Write the data of a process that had not written before it *ended*; return its writer and the path of its file."""
    writer = Writer(str(directory), process(name, pid))
    more(writer, lines, ended=ended, **more_to_write)
    return writer, Path(writer.path).with_suffix(schema.COMPACT_SUFFIX)


def more(writer, lines, *, ended="exit", functions=(), not_measured=None, given_out=()):
    """Have *writer* write *lines* as well, a dict from file keys to counts by line."""
    rows = [(key, {n: (count, 100.0, 200.0) for n, count in counts.items()}) for key, counts in lines.items()]
    writer.write({"lines": rows, "functions": functions}, not_measured or {}, ended, given_out)


def counts(path):
    """Return the counts in the data file at *path*, read by SQL: a dict from file keys to counts by line."""
    connection = connect(path)
    connection.text_factory = lambda data: data.decode(errors="replace")
    query = "SELECT path, version, line, SUM(count) FROM line JOIN file ON file.id = file GROUP BY 1, 2, 3"
    counts_of_lines = {}
    for file, version, line, count in connection.execute(query):
        counts_of_lines.setdefault((file, version), {})[line] = count
    connection.close()
    return counts_of_lines


class Running:
    """A process that runs until the end of the `with` statement."""

    def __enter__(self):
        self.process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
        return self.process.pid

    def __exit__(self, *_):
        self.process.communicate(b"\n")


def files(directory):
    """Return the names of all files in *directory*, sorted, without plan files and the one that makes git ignore all."""
    return sorted(name for name in os.listdir(directory) if name not in (".gitignore", FOLDER))
