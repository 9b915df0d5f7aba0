"""Merges data files into one sum. No count is ever added twice.

Paths of data files come in; a database of the same format that holds their sum goes out. `Merge.refused` names the
files that are not in the sum. SQLite does all arithmetic, from file to file, so memory is bounded for any number of
files.

Problem: data files overlap. A file may be a copy, an older state of a process, or a sum that has a process already.
Solution: the table `process` tells. A process has one random id in all files, and numbers its states by its flushes:
the state with more flushes counts. A process that may still write has a part of the tables to itself, which newer data
replaces. The last state of an ended process is added to part 0, the sum of all ended processes. Of two sums that share
processes, a sum that has all processes of the other replaces it. Sums that share some processes cannot be taken apart,
so the second is refused, and named.
Alternatives: to keep each process apart needs memory and time for each process, however many there are.
"""

from __future__ import annotations

import contextlib
import os
from typing import NamedTuple

from instrument.data import schema, sqlite
from instrument.data.compact.reading import CompactDatabase
from instrument.data.contexts.merging import ContextRows
from instrument.data.data_files import OF_ONE_PROCESS, is_running
from instrument.data.reader import Copy, check, harden
from instrument.data.running.processes import Observer, ProcessState
from instrument.errors import BusyError, DataError
from instrument.model.measurement import FACTS
from instrument.plans.found_plans import Plans
from instrument.plans.plan_rows import PlanRows

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Any

    from instrument.model.measured_process import MeasuredProcess


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
_ADD_PROBE_COUNTS = """
    INSERT INTO main.probe_counts (part, file, plan, counts)
    SELECT ?, new.id, row.plan, row.counts
    FROM {source}.file AS old
    CROSS JOIN main.file AS new ON new.path = old.path AND new.version = old.version
    CROSS JOIN {source}.probe_counts AS row ON row.part = ? AND row.file = old.id
    WHERE true
    ON CONFLICT (part, file, plan) DO UPDATE SET counts = sum_of_probe_counts(counts, excluded.counts)
"""
_ADD_WITHOUT_PROBE_COUNTS = """
    INSERT OR IGNORE INTO main.without_probe_counts (part, file)
    SELECT :part, new.id
    FROM {source}.file AS old
    CROSS JOIN main.file AS new ON new.path = old.path AND new.version = old.version
    WHERE {condition}
"""
_HAS_ROWS = "EXISTS (SELECT 1 FROM {{source}}.{table} WHERE part = :their_part AND file = old.id)"
_HAS_LINES = _HAS_ROWS.format(table="line")
_HAS_LINES_ONLY = f"{_HAS_LINES} AND NOT {_HAS_ROWS.format(table='probe_counts')}"
_HAS_LINES_ONLY += f" OR {_HAS_ROWS.format(table='without_probe_counts')}"
_COLUMNS = "pid, parent, host, started, argv, python, directory, place, ticks, flushes, updated, ended"
_ADD_PROCESS = (
    f"INSERT OR REPLACE INTO main.process (id, part, {_COLUMNS}, scope, root) "
    f"SELECT id, ?, {_COLUMNS}, {{since_2}} FROM {{source}}.process WHERE id = ?"
)


class _Merged(NamedTuple):
    """The state of a process that the sum holds: its part of the tables, and the number of its flushes."""

    part: int
    flushes: int


class Merge:
    """A new database at *path* that data files are added to, in a `with` statement.

    No other user can reach *scratch*, a folder for copies, and the folder of *path*: SQLite obeys files beside a
    database. `refused` has each file that was not added, or not in full, with the reason. `settled` has the files that
    are not needed any more, because all their counts are in the sum.
    """

    def __init__(self, path: str, scratch: str) -> None:
        self.path = path
        self.scratch = scratch
        self.refused: list[tuple[str, str]] = []
        self.settled: list[str] = []
        #: The database that is added: `_Attached` sets it.
        self.source = "source"
        self.compact: CompactDatabase | None = None
        #: The plan files that the probe counts in the sum need.
        self.plans = Plans()
        self._next_part = 1
        self._observer = Observer()
        #: By the id of a process.
        self._merged: dict[str | bytes, _Merged] = {}

    def __enter__(self) -> Merge:
        with self._errors_of_own_file():
            self._create()
        return self

    def _create(self) -> None:
        """Create the database and its tables."""
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        os.close(descriptor)
        self.connection = sqlite.connect(self.path)
        # Only hostile files have texts that are not UTF-8. Such texts are shown, and not used otherwise.
        self.connection.text_factory = lambda data: data.decode(errors="replace")
        harden(self.connection)
        self.plan_rows = PlanRows(self.connection, self.plans)
        self.context_rows = ContextRows(self.connection, self.plans)
        # No other process sees the file, and the caller synchronises the copy that it makes of the file.
        for statement in ("PRAGMA synchronous = OFF", "PRAGMA cache_size = -32000", *schema.create()):
            self.connection.execute(statement)

    @contextlib.contextmanager
    def _errors_of_own_file(self) -> Iterator[None]:
        """Raise errors of SQLite and of the system as a DataError that names the database of the sum."""
        try:
            yield
        except (OSError, sqlite.load().Error) as error:
            raise DataError(f"{self.path!r} cannot be written: {getattr(error, 'strerror', None) or error}") from error

    def __exit__(self, *_: object) -> None:
        self.connection.close()

    def add_all(self, files: Iterable[str], progress: Callable[[int, int], None] | None = None) -> None:
        """Add all *files* in a suitable order, and fill `settled` and `refused`.

        *progress* is called with the number of files that are done, and the number of all.
        """
        files = list(files)
        self.plans.search_beside(files)
        ordered = self._in_order(files)
        for n, path in enumerate(ordered):
            if progress:
                progress(n, len(ordered))
            try:
                if self.add(path):
                    self.settled.append(path)
            except DataError as error:
                newer = _replacement_of(path)
                if newer and newer not in ordered:
                    ordered.append(newer)  # this loop comes to it
                else:
                    self.refused.append((path, f"{error}"))
        if progress:
            progress(len(ordered), len(ordered))

    def _in_order(self, files: list[str]) -> list[str]:
        """Return *files* in order: large sums, small sums, then processes, the newer states of each first."""
        keys: dict[str, tuple[int, str, bool, int, int]] = {}
        for path in files:
            name = os.path.basename(path)
            match = OF_ONE_PROCESS.fullmatch(name)
            if match:
                # A process writes no compact file after an SQLite file.
                is_compact = match["kind"] == "compact"
                counter = 0 if is_compact else _change_counter(path)
                keys[path] = (1, match[1], is_compact, int(match["number"] or 1000), -counter)
            else:
                keys[path] = (-self._n_processes_in_sum(path), name, False, 0, 0)
        return sorted(files, key=lambda path: keys[path])

    def _n_processes_in_sum(self, path: str) -> int:
        """Return the number of processes in part 0 of the file at *path*; 0 if the file cannot be read."""
        try:
            with _Attached(self, path):
                return sum(process.part == 0 for process in self._processes(self.source))
        except DataError:
            return 0  # `add` raises the same error

    def add(self, path: str) -> bool:
        """Add the data file at *path*, and return whether it is settled; raise DataError if it cannot be added."""
        is_own_file = OF_ONE_PROCESS.fullmatch(os.path.basename(path))
        with _Attached(self, path) as copy:
            processes = self._processes(self.source)
            # A sum or a copy may have an older state of a process, unless the process announced its end in that state.
            ended = {
                process.id
                for process in processes
                if (is_own_file or process.ended) and self._observer.has_ended(process)
            }
            if not ended or copy.is_current():
                return self._merge(processes, ended)
        # A process wrote for the last time between the copy and its end.
        with _Attached(self, path):
            return self._merge(self._processes(self.source), ended)

    def _processes(self, database: str) -> list[ProcessState]:
        """Return the processes in *database*, "main" or `source`."""
        columns = "id, part, flushes, pid, host, place, ticks, ended"
        rows = self.connection.execute(f"SELECT {columns} FROM {database}.process")
        text = schema.from_text
        return [
            ProcessState(id_, part, flushes, pid, text(host), text(place), ticks, text(ended))
            for id_, part, flushes, pid, host, place, ticks, ended in rows
        ]

    def _merge(self, processes: list[ProcessState], ended: set[str | bytes]) -> bool:
        """Add the attached file, which holds *processes*, and return whether all its counts are in part 0.

        The processes in *ended*, by id, write no more. Raise DataError if a part of the file is refused.
        """
        self.connection.execute("BEGIN")
        refusal = ""
        in_sum = [process for process in processes if process.part == 0]
        try:
            try:
                if in_sum:
                    self._merge_sum(in_sum)
            except DataError as error:  # raised before anything was changed
                refusal = f"{error}"
            for process in processes:
                try:
                    if process.part != 0:
                        self._merge_process(process, has_ended=process.id in ended)
                except DataError as error:  # raised before anything was changed
                    refusal = refusal or f"{error}"
            self.connection.execute("COMMIT")
        except BaseException:
            if self.connection.in_transaction:
                self.connection.execute("ROLLBACK")
            self._merged = {each.id: _Merged(each.part, each.flushes) for each in self._processes("main")}
            raise
        if refusal:
            raise DataError(refusal)
        return all(self._is_settled(process) for process in processes)

    def _is_settled(self, process: ProcessState) -> bool:
        """Return whether part 0 holds this state of *process*, or a newer one."""
        merged = self._merged.get(process.id)
        return merged is not None and merged.part == 0 and process.flushes <= merged.flushes

    def _merge_sum(self, processes: list[ProcessState]) -> None:
        """Add part 0 of the attached file, the sum of *processes*.

        Skip it if our sum has all of these. Let it replace our sum if it has all processes of that.

        Raise DataError, before anything is changed, if the two sums share some processes only.
        """
        if all(map(self._is_settled, processes)):
            return
        ours = {id_ for id_, merged in self._merged.items() if merged.part == 0}
        theirs = {process.id for process in processes}
        shared = [process for process in processes if process.id in self._merged]
        is_behind = any(process.flushes < self._merged[process.id].flushes for process in shared)
        if is_behind or not (ours.isdisjoint(theirs) or ours <= theirs):
            raise DataError(
                f"it holds one sum of {len(theirs)} processes, of which {len(shared)} are in others of these files, "
                "too, in another sum or state: to add it would count them twice; combine the files of the processes "
                "instead"
            )
        for part in {self._merged[process.id].part for process in shared}:
            self._remove(part)
        self._add(processes, part=0, their_part=0)

    def _merge_process(self, process: ProcessState, *, has_ended: bool) -> None:
        """Add the counts of *process* from the attached file, unless our sum has this state or a newer one.

        They are added to part 0 if the process *has_ended*. Otherwise they get a part of their own, in place of the
        part with an older state. Raise DataError, before anything is changed, if part 0 has an older state: nothing can
        be subtracted from part 0.
        """
        part, flushes = self._merged.get(process.id, (-1, -1))  # -1: our sum does not have the process
        if part == 0 and flushes < process.flushes:
            raise DataError(
                f"process {process.pid} went on after its counts had been added up for good: "
                "what it counted since is not added"
            )
        if flushes < process.flushes:
            if part > 0:
                self._remove(part)
            part = 0 if has_ended else self._next_part
            self._next_part += 1
            self._add([process], part=part, their_part=process.part)
        elif part > 0 and flushes == process.flushes and has_ended:  # the same state, now known to be the last
            self._add_part_to_sum(process.id)

    def has_ended(self, process: MeasuredProcess) -> bool:
        """Return whether *process* has ended for certain."""
        return self._observer.has_ended(process)

    def sum_up(self) -> None:
        """Add all parts to part 0, for reading. After that, no file can be added."""
        with self._errors_of_own_file():
            self.connection.execute("BEGIN")
            for id_, merged in list(self._merged.items()):
                if merged.part:
                    self._add_part_to_sum(id_)
            self.connection.execute("COMMIT")

    def _add_part_to_sum(self, id_: str | bytes) -> None:
        """Add the part of the process with this id to part 0."""
        part, flushes = self._merged[id_]
        self._add_rows("main", 0, part)
        self.connection.execute("UPDATE main.process SET part = 0 WHERE id = ?", (id_,))
        self._remove(part)
        self._merged[id_] = _Merged(0, flushes)

    def _add(self, processes: list[ProcessState], *, part: int, their_part: int) -> None:
        """Add *processes*, and all rows of *their_part* in the attached file, to *part*."""
        self.connection.execute(_ADD_FILES.format(source=self.source))
        [version] = self.connection.execute(f"PRAGMA {self.source}.user_version").fetchone()
        if version > 3:
            self.plan_rows.add(self.source)
        self._add_rows(self.source, part, their_part, version)
        self.plan_rows.leave_out()
        add_process = _ADD_PROCESS.format(source=self.source, since_2="scope, root" if version > 1 else "NULL, 0")
        for process in processes:
            self.connection.execute(add_process, (part, process.id))
            self._merged[process.id] = _Merged(part, process.flushes)

    def _add_rows(self, source: str, part: int, their_part: int, version: int = schema.VERSION) -> None:
        """Add the rows of *their_part* in the database *source*, of this *version* of the format, to *part*."""
        for fact in FACTS:
            if fact.since <= version:
                columns = ", ".join(column for column, _ in fact.columns)
                keys = ", ".join(f"row.{column}" for column, _ in fact.columns)
                statement = _ADD_ROWS.format(
                    table=fact.table, columns=f"part, file, {columns}", keys=keys, source=source
                )
                self.connection.execute(statement, (part, their_part))
        self.connection.execute(_ADD_REASONS.format(source=source), (part, their_part))
        if version > 2:
            self.connection.execute(_ADD_GIVEN_OUT.format(source=source), (part, their_part))
        if version > 3:
            self.connection.execute(_ADD_PROBE_COUNTS.format(source=source), (part, their_part))
        if version > 4:
            self.context_rows.add(source, part, their_part)
        condition = _HAS_LINES_ONLY if version > 3 else _HAS_LINES
        statement = _ADD_WITHOUT_PROBE_COUNTS.format(source=source, condition=condition.format(source=source))
        self.connection.execute(statement, {"part": part, "their_part": their_part})

    def _remove(self, part: int) -> None:
        """Remove all rows of *part*, and its processes."""
        for table in schema.TABLES:
            if table not in ("file", "plan", "pattern"):
                self.connection.execute(f"DELETE FROM main.{table} WHERE part = ?", (part,))
        for id_ in [id_ for id_, merged in self._merged.items() if merged.part == part]:
            del self._merged[id_]

    def may_be_written(self, path: str) -> bool:
        """Return whether *path* has the name of a process' own file, and that process may still run."""
        match = OF_ONE_PROCESS.fullmatch(os.path.basename(path))
        if not match:
            return False
        try:
            with _Attached(self, path):
                return not all(map(self._observer.has_ended, self._processes(self.source)))
        except DataError as error:
            # The file may be damaged, or in a newer format, or there is no space for a copy. Its name has the process.
            return isinstance(error, BusyError) or is_running(int(match["pid"]))

    @property
    def n_processes(self) -> int:
        """The number of processes whose counts are in the sum."""
        return len(self._merged)

    @property
    def n_running(self) -> int:
        """The number of processes in the sum that may still write."""
        return sum(merged.part != 0 for merged in self._merged.values())


class _Attached:
    """Attaches a checked copy of the data file at *path* as the database `source` of *merge*; returns the copy.

    Raises errors of SQLite as DataError, with a text for users.
    """

    def __init__(self, merge: Merge, path: str) -> None:
        self.merge, self.connection, self.path = merge, merge.connection, path
        # For names and messages that are not UTF-8, `_sqlite3` raises errors that are not SQLite's.
        self.errors: tuple[Any, ...] = (sqlite.load().Error, ValueError, MemoryError)

    def __enter__(self) -> Copy:
        copy = Copy(self.path, self.merge.scratch, keeps_content=True)
        self.merge.plans.search_beside([self.path])
        try:
            if copy.content is not None:
                copy.content.recover(self.merge.plans)
                self.merge.compact = self.merge.compact or CompactDatabase(self.connection)
                self.merge.compact.fill(copy.content)
                self.merge.source = "compact"
                return copy
            self.connection.execute("ATTACH ? AS source", (copy.uri(),))
            self.merge.source = "source"
            try:
                version = check(self.connection)
                if version > 3:
                    self.merge.plan_rows.check("source")
                if version > 4:
                    self.merge.context_rows.check("source")
            except BaseException:
                self.connection.execute("DETACH source")
                raise
        except self.errors as error:
            raise DataError(f"it is damaged: {_text_of(error, copy)}") from error
        except DataError as error:
            raise DataError(_text_of(error, copy)) from error
        return copy

    def __exit__(self, kind: object, error: object, _: object) -> None:
        if self.merge.source == "source":
            self.connection.execute("DETACH source")
        if isinstance(error, self.errors):
            raise DataError(f"it cannot be added: {error}") from error


def _text_of(error: BaseException, copy: Copy) -> str:
    """Return the message of *error* on one line, without the URI of *copy*, which means nothing to users."""
    text = f"{error}".replace(f": {copy.uri()}", "").replace("*** in database source ***", "")
    return " ".join(text.split())


def _replacement_of(path: str) -> str:
    """Return the path of the SQLite file that has replaced the compact file at *path*; "" if there is none."""
    stem, suffix = os.path.splitext(path)
    newer = stem + schema.SUFFIX
    return newer if suffix == schema.COMPACT_SUFFIX and not os.path.lexists(path) and os.path.lexists(newer) else ""


def _change_counter(path: str) -> int:
    """Return the change counter in the header of the database at *path*, 0 if it cannot be read."""
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
