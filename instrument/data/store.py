"""What a measured process keeps: its counts, in a file of its own.

Totals of lines and functions come in, from time to time; a file in the format of `instrument.data.schema` goes out. It
is complete or absent: the first state is written beside and renamed, each later one is one transaction, so that a kill
at any moment leaves the previous state whole. No connection outlives a call, so none crosses a fork; nobody else ever
locks the file (`instrument.data.reading` reads a copy), so nobody holds the process up.

This runs inside of the measured program, which must not notice: functions are held by name or come from C modules that
nobody patches, SQLite is loaded when first needed and is nobody else's, and rows are handed over many at a time,
because SQLite lets go of the interpreter's lock for each statement, and a busy program gives it back only after 5 ms.
"""

from __future__ import annotations

import os
import sys
import time

from instrument.data import schema, sqlite
from instrument.errors import DataError, DataGoneError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from sqlite3 import Connection
    from typing import Any, TypeAlias

    #: The absolute path of a source file, and the version of it that the code was compiled from.
    FileKey: TypeAlias = tuple[str, str]
    #: A count, and when it was first and last seen to grow, in seconds since the epoch.
    Seen: TypeAlias = tuple[int, float, float]

# The system calls themselves: what is patched, by gevent above all, is the module `os`.
_system: Any = sys.modules[os.name if os.name == "nt" else "posix"]
# In a tuple, because tools that stop the clock in tests exchange the attributes of modules.
_clock: tuple[Callable[[], float], ...] = (time.time,)
_SEPARATOR, _IS_WINDOWS = os.sep, os.name == "nt"

# Rows in one statement. SQLite admits 999 parameters before 3.32, and 32,766 since.
_ROWS = (1000, 190, 16)
_ROWS_OF_OLD = (190, 16)

_INSERT_LINES = "INSERT OR REPLACE INTO line (part, file, line, count, first, last) VALUES "
_INSERT_FUNCTIONS = "INSERT OR REPLACE INTO function (part, file, name, line, count, first, last) VALUES "


def version_of(data: bytes) -> str:
    """Return the version of a source file that holds *data*."""
    try:
        from _sha2 import sha256  # type: ignore[import-not-found]
    except ImportError:
        try:
            from _sha256 import sha256  # type: ignore[import-not-found]  # until 3.11
        except ImportError:  # an interpreter that was built without either has OpenSSL's
            from hashlib import sha256
    return f"sha256:{sha256(data).hexdigest()}"


class ProcessInfo:
    """Which process counts are of. `id` is random: pids and times come again, it does not."""

    __slots__ = ("argv", "cwd", "host", "id", "parent", "pid", "python", "started")

    def __init__(
        self,
        *,
        pid: int,
        parent: int,
        host: str,
        started: float,
        argv: tuple[str, ...],
        python: str,
        cwd: str,
        id: str,  # noqa: A002 - what it is
    ) -> None:
        self.pid = pid
        self.parent = parent
        self.host = host
        self.started = started
        self.argv = argv
        self.python = python
        self.cwd = cwd
        self.id = id

    @classmethod
    def current(cls, interpreter: int = 0) -> ProcessInfo:
        """Return what is to be said of this process, as one that begins now; or of an *interpreter* in it, by number,
        that is not the main one: its identity ends in the number.
        """
        try:
            cwd = _system.getcwd()
        except OSError:  # it was removed
            cwd = ""
        return cls(
            pid=_system.getpid(),
            parent=_system.getppid(),
            host=_host(),
            started=_clock[0](),
            argv=tuple(map(str, sys.orig_argv)),
            python=sys.version.partition(" ")[0],
            cwd=cwd,
            id=_system.urandom(8).hex() + (f".{interpreter}" if interpreter else ""),
        )


class Writer:
    """Keeps the counts of one process in the file at `path`, which the first `write` makes.

    Values are totals since the process began: writing one again does no harm. What was once written need not be passed
    again unless it has changed, or unless `write` raised DataGoneError.
    """

    def __init__(self, directory: str, process: ProcessInfo) -> None:
        """Prepare for *process*, which is this one, to keep its counts in *directory*; touch nothing yet."""
        self.process = process
        self.directory = directory
        started = max(0, int(process.started * 1e9))
        name = f"{_in_file_names(process.host)}-{process.pid}-{started:x}-{_in_file_names(process.id)}"
        self.path = f"{directory}{_SEPARATOR}{name}{schema.SUFFIX}"
        self._temporary = f"{directory}{_SEPARATOR}.{name}.tmp"
        self._pid = _system.getpid()
        self._had_file = False
        self._forget()

    def _forget(self) -> None:
        """Begin again, with a new file."""
        self._begun = False
        self._files: dict[FileKey, int] = {}
        self._reasons: dict[str, str] = {}
        self._ended = ""
        self._flushes = 0

    def write(
        self,
        lines: Iterable[tuple[FileKey, Mapping[int, Seen]]],
        functions: Iterable[tuple[FileKey, Mapping[tuple[str, int], Seen]]],
        not_measured: Mapping[str, str],
        ended: str = "",
    ) -> None:
        """Add *lines*, *functions* and the reasons of *not_measured*, all or nothing; *ended* says how the process did.

        Raise DataError if that cannot be done: what was written before is then still there, and what was passed is to
        be passed again. If the error is DataGoneError, all that was ever passed is.
        """
        if self._pid != _system.getpid():
            raise DataError(f"counts of process {_system.getpid()} do not belong in {self.path!r}: make a new Writer")
        error_of_sqlite = sqlite.load().Error
        # What is only true once the transaction is: taken over at its end.
        new = _Changes(self, not_measured, ended)
        try:
            if self._begun:
                self._update(new, lines, functions)
            else:
                self._create(new, lines, functions)
        except (OSError, error_of_sqlite) as error:
            raise DataError(f"counts cannot be saved to {self.path!r}: {_reason(error, self.directory)}") from error
        self._begun = self._had_file = True
        self._files.update(new.files)
        self._reasons.update(new.reasons)
        self._ended, self._flushes = ended, new.flushes

    def _create(self, new: _Changes, lines: Iterable[Any], functions: Iterable[Any]) -> None:
        """Write the first state, to a new file, which is complete or absent: until the rename it is no data file."""
        self._make_directory()
        descriptor = _system.open(self._temporary, _CREATE_NEW, 0o666)
        _system.close(descriptor)
        renamed = False
        try:
            connection = sqlite.connect(self._temporary)
            try:
                # Nobody sees the file before it is whole: it needs no journal, and is synchronised once, below.
                connection.execute("PRAGMA journal_mode = OFF")
                connection.execute("PRAGMA synchronous = OFF")
                connection.execute("BEGIN IMMEDIATE")
                for statement in schema.CREATE:
                    connection.execute(statement)
                connection.execute(f"INSERT INTO process VALUES ({', '.join('?' * 14)})", self._describe())
                new.write(connection, lines, functions)
                connection.execute("COMMIT")
            finally:
                connection.close()
            _synchronise(self._temporary, _system.O_RDWR)
            _system.rename(self._temporary, self.path)
            renamed = True
        finally:
            if not renamed:
                try:
                    _system.unlink(self._temporary)
                except OSError:
                    pass
        if not _IS_WINDOWS:
            _synchronise(self.directory, _system.O_RDONLY)

    def _update(self, new: _Changes, lines: Iterable[Any], functions: Iterable[Any]) -> None:
        """Write what changed, in one transaction. A write of nothing new touches nothing."""
        try:
            _system.stat(self.path)
        except (FileNotFoundError, NotADirectoryError) as error:
            self._forget()
            raise DataGoneError(
                f"the data file {self.path!r} was removed; the next write makes a new one, with all counts"
            ) from error
        connection = sqlite.connect(self.path)
        try:
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.execute("BEGIN")
            new.write(connection, lines, functions)
            connection.execute("COMMIT")
        finally:
            connection.close()  # rolls back what was not committed

    def _describe(self) -> tuple[object, ...]:
        """Return the row of this process, before its first flush."""
        process, to_text = self.process, schema.to_text
        place, ticks = place_of(process.pid)
        return (
            *(process.id, 1, process.pid, process.parent, to_text(process.host), process.started),
            *(to_text("\n".join(process.argv)), process.python, to_text(process.cwd), place, ticks, 0, 0.0, ""),
        )

    def _make_directory(self) -> None:
        """Make the folder, and those above it. If it was there, only itself: a tree that was removed stays removed."""
        missing: list[str] = []
        folder = self.directory
        while folder:
            try:
                _system.stat(folder)
                break
            except FileNotFoundError:
                if missing and self._had_file:
                    raise
                missing.append(folder)
                folder = folder[: max(folder.rfind(_SEPARATOR), 0)]
        for folder in reversed(missing):
            try:
                _system.mkdir(folder, 0o777)
            except FileExistsError:  # another process was faster
                pass


class _Changes:
    """What one call of `Writer.write` adds, and the state that it leads to."""

    def __init__(self, writer: Writer, not_measured: Mapping[str, str], ended: str) -> None:
        self.id = writer.process.id
        self.known = writer._files
        self.files: dict[FileKey, int] = {}
        self.reasons = {path: why for path, why in not_measured.items() if writer._reasons.get(path) != why}
        self.flushes = writer._flushes + 1
        self.ended, self.ended_before = ended, writer._ended
        self.is_first = not writer._begun

    def write(self, connection: Connection, lines: Iterable[Any], functions: Iterable[Any]) -> None:
        """Write all of it to *connection*, in whose transaction it stands or falls."""
        n_rows = connection.total_changes
        _insert(connection, _INSERT_LINES, "(1, ?, ?, ?, ?, ?)", 5, self._rows_of_lines(lines))
        _insert(connection, _INSERT_FUNCTIONS, "(1, ?, ?, ?, ?, ?, ?)", 6, self._rows_of_functions(functions))
        for (path, version), number in self.files.items():
            row = number, schema.to_text(path), schema.to_text(version)
            connection.execute("INSERT INTO file (id, path, version) VALUES (?, ?, ?)", row)
        for path, why in self.reasons.items():
            row_of_path = (schema.to_text(path),)
            connection.execute("DELETE FROM not_measured WHERE part = 1 AND path = ?", row_of_path)
            row_of_reason = (schema.to_text(path), schema.to_text(why))
            connection.execute("INSERT INTO not_measured (part, path, reason) VALUES (1, ?, ?)", row_of_reason)
        if self.is_first or connection.total_changes != n_rows or self.ended != self.ended_before:
            state = (self.flushes, _clock[0](), schema.to_text(self.ended), self.id)
            done = connection.execute("UPDATE process SET flushes = ?, updated = ?, ended = ? WHERE id = ?", state)
            if done.rowcount != 1:
                raise sqlite.load().DatabaseError("the file holds another process now")

    def _number(self, key: FileKey) -> int:
        """Return the number of the file *key* in this database."""
        number = self.known.get(key) or self.files.get(key)
        if number is None:
            number = self.files[key] = len(self.known) + len(self.files) + 1
        return number

    def _rows_of_lines(self, lines: Iterable[tuple[FileKey, Mapping[int, Seen]]]) -> Iterator[tuple[object, ...]]:
        for key, seen in lines:
            if seen:
                number = self._number(key)
                for line, (count, first, last) in seen.items():
                    yield number, line, count, first, last

    def _rows_of_functions(
        self, functions: Iterable[tuple[FileKey, Mapping[tuple[str, int], Seen]]]
    ) -> Iterator[tuple[object, ...]]:
        for key, seen in functions:
            if seen:
                number = self._number(key)
                for (name, line), (count, first, last) in seen.items():
                    yield number, schema.to_text(name), line, count, first, last


def _insert(connection: Connection, insert: str, row: str, width: int, rows: Iterator[tuple[object, ...]]) -> None:
    """Insert *rows*, as few statements as may be: see the head of this module."""
    sizes = _ROWS if sqlite.version() >= (3, 32) else _ROWS_OF_OLD
    statements = {size: insert + ", ".join([row] * size) for size in sizes}
    flat: list[object] = []
    full = sizes[0] * width
    for values in rows:
        flat += values
        if len(flat) == full:
            connection.execute(statements[sizes[0]], flat)
            flat.clear()
    while flat:
        # The rest: whole statements as long as they fit, and the last one filled up. A row may be replaced by itself.
        size = next((size for size in sizes if size * width <= len(flat)), sizes[-1])
        part, flat = flat[: size * width], flat[size * width :]
        part += part[-width:] * (size - len(part) // width)
        connection.execute(statements[size], part)


# Names and places

_CREATE_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
_NAME = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._")


def _in_file_names(text: str) -> str:
    """Return *text* as part of a file name: what could mean something to a file system or a terminal is left out."""
    return "".join(character if character in _NAME else "_" for character in text[:60]).lstrip(".") or "_"


def _host() -> str:
    try:
        return str(_system.uname().nodename)
    except AttributeError:  # Windows
        return os.environ.get("COMPUTERNAME", "")


def _synchronise(path: str, flags: int) -> None:
    """Have the system put on disk what it keeps of *path* in memory; a file system that cannot is left alone."""
    descriptor = _system.open(path, flags | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0))
    try:
        _system.fsync(descriptor)
    except OSError as error:
        if flags != os.O_RDONLY:  # some refuse to synchronise folders
            raise error
    finally:
        _system.close(descriptor)


def _reason(error: BaseException, directory: str) -> str:
    """Return *error* in words, and what SQLite does not say of it."""
    if isinstance(error, OSError):
        return f"{error.strerror or error}"
    try:
        if not _system.stat(directory).st_mode & 0o40000:
            return "its folder is no folder"
    except OSError as other:
        return f"its folder cannot be used: {other.strerror or other}"
    return f"{error}"


def place_of(pid: int) -> tuple[str, int]:
    """Return which kernel and namespace *pid* means a process in, and when that was started; ("", 0) if unknown.

    A pid alone means another process after a while, in another container, and on another machine.
    """
    try:
        boot = _read("/proc/sys/kernel/random/boot_id").decode().strip()
        namespace = _system.readlink("/proc/self/ns/pid")
        # pid (name, with any characters) state parent …: the start is the 22nd.
        fields = _read(f"/proc/{int(pid)}/stat").rpartition(b")")[2].split()
        return f"{boot} {namespace}", 0 if fields[0] in (b"Z", b"X") else int(fields[19])
    except (OSError, ValueError, IndexError, AttributeError):
        return "", 0


def _read(path: str) -> bytes:
    descriptor = _system.open(path, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))
    try:
        data: bytes = _system.read(descriptor, 4096)
        return data
    finally:
        _system.close(descriptor)
