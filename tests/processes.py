"""Data files for tests: those of processes that ran, run, or never were."""

import os
import sqlite3
import subprocess
import sys

from instrument.data.process_identity import ProcessInfo
from instrument.data.writer import Writer

A = ("/src/a.py", "sha256:" + "a" * 64)
B = ("/src/b.py", "sha256:" + "b" * 64)
A_CHANGED = ("/src/a.py", "sha256:" + "c" * 64)
NO_SUCH_PID = 2**22 + 1  # Linux has none so high


def process(name, pid=NO_SUCH_PID):
    """Return what is known of a process *name*."""
    info = ProcessInfo.current()
    info.id, info.pid = name, pid
    return info


def write(directory, name, lines, *, pid=NO_SUCH_PID, ended="exit", functions=(), not_measured=None, given_out=()):
    """Write the data of a process that has ended, *lines* mapping a file to counts of lines; return its writer."""
    writer = Writer(str(directory), process(name, pid))
    more(writer, lines, ended=ended, functions=functions, not_measured=not_measured, given_out=given_out)
    return writer


def more(writer, lines, *, ended="exit", functions=(), not_measured=None, given_out=()):
    """Have *writer* write *lines*, too."""
    totals = [(key, {n: (count, 100.0, 200.0) for n, count in counts.items()}) for key, counts in lines.items()]
    writer.write(totals, functions, not_measured or {}, ended, given_out)


def counts(path):
    """Return the counts of lines in the data file at *path*, as any tool would read them."""
    connection = sqlite3.connect(path)
    connection.text_factory = lambda data: data.decode(errors="replace")
    query = "SELECT path, version, line, SUM(count) FROM line JOIN file ON file.id = file GROUP BY 1, 2, 3"
    found = {}
    for file, version, line, count in connection.execute(query):
        found.setdefault((file, version), {})[line] = count
    connection.close()
    return found


class Running:
    """A process that runs until the end of the `with` statement."""

    def __enter__(self):
        self.process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
        return self.process.pid

    def __exit__(self, *_):
        self.process.communicate(b"\n")


def files(directory):
    """Return the names of all files in *directory*, but for what has git ignore them."""
    return sorted(name for name in os.listdir(directory) if name != ".gitignore")
