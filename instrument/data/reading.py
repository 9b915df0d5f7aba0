"""Data files, read without trust, and without disturbing who writes them.

A path comes in, a private copy that has passed every check goes out. Two things are kept from a file that may come from
anywhere. It never opens SQLite's eyes to more than plain tables: its schema must be, to the letter, the one that
`instrument.data.schema` writes, so that there is no view, trigger, index or expression in it that could be evaluated;
its pages are checked before they are used, and each value is of the type and in the range of what it stands for. And
nothing that lies beside it is obeyed: a rollback journal can name further files for SQLite to delete.

A process that writes is never kept waiting, because nothing is locked. What is copied is consistent all the same, by
what SQLite guarantees: pages change only while a journal exists, and each transaction moves the change counter in the
header on. So a copy is good if journal and header are the same before and after. A journal that stays is that of a
process that was killed, or is still writing: copied along, it takes the copy back to the state before.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import stat
import tempfile
import time

from instrument.data import schema, sqlite
from instrument.errors import DataError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from sqlite3 import Connection
    from typing import Any

# How often a copy is tried, while a process writes all the time, with a growing pause in between.
ATTEMPTS = 40

# The journal of one flush is as large as what it changes. The bound keeps a hostile one out of memory.
LARGEST_JOURNAL = 1 << 28

# A file system that compresses may hold data in so much less room than it has bytes, but hardly in less.
_PACKED = 16
_MOST_OF_HOLES = 1 << 24

_JOURNAL_MAGIC = bytes.fromhex("d9d505f920a163d7")
_READ = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)

# What no value of a data file is. The names of columns are those of the schema, which was compared before.
_TIME = f"typeof({{0}}) NOT IN ('real', 'integer') OR {{0}} NOT BETWEEN 0 AND {schema.LATEST}"
_TEXT = "typeof({0}) NOT IN ('text', 'blob')"
_NUMBER = "typeof({0}) <> 'integer' OR {0} < 0"
_SHARED = "SELECT part FROM source.process WHERE part > 0 GROUP BY part HAVING count(*) > 1"
_CHECKS = (
    ("process", [("id", _TEXT), ("host", _TEXT), ("argv", _TEXT), ("python", _TEXT), ("directory", _TEXT)]),
    ("process", [("place", _TEXT), ("ended", _TEXT), ("started", _TIME), ("updated", _TIME), ("part", _NUMBER)]),
    ("process", [("pid", _NUMBER), ("parent", _NUMBER), ("ticks", _NUMBER), ("flushes", _NUMBER)]),
    ("file", [("id", _NUMBER), ("path", _TEXT), ("version", _TEXT)]),
    ("line", [("part", _NUMBER), ("line", _NUMBER), ("count", _NUMBER), ("first", _TIME), ("last", _TIME)]),
    ("line", [("file", "{0} NOT IN (SELECT id FROM source.file)")]),
    ("line", [("part", "{0} NOT IN (SELECT part FROM source.process)")]),
    ("function", [("part", _NUMBER), ("line", _NUMBER), ("count", _NUMBER), ("first", _TIME), ("last", _TIME)]),
    ("function", [("name", _TEXT), ("file", "{0} NOT IN (SELECT id FROM source.file)")]),
    ("function", [("part", "{0} NOT IN (SELECT part FROM source.process)")]),
    ("not_measured", [("path", _TEXT), ("reason", _TEXT), ("part", "{0} NOT IN (SELECT part FROM source.process)")]),
    ("process", [("part", f"{{0}} IN ({_SHARED})")]),
)
_CHECKS_SINCE_2 = (("process", [("scope", "typeof({0}) NOT IN ('text', 'blob', 'null')"), ("root", _NUMBER)]),)
_CHECKS_SINCE_3 = (
    ("given_out", [("part", _NUMBER), ("line", _NUMBER), ("name", _TEXT), ("taker", _TEXT)]),
    ("given_out", [("file", "{0} NOT IN (SELECT id FROM source.file)")]),
    ("given_out", [("part", "{0} NOT IN (SELECT part FROM source.process)")]),
)


class BusyError(DataError):
    """The file was changed during each attempt to copy it."""


class Copy:
    """A copy of the data file at *path* in *folder*, which nobody else can reach."""

    def __init__(self, path: str, folder: str) -> None:
        """Make it, or raise DataError with what is wrong with the file."""
        self.path = path
        self.copy = os.path.join(folder, "copy.sqlite")
        self.state = (b"", b"")
        try:
            descriptor = os.open(path, _READ)
        except FileNotFoundError as error:
            raise DataError("it is gone") from error
        except (OSError, ValueError) as error:
            raise DataError(f"it cannot be read: {getattr(error, 'strerror', None) or error}") from error
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise DataError("it is no file")
            for attempt in range(ATTEMPTS):
                before = self._look(descriptor)
                wrong = schema.complaint(before[0])
                if wrong:
                    raise DataError(wrong)
                self._fill(descriptor, before[1])
                if self._look(descriptor, again=True) == before:
                    self.state = before
                    break
                time.sleep(0.002 * attempt)
            else:
                raise BusyError("it is being written all the time; try again")
        except OSError as error:
            raise DataError(f"it cannot be copied: {error.strerror or error}") from error
        finally:
            os.close(descriptor)
        size, due = os.path.getsize(self.copy), schema.size(self.state[0])
        if size != due and not self.has_journal:
            raise DataError(f"it is damaged: it has {size} bytes, not {due}")

    def _look(self, descriptor: int, *, again: bool = False) -> tuple[bytes, bytes]:
        """Return the header of the file, and its journal.

        The journal is read next to the copying, the header away from it: a transaction that was going on meanwhile has
        its journal still there when that is read, or else its mark in the header by the time that is.
        """
        journal = _read_journal(self.path + "-journal") if again else b""
        os.lseek(descriptor, 0, os.SEEK_SET)
        header = os.read(descriptor, schema.HEADER)
        return header, journal if again else _read_journal(self.path + "-journal")

    def is_current(self) -> bool:
        """Return whether the file is still what was copied."""
        try:
            descriptor = os.open(self.path, _READ)
        except OSError:
            return False
        try:
            return self._look(descriptor, again=True) == self.state
        except (OSError, DataError):
            return False
        finally:
            os.close(descriptor)

    def _fill(self, descriptor: int, journal: bytes) -> None:
        """Copy the file, and *journal* if there is something to roll back."""
        status = os.fstat(descriptor)
        # What takes up no room on the disk is no data: a file of holes costs nothing to make, and much to read.
        size, held = status.st_size, getattr(status, "st_blocks", status.st_size // 512 + 1) * 512
        if size > _MOST_OF_HOLES and held < size // _PACKED:
            raise DataError(f"it is no data file: of its {size} bytes only {held} were ever written")
        if size > shutil.disk_usage(os.path.dirname(self.copy)).free:
            raise DataError(f"it is too large to be copied ({size} bytes)")
        os.lseek(descriptor, 0, os.SEEK_SET)
        for name in (self.copy, self.copy + "-journal"):
            # Not truncated: ext4 would first put on disk what is overwritten.
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
        """Return the name by which SQLite opens the copy: untouched, but for what a killed process left undone."""
        return sqlite.uri(self.copy, "rw") if self.has_journal else sqlite.uri(self.copy, "ro") + "&immutable=1"


def is_ours(path: str) -> bool:
    """Return whether the file at *path* begins as a data file does, of whatever version, and however damaged.

    Raise OSError if it cannot be read.
    """
    descriptor = os.open(path, _READ)
    try:
        header = os.read(descriptor, schema.HEADER)
    finally:
        os.close(descriptor)
    return header.startswith(schema.MAGIC) and schema.word(header, 68) == schema.APPLICATION_ID


def _read_journal(path: str) -> bytes:
    """Return the rollback journal at *path*, nothing if there is none."""
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
    """Have *connection* distrust what is attached to it."""
    connection.execute("PRAGMA trusted_schema = OFF")
    connection.execute("PRAGMA cell_size_check = ON")
    connection.execute("PRAGMA mmap_size = 0")


def check(connection: Connection) -> None:
    """Raise DataError, or an error of SQLite, unless *connection* has attached a sound data file as `source`."""
    [version] = connection.execute("PRAGMA source.user_version").fetchone()
    tables = schema.tables(version)
    found = connection.execute("SELECT type, name, tbl_name, sql FROM source.sqlite_master").fetchmany(1000)
    for kind, name, _table, sql in found:
        if kind == "table" and name in tables and sql == tables[name]:
            continue
        if (kind, name, sql) == ("index", "sqlite_autoindex_file_1", None):
            continue
        raise DataError(f"it holds something that no data file does: {kind} {name!r}")
    if len(found) != len(tables) + 1:
        raise DataError("it lacks tables")
    [damage] = connection.execute("PRAGMA source.quick_check(1)").fetchone()
    if damage != "ok":
        raise DataError(f"it is damaged: {damage}")
    checks = (*_CHECKS, *(_CHECKS_SINCE_2 if version > 1 else ()), *(_CHECKS_SINCE_3 if version > 2 else ()))
    for table, columns in checks:
        wrong = " OR ".join(f"({condition.format(column)})" for column, condition in columns)
        if connection.execute(f"SELECT 1 FROM source.{table} WHERE {wrong} LIMIT 1").fetchone():
            names = ", ".join(column for column, _condition in columns)
            raise DataError(f"it holds a value that cannot be, in table {table!r} (one of {names})")
    if not connection.execute("SELECT 1 FROM source.process LIMIT 1").fetchone():
        raise DataError("it is of no process")


class Scratch:
    """A private folder for copies, removed at the end, also when SIGTERM or SIGHUP ends the process.

    What processes left that were killed is removed, too: a folder is locked as long as its process lives.
    """

    def __enter__(self) -> str:
        try:
            self.folder = tempfile.mkdtemp(prefix=_PREFIX)
        except OSError as error:
            where = error.filename or tempfile.gettempdir()
            raise DataError(
                f"data files cannot be copied to {where!r}: {error.strerror}; TMPDIR names a folder"
            ) from error
        self._lock = _locked(self.folder)
        self._received: list[int] = []
        self._handlers: dict[int, Any] = {}
        for name in ("SIGTERM", "SIGHUP"):
            number = getattr(signal, name, None)
            if number is not None and signal.getsignal(number) is signal.SIG_DFL:
                with contextlib.suppress(ValueError):  # not in the main thread
                    self._handlers[number] = signal.signal(number, self._end)
        _remove_abandoned(os.path.dirname(self.folder))
        return self.folder

    def _end(self, number: int, _frame: object) -> None:
        """Leave all `with` statements, once."""
        self._received.append(number)
        if len(self._received) == 1:
            raise SystemExit(128 + number)

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
        if self._lock is not None:
            os.close(self._lock)
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        if self._received:  # end as if it had not been handled
            os.kill(os.getpid(), self._received[0])


_PREFIX = "instrument-"
# What `tempfile` puts behind that: eight letters, digits and underscores.
_NAME_OF_SCRATCH = re.compile(rf"{_PREFIX}[a-z0-9_]{{8}}")
# A folder is made a moment before it is locked.
_YOUNG = 60.0


def _locked(folder: str) -> int | None:
    """Return a descriptor that keeps *folder* locked until it is closed; None if it is locked, or cannot be."""
    try:
        import fcntl

        descriptor = os.open(folder, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0))
    except (ImportError, OSError):
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return None
    return descriptor


def _remove_abandoned(where: str) -> None:
    """Remove the folders of this user in *where* that processes have left which were killed."""
    if os.name != "posix":  # without locks nobody knows
        return
    try:
        names = [name for name in os.listdir(where) if _NAME_OF_SCRATCH.fullmatch(name)]
    except OSError:
        return
    for name in names:
        path = os.path.join(where, name)
        try:
            status = os.lstat(path)
        except OSError:
            continue
        is_ours = stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid() and not status.st_mode & 0o077
        if not is_ours or time.time() - status.st_mtime < _YOUNG:
            continue
        lock = _locked(path)
        if lock is not None:
            shutil.rmtree(path, ignore_errors=True)
            os.close(lock)
