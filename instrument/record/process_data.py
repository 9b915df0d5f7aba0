"""Does the work of a flush: reads counters, adds them to the counts of the process, and writes the changes.

The counters of a session come in, and the row of this process. The counts of the process go out, to its data file.
The recorder (`record.recorder`) decides when to do that, so no start needs this module.
"""

from __future__ import annotations

from itertools import islice
from time import time

from instrument.data.writer import Writer
from instrument.guest.own_imports import errors
from instrument.record.process_counts import ProcessCounts
from instrument.session.originals import given_out

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from instrument.config import Settings
    from instrument.data.process_identity import ProcessInfo
    from instrument.data.rows import Times
    from instrument.model.measurement import FileKey, Series
    from instrument.record.flushing import Pacing
    from instrument.record.process_counts import Changes
    from instrument.record.reading import Reading
    from instrument.scope.project import Scope
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
    ) -> None:
        self._scope = scope
        self._session = session
        self._pacing = pacing
        self._counts = ProcessCounts()
        self.reading = reading
        self.writer = Writer(settings.directory, process, shared=settings.shared)
        self.is_written = False
        #: Reasons by file, how many functions were given out, and the end of the process, as of the last write.
        self._not_measured_written: dict[str, str] = {}
        self._n_given_out_written = 0
        self._how_written = ""

    def load_modules(self, *, with_sqlite: bool) -> None:
        """Load the modules for reading and writing: later, the program may change its root folder or replace functions.

        Load the library of SQLite only *with_sqlite*: a process that ends before its first flush needs none.
        """
        from instrument.data import rows, sqlite  # noqa: F401
        from instrument.data.compact import writing  # noqa: F401
        from instrument.flow import conservation  # noqa: F401
        from instrument.link import recovery_info  # noqa: F401

        if with_sqlite:
            sqlite.load()

    def read(self) -> None:
        """Read all counts since the last call, and add them up, as far as there is time before a fork."""
        now = time()
        selects, process_counts = self._scope.selects, self._counts
        for group, index, name, counts in self.reading.take():
            if group.file is None or not selects(group.module, group.file):
                continue
            source = group.source_key()
            if source is not None:
                process_counts.add(source, (name, group.first_line(index)), counts, now)

    def counts(self) -> tuple[LineCounts, FunctionCounts]:
        """Return the counts as of the last reading."""
        lines: LineCounts = {}
        functions: FunctionCounts = {}
        for (path, _version), counts in self._counts.measurement.files.items():
            for line, count in counts.lines.counts().items():
                lines[path, line] = lines.get((path, line), 0) + count
            for (name, first_line), count in counts.functions.counts().items():
                key = path, name, first_line
                functions[key] = functions.get(key, 0) + count
        return lines, functions

    def write(self, how: str) -> None:
        """Write the counts that have changed since the last write. *how* names the end of the process, or is "".

        Raise DataError or OSError if that is impossible.
        """
        try:
            self._write_changes(how)
        except errors.DataGoneError:  # the next write makes a new file
            self._counts.mark_all()
            self._n_given_out_written = 0
            self._write_changes(how)

    def _write_changes(self, how: str) -> None:
        not_measured = dict(self._session.not_measured)
        new_given_out = given_out(self._n_given_out_written)
        if (
            not new_given_out
            and not_measured == self._not_measured_written
            and not self._counts.have_changed()
            and (not self.is_written or how in ("", self._how_written))  # `os.execvp` tries `execv` for many paths
        ):
            return
        counts = self._counts
        try:
            self.writer.write(
                {field: self._take_changes(field, changes) for field, changes in counts.changes.items()},
                not_measured,
                how,
                [
                    (each.source, each.name, each.first_line, each.receiver)
                    for each in new_given_out
                    if each.file and self._scope.selects(each.module, each.file)
                ],
            )
        except BaseException:
            counts.restore()
            raise
        counts.commit()
        self._not_measured_written = not_measured
        self._n_given_out_written += len(new_given_out)
        self._how_written = how
        self.is_written = True

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
