"""Writer: keeps the counts of one process in a data file of its own.

Totals of lines and functions come in from time to time; a file in the format of `instrument.data.schema` goes out.

A process that ends before it has written gets a compact file (`instrument.data.compact`). If it goes on and writes
again, all totals go to an SQLite file, and then the compact file is removed.

The file is complete or absent. Its first state is written beside it and renamed, and each later flush is one
transaction. So a kill at any moment leaves the state before that moment. The last flush of a process is not
synchronised. The system keeps the data, and only a power failure within seconds would lose it.

No connection outlives a call, so no connection crosses a fork. Readers copy the file (`instrument.data.reader`) and
never lock it.

SQLite obeys files beside a database: a journal can name further files for SQLite to delete. So the writer refuses a
folder that another user could write to, unless the settings allow it. Between two flushes there is no journal. If there
is one all the same, the writer does not open the file again, and writes to another file.

This code runs inside the measured program. So it calls functions of the system by `own_builtins.system`, and
`instrument.data.sqlite` loads SQLite when it is first needed.
"""

from __future__ import annotations

import os

from instrument.data import schema
from instrument.data.process_identity import CLOCK, KernelIdentity, in_file_names
from instrument.guest.atomic_files import remove_file, synchronise, write_all
from instrument.guest.own_builtins import system as _system
from instrument.guest.own_imports import errors
from instrument.guest.trusted_files import HeldFolder, objection_to_folder
from instrument.plans.plan_folder import PlanFolder

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from sqlite3 import Connection
    from typing import Any

    from instrument.data.process_identity import ProcessInfo
    from instrument.data.rows import ContextRow, Flush, GivenOut, PatternRow, ProbeRow, Tallies, WrittenState

_SEPARATOR, _IS_WINDOWS = os.sep, os.name == "nt"
_CREATE_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
_CREATE_NEW |= getattr(os, "O_NOFOLLOW", 0)

#: Seconds after which a file that another program locks is replaced.
_LOCK_TIMEOUT = 0.25
#: The greatest number of file names that one process tries.
_MOST_NAMES = 999
#: Suffixes of the files that SQLite looks for beside a database.
_SUFFIXES_BESIDE = ("-journal", "-wal", "-shm")


class Writer:
    """Keeps the counts of one process in the file at `path`, which the first `write` creates, or in a compact file.

    Values are totals since the process began, so writing one again does no harm. A value needs to be passed again if it
    has changed, or if `write` raised DataGoneError.

    The file may be removed, damaged, given to another user, or locked. Then a new file with all totals replaces it. If
    it cannot be replaced, the new file has another name. Then two files hold this
    process, and readers take the one with more flushes.
    """

    def __init__(
        self, directory: str, process: ProcessInfo, *, shared: bool = False, has_contexts: bool = False
    ) -> None:
        """Keep the counts of *process*, which is this one, in *directory*; touch nothing yet.

        If the process *has_contexts*, no compact file is written: it has no place for these.

        With *shared*, *directory* may belong to other users, or they may write there: all of them are trusted.
        """
        self.process = process
        self.directory = directory
        self.shared = shared
        started = max(0, int(process.started * 1e9))
        self._first_name = f"{process.name_in_files()}-{started:x}-{in_file_names(process.id)}"
        self._n_names = 0
        self._set_name(self._first_name)
        self._pid = _system.getpid()
        self._had_file = False
        #: The user that owns the file.
        self._owner = -1
        self._n_flushes = 0
        self._held_folder: HeldFolder | None = None
        #: None before the first write to an SQLite file, and if that is lost.
        self._state: WrittenState | None = None
        #: Whether an SQLite file of this process was made, may have been, or will be.
        self._has_database = has_contexts
        #: The name of the compact file of this process in its folder, "" if there is none.
        self._compact_name = ""
        #: Whether the next write needs all totals: they are in the compact file, which is never changed.
        self._needs_all = False
        self._plans = PlanFolder(directory, shared=shared)

    def writes_compact(self) -> bool:
        """Return whether an early write, or one that says how the process ended, writes a compact file."""
        return not self._has_database

    def _set_name(self, name: str) -> None:
        """Use *name* for the file from now on."""
        self._name = name
        self.path = f"{self.directory}{_SEPARATOR}{name}{schema.SUFFIX}"
        self._temporary = f"{self.directory}{_SEPARATOR}.{name}.tmp"

    def write(
        self,
        tallies: Tallies,
        not_measured: Mapping[str, str],
        ended: str = "",
        given_out: Iterable[GivenOut] = (),
        probes: Iterable[ProbeRow] = (),
        patterns: Iterable[PatternRow] = (),
        contexts: Iterable[ContextRow] = (),
        is_early: bool = False,
    ) -> None:
        """Write all that has changed, or nothing. A value of *ended* says how the process ended.

        If it *is_early*, no SQLite file is made yet: the process may end soon. *tallies* has, for the field of
        each fact, file versions with their tallies, perhaps in several chunks. *not_measured* maps paths to reasons.
        *given_out* has the functions that were given out. *probes* has the counts of the probes of code groups. A
        compact file that has these needs no tallies. *patterns* and *contexts* have new patterns, and contexts that
        have changed.

        Raise DataError if nothing could be written: pass the same again. Raise DataGoneError if the file is lost: pass
        all totals since the process began.
        """
        if self._pid != (pid := _system.getpid()):
            raise errors.DataError(f"counts of process {pid} do not belong in {self.path!r}: make a new Writer")
        if self._needs_all:
            self._needs_all = False
            raise errors.DataGoneError(f"{self._compact_name!r} is replaced by a file with all counts, which it needs")
        if (ended or is_early) and not self._has_database:
            self._write_compact(tallies, not_measured, ended, given_out, probes)
            return
        from instrument.data.rows import Flush, WrittenState

        if self._state is None:
            self._state = WrittenState()
        flush = Flush(
            self.process.id,
            self._state,
            self._n_flushes + 1,
            tallies=tallies,
            not_measured=not_measured,
            ended=ended,
            given_out=given_out,
            probes=probes,
            patterns=patterns,
            contexts=contexts,
            plans=self._plans,
        )
        self._write_flush(flush, self._state, synchronises=not ended)
        self._had_file = True
        flush.commit()
        self._n_flushes = flush.number
        self._remove_compact()

    def _write_flush(self, flush: Flush, state: WrittenState, *, synchronises: bool) -> None:
        """Write *flush* to the data file, which is in this *state*; raise errors as `write` does."""
        from instrument.data import sqlite

        error_of_sqlite = sqlite.load().Error
        try:
            if self._held_folder is not None and self._held_folder.is_out_of_reach(self.directory):
                self._create_in_held_folder(flush, self._held_folder)
            elif state.is_new:
                self._create(flush, synchronises)
            else:
                self._update(flush, synchronises)
        except (OSError, error_of_sqlite) as error:
            reason = _reason(error, self.directory)
            is_full = getattr(error, "sqlite_errorname", "") == "SQLITE_FULL"  # then there is no room for a new file
            if not state.is_new and not is_full:
                self._state = None
                raise errors.DataGoneError(
                    f"the data file {self.path!r} cannot be written any more: {reason}; the next write makes a new "
                    "one, with all counts"
                ) from error
            raise errors.DataError(f"counts cannot be saved to {self.path!r}: {reason}") from error

    def _create(self, flush: Flush, synchronises: bool) -> None:
        """Write the first state to a new file, which is complete or absent: until the rename it is no data file.

        The rename comes before the synchronisation. So readers need not wait for a slow disk, and a kill loses nothing.
        After a power failure the file may be empty or damaged, which readers report.
        """
        self._prepare_directory()
        self._plans.use(None)
        while _file_beside(self.path) or _file_beside(self._temporary):
            self._use_next_name()
        from instrument.data import sqlite

        descriptor = self._open_temporary()
        self._owner = _system.fstat(descriptor).st_uid
        _system.close(descriptor)
        try:
            connection = sqlite.connect(self._temporary, is_private=True)
            try:
                # No reader sees the file before it is complete, so a journal and synchronous writes have no use.
                connection.execute("PRAGMA journal_mode = OFF")
                connection.execute("PRAGMA synchronous = OFF")
                self._fill(connection, flush)
            finally:
                connection.close()
            self._has_database = True
            self._rename()
        except BaseException:
            remove_file(self._temporary)
            raise
        if synchronises:
            synchronise(self.path, _system.O_RDWR)
            if not _IS_WINDOWS:
                synchronise(self.directory, _system.O_RDONLY)

    def _write_compact(
        self,
        tallies: Tallies,
        not_measured: Mapping[str, str],
        ended: str,
        given_out: Iterable[GivenOut],
        probes: Iterable[ProbeRow],
    ) -> None:
        """Write all totals to a compact file. Raise DataError if that is impossible.

        Raise DataGoneError if the file would be too large: SQLite has to write all totals.
        """
        from instrument.data.compact import LARGEST, writing

        row = self._row_of_process()
        row.update(flushes=self._n_flushes + 1, updated=CLOCK[0](), ended=ended)
        probes = list(probes)
        data = writing.encoded(row, tallies, not_measured, given_out, probes)
        if len(data) > LARGEST:
            self._has_database = True
            raise errors.DataGoneError("SQLite writes so many counts")
        try:
            if self._held_folder is not None and self._held_folder.is_out_of_reach(self.directory):
                self._plans.use(self._held_folder.descriptor)
                self._save_plans(probes)
                self._make_in_held_folder(data, self._held_folder, schema.COMPACT_SUFFIX)
            else:
                self._prepare_directory()
                self._plans.use(None)
                self._save_plans(probes)
                descriptor = self._open_temporary()
                try:
                    _write_and_close(descriptor, data)
                    self._rename(schema.COMPACT_SUFFIX)
                except BaseException:
                    remove_file(self._temporary)
                    raise
        except OSError as error:
            reason = _reason(error, self.directory)
            path = self._path_of(schema.COMPACT_SUFFIX)
            raise errors.DataError(f"counts cannot be saved to {path!r}: {reason}") from error
        self._had_file = self._needs_all = True
        self._n_flushes += 1
        self._compact_name = f"{self._name}{schema.COMPACT_SUFFIX}"

    def _save_plans(self, probes: Iterable[ProbeRow]) -> None:
        """Write the plan files that *probes* need; raise OSError if that is impossible."""
        for _file, name, _counts, content in probes:
            self._plans.save(name, content)

    def _remove_compact(self) -> None:
        """Remove the compact file, if there is one: an SQLite file has all its counts, and more flushes."""
        if not self._compact_name:
            return
        name, folder = self._compact_name, self._held_folder
        self._compact_name, self._needs_all = "", False
        try:
            if folder is not None and folder.is_out_of_reach(self.directory):
                _system.unlink(name, dir_fd=folder.descriptor)
            else:
                _system.unlink(f"{self.directory}{_SEPARATOR}{name}")
        except OSError:  # readers take the file with more flushes
            pass

    def _prepare_directory(self) -> None:
        """Make the folder if need be; raise DataError if this process must not write there."""
        is_new = self._make_directory()
        self._check_directory()
        if is_new and self.directory.endswith(f"{_SEPARATOR}.instrument"):
            self._write_gitignore()

    def _open_temporary(self) -> int:
        """Return the descriptor of a new temporary file, open for writing."""
        try:
            return int(_system.open(self._temporary, _CREATE_NEW, 0o600))
        except FileExistsError:  # a leftover of this process that could not be removed
            _system.unlink(self._temporary)
            return int(_system.open(self._temporary, _CREATE_NEW, 0o600))

    def _rename(self, suffix: str = schema.SUFFIX) -> None:
        """Give the temporary file its name with *suffix*, or another name if the file there cannot be replaced."""
        try:
            _system.rename(self._temporary, self._path_of(suffix))
        except OSError:
            if not self._n_flushes or self._n_names == _MOST_NAMES:
                raise
            temporary = self._temporary
            self._use_next_name()
            while _file_beside(self.path):
                self._use_next_name()
            _system.rename(temporary, self._path_of(suffix))

    def _path_of(self, suffix: str) -> str:
        """Return the path of the file of this process with *suffix*."""
        return f"{self.directory}{_SEPARATOR}{self._name}{suffix}"

    def _use_next_name(self) -> None:
        """Change `path` to the next name of this process' files, or raise DataError if all names were tried."""
        if self._n_names == _MOST_NAMES:
            raise errors.DataError(
                f"counts cannot be saved in {self.directory!r}: another process makes journals there"
            )
        # Readers take the files of one process in the order of their names, and need the newest first.
        self._n_names += 1
        self._set_name(f"{self._first_name}.{_MOST_NAMES - self._n_names:03}")

    def hold_folder(self) -> None:
        """Keep the folder open, and make it if need be: after a `chroot` its path will not lead there.

        Raise OSError if the folder cannot be opened.
        """
        if self._held_folder is None and not _IS_WINDOWS:
            self._make_directory()
            self._held_folder = HeldFolder(self.directory)

    def _create_in_held_folder(self, flush: Flush, folder: HeldFolder) -> None:
        """Write all to a new file in *folder*. SQLite opens files by path only, so the file is made in memory."""
        if self._state is not None and not self._state.is_new:
            self._state = None
            raise errors.DataGoneError(
                f"the data file {self.path!r} is out of reach; all counts are needed for a new one"
            )
        from instrument.data import sqlite

        self._plans.use(folder.descriptor)
        connection = sqlite.load().connect(":memory:", isolation_level=None)
        try:
            self._fill(connection, flush)
            data: bytes = connection.serialize()
        except AttributeError as error:  # SQLite is older than 3.36, or built without it
            raise errors.DataError(f"counts cannot be saved to {self.path!r}: its path leads elsewhere now") from error
        finally:
            connection.close()
        self._has_database = True
        self._make_in_held_folder(data, folder, schema.SUFFIX)

    def _make_in_held_folder(self, data: bytes, folder: HeldFolder, suffix: str) -> None:
        """Make the file of this process with *suffix* in *folder*, or raise OSError."""
        temporary = f".{self._name}.tmp"
        descriptor = _system.open(temporary, _CREATE_NEW, 0o600, dir_fd=folder.descriptor)
        try:
            _write_and_close(descriptor, data)
            name = f"{self._name}{suffix}"
            _system.rename(temporary, name, src_dir_fd=folder.descriptor, dst_dir_fd=folder.descriptor)
        except BaseException:
            _system.unlink(temporary, dir_fd=folder.descriptor)
            raise

    def _fill(self, connection: Connection, flush: Flush) -> None:
        """Create the tables in the empty database of *connection*, and write the first state."""
        connection.execute("BEGIN IMMEDIATE")
        for statement in schema.create():
            connection.execute(statement)
        row = [schema.to_text(value) if type(value) is str else value for value in self._row_of_process().values()]
        connection.execute(f"INSERT INTO process VALUES ({', '.join('?' * 16)})", row)
        flush.write(connection)
        connection.execute("COMMIT")

    def _update(self, flush: Flush, synchronises: bool) -> None:
        """Write all changes in one transaction. If nothing has changed, the file is not touched.

        Raise DataGoneError if the file is not as this process left it.
        """
        path = self.path
        try:
            status = _system.lstat(path)
        except (FileNotFoundError, NotADirectoryError) as error:
            self._state = None
            raise errors.DataGoneError(
                f"the data file {path!r} was removed; the next write makes a new one, with all counts"
            ) from error
        self._check_directory()
        beside = _file_beside(path)
        if beside or status.st_mode & 0o170000 != 0o100000 or status.st_uid != self._owner:
            self._state = None
            reason = f"{beside!r} was not left by this process" if beside else "it was replaced"
            raise errors.DataGoneError(
                f"the data file {path!r} cannot be written any more: {reason}; the next write makes a new one, with "
                "all counts"
            )
        from instrument.data import sqlite

        connection = sqlite.connect(path, timeout=_LOCK_TIMEOUT)
        try:
            connection.execute(f"PRAGMA synchronous = {'NORMAL' if synchronises else 'OFF'}")
            connection.execute("BEGIN")
            flush.write(connection)
            connection.execute("COMMIT")
        finally:
            connection.close()  # rolls an uncommitted transaction back

    def _row_of_process(self) -> dict[str, Any]:
        """Return the row of this process in the table `process`, before its first flush, by column."""
        process, identity = self.process, KernelIdentity(self.process.pid)
        row = (
            *(process.id, 1, process.pid, process.parent, process.host, schema.within_range(process.started)),
            *("\n".join(process.argv), process.python, process.cwd, identity.place, identity.ticks, 0, 0.0, ""),
            *(process.scope, process.root),
        )
        return dict(zip(schema.COLUMNS_OF_PROCESS, row))

    def _check_directory(self) -> None:
        """Raise DataError if another user could make files in the folder, unless the folder is shared."""
        objection = "" if self.shared else objection_to_folder(self.directory, lenient=True)
        if objection:
            chmod = "take that right away with chmod go-w, " if objection.startswith("others can") else ""
            raise errors.DataError(
                f"nothing is written to {self.directory!r}: {objection}; who can write there could have SQLite "
                f"delete files of this user; {chmod}name another folder with INSTRUMENT_DIR, or set "
                "INSTRUMENT_SHARED=1 if all who can write there are trusted"
            )

    def _write_gitignore(self) -> None:
        """Write a file by which git ignores the new folder; do without it if that fails."""
        try:
            descriptor = _system.open(f"{self.directory}{_SEPARATOR}.gitignore", _CREATE_NEW, 0o600)
            try:
                _system.write(descriptor, b"*\n")
            finally:
                _system.close(descriptor)
        except OSError:
            pass

    def _make_directory(self) -> bool:
        """Make the folder, and those above it; return whether the folder is new.

        After a file was written, only the folder itself is made again: a tree that was removed stays removed.
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


def _write_and_close(descriptor: int, data: bytes) -> None:
    """Write *data* to *descriptor*, and close it in any case."""
    try:
        write_all(descriptor, data)
    finally:
        _system.close(descriptor)


def _file_beside(path: str) -> str:
    """Return the path of a file that SQLite would obey together with the database at *path*, "" if there is none."""
    for suffix in _SUFFIXES_BESIDE:
        try:
            _system.lstat(path + suffix)
        except (FileNotFoundError, NotADirectoryError):
            continue
        return path + suffix
    return ""


def _reason(error: BaseException, directory: str) -> str:
    """Return the text of *error*, or the reason in the folder, which SQLite does not give."""
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
