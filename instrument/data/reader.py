"""Reads data files without trust in them, and without disturbing their writers.

The path of a data file comes in; a private copy that has passed every check goes out (`Copy`, `check`).

A data file may come from anywhere, so SQLite never opens more than plain tables. The schema must be, to the letter, the
one of `instrument.data.schema`. So it has no view, trigger, index or expression that SQLite would evaluate. SQLite
checks the pages before use, and `check` tests the type and range of each value. Files beside the data file are not
obeyed: a rollback journal can name further files for SQLite to delete.

The writer is never blocked, because nothing is locked. The copy is consistent all the same. SQLite changes pages only
while a journal exists, and each transaction increments the change counter in the header. So a copy is good if journal
and header are the same before and after. If there is a journal, its writer was killed or is writing still. Copied with
the file, the journal restores the state before the transaction.
"""

from __future__ import annotations

import os
import shutil
import stat
import time

from instrument.data import compact, schema, sqlite
from instrument.errors import BusyError, DataError
from instrument.model.measurement import FACTS
from instrument.plans.found_plans import Plans

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from sqlite3 import Connection

    from instrument.data.compact.reading import Content

# The number of attempts at a copy while a process writes all the time; the pauses between the attempts grow.
ATTEMPTS = 40

# In bytes. The journal of one flush is as large as the pages that the flush changes; a hostile one may be larger.
LARGEST_JOURNAL = 1 << 28

# The greatest ratio of size to occupied space, as of a file system that compresses. Smaller files are not tested.
_GREATEST_COMPRESSION = 16
_SMALLEST_TESTED_FOR_HOLES = 1 << 24

_JOURNAL_MAGIC = bytes.fromhex("d9d505f920a163d7")
_READ = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)

# Conditions that no value of a data file meets, by table and column. The schema was compared before, so all columns
# exist.
_TIME = f"typeof({{0}}) NOT IN ('real', 'integer') OR {{0}} NOT BETWEEN 0 AND {schema.LATEST}"
_TEXT = "typeof({0}) NOT IN ('text', 'blob')"
_NUMBER = "typeof({0}) <> 'integer' OR {0} < 0"
_SHARED = "SELECT part FROM source.process WHERE part > 0 GROUP BY part HAVING count(*) > 1"
_CHECKS = (
    ("process", [("id", _TEXT), ("host", _TEXT), ("argv", _TEXT), ("python", _TEXT), ("directory", _TEXT)]),
    ("process", [("place", _TEXT), ("ended", _TEXT), ("started", _TIME), ("updated", _TIME), ("part", _NUMBER)]),
    ("process", [("pid", _NUMBER), ("parent", _NUMBER), ("ticks", _NUMBER), ("flushes", _NUMBER)]),
    ("file", [("id", _NUMBER), ("path", _TEXT), ("version", _TEXT)]),
    ("not_measured", [("path", _TEXT), ("reason", _TEXT), ("part", "{0} NOT IN (SELECT part FROM source.process)")]),
    ("process", [("part", f"{{0}} IN ({_SHARED})")]),
)
_CHECKS_SINCE_2 = (("process", [("scope", "typeof({0}) NOT IN ('text', 'blob', 'null')"), ("root", _NUMBER)]),)
_IN_FILE = "{0} NOT IN (SELECT id FROM source.file)"
_IN_PROCESS = "{0} NOT IN (SELECT part FROM source.process)"
_CHECKS_SINCE_4 = (
    ("probe_counts", [("part", _NUMBER), ("plan", "typeof({0}) <> 'text'"), ("counts", "typeof({0}) <> 'blob'")]),
    ("probe_counts", [("file", _IN_FILE)]),
    ("probe_counts", [("part", _IN_PROCESS)]),
    ("plan", [("name", "typeof({0}) <> 'text'"), ("content", "typeof({0}) <> 'blob'")]),
    ("without_probe_counts", [("part", _NUMBER), ("file", _IN_FILE)]),
    ("without_probe_counts", [("part", _IN_PROCESS)]),
)
_CHECKS_SINCE_5 = (
    ("pattern", [("number", _NUMBER), ("plan", "typeof({0}) <> 'text'"), ("code", _NUMBER)]),
    ("pattern", [("file", _IN_FILE), ("counts", "typeof({0}) <> 'blob'")]),
    ("context", [("part", _NUMBER), ("name", _TEXT), ("patterns", "typeof({0}) <> 'blob'")]),
    ("context", [("part", _IN_PROCESS)]),
)
_CHECKS_SINCE_3 = (
    ("given_out", [("part", _NUMBER), ("line", _NUMBER), ("name", _TEXT), ("taker", _TEXT)]),
    ("given_out", [("file", _IN_FILE)]),
    ("given_out", [("part", _IN_PROCESS)]),
)


class Copy:
    """A copy of the data file at *path* in *folder*, which no other user can reach.

    `copy` is its path. Of a compact file, it is a database with the same content. With *keeps_content*, there is no
    copy of such a file.
    """

    def __init__(self, path: str, folder: str, *, keeps_content: bool = False) -> None:
        """Copy the file, or raise DataError with the reason why that is impossible."""
        self.path = path
        self.copy = os.path.join(folder, "copy.sqlite")
        self.state = (b"", b"")
        self.has_journal = False
        #: The checked content of a compact file; None for other files.
        self.content: Content | None = None
        try:
            descriptor = os.open(path, _READ)
        except FileNotFoundError as error:
            raise DataError("it is gone") from error
        except (OSError, ValueError) as error:
            raise DataError(f"it cannot be read: {getattr(error, 'strerror', None) or error}") from error
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise DataError("it is no file")
            if _is_compact(descriptor):
                self._read_compact(descriptor)
                if not keeps_content:
                    self._make_database()
                return
            for attempt in range(ATTEMPTS):
                header, journal = self._read_state(descriptor)
                complaint = schema.complaint(header)
                if complaint:
                    raise DataError(complaint)
                self._fill(descriptor, journal)
                if self._read_state(descriptor, is_after_copy=True) == (header, journal):
                    self.state = header, journal
                    break
                time.sleep(0.002 * attempt)
            else:
                raise BusyError("it is being written all the time; try again")
        except OSError as error:
            raise DataError(f"it cannot be copied: {error.strerror or error}") from error
        finally:
            os.close(descriptor)
        size, expected = os.path.getsize(self.copy), schema.size(self.state[0])
        if size != expected and not self.has_journal:
            raise DataError(f"it is damaged: it has {size} bytes, not {expected}")

    def _read_compact(self, descriptor: int) -> None:
        """Read the compact data file at *descriptor*; raise DataError if it is no sound one."""
        if os.fstat(descriptor).st_size > compact.LARGEST:
            raise DataError(f"it is too large: compact data files have {compact.LARGEST} bytes at most")
        from instrument.data.compact.reading import Content

        with open(descriptor, "rb", closefd=False) as file:
            data = file.read(compact.LARGEST + 1)
        self.content = Content(data)
        self.state = data[: schema.HEADER], b""

    def _make_database(self) -> None:
        """Make the copy from `content`; raise DataError or OSError if that is impossible."""
        from instrument.data.compact.reading import make_database

        assert self.content is not None
        plans = Plans()
        plans.search_beside([self.path])
        self.content.recover(plans)
        try:
            make_database(self.content, self.copy)
        except sqlite.load().Error as error:
            raise DataError(f"it cannot be copied: {error}") from error

    def _read_state(self, descriptor: int, *, is_after_copy: bool = False) -> tuple[bytes, bytes]:
        """Return the header of the file, and its journal.

        Before the copy the header is read first, after it the journal. So a transaction that overlaps the copy shows.
        It has a journal when that is read, or else it has changed the header by the time that is read.
        """
        journal = _read_journal(self.path + "-journal") if is_after_copy else b""
        os.lseek(descriptor, 0, os.SEEK_SET)
        header = os.read(descriptor, schema.HEADER)
        return header, journal if is_after_copy else _read_journal(self.path + "-journal")

    def is_current(self) -> bool:
        """Return whether the file has not changed since it was copied."""
        try:
            descriptor = os.open(self.path, _READ)
        except OSError:
            return False
        try:
            if self.content is not None:  # such a file is replaced as a whole, and its header has a checksum
                return os.read(descriptor, schema.HEADER) == self.state[0]
            return self._read_state(descriptor, is_after_copy=True) == self.state
        except (OSError, DataError):
            return False
        finally:
            os.close(descriptor)

    def _fill(self, descriptor: int, journal: bytes) -> None:
        """Copy the file, and *journal* if it holds a transaction to roll back."""
        status = os.fstat(descriptor)
        # A hostile file of holes takes no space, and would take long to copy.
        size, occupied = status.st_size, getattr(status, "st_blocks", status.st_size // 512 + 1) * 512
        if size > _SMALLEST_TESTED_FOR_HOLES and occupied < size // _GREATEST_COMPRESSION:
            raise DataError(f"it is no data file: of its {size} bytes only {occupied} were ever written")
        if size > shutil.disk_usage(os.path.dirname(self.copy)).free:
            raise DataError(f"it is too large to be copied ({size} bytes)")
        os.lseek(descriptor, 0, os.SEEK_SET)
        for name in (self.copy, self.copy + "-journal"):
            # Removed rather than truncated: ext4 writes a truncated and refilled file to the disk at once.
            if os.path.exists(name):
                os.unlink(name)
        with open(self.copy, "wb") as copy, open(descriptor, "rb", closefd=False, buffering=0) as file:
            shutil.copyfileobj(file, copy, 1 << 20)
        self.has_journal = journal.startswith(_JOURNAL_MAGIC)
        if self.has_journal:
            if journal.endswith(_JOURNAL_MAGIC):
                raise DataError("its journal names another file, which no journal of ours does")
            with open(self.copy + "-journal", "wb") as file:
                file.write(journal)

    def uri(self) -> str:
        """Return the URI by which SQLite opens the copy. SQLite changes the copy only to roll a transaction back."""
        return sqlite.uri(self.copy, "rw") if self.has_journal else sqlite.uri(self.copy, "ro") + "&immutable=1"


def _is_compact(descriptor: int) -> bool:
    """Return whether the file at *descriptor*, which is at its beginning, begins like a compact data file."""
    header = os.read(descriptor, len(compact.MAGIC))
    os.lseek(descriptor, 0, os.SEEK_SET)
    return header == compact.MAGIC


def _read_journal(path: str) -> bytes:
    """Return the content of the rollback journal at *path*, empty if there is none; raise DataError if it is unfit."""
    try:
        descriptor = os.open(path, _READ | getattr(os, "O_NOFOLLOW", 0))
    except FileNotFoundError:
        return b""
    except OSError as error:
        raise DataError(f"its journal cannot be read: {error.strerror or error}") from error
    with open(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise DataError("its journal is no file")
        data = file.read(LARGEST_JOURNAL + 1)
    if len(data) > LARGEST_JOURNAL:
        raise DataError(f"its journal is larger than {LARGEST_JOURNAL} bytes")
    return data


def harden(connection: Connection) -> None:
    """Set *connection* to distrust the databases that are attached to it."""
    connection.execute("PRAGMA trusted_schema = OFF")
    connection.execute("PRAGMA cell_size_check = ON")
    connection.execute("PRAGMA mmap_size = 0")


def _checks(version: int) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """Yield tables of this *version* of the format, each with columns and the conditions that no value may meet."""
    yield from _CHECKS
    for fact in FACTS:
        if fact.since <= version:
            keys = [(column, _TEXT if type_ is str else _NUMBER) for column, type_ in fact.columns]
            yield fact.table, [("part", _NUMBER), *keys, ("count", _NUMBER), ("first", _TIME), ("last", _TIME)]
            yield fact.table, [("file", _IN_FILE)]
            yield fact.table, [("part", _IN_PROCESS)]
    yield from _CHECKS_SINCE_2 if version > 1 else ()
    yield from _CHECKS_SINCE_3 if version > 2 else ()
    yield from _CHECKS_SINCE_4 if version > 3 else ()
    yield from _CHECKS_SINCE_5 if version > 4 else ()


def check(connection: Connection) -> int:
    """Return the format of the database `source` of *connection*, if that is a sound data file.

    Raise DataError, or an error of SQLite, if it is not.
    """
    [version] = connection.execute("PRAGMA source.user_version").fetchone()
    tables = schema.tables(version)
    entries = connection.execute("SELECT type, name, tbl_name, sql FROM source.sqlite_master").fetchmany(1000)
    for kind, name, _table, sql in entries:
        if kind == "table" and name in tables and sql == tables[name]:
            continue
        if (kind, name, sql) == ("index", "sqlite_autoindex_file_1", None):
            continue
        raise DataError(f"it holds something that no data file does: {kind} {name!r}")
    if len(entries) != len(tables) + 1:
        raise DataError("it lacks tables")
    [damage] = connection.execute("PRAGMA source.quick_check(1)").fetchone()
    if damage != "ok":
        raise DataError(f"it is damaged: {damage}")
    for table, columns in _checks(version):
        invalid = " OR ".join(f"({condition.format(column)})" for column, condition in columns)
        if connection.execute(f"SELECT 1 FROM source.{table} WHERE {invalid} LIMIT 1").fetchone():
            names = ", ".join(column for column, _condition in columns)
            raise DataError(f"it holds a value that cannot be, in table {table!r} (one of {names})")
    if not connection.execute("SELECT 1 FROM source.process LIMIT 1").fetchone():
        raise DataError("it is of no process")
    return int(version)
