"""The file format: one SQLite database, for the counts of one process and for sums of many alike.

Nothing comes in; the statements that make the tables go out, and `of`, which tells what a file's first bytes claim. Any
tool that reads SQLite reads the files, also those of running processes:

    SELECT path, line, SUM(count) FROM line JOIN file ON file.id = line.file GROUP BY path, version, line

`application_id` is "INST", `user_version` is the version of this format. In each table times are seconds since the
epoch. A text that no UTF-8 can spell, such as a file name of other bytes, is a blob instead: its UTF-8 with surrogates.

process     one row for each process whose counts are in the file
    id          random, and the process' own: no two files hold the same process, unless one was made from the other
    part        which rows of the tables below are this process' own, or 0: they are in the sum of part 0
    pid, parent, host, started, argv (one argument a line), directory (where it was started)
    python      its version, followed by " -O" or " -OO" if assert statements were left out
    place       kernel (boot) and namespace in which `pid` means this process; '' if unknown
    ticks       when the process was started, as this kernel counts; 0 if unknown
    flushes     how often the process has written: of two states of a process, the one with more is the newer
    updated     when it last wrote
    ended       how the process ended, in its own words; '' if it said nothing of the sort (yet)
    scope       what it measured: dotted names and paths, one a line; '' or 1: the project's own code; NULL: unknown
    root        pid of the outermost measured process that it comes from, itself perhaps; 0 if unknown
file        one row for each version of a source file: `version` is "sha256:…" of the bytes that were compiled, or
            another word if they could not be known. Counts of different versions are never added
line        how often each line ran (`count`), and when it was first and last seen to have run
function    the same for calls; `name` is the qualified name, `line` the first line of the function
not_measured  files that ran uncounted, in whole or in part, and why

A process' own file has one process, in part 1. Its counts are totals since the process began, replaced in place: the
file grows with new code only. In a file of sums, part 0 is the sum over all processes whose last state is known. A
process that may still write has a part to itself there, so that newer data can take the place of older. So the same
data may be added any number of times, and in any order, and count once.

Files in format 1, which had no `scope` and no `root` of a process, are read and combined still.
"""

from __future__ import annotations

APPLICATION_ID = int.from_bytes(b"INST", "big")
VERSION = 2

#: The greatest count. Sums end there, rather than turn into floating point as SQLite's would.
GREATEST = (1 << 63) - 1

#: The latest time, some 3,000 years from now; the earliest is 0. A clock may say anything, and readers refuse the rest.
LATEST = 1e11

#: Statements that make the tables, by name. A file is only read if it has exactly these.
TABLES = {
    "process": (
        "CREATE TABLE process (id TEXT PRIMARY KEY NOT NULL, part INTEGER NOT NULL, pid INTEGER NOT NULL, "
        "parent INTEGER NOT NULL, host TEXT NOT NULL, started REAL NOT NULL, argv TEXT NOT NULL, python TEXT NOT NULL, "
        "directory TEXT NOT NULL, place TEXT NOT NULL, ticks INTEGER NOT NULL, flushes INTEGER NOT NULL, "
        "updated REAL NOT NULL, ended TEXT NOT NULL, scope TEXT, root INTEGER NOT NULL) WITHOUT ROWID"
    ),
    "file": (
        "CREATE TABLE file (id INTEGER PRIMARY KEY NOT NULL, path TEXT NOT NULL, version TEXT NOT NULL, "
        "UNIQUE (path, version))"
    ),
    "line": (
        "CREATE TABLE line (part INTEGER NOT NULL, file INTEGER NOT NULL, line INTEGER NOT NULL, "
        "count INTEGER NOT NULL, first REAL NOT NULL, last REAL NOT NULL, PRIMARY KEY (part, file, line)) WITHOUT ROWID"
    ),
    "function": (
        "CREATE TABLE function (part INTEGER NOT NULL, file INTEGER NOT NULL, name TEXT NOT NULL, "
        "line INTEGER NOT NULL, count INTEGER NOT NULL, first REAL NOT NULL, last REAL NOT NULL, "
        "PRIMARY KEY (part, file, name, line)) WITHOUT ROWID"
    ),
    "not_measured": (
        "CREATE TABLE not_measured (part INTEGER NOT NULL, path TEXT NOT NULL, reason TEXT NOT NULL, "
        "PRIMARY KEY (part, path, reason)) WITHOUT ROWID"
    ),
}

_PROCESS_IN_1 = TABLES["process"].replace(", scope TEXT, root INTEGER NOT NULL)", ")")


def tables(version: int) -> dict[str, str]:
    """Return the statements that make the tables in this *version* of the format, by name."""
    return TABLES if version > 1 else {**TABLES, "process": _PROCESS_IN_1}


CREATE = (f"PRAGMA application_id = {APPLICATION_ID}", f"PRAGMA user_version = {VERSION}", *TABLES.values())

#: Suffix of data files. Others in a folder of data are none of ours.
SUFFIX = ".sqlite"

MAGIC = b"SQLite format 3\0"
HEADER = 100


def word(header: bytes, at: int) -> int:
    """Return the 32-bit number at byte *at* of a database's *header*."""
    return int.from_bytes(header[at : at + 4], "big")


def size(header: bytes) -> int:
    """Return the size of the file that begins with *header*."""
    page = int.from_bytes(header[16:18], "big")
    return word(header, 28) * (65536 if page == 1 else page)


def complaint(header: bytes) -> str:
    """Return what is wrong with a file that begins with *header*, or an empty string if it is a data file of ours."""
    if not header:
        return "it is empty"
    if MAGIC.startswith(header[: len(MAGIC)]) and len(header) < HEADER:
        return f"it is cut off after {len(header)} bytes"
    if not header.startswith(MAGIC) or word(header, 68) != APPLICATION_ID:
        return "it is no data file of instrument"
    if word(header, 60) > VERSION:
        return (
            f"it is in format {word(header, 60)}, and this version of instrument reads none newer than {VERSION}; "
            "upgrade instrument"
        )
    if word(header, 60) < 1:
        return f"it is in format {word(header, 60)}, which never was"
    if header[18:20] != b"\1\1":
        return "its journal mode was changed; PRAGMA journal_mode=DELETE changes it back"
    return ""


def to_text(value: str) -> str | bytes:
    """Return *value* as it is kept: a blob if it has surrogates, which SQLite's texts cannot have."""
    return value if value.isascii() or not _has_surrogates(value) else value.encode("utf-8", "surrogatepass")


def from_text(value: str | bytes) -> str:
    """Return the text that is kept as *value*."""
    if isinstance(value, str):
        return value
    try:
        return value.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:  # not of ours
        return value.decode("utf-8", "backslashreplace")


def _has_surrogates(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return True
    return False
