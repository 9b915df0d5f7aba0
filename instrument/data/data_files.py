"""Finds data files by their names, and recognises them by their first bytes. No file is read in full.

Paths come in: data folders and files. The data files among them go out. So do two answers about a file: whether it
begins like a data file, and whether the process in its name has ended.

A test run that is counted removes the data of the run before. So this module loads neither SQLite nor the recovery of
counts.
"""

from __future__ import annotations

import os
import re

from instrument.data import compact, schema
from instrument.data.process_identity import in_file_names

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

#: The end of the name of the record of a test run (`analysis.affected.recorded_runs`).
SUFFIX_OF_RECORDS = ".tests"
#: The names that `Writer` gives its files, which hold one process: <host>-<pid>-<start>-<random>. A process that had to
#: begin another file appended a number.
OF_ONE_PROCESS = re.compile(
    r"((?P<host>[A-Za-z0-9._]+)-(?P<pid>\d+)-[0-9a-f]+-[A-Za-z0-9._]+?)(?:\.(?P<number>\d+))?\.(?P<kind>sqlite|compact)"
)
_READ = os.O_RDONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0)


def data_files(paths: Iterable[str]) -> tuple[list[str], list[tuple[str, str]]]:
    """Return the data files at *paths*, which are files or folders, and the unreadable paths, each with the reason."""
    files: dict[str, None] = {}
    missing: list[tuple[str, str]] = []
    for path in paths:
        try:
            names = sorted(os.listdir(path))
        except NotADirectoryError:
            files[path] = None
        except OSError as error:
            missing.append((path, f"{error.strerror or error}"))
        else:
            names = [name for name in names if name.endswith(schema.SUFFIXES) and not name.startswith(".")]
            files.update(dict.fromkeys(os.path.join(path, name) for name in names))
    return list(files), missing


def records_in(folder: str) -> list[str]:
    """Return the names of the records of test runs in the data folder *folder*."""
    try:
        return [name for name in os.listdir(folder) if name.endswith(SUFFIX_OF_RECORDS) and not name.startswith(".")]
    except OSError:
        return []


def is_ours(path: str) -> bool:
    """Return whether the file at *path* begins like a data file of any version, damaged or not.

    Raise OSError if it cannot be read.
    """
    descriptor = os.open(path, _READ)
    try:
        header = os.read(descriptor, schema.HEADER)
    finally:
        os.close(descriptor)
    return header.startswith(compact.MAGIC) or (
        header.startswith(schema.MAGIC) and schema.word(header, 68) == schema.APPLICATION_ID
    )


def is_of_ended_process(path: str) -> bool:
    """Return whether the name of the data file *path* is that of a process of this machine that has ended for certain.

    In a container that has the name of its host, a process of the host may still run. The data that it writes next has
    all its counts.
    """
    match = OF_ONE_PROCESS.fullmatch(os.path.basename(path))
    if match is None or not hasattr(os, "uname") or match["host"] != in_file_names(os.uname().nodename):
        return False
    return not is_running(int(match["pid"]))


def is_running(pid: int) -> bool:
    """Return whether a process with this *pid* runs here; True if the system does not tell."""
    if os.name == "nt":
        return True
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:
        pass
    return True
