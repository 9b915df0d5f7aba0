"""Sums of data files. Nothing is ever added twice.

Paths of data files come in; a database of the same format that holds their sum goes out, and for each file what became
of it. All arithmetic is SQLite's, from file to file, so memory is bounded however many files there are.

What keeps sums right is the table of processes. A process has one random name, wherever its data goes, and its states
are numbered by its flushes; of two states the newer counts. A process that may still write keeps a part of the tables
to itself, which newer data replaces. The last state of a process, from its own file or by its own word, is added to
the sum of all such, part 0, and known there from then on. Of two sums that share processes, one that has all of the
other's takes its place; sums that share only some cannot be taken apart, so the second is refused, and named.
"""

from __future__ import annotations

import contextlib
import os
import re

from instrument.data import schema, sqlite
from instrument.data.reading import BusyError, Copy, check, harden
from instrument.data.store import place_of
from instrument.errors import DataError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Any

    from instrument.data.running import ProcessRow


# What `Writer` calls its files: <host>-<pid>-<start>-<random>. Their data is of one process. One that went on in
# another file has put a number behind that.
_OF_ONE_PROCESS = re.compile(r"([A-Za-z0-9._]+-\d+-[0-9a-f]+-[A-Za-z0-9._]+?)(?:\.(\d+))?\.sqlite")

_ADD_FILES = "INSERT OR IGNORE INTO main.file (path, version) SELECT path, version FROM {source}.file"
_ADD_ROWS = f"""
    INSERT INTO main.{{table}} ({{columns}}, count, first, last)
    SELECT ?, new.id, {{keys}}, row.count, row.first, row.last
    FROM {{source}}.file AS old
    CROSS JOIN main.file AS new ON new.path = old.path AND new.version = old.version
    CROSS JOIN {{source}}.{{table}} AS row ON row.part = ? AND row.file = old.id
    WHERE row.count > 0
    ON CONFLICT ({{columns}}) DO UPDATE SET
        count = CASE WHEN count > {schema.GREATEST} - excluded.count THEN {schema.GREATEST}
                     ELSE count + excluded.count END,
        first = min(first, excluded.first), last = max(last, excluded.last)
"""
_ADD_REASONS = (
    "INSERT OR IGNORE INTO main.not_measured SELECT ?, path, reason FROM {source}.not_measured WHERE part = ?"
)
_ADD_GIVEN_OUT = """
    INSERT OR IGNORE INTO main.given_out (part, file, name, line, taker)
    SELECT ?, new.id, row.name, row.line, row.taker
    FROM {source}.file AS old
    CROSS JOIN main.file AS new ON new.path = old.path AND new.version = old.version
    CROSS JOIN {source}.given_out AS row ON row.part = ? AND row.file = old.id
"""
_COLUMNS = "pid, parent, host, started, argv, python, directory, place, ticks, flushes, updated, ended"
_ADD_PROCESS = (
    f"INSERT OR REPLACE INTO main.process (id, part, {_COLUMNS}, scope, root) "
    f"SELECT id, ?, {_COLUMNS}, {{since_2}} FROM {{source}}.process WHERE id = ?"
)


def data_files(paths: Iterable[str]) -> tuple[list[str], list[tuple[str, str]]]:
    """Return the data files that *paths* name, files themselves or folders of them, and those that are not there."""
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
            chosen = (name for name in names if name.endswith(schema.SUFFIX) and not name.startswith("."))
            files.update(dict.fromkeys(os.path.join(path, name) for name in chosen))
    return list(files), missing


class Process:
    """What of a process' row decides where its counts go."""

    __slots__ = ("ended", "flushes", "host", "id", "part", "pid", "place", "ticks")

    def __init__(
        self,
        id: str | bytes,  # noqa: A002 - what it is
        part: int,
        flushes: int,
        pid: int,
        host: str,
        place: str,
        ticks: int,
        ended: str,
    ) -> None:
        self.id = id
        self.part = part
        self.flushes = flushes
        self.pid = pid
        self.host = host
        self.place = place
        self.ticks = ticks
        self.ended = ended


def is_over(process: Process | ProcessRow, here: str, host: str) -> bool:
    """Return whether *process* has ended for certain, seen from the place *here* on *host*."""
    if process.place and process.place == here:
        # The word of the kernel. A process that said that it ends may still be there, as another program after exec.
        return place_of(process.pid)[1] != process.ticks
    if process.host == host:
        if process.place and here and process.place.partition(" ")[2] == here.partition(" ")[2]:
            return True  # it ran here before the machine was started again
        if not here and not process.ended and os.name != "nt":
            try:
                os.kill(process.pid, 0)
            except (ProcessLookupError, OverflowError):
                return True
            except OSError:
                return False
    return bool(process.ended)


class Combination:
    """A database at *path*, not there yet, that data files are added to, in a `with` statement.

    *scratch* is a folder that nobody else can reach, and so is that of *path*: SQLite obeys what lies beside a
    database. `refused` lists the files that were not added, or not in full, and why; `settled` those of which all is in
    the sum, so that they are needed no more.
    """

    def __init__(self, path: str, scratch: str) -> None:
        self.path = path
        self.scratch = scratch
        self.refused: list[tuple[str, str]] = []
        self.settled: list[str] = []
        self._next_part = 1
        self._here, self._host = place_of(os.getpid())[0], os.uname().nodename if hasattr(os, "uname") else ""
        # Process: part of the tables, and flushes, of what is held of it.
        self._held: dict[str | bytes, tuple[int, int]] = {}

    def __enter__(self) -> Combination:
        with self._named():
            self._create()
        return self

    def _create(self) -> None:
        """Make the database."""
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        os.close(descriptor)
        self.connection = sqlite.connect(self.path)
        # Texts that are no UTF-8 come from hostile files only, and are only shown.
        self.connection.text_factory = lambda data: data.decode(errors="replace")
        harden(self.connection)
        # Nobody sees the file before it is whole, and what is made of it is synchronised once, by who makes it.
        for statement in ("PRAGMA synchronous = OFF", "PRAGMA cache_size = -32000", *schema.CREATE):
            self.connection.execute(statement)

    @contextlib.contextmanager
    def _named(self) -> Iterator[None]:
        """Raise what SQLite or the system have against our own file as a DataError that names it."""
        try:
            yield
        except (OSError, sqlite.load().Error) as error:
            raise DataError(f"{self.path!r} cannot be written: {getattr(error, 'strerror', None) or error}") from error

    def __exit__(self, *_: object) -> None:
        self.connection.close()

    def add_all(self, files: Iterable[str], progress: Callable[[int, int], None] | None = None) -> None:
        """Add all *files*, in whatever order is best, and note what became of them; tell *progress* how far it is."""
        waiting = self._in_order(list(files))
        for n, path in enumerate(waiting):
            if progress:
                progress(n, len(waiting))
            try:
                if self.add(path):
                    self.settled.append(path)
            except DataError as error:
                self.refused.append((path, f"{error}"))
        if progress:
            progress(len(waiting), len(waiting))

    def _in_order(self, files: list[str]) -> list[str]:
        """Return *files*: sums before processes, large sums before small, newer states of a process before older."""
        keys: dict[str, tuple[int, str, int, int]] = {}
        for path in files:
            name = os.path.basename(path)
            match = _OF_ONE_PROCESS.fullmatch(name)
            if match:
                keys[path] = (1, match[1], int(match[2] or 1000), -_change_counter(path))
            else:
                keys[path] = (-self._n_in_sum(path), name, 0, 0)
        return sorted(files, key=lambda path: keys[path])

    def _n_in_sum(self, path: str) -> int:
        """Return how many processes' data are one sum in the file at *path*."""
        try:
            with _Attached(self, path):
                return sum(process.part == 0 for process in self._processes("source"))
        except DataError:
            return 0  # `add` will say why

    def add(self, path: str) -> bool:
        """Add the data file at *path*, or raise DataError with what is wrong with it; return whether it is settled."""
        is_own = _OF_ONE_PROCESS.fullmatch(os.path.basename(path))
        with _Attached(self, path) as copy:
            theirs = self._processes("source")
            # What a sum or a copy holds of a process that has said no last word may not be its last state.
            over = {
                process.id
                for process in theirs
                if (is_own or process.ended) and is_over(process, self._here, self._host)
            }
            if not over or copy.is_current():
                return self._merge(theirs, over)
        # A process wrote for the last time between the copy and its end.
        with _Attached(self, path):
            return self._merge(self._processes("source"), over)

    def _processes(self, which: str) -> list[Process]:
        """Return the processes in the database *which*."""
        columns = "id, part, flushes, pid, host, place, ticks, ended"
        rows = self.connection.execute(f"SELECT {columns} FROM {which}.process")
        text = schema.from_text
        return [
            Process(name, part, flushes, pid, text(host), text(place), ticks, text(ended))
            for name, part, flushes, pid, host, place, ticks, ended in rows
        ]

    def _merge(self, theirs: list[Process], over: set[str | bytes]) -> bool:
        """Add what is attached, which is of the processes *theirs*; those that are *over* will write no more."""
        self.connection.execute("BEGIN")
        wrong = ""
        try:
            for action, processes in (
                (self._merge_sum, [process for process in theirs if process.part == 0]),
                *((self._merge_process, [process]) for process in theirs if process.part != 0),
            ):
                try:
                    if processes:
                        action(processes, over)
                except DataError as error:  # raised before anything was changed
                    wrong = wrong or f"{error}"
            self.connection.execute("COMMIT")
        except BaseException:
            if self.connection.in_transaction:
                self.connection.execute("ROLLBACK")
            self._held = {process.id: (process.part, process.flushes) for process in self._processes("main")}
            raise
        if wrong:
            raise DataError(wrong)
        return all(self._is_settled(process) for process in theirs)

    def _is_settled(self, process: Process) -> bool:
        """Return whether the sum holds this state of *process*, or a newer one."""
        part, flushes = self._held.get(process.id, (-1, 0))
        return part == 0 and process.flushes <= flushes

    def _merge_sum(self, theirs: list[Process], over: set[str | bytes]) -> None:
        """Add the sum of the processes *theirs*, unless it is held already; or put it in the place of ours."""
        if all(map(self._is_settled, theirs)):
            return
        ours = {name for name, (part, _flushes) in self._held.items() if part == 0}
        names = {process.id for process in theirs}
        shared = [process for process in theirs if process.id in self._held]
        is_behind = any(process.flushes < self._held[process.id][1] for process in shared)
        if is_behind or not (ours.isdisjoint(names) or ours <= names):
            raise DataError(
                f"it holds one sum of {len(names)} processes, of which {len(shared)} are in others of these files, "
                "too, in another sum or state: to add it would count them twice; combine the files of the processes "
                "instead"
            )
        for part in {self._held[process.id][0] for process in shared}:
            self._remove(part)
        self._add("source", theirs, 0, 0)

    def _merge_process(self, theirs: list[Process], over: set[str | bytes]) -> None:
        """Add the data of the one process of *theirs*, unless the same or newer is held."""
        [process] = theirs
        part, flushes = self._held.get(process.id, (-1, -1))
        if part == 0 and flushes < process.flushes:
            raise DataError(
                f"process {process.pid} went on after its counts had been added up for good: "
                "what it counted since is not added"
            )
        if flushes < process.flushes:
            if part > 0:
                self._remove(part)
            part = 0 if process.id in over else self._next_part
            self._next_part += 1
            self._add("source", theirs, part, process.part)
        elif part > 0 and flushes == process.flushes and process.id in over:
            self._settle(process.id)

    def is_over(self, process: ProcessRow) -> bool:
        """Return whether *process* has ended for certain."""
        return is_over(process, self._here, self._host)

    def settle_all(self) -> None:
        """Make one sum of all, for reading: nothing can be added any more."""
        with self._named():
            self.connection.execute("BEGIN")
            for name, (part, _flushes) in list(self._held.items()):
                if part:
                    self._settle(name)
            self.connection.execute("COMMIT")

    def _settle(self, name: str | bytes) -> None:
        """Add the part of the process *name* to the sum."""
        part, flushes = self._held[name]
        self._add_rows("main", 0, part)
        self.connection.execute("UPDATE main.process SET part = 0 WHERE id = ?", (name,))
        self._remove(part)
        self._held[name] = 0, flushes

    def _add(self, source: str, processes: list[Process], part: int, their_part: int) -> None:
        """Add *processes* and all rows of *their_part* in the database *source* to *part*."""
        self.connection.execute(_ADD_FILES.format(source=source))
        [version] = self.connection.execute(f"PRAGMA {source}.user_version").fetchone()
        self._add_rows(source, part, their_part, version)
        add_process = _ADD_PROCESS.format(source=source, since_2="scope, root" if version > 1 else "NULL, 0")
        for process in processes:
            self.connection.execute(add_process, (part, process.id))
            self._held[process.id] = part, process.flushes

    def _add_rows(self, source: str, part: int, their_part: int, version: int = schema.VERSION) -> None:
        for table, keys in (("line", "row.line"), ("function", "row.name, row.line")):
            columns = "part, file, " + keys.replace("row.", "")
            statement = _ADD_ROWS.format(table=table, columns=columns, keys=keys, source=source)
            self.connection.execute(statement, (part, their_part))
        self.connection.execute(_ADD_REASONS.format(source=source), (part, their_part))
        if version > 2:
            self.connection.execute(_ADD_GIVEN_OUT.format(source=source), (part, their_part))

    def _remove(self, part: int) -> None:
        """Remove all rows of *part*, and its processes."""
        for table in ("line", "function", "not_measured", "given_out", "process"):
            self.connection.execute(f"DELETE FROM main.{table} WHERE part = ?", (part,))
        for name in [name for name, (other, _flushes) in self._held.items() if other == part]:
            del self._held[name]

    def may_be_written(self, path: str) -> bool:
        """Return whether the file at *path* is a process' own, and the process may still write."""
        if not _OF_ONE_PROCESS.fullmatch(os.path.basename(path)):
            return False
        try:
            with _Attached(self, path):
                return not all(is_over(process, self._here, self._host) for process in self._processes("source"))
        except DataError as error:
            return isinstance(error, BusyError)  # else it is damaged: what a process writes is whole

    @property
    def n_processes(self) -> int:
        """How many processes' counts are held."""
        return len(self._held)

    @property
    def n_running(self) -> int:
        """How many of them may still write."""
        return sum(part != 0 for part, _flushes in self._held.values())


class _Attached:
    """The data file at *path*, as the database `source` of *combination*, copied and checked."""

    def __init__(self, combination: Combination, path: str) -> None:
        self.connection, self.scratch, self.path = combination.connection, combination.scratch, path
        # Names and messages that are no UTF-8 are not SQLite's errors.
        self.errors: tuple[Any, ...] = (sqlite.load().Error, ValueError, MemoryError)

    def __enter__(self) -> Copy:
        copy = Copy(self.path, self.scratch)
        try:
            self.connection.execute("ATTACH ? AS source", (copy.uri(),))
            try:
                check(self.connection)
            except BaseException:
                self.connection.execute("DETACH source")
                raise
        except self.errors as error:
            raise DataError(f"it is damaged: {_words(error, copy)}") from error
        except DataError as error:
            raise DataError(_words(error, copy)) from error
        return copy

    def __exit__(self, kind: object, error: object, _: object) -> None:
        self.connection.execute("DETACH source")
        if isinstance(error, self.errors):
            raise DataError(f"it cannot be added: {error}") from error


def _words(error: BaseException, copy: Copy) -> str:
    """Return what *error* says, on one line and without the name of our *copy*, which means nothing to the user."""
    words = f"{error}".replace(f": {copy.uri()}", "").replace("*** in database source ***", "")
    return " ".join(words.split())


def _change_counter(path: str) -> int:
    """Return how often the database at *path* was changed, 0 if that cannot be read."""
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    except OSError:
        return 0
    try:
        return schema.word(os.read(descriptor, 28), 24)
    except OSError:
        return 0
    finally:
        os.close(descriptor)
