"""Does the work of a flush: reads counters, adds them to the counts of the process, and writes the changes.

The counters of a session come in, and the row of this process. The counts of the process go out, to its data file.

The first flush is early: the process may end soon. So it saves the counts of probes only, and recovers nothing. The end
of the process does the same if no other flush comes before. Other flushes also save the counts of lines and functions,
with the times at which they were seen.
The recorder (`record.recorder`) decides when to do that, so no start needs this module.
"""

from __future__ import annotations

from _functools import partial  # type: ignore[import-not-found]
from itertools import islice
from time import time

from instrument.data.writer import Writer
from instrument.guest.own_imports import errors
from instrument.plans.plan_file import content_of, name_of
from instrument.record.process_counts import ProcessCounts
from instrument.record.reading import Recovery
from instrument.session.originals import given_out

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from instrument.config import Settings
    from instrument.data.process_identity import ProcessInfo
    from instrument.data.rows import ProbeRow, Times
    from instrument.link.code_group import CodeGroup
    from instrument.model.measurement import FileKey, Series
    from instrument.record.context_changes import ContextChanges
    from instrument.record.contexts import ContextCounts
    from instrument.record.flushing import Pacing
    from instrument.record.process_counts import Changes
    from instrument.record.reading import Reading
    from instrument.scope.project import Scope
    from instrument.session.deltas import SpanDelta
    from instrument.session.session import Session

    #: How often each line ran, by path and number.
    LineCounts = dict[tuple[str, int], int]
    #: How often each function was entered, by path, qualified name and first line.
    FunctionCounts = dict[tuple[str, str, int], int]

#: How many tallies are passed to the database at a time.
_N_WRITTEN = 512


class ProcessData:
    """The counts of this process since it began, and its data file.

    *process* is the row of this process, and *reading* reads the counters of *session*.
    """

    def __init__(
        self,
        settings: Settings,
        scope: Scope,
        session: Session,
        pacing: Pacing,
        process: ProcessInfo,
        reading: Reading,
        contexts: ContextCounts | None = None,
    ) -> None:
        self._scope = scope
        #: Whether only the counts of lines and functions are saved, and none of probes.
        self._saves_lines_only = settings.lines
        self._session = session
        self._pacing = pacing
        self._counts = ProcessCounts()
        self._recovery = Recovery(session, pacing.pause)
        #: The work of each context that was not written; None unless the settings ask for that.
        self._contexts: ContextChanges | None = None
        if contexts is not None:
            from instrument.record.context_changes import ContextChanges

            self._contexts = ContextChanges(contexts, self._place_of)
        #: The work since the last recovery, by its source file.
        self._unrecovered: dict[FileKey, list[SpanDelta]] = {}
        self._when_read = 0.0
        #: The names of the plan files of permanent groups, by the number of the group.
        self._plan_names: dict[int, str] = {}
        self.reading = reading
        self.writer = Writer(settings.directory, process, shared=settings.shared, has_contexts=contexts is not None)
        self.is_written = False
        #: Reasons by file, how many functions were given out, and the end of the process, as of the last write.
        self._not_measured_written: dict[str, str] = {}
        self._n_given_out_written = 0
        self._how_written = ""

    def load_modules(self, *, with_sqlite: bool) -> None:
        """Load the modules for reading and writing: later, the program may change its root folder or replace functions.

        Load the library of SQLite only *with_sqlite*: a process that ends before its second flush needs none.
        """
        from instrument.data import flush_requests, rows, sqlite  # noqa: F401
        from instrument.data.compact import writing  # noqa: F401
        from instrument.flow import conservation  # noqa: F401
        from instrument.link import recovery_info  # noqa: F401

        if with_sqlite:
            sqlite.load()

    def read(self) -> None:
        """Read the work of all code since the last call, and add it up, as far as there is time before a fork."""
        self._when_read = time()
        selects = self._scope.selects
        for delta in self.reading.take(at_once=self._pacing.is_urgent):
            group = delta.span.group
            if group.file is None or not selects(group.module, group.file):
                continue
            source = group.source_key()
            if source is not None:
                if not self._saves_lines_only:
                    self._counts.add_probes(source, self._plan_name(group), delta)
                # Last: if a hook of the program raises an exception before, `take` yields *delta* again.
                self._unrecovered.setdefault(source, []).append(delta)

    def _place_of(self, group: CodeGroup) -> tuple[FileKey, str] | None:
        """Return the source file of *group*, and the name of its plan file; None if its counts are not saved."""
        if group.file is None or not self._scope.selects(group.module, group.file):
            return None
        source = group.source_key()
        return None if source is None else (source, self._plan_name(group))

    def _plan_name(self, group: CodeGroup) -> str:
        """Return the name of the plan file of *group*."""
        name = self._plan_names.get(group.number)
        if name is None:
            name = name_of(content_of(group))
            if not group.counters:
                self._plan_names[group.number] = name
        return name

    def recover(self) -> None:
        """Recover the counts of lines and functions from all that was read, as far as there is time before a fork."""
        now, counts = self._when_read, self._counts
        for source in list(self._unrecovered):
            deltas = self._unrecovered[source]
            for group, index, name, counted in self._recovery.take_counts(deltas):
                counts.add(source, (name, group.first_line(index)), counted, now)
            if deltas:  # a fork waits
                return
            del self._unrecovered[source]

    def needs_lines(self, how: str, *, is_early: bool) -> bool:
        """Return whether a write saves counts of lines and functions; the arguments are those of `write`.

        A compact file has no lines, but for the setting `lines`. If nothing was counted since it was written, no other
        file follows.
        """
        if self._saves_lines_only:
            return True
        return self._counts.have_changed() and not ((how or is_early) and self.writer.writes_compact())

    def counts(self) -> tuple[LineCounts, FunctionCounts]:
        """Return the counts as of the last `recover`."""
        lines: LineCounts = {}
        functions: FunctionCounts = {}
        for (path, _version), counts in self._counts.measurement.files.items():
            for line, count in counts.lines.counts().items():
                lines[path, line] = lines.get((path, line), 0) + count
            for (name, first_line), count in counts.functions.counts().items():
                key = path, name, first_line
                functions[key] = functions.get(key, 0) + count
        return lines, functions

    def write(self, how: str, *, is_early: bool) -> None:
        """Write the counts that have changed since the last write. *how* names the end of the process, or is "".

        *is_early* is whether this is a flush in the first seconds of the process that nobody has asked for.

        Raise DataError or OSError if that is impossible.
        """
        try:
            self._write_changes(how, is_early=is_early)
        except errors.DataGoneError:  # the next write makes a new file
            self._counts.mark_all()
            if self._contexts is not None:
                self._contexts.mark_all()
            self._n_given_out_written = 0
            if self.needs_lines(how, is_early=is_early):
                self.recover()
            self._write_changes(how, is_early=is_early)

    def _write_changes(self, how: str, *, is_early: bool) -> None:
        not_measured = dict(self._session.not_measured)
        new_given_out = given_out(self._n_given_out_written)
        if (
            not new_given_out
            and not_measured == self._not_measured_written
            and not self._counts.have_changed()
            and not (self._contexts is not None and self._contexts.have_changed())
            and (not self.is_written or how in ("", self._how_written))  # `os.execvp` tries `execv` for many paths
        ):
            return
        counts = self._counts
        patterns, contexts = self._contexts.take() if self._contexts is not None else ((), ())
        try:
            self.writer.write(
                {
                    field: self._take_changes(field, changes)
                    for field, changes in counts.changes.items()
                    if self.needs_lines(how, is_early=is_early)
                },
                not_measured,
                how,
                [
                    (each.source, each.name, each.first_line, each.receiver)
                    for each in new_given_out
                    if each.file and self._scope.selects(each.module, each.file)
                ],
                self._take_probes(),
                patterns,
                contexts,
                is_early,
            )
        except BaseException:
            counts.restore()
            raise
        counts.commit()
        if self._contexts is not None:
            self._contexts.commit()
        self._not_measured_written = not_measured
        self._n_given_out_written += len(new_given_out)
        self._how_written = how
        self.is_written = True

    def _take_probes(self) -> Iterator[ProbeRow]:
        """Yield the changed counts of probes, by code group."""
        for source, name, group, counts in self._counts.take_probes():
            self._pacing.pause()
            yield source, name, counts.encoded(), partial(content_of, group)

    def _take_changes(self, field: str, changes: Changes) -> Iterator[tuple[FileKey, Series | dict[Any, Times]]]:
        """Yield the tallies of *changes*, in parts, by file. *field* is that of a `Fact`.

        If the program waits for the flush, a series of which all has changed is one part.
        """
        for file, keys in changes.take():
            series = getattr(self._counts.measurement.files[file], field)
            if self._pacing.is_urgent and len(keys) == len(series):
                yield file, series
                continue
            remaining = iter(keys)
            for _ in range(0, len(keys), _N_WRITTEN):
                self._pacing.pause()
                yield file, series.tallies(islice(remaining, _N_WRITTEN))
        self._pacing.note_progress()
