"""Reads the sum of data files as a measurement, file by file.

Paths of data files, and of folders of them, come in. `StoredMeasurement` adds them up (`instrument.data.merge`), in a
private database, and returns their counts as the values of `instrument.model.measurement`.

The counts of a file are read when a caller needs them. All counts of a large program would not fit in memory.
"""

from __future__ import annotations

import contextlib
import os

from instrument.config import read_directory
from instrument.data import schema
from instrument.data.contexts.reading import StoredContexts
from instrument.data.data_files import data_files
from instrument.data.merge import Merge
from instrument.data.running.no_data import HOW_TO_COUNT, no_data_message, processes_without_counts
from instrument.data.scratch import Scratch
from instrument.errors import ConservationError, DataError
from instrument.model.flow_counts import FlowCounts
from instrument.model.measured_process import MeasuredProcess
from instrument.model.measurement import FACTS, FileCounts, Measurement
from instrument.model.probe_counts import decoded

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import Any

    from instrument.data.contexts.reading import Pattern
    from instrument.data.running.processes import RunningProcess
    from instrument.model.measurement import FileKey
    from instrument.model.probe_counts import ProbeCounts
    from instrument.plans.group_plans import GroupPlans


class StoredMeasurement:
    """The sum of the data files at *paths*, or in the default folder, within a `with` statement.

    `refused` has the files that are not in the sum, with the reason. `unwritten` has the running processes that were
    started to write to these paths and have no counts in the sum. `running` has the running processes whose counts
    since their last flush are not in the sum. `cut_off` has such processes that have ended: they were killed, or their
    data is an earlier copy.
    """

    def __init__(
        self,
        paths: Sequence[str],
        progress: Callable[[int, int], None] | None = None,
        *,
        way_out: str = HOW_TO_COUNT,
    ) -> None:
        """*progress* is called with the number of data files that are added, and the number of all.

        *way_out* is the part of the message about missing data that says how to make them.
        """
        self.paths = list(paths) or [read_directory()]
        self.progress = progress
        self._way_out = way_out

    def __enter__(self) -> StoredMeasurement:
        """Add the data files up; raise DataError if they hold no counts of any process."""
        with contextlib.ExitStack() as stack:
            scratch = stack.enter_context(Scratch())
            merge = stack.enter_context(Merge(os.path.join(scratch, "sum.sqlite"), scratch))
            files, missing = data_files(self.paths)
            merge.add_all(files, self.progress)
            self._query = merge.connection.execute
            self.running: list[MeasuredProcess] = []
            self.cut_off = read_processes(self._query, "WHERE part = 0 AND ended = ''")
            for process in read_processes(self._query, "WHERE part <> 0 AND ended = ''"):
                (self.cut_off if merge.has_ended(process) else self.running).append(process)
            merge.sum_up()
            self.refused = missing + merge.refused
            if not merge.n_processes:
                raise DataError(no_data_message(self.paths, self.refused, self._way_out))
            #: All processes, in the order of their start.
            self.processes = read_processes(self._query)
            self.unwritten: list[RunningProcess] = processes_without_counts(self.paths, self.processes)
            self._row_numbers: dict[FileKey, int] | None = None
            self._states: dict[int, list[tuple[object, ...]]] | None = None
            self._plans = merge.plans
            reasons = [*merge.plan_rows.reasons.values()]
            self._reason_without_probes = (
                reasons[0]
                if reasons
                else "counts of it were saved with INSTRUMENT_LINES, or by an earlier version of instrument"
            )
            #: Why it is not known how control went through a file, by its path.
            self.without_flow: dict[str, str] = {}
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def files(self) -> list[FileKey]:
        """Return the file versions that ran, or of which functions were given out, sorted."""
        return sorted(self._files())

    def _files(self) -> dict[FileKey, int]:
        """Return the row number of each file version that has counts, or functions that were given out."""
        if self._row_numbers is None:
            tables = [*(fact.table for fact in FACTS), "given_out"]
            has_rows = " OR ".join(f"EXISTS (SELECT 1 FROM {table} WHERE part = 0 AND file = id)" for table in tables)
            rows = self._query(f"SELECT id, path, version FROM file WHERE {has_rows}")
            self._row_numbers = {
                (schema.from_text(path), schema.from_text(version)): number for number, path, version in rows
            }
        return self._row_numbers

    def counts(self, file: FileKey) -> FileCounts:
        """Return the counts of *file*, one of `files`."""
        number = (self._files()[file],)
        counts = FileCounts()
        for fact, series in counts.series():
            columns = ", ".join(column for column, _ in fact.columns)
            for *key, count, first, last in self._query(
                f"SELECT {columns}, count, first, last FROM {fact.table} WHERE part = 0 AND file = ?", number
            ):
                values = tuple(map(_plain, key))
                series.add(values if len(values) > 1 else values[0], count, first, last)
        for name, line, receiver in self._query(
            "SELECT name, line, taker FROM given_out WHERE part = 0 AND file = ?", number
        ):
            receivers = counts.given_out.setdefault((schema.from_text(name), line), set())
            receivers.add(schema.from_text(receiver))
        return counts

    def state_of_counts(self, file: FileKey) -> tuple[object, ...]:
        """Return a value that tells whether the counts of *file*, one of `files`, have grown.

        An earlier sum has the same processes, or some of them. Counts never fall. So if the value is the same as in the
        earlier sum, all counts are the same.
        """
        if self._states is None:
            self._states = {}
            # A sum of whole counts may take more than 64 bits.
            sums = "count(*), sum(count & 4294967295), sum(count >> 32), total(first), total(last)"
            queries = [f"SELECT file, {sums} FROM {fact.table} WHERE part = 0 GROUP BY file" for fact in FACTS]
            queries.append("SELECT file, name, line, taker FROM given_out WHERE part = 0 ORDER BY name, line, taker")
            queries.append("SELECT file, plan, counts FROM probe_counts WHERE part = 0 ORDER BY plan")
            queries.append("SELECT file FROM without_probe_counts WHERE part = 0")
            for query, statement in enumerate(queries):
                for number, *values in self._query(statement):
                    self._states.setdefault(number, []).append((query, *values))
        return tuple(self._states.get(self._files()[file], ()))

    def probes(self, file: FileKey) -> list[tuple[GroupPlans, ProbeCounts]] | None:
        """Return the plans of the code groups of *file*, one of `files`, and the counts of their probes.

        Return None if they are not known in full: some process has saved counts of lines only.
        """
        number = (self._files()[file],)
        if self._query("SELECT 1 FROM without_probe_counts WHERE part = 0 AND file = ?", number).fetchone():
            return None
        rows = self._query("SELECT plan, counts FROM probe_counts WHERE part = 0 AND file = ?", number).fetchall()
        return [(self._plans.plan(name), decoded(counts)) for name, counts in rows]

    def flow(self, files: Sequence[FileKey]) -> FlowCounts | None:
        """Return how control went through *files*, added up.

        Return None if that is not known: some data have lines only, or plan files are missing or damaged.
        """
        total = FlowCounts()
        for file in files:
            probes = self.probes(file)
            if not probes:
                self.without_flow[file[0]] = self._reason_without_probes
                return None
            try:
                for plans, counts in probes:
                    plans.add_flow(total, counts)
            except (ConservationError, DataError) as error:
                self.without_flow[file[0]] = f"{error}"
                return None
        return total

    def contexts(self) -> StoredContexts:
        """Return the contexts of the sum."""
        return StoredContexts(self._query, self._plans)

    def patterns(self, contexts: StoredContexts, file: FileKey) -> Iterator[Pattern]:
        """Yield the patterns of *contexts* in *file*, one of `files`."""
        yield from contexts.patterns(self._files()[file])

    def not_measured(self) -> list[tuple[str, str]]:
        """Return the paths of the files that ran uncounted, in whole or in part, each with a reason, sorted."""
        rows = self._query("SELECT path, reason FROM not_measured")
        return sorted({(schema.from_text(path), schema.from_text(reason)) for path, reason in rows})

    def began(self) -> float:
        """Return when the first process was started."""
        return float(self.processes[0].started)

    def whole(self) -> Measurement:
        """Return the whole measurement as one value, which takes memory for each line."""
        measurement = Measurement()
        measurement.files = {file: self.counts(file) for file in self.files()}
        for path, reason in self.not_measured():
            measurement.not_measured.setdefault(path, set()).add(reason)
        measurement.processes = {process.id: process for process in self.processes}
        return measurement


_COLUMNS = (
    *("id", "pid", "parent", "host", "place", "ticks", "started", "python", "directory", "scope", "root", "flushes"),
    *("updated", "ended"),
)


def read_processes(query: Callable[..., Any], condition: str = "") -> list[MeasuredProcess]:
    """Return the processes that meet the SQL *condition*, in the order of their start; *query* executes SQL."""
    rows = query(f"SELECT {', '.join(_COLUMNS)} FROM process {condition} ORDER BY started, id").fetchall()
    return [MeasuredProcess(**dict(zip(_COLUMNS, map(_plain, row), strict=True))) for row in rows]


def _plain(value: Any) -> Any:
    return schema.from_text(value) if isinstance(value, bytes) else value
