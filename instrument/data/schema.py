"""The file format: one SQLite database, for the counts of one process and for sums of many processes.

This module has the statements that create the tables, and checks of the first bytes of a file. Any tool that reads
SQLite reads the files, also those of running processes:

    SELECT path, line, SUM(count) FROM line JOIN file ON file.id = line.file GROUP BY path, version, line

`application_id` is "INST", and `user_version` is the version of this format. Times are seconds since the epoch. A text
that UTF-8 cannot encode, such as a file name of other bytes, is stored as a blob, its UTF-8 with surrogates.

process     one row for each process whose counts are in the file
    id          random, one for each process: two files hold the same id only if one was made from the other
    part        which rows of the tables below belong to this process alone; 0: they are in the sum, part 0
    pid, parent, host, started, argv (one argument a line), directory (where it was started)
    python      its version, followed by " -O" or " -OO" if assert statements were left out
    place       kernel (boot) and namespace in which `pid` means this process; '' if unknown
    ticks       when the process was started, in the kernel's clock ticks; 0 if unknown
    flushes     how often the process has written: of two states of a process, the one with more is the newer
    updated     when it last wrote
    ended       how the process ended, by its own account; '' if it has not said so (yet). A process of pytest whose
                session has finished, and that is about to end, says `session`
    scope       the measured modules: dotted names and paths, one a line; '' or 1: the project's own code; NULL: unknown
    root        pid of the outermost measured process among its ancestors and itself; 0 if unknown
file        one row for each version of a source file: `version` is "sha256:…" of the bytes that were compiled, or
            another word if they could not be known. Counts of different versions are never added
line        how often each line ran (`count`), and when it was first and last seen to have run
function    the same for calls; `name` is the qualified name, `line` the first line of the function
not_measured  files that ran uncounted, in whole or in part, and why
given_out   functions that were given out: their receivers may have run the original code uncounted. `name` and `line`
            are as in `function`, and `taker` is the receiver, such as "cloudpickle". Code nested in such a function
            was given out with it
probe_counts  how often the probes of code fired: `counts` is an encoded ProbeCounts (`model.probe_counts`), and `plan`
            the name of the plan file that recovers counts from it (`plans.plan_file`). Branches, conditions and costs
            follow from these, and so do lines and functions.
pattern     work of one code object. `counts` is an encoded ProbeCounts with its probes only. `code` is its number in
            the code group.
context     work of a context, such as the call of a test. `patterns` has the numbers of its patterns, encoded
            (`model.pattern_numbers`).
plan        contents of plan files, in files of sums only. Beside the file of a process is a folder `plans`.
without_probe_counts  files with counts of an older version of this package. Their branches are not known

Each table of counts, such as `line` and `function`, follows from an entry of `model.measurement.FACTS`.

The file that a process writes holds one process, in part 1. Its counts are totals since the process began, replaced in
place, so the file grows with new code only. In a file of sums, part 0 is the sum over all processes whose last state is
known. Each process that may still write has a part to itself, so that newer data can replace older data. So the same
data may be added any number of times, in any order, and counts once.

Older formats are still read and combined. They lack tables or columns:

- format 1 lacks `scope` and `root` of a process, and all that formats 2 and 3 lack;
- format 2 lacks the table `given_out`, and all that format 3 lacks;
- format 3 lacks the tables `probe_counts`, `plan` and `without_probe_counts`, and all that format 4 lacks;
- format 4 lacks the tables `pattern` and `context`.

For the tables of counts, each Fact names the first format that has its table.
"""

from __future__ import annotations

from instrument.model.measurement import FACTS, GREATEST_COUNT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from instrument.model.measurement import Fact

APPLICATION_ID = int.from_bytes(b"INST", "big")
#: The version of the format that is written: the newest fact has it, or the newest of the other tables.
VERSION = max(5, *(fact.since for fact in FACTS))

#: The greatest count. Sums end there: SQLite would turn a larger one into floating point.
GREATEST = GREATEST_COUNT

#: The latest time, some 3,000 years from now; the earliest is 0. Writers clip times to this range, and readers
#: refuse other times.
LATEST = 1e11

_SQL_TYPES = {int: "INTEGER NOT NULL", str: "TEXT NOT NULL"}


def table_of(fact: Fact) -> str:
    """Return the statement that creates the table of *fact*."""
    keys = "".join(f"{column} {_SQL_TYPES[type_]}, " for column, type_ in fact.columns)
    names = "".join(f", {column}" for column, _ in fact.columns)
    return (
        f"CREATE TABLE {fact.table} (part INTEGER NOT NULL, file INTEGER NOT NULL, {keys}count INTEGER NOT NULL, "
        f"first REAL NOT NULL, last REAL NOT NULL, PRIMARY KEY (part, file{names})) WITHOUT ROWID"
    )


#: Statements that create the tables, by name. Readers refuse a file whose tables differ from these.
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
    **{fact.table: table_of(fact) for fact in FACTS},
    "not_measured": (
        "CREATE TABLE not_measured (part INTEGER NOT NULL, path TEXT NOT NULL, reason TEXT NOT NULL, "
        "PRIMARY KEY (part, path, reason)) WITHOUT ROWID"
    ),
    "given_out": (
        "CREATE TABLE given_out (part INTEGER NOT NULL, file INTEGER NOT NULL, name TEXT NOT NULL, "
        "line INTEGER NOT NULL, taker TEXT NOT NULL, PRIMARY KEY (part, file, name, line, taker)) WITHOUT ROWID"
    ),
    "probe_counts": (
        "CREATE TABLE probe_counts (part INTEGER NOT NULL, file INTEGER NOT NULL, plan TEXT NOT NULL, "
        "counts BLOB NOT NULL, PRIMARY KEY (part, file, plan)) WITHOUT ROWID"
    ),
    "pattern": (
        "CREATE TABLE pattern (file INTEGER NOT NULL, plan TEXT NOT NULL, code INTEGER NOT NULL, counts BLOB NOT NULL, "
        "number INTEGER NOT NULL, PRIMARY KEY (file, plan, code, counts)) WITHOUT ROWID"
    ),
    "context": (
        "CREATE TABLE context (part INTEGER NOT NULL, name TEXT NOT NULL, patterns BLOB NOT NULL, "
        "PRIMARY KEY (part, name)) WITHOUT ROWID"
    ),
    "plan": "CREATE TABLE plan (name TEXT PRIMARY KEY NOT NULL, content BLOB NOT NULL) WITHOUT ROWID",
    "without_probe_counts": (
        "CREATE TABLE without_probe_counts (part INTEGER NOT NULL, file INTEGER NOT NULL, PRIMARY KEY (part, file)) "
        "WITHOUT ROWID"
    ),
}
#: The version of the format that has a table first, if that is not 1 and no Fact says so.
_SINCE = {"given_out": 3, "probe_counts": 4, "plan": 4, "without_probe_counts": 4, "pattern": 5, "context": 5}

#: The columns of the table `process`, in their order.
COLUMNS_OF_PROCESS = (
    *("id", "part", "pid", "parent", "host", "started", "argv", "python", "directory", "place", "ticks", "flushes"),
    *("updated", "ended", "scope", "root"),
)

_PROCESS_IN_1 = TABLES["process"].replace(", scope TEXT, root INTEGER NOT NULL)", ")")


def tables(version: int) -> dict[str, str]:
    """Return the statements that create the tables in this *version* of the format, by name."""
    since = {**_SINCE, **{fact.table: fact.since for fact in FACTS}}
    in_format = {name: statement for name, statement in TABLES.items() if since.get(name, 1) <= version}
    return in_format if version > 1 else {**in_format, "process": _PROCESS_IN_1}


def create(database: str = "main") -> tuple[str, ...]:
    """Return the statements that make the empty *database* one in this format."""
    tables = [statement.replace("CREATE TABLE ", f"CREATE TABLE {database}.", 1) for statement in TABLES.values()]
    return (
        f"PRAGMA {database}.application_id = {APPLICATION_ID}",
        f"PRAGMA {database}.user_version = {VERSION}",
        *tables,
    )


#: Suffixes of data files, of SQLite and compact ones. Readers ignore other files in a data folder.
SUFFIX, COMPACT_SUFFIX = SUFFIXES = ".sqlite", ".compact"

#: How every SQLite database begins, and the length of its header.
MAGIC = b"SQLite format 3\0"
HEADER = 100


def word(header: bytes, at: int) -> int:
    """Return the 32-bit number at the offset *at* of a database's *header*."""
    return int.from_bytes(header[at : at + 4], "big")


def size(header: bytes) -> int:
    """Return the size in bytes that *header* gives for its file."""
    page = int.from_bytes(header[16:18], "big")
    return word(header, 28) * (65536 if page == 1 else page)


def complaint(header: bytes) -> str:
    """Return why a file with this *header* cannot be read as a data file; an empty text if it can."""
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


def within_range(moment: float) -> float:
    """Return *moment*, or the nearest time that a data file can hold: the program may have set any clock."""
    if 0.0 <= moment <= LATEST:
        return moment
    return LATEST if moment > 0 else 0.0


def to_text(value: str) -> str | bytes:
    """Return *value* as it is stored: a blob if it has surrogates, which SQLite's texts cannot have."""
    return value if value.isascii() or not _has_surrogates(value) else value.encode("utf-8", "surrogatepass")


def from_text(value: str | bytes) -> str:
    """Return the text that is stored as *value*."""
    if isinstance(value, str):
        return value
    try:
        return value.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:  # another program wrote it
        return value.decode("utf-8", "backslashreplace")


def _has_surrogates(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return True
    return False
