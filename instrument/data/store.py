"""What a measured process keeps: its counts, in a file of its own.

Totals of lines and functions come in, from time to time; a file in the format of `instrument.data.schema` goes out. It
is complete or absent: the first state is written beside and renamed, each later one is one transaction, so that a kill
at any moment leaves the previous state whole. What a process writes as it ends is not synchronised: the system keeps it
when the process is gone, only a power failure within seconds loses it, and a slow disk would hold the end up.

No connection outlives a call, so none crosses a fork; nobody else ever locks the file (`instrument.data.reading` reads
a copy), so nobody holds the process up.

SQLite obeys what lies beside a database: a journal can name further files for it to delete. So nothing is written to a
folder that another user could write to, unless that is asked for. A live process leaves no journal behind between two
writes; if there is one all the same, the file is not opened again, and the process goes on in another file.

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
from instrument.guest.own_builtins import system as _system
from instrument.guest.trusted_files import objection_to_folder

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from sqlite3 import Connection
    from typing import Any, TypeAlias

    #: The absolute path of a source file, and the version of it that the code was compiled from.
    FileKey: TypeAlias = tuple[str, str]
    #: A count, and when it was first and last seen to grow, in seconds since the epoch.
    Seen: TypeAlias = tuple[int, float, float]
    #: A function of a file: its qualified name and first line, and what its original code was given to.
    GivenOut: TypeAlias = tuple[FileKey, str, int, str]

# In a tuple, because tools that stop the clock in tests exchange the attributes of modules.
_clock: tuple[Callable[[], float], ...] = (time.time,)
_SEPARATOR, _IS_WINDOWS = os.sep, os.name == "nt"

# Rows in one statement. SQLite admits 999 parameters before 3.32, and 32,766 since.
_ROWS = (1000, 190, 16)
_ROWS_OF_OLD = (190, 16)

#: A file that somebody else locks for longer than so many seconds is replaced.
_LOCKED = 0.25
_MOST_NAMES = 999

_INSERT_LINES = "INSERT OR REPLACE INTO line (part, file, line, count, first, last) VALUES "
_INSERT_FUNCTIONS = "INSERT OR REPLACE INTO function (part, file, name, line, count, first, last) VALUES "
_INSERT_GIVEN_OUT = "INSERT OR IGNORE INTO given_out (part, file, name, line, taker) VALUES "


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
    """Which process counts are of. `id` is random: pids and times come again, it does not.

    `scope` is what the process measures, one item a line; '' is the project's own code, None is unknown. `root` is the
    number of the outermost measured process that it comes from, 0 if that is not known.
    """

    __slots__ = ("argv", "cwd", "host", "id", "parent", "pid", "python", "root", "scope", "started")

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
        scope: str | None = None,
        root: int = 0,
    ) -> None:
        self.scope = scope
        self.root = root
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
            python=sys.version.partition(" ")[0] + ("", " -O", " -OO")[min(sys.flags.optimize, 2)],
            cwd=cwd,
            id=_system.urandom(8).hex() + (f".{interpreter}" if interpreter else ""),
        )


class Writer:
    """Keeps the counts of one process in the file at `path`, which the first `write` makes.

    Values are totals since the process began: writing one again does no harm. What was once written need not be passed
    again unless it has changed, or unless `write` raised DataGoneError.

    A file that cannot be written any more, because it was removed, damaged, given to another user or locked, is
    replaced by a new one with all totals. If it cannot be replaced, the new one has another name: then two files hold
    this process, and readers take the one with more flushes.
    """

    def __init__(self, directory: str, process: ProcessInfo, *, shared: bool = False) -> None:
        """Prepare for *process*, which is this one, to keep its counts in *directory*; touch nothing yet.

        If *shared*, other users may write to *directory*, too, or own it: all of them are trusted.
        """
        self.process = process
        self.directory = directory
        self.shared = shared
        started = max(0, int(process.started * 1e9))
        self._first_name = f"{_in_file_names(process.host)}-{process.pid}-{started:x}-{_in_file_names(process.id)}"
        self._n_names = 0
        self._call(self._first_name)
        self._pid = _system.getpid()
        self._had_file = False
        self._owner = -1
        self._flushes = 0
        #: The folder, kept open, and what identifies it: see `hold_folder`.
        self._folder: tuple[int, int, int] | None = None
        self._forget()

    def _call(self, name: str) -> None:
        """Let *name* be that of the file from now on."""
        self._name = name
        self.path = f"{self.directory}{_SEPARATOR}{name}{schema.SUFFIX}"
        self._temporary = f"{self.directory}{_SEPARATOR}.{name}.tmp"

    def _forget(self) -> None:
        """Begin again, with a new file."""
        self._begun = False
        self._files: dict[FileKey, int] = {}
        self._reasons: dict[str, str] = {}
        self._given_out: set[GivenOut] = set()
        self._ended = ""

    def write(
        self,
        lines: Iterable[tuple[FileKey, Mapping[int, Seen]]],
        functions: Iterable[tuple[FileKey, Mapping[tuple[str, int], Seen]]],
        not_measured: Mapping[str, str],
        ended: str = "",
        given_out: Iterable[GivenOut] = (),
    ) -> None:
        """Add *lines*, *functions*, the reasons of *not_measured* and the functions that were *given_out*, all or
        nothing; *ended* says how the process did.

        Raise DataError if that cannot be done: what was written before is then still there, and what was passed is to
        be passed again. If the error is DataGoneError, all that was ever passed is.
        """
        if self._pid != _system.getpid():
            raise DataError(f"counts of process {_system.getpid()} do not belong in {self.path!r}: make a new Writer")
        error_of_sqlite = sqlite.load().Error
        # What is only true once the transaction is: taken over at its end.
        new = _Changes(self, not_measured, ended, given_out)
        try:
            if self._is_out_of_reach():
                self._create_in_held_folder(new, lines, functions)
            elif self._begun:
                self._update(new, lines, functions, synchronises=not ended)
            else:
                self._create(new, lines, functions, synchronises=not ended)
        except (OSError, error_of_sqlite) as error:
            reason = _reason(error, self.directory)
            if self._begun and getattr(error, "sqlite_errorname", "") != "SQLITE_FULL":  # no room for a new one
                self._forget()
                raise DataGoneError(
                    f"the data file {self.path!r} cannot be written any more: {reason}; the next write makes a new "
                    "one, with all counts"
                ) from error
            raise DataError(f"counts cannot be saved to {self.path!r}: {reason}") from error
        self._begun = self._had_file = True
        self._files.update(new.files)
        self._reasons.update(new.reasons)
        self._given_out.update(new.given_out)
        self._ended, self._flushes = ended, new.flushes

    def _create(self, new: _Changes, lines: Iterable[Any], functions: Iterable[Any], synchronises: bool) -> None:
        """Write the first state, to a new file, which is complete or absent: until the rename it is no data file.

        It is renamed before it is synchronised: readers need not wait for a slow disk, and a kill meanwhile loses
        nothing. After a power failure it may be empty or damaged, which readers report.
        """
        is_new = self._make_directory()
        self._check_directory()
        if is_new and self.directory.endswith(f"{_SEPARATOR}.instrument"):
            self._have_git_ignore_it()
        while _beside(self.path) or _beside(self._temporary):
            self._take_another_name()
        try:
            descriptor = _system.open(self._temporary, _CREATE_NEW, 0o600)
        except FileExistsError:  # it was ours, and could not be removed
            _system.unlink(self._temporary)
            descriptor = _system.open(self._temporary, _CREATE_NEW, 0o600)
        self._owner = _system.fstat(descriptor).st_uid
        _system.close(descriptor)
        renamed = False
        try:
            connection = sqlite.connect(self._temporary, is_private=True)
            try:
                # Nobody sees the file before it is whole: it needs no journal, and is synchronised once, if at all.
                connection.execute("PRAGMA journal_mode = OFF")
                connection.execute("PRAGMA synchronous = OFF")
                self._fill(connection, new, lines, functions)
            finally:
                connection.close()
            self._rename()
            renamed = True
        finally:
            if not renamed:
                try:
                    _system.unlink(self._temporary)
                except OSError:
                    pass
        if synchronises:
            _synchronise(self.path, _system.O_RDWR)
            if not _IS_WINDOWS:
                _synchronise(self.directory, _system.O_RDONLY)

    def _rename(self) -> None:
        """Give the temporary file its name: another one, if there is something that cannot be replaced."""
        try:
            _system.rename(self._temporary, self.path)
        except OSError:
            if not self._flushes or self._n_names == _MOST_NAMES:
                raise
            temporary = self._temporary
            self._take_another_name()
            while _beside(self.path):
                self._take_another_name()
            _system.rename(temporary, self.path)

    def _take_another_name(self) -> None:
        """Let the next file have another name."""
        if self._n_names == _MOST_NAMES:
            raise DataError(f"counts cannot be saved in {self.directory!r}: another process makes journals there")
        # Readers take the files of one process in the order of their names, and need the newest first.
        self._n_names += 1
        self._call(f"{self._first_name}.{_MOST_NAMES - self._n_names:03}")

    # When the path of the folder means another one

    def hold_folder(self) -> None:
        """Keep the folder open, made if need be: after a `chroot` its path will not lead there."""
        if self._folder is None and not _IS_WINDOWS:
            self._make_directory()
            descriptor = _system.open(self.directory, _system.O_RDONLY | getattr(os, "O_CLOEXEC", 0))
            status = _system.fstat(descriptor)
            self._folder = descriptor, status.st_dev, status.st_ino

    def _is_out_of_reach(self) -> bool:
        """Return whether the folder can only be reached by way of the one that is held."""
        if self._folder is None:
            return False
        descriptor, *identity = self._folder
        try:
            status = _system.fstat(descriptor)
            if [status.st_dev, status.st_ino] != identity:  # the program has closed it
                return False
        except OSError:
            return False
        try:
            status = _system.stat(self.directory)
        except OSError:
            return bool(_system.fstat(descriptor).st_nlink)
        return [status.st_dev, status.st_ino] != identity

    def _create_in_held_folder(self, new: _Changes, lines: Iterable[Any], functions: Iterable[Any]) -> None:
        """Write all to a new file in the folder that is held. SQLite opens files by their path: it makes the file in
        memory.
        """
        if self._begun:
            self._forget()
            raise DataGoneError(f"the data file {self.path!r} is out of reach; all counts are needed for a new one")
        assert self._folder is not None
        folder = self._folder[0]
        connection = sqlite.load().connect(":memory:", isolation_level=None)
        try:
            self._fill(connection, new, lines, functions)
            data: bytes = connection.serialize()
        except AttributeError as error:  # an old SQLite
            raise DataError(f"counts cannot be saved to {self.path!r}: its path leads elsewhere now") from error
        finally:
            connection.close()
        temporary = f".{self._name}.tmp"
        descriptor = _system.open(temporary, _CREATE_NEW, 0o600, dir_fd=folder)
        try:
            try:
                rest = memoryview(data)
                while rest:
                    rest = rest[_system.write(descriptor, rest) :]
            finally:
                _system.close(descriptor)
            _system.rename(temporary, f"{self._name}{schema.SUFFIX}", src_dir_fd=folder, dst_dir_fd=folder)
        except BaseException:
            _system.unlink(temporary, dir_fd=folder)
            raise

    def _fill(self, connection: Connection, new: _Changes, lines: Iterable[Any], functions: Iterable[Any]) -> None:
        """Write the first state to *connection*, to an empty database."""
        connection.execute("BEGIN IMMEDIATE")
        for statement in schema.CREATE:
            connection.execute(statement)
        connection.execute(f"INSERT INTO process VALUES ({', '.join('?' * 16)})", self._describe())
        new.write(connection, lines, functions)
        connection.execute("COMMIT")

    def _update(self, new: _Changes, lines: Iterable[Any], functions: Iterable[Any], synchronises: bool) -> None:
        """Write what changed, in one transaction. A write of nothing new touches nothing."""
        path = self.path
        try:
            status = _system.lstat(path)
        except (FileNotFoundError, NotADirectoryError) as error:
            self._forget()
            raise DataGoneError(
                f"the data file {path!r} was removed; the next write makes a new one, with all counts"
            ) from error
        self._check_directory()
        beside = _beside(path)
        if beside or status.st_mode & 0o170000 != 0o100000 or status.st_uid != self._owner:
            self._forget()
            what = f"{beside!r} was not left by this process" if beside else "it was replaced"
            raise DataGoneError(
                f"the data file {path!r} cannot be written any more: {what}; the next write makes a new one, with all "
                "counts"
            )
        connection = sqlite.connect(path, timeout=_LOCKED)
        try:
            connection.execute(f"PRAGMA synchronous = {'NORMAL' if synchronises else 'OFF'}")
            connection.execute("BEGIN")
            new.write(connection, lines, functions)
            connection.execute("COMMIT")
        finally:
            connection.close()  # rolls back what was not committed

    def _describe(self) -> tuple[object, ...]:
        """Return the row of this process, before its first flush."""
        process, to_text = self.process, schema.to_text
        scope = process.scope if process.scope is None else to_text(process.scope)
        place, ticks = place_of(process.pid)
        return (
            *(process.id, 1, process.pid, process.parent, to_text(process.host), _within(process.started)),
            *(to_text("\n".join(process.argv)), process.python, to_text(process.cwd), place, ticks, 0, 0.0, ""),
            *(scope, process.root),
        )

    def _check_directory(self) -> None:
        """Raise DataError if another user could make files in the folder, unless it is shared."""
        objection = "" if self.shared else objection_to_folder(self.directory, lenient=True)
        if objection:
            chmod = "take that right away with chmod go-w, " if objection.startswith("others can") else ""
            raise DataError(
                f"nothing is written to {self.directory!r}: {objection}; who can write there could have SQLite "
                f"delete files of this user; {chmod}name another folder with INSTRUMENT_DIR, or set "
                "INSTRUMENT_SHARED=1 if all who can write there are trusted"
            )

    def _have_git_ignore_it(self) -> None:
        """Tell git that nothing in the folder, which is new, belongs to a repository."""
        try:
            descriptor = _system.open(f"{self.directory}{_SEPARATOR}.gitignore", _CREATE_NEW, 0o600)
            try:
                _system.write(descriptor, b"*\n")
            finally:
                _system.close(descriptor)
        except OSError:
            pass

    def _make_directory(self) -> bool:
        """Make the folder, and those above it; return whether it is new.

        If it was there before, only itself is made: a tree that was removed stays removed.
        """
        missing: list[str] = []
        is_new = False
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
                _system.mkdir(folder, 0o700)
            except FileExistsError:  # another process was faster
                is_new = False
            else:
                is_new = True
        return is_new


class _Changes:
    """What one call of `Writer.write` adds, and the state that it leads to."""

    def __init__(
        self, writer: Writer, not_measured: Mapping[str, str], ended: str, given_out: Iterable[GivenOut]
    ) -> None:
        self.id = writer.process.id
        self.known = writer._files
        self.files: dict[FileKey, int] = {}
        self.reasons = {path: why for path, why in not_measured.items() if writer._reasons.get(path) != why}
        self.given_out = [each for each in given_out if each not in writer._given_out]
        self.flushes = writer._flushes + 1
        self.ended, self.ended_before = ended, writer._ended
        self.is_first = not writer._begun

    def write(self, connection: Connection, lines: Iterable[Any], functions: Iterable[Any]) -> None:
        """Write all of it to *connection*, in whose transaction it stands or falls."""
        n_rows = connection.total_changes
        _insert(connection, _INSERT_LINES, "(1, ?, ?, ?, ?, ?)", 5, self._rows_of_lines(lines))
        _insert(connection, _INSERT_FUNCTIONS, "(1, ?, ?, ?, ?, ?, ?)", 6, self._rows_of_functions(functions))
        _insert(connection, _INSERT_GIVEN_OUT, "(1, ?, ?, ?, ?)", 4, self._rows_of_given_out())
        for (path, version), number in self.files.items():
            row = number, schema.to_text(path), schema.to_text(version)
            connection.execute("INSERT INTO file (id, path, version) VALUES (?, ?, ?)", row)
        for path, why in self.reasons.items():
            row_of_path = (schema.to_text(path),)
            connection.execute("DELETE FROM not_measured WHERE part = 1 AND path = ?", row_of_path)
            row_of_reason = (schema.to_text(path), schema.to_text(why))
            connection.execute("INSERT INTO not_measured (part, path, reason) VALUES (1, ?, ?)", row_of_reason)
        if self.is_first or connection.total_changes != n_rows or self.ended != self.ended_before:
            state = (self.flushes, _within(_clock[0]()), schema.to_text(self.ended), self.id)
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
                    yield number, line, count, _within(first), _within(last)

    def _rows_of_functions(
        self, functions: Iterable[tuple[FileKey, Mapping[tuple[str, int], Seen]]]
    ) -> Iterator[tuple[object, ...]]:
        for key, seen in functions:
            if seen:
                number = self._number(key)
                for (name, line), (count, first, last) in seen.items():
                    yield number, schema.to_text(name), line, count, _within(first), _within(last)

    def _rows_of_given_out(self) -> Iterator[tuple[object, ...]]:
        for key, name, line, taker in self.given_out:
            yield self._number(key), schema.to_text(name), line, schema.to_text(taker)


def _within(moment: float) -> float:
    """Return *moment*, or the nearest time that a data file can hold: a clock may say anything."""
    if 0.0 <= moment <= schema.LATEST:
        return moment
    return schema.LATEST if moment > 0 else 0.0


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
_CREATE_NEW |= getattr(os, "O_NOFOLLOW", 0)
#: What SQLite looks for beside a database.
_BESIDE = ("-journal", "-wal", "-shm")
_NAME = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._")


def _beside(path: str) -> str:
    """Return the path of a file that SQLite would obey with the database at *path*; "" if there is none."""
    for suffix in _BESIDE:
        try:
            _system.lstat(path + suffix)
        except (FileNotFoundError, NotADirectoryError):
            continue
        return path + suffix
    return ""


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
    if isinstance(error, PermissionError) and hasattr(_system, "geteuid"):
        folder = f"user {_system.geteuid()} cannot write to its folder"
        return f"{error.strerror or error}: {folder}; INSTRUMENT_DIR can name one that it can write to"
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
