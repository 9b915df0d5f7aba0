"""Does the work of a flush: reads counters, adds them to the counts of the process, and writes the changes.

`ProcessData` reads the counters of a session into the counts of this process, and writes them. `Pacing` makes that work
yield to the program. `FlushSchedule` says when the next flush is due, and `Complaints` tells the user of failures.
The recorder (`record.recorder`) decides when to do all that.
"""

from __future__ import annotations

import os
from gc import disable, enable, isenabled
from itertools import islice
from time import monotonic, perf_counter, sleep, time

from instrument.data.process_identity import ProcessInfo
from instrument.data.writer import Writer
from instrument.errors import DataGoneError, InstrumentError
from instrument.guest import interpreters
from instrument.guest.messages import file_of_stderr, say, say_once, text_of
from instrument.record.process_counts import ProcessCounts
from instrument.record.reading import Reading
from instrument.session.originals import given_out

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from instrument.config import Settings
    from instrument.data.rows import Times
    from instrument.model.measurement import FileKey
    from instrument.record.background import Background
    from instrument.record.process_counts import Changes
    from instrument.scope.project import Scope
    from instrument.session.session import Session

    #: How often each line ran, by path and number.
    LineCounts = dict[tuple[str, int], int]
    #: How often each function was entered, by path, qualified name and first line.
    FunctionCounts = dict[tuple[str, str, int], int]

_getpid = os.getpid
#: Seconds of work before other threads get their turn, and seconds of the rest then: they wake up within that time.
_STRETCH = 0.001
_REST = 0.0001
#: How many tallies are passed to the database at a time.
_N_WRITTEN = 512
#: Seconds to the first flush, at most: then there is data soon for a user who asks for it.
_FIRST_FLUSH = 1.0
NEVER = float("inf")


class Pacing:
    """Divides the work into stretches of a millisecond, between which other threads run.

    As a context, it surrounds a reading, during which garbage collection is deferred. Reading leaves no garbage, and a
    collection would hold up all threads for long.
    """

    def __init__(self, background: Background) -> None:
        self._background = background
        self.reset()

    def reset(self) -> None:
        """Begin a first stretch, outside of any reading."""
        #: Whether the program waits for the work: then no thread gets a turn in between.
        self.is_urgent = False
        self._is_reading = self._defers_gc = False
        self.begin_stretch()

    def begin_stretch(self) -> None:
        """Begin a stretch of work now."""
        self._stretch_began = perf_counter()

    def note_progress(self) -> None:
        """Let threads that wait for the work know that it goes on."""
        self._background.beat += 1

    def pause(self) -> bool:
        """Let other threads run if a stretch is over; return whether to go on, which is False if a fork waits."""
        self._background.beat += 1
        if not self.is_urgent and perf_counter() - self._stretch_began > _STRETCH:
            self._allow_gc()
            sleep(_REST)
            self._defer_gc()
            self.begin_stretch()
        return not self._background.is_hurried

    def __enter__(self) -> None:
        self.begin_stretch()
        self._is_reading = True
        self._defer_gc()

    def __exit__(self, *exception: object) -> None:
        self._is_reading = False
        self._allow_gc()

    def _defer_gc(self) -> None:
        self._defers_gc = self._is_reading and isenabled()
        if self._defers_gc:
            disable()

    def _allow_gc(self) -> None:
        if self._defers_gc:
            self._defers_gc = False
            enable()


class FlushSchedule:
    """When the next flush is due, if there is one every *seconds*; 0 for none before the end."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        #: The time of the next flush by `time.monotonic`; NEVER if there is none.
        self.next = min(self._time_of_next(), monotonic() + _FIRST_FLUSH) if seconds else NEVER

    def plan_next(self) -> None:
        """Note that a flush is done now."""
        self.next = self._time_of_next()

    def _time_of_next(self) -> float:
        return monotonic() + self._seconds if self._seconds else NEVER


class ProcessData:
    """The counts of this process since it began, and its data file.

    *root* is the number of the outermost measured process that this one comes from, 0 if there is none. *reading* is
    given if another instance, of the parent process, has begun it.
    """

    def __init__(
        self,
        settings: Settings,
        scope: Scope,
        session: Session,
        pacing: Pacing,
        root: int,
        reading: Reading | None = None,
    ) -> None:
        self._scope = scope
        self._session = session
        self._pacing = pacing
        self._counts = ProcessCounts()
        self.reading = Reading(session, pacing.pause) if reading is None else reading
        process = ProcessInfo.current(interpreters.number())
        process.scope = "\n".join(settings.scope)
        process.root = root
        self.writer = Writer(settings.directory, process, shared=settings.shared)
        self.is_written = False
        #: Reasons by file, and how many functions were given out, as of the last write.
        self._not_measured_written: dict[str, str] = {}
        self._n_given_out_written = 0

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
        except DataGoneError:  # the next write makes a new file
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
            and not (how and self.is_written)
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
        self.is_written = True

    def _take_changes(self, field: str, changes: Changes) -> Iterator[tuple[FileKey, dict[Any, Times]]]:
        """Yield the tallies of *changes*, in parts, by file. *field* is that of a `Fact`."""
        for file, keys in changes.take():
            series = getattr(self._counts.measurement.files[file], field)
            remaining = iter(keys)
            while part := list(islice(remaining, _N_WRITTEN)):
                self._pacing.pause()
                yield file, series.tallies(part)
        self._pacing.note_progress()


class Complaints:
    """Tells the user once that counts are not saved. *flush* is the number of seconds between flushes."""

    def __init__(self, flush: float) -> None:
        self._flush = flush
        #: Whether the last flush has failed.
        self.has_failed = False
        #: Device and inode of the file that standard error led to at the last message; None before that.
        self._written_to: tuple[int, int] | None = None

    def tell(self, error: BaseException, *, is_end: bool, is_written: bool) -> None:
        """Say that counts are not saved, because of *error*, unless that was said. *is_written*: some were saved.

        If *is_end*, no write follows. Then say it again if standard error led to another file at the last message. A
        tool that captures the program's output may have thrown that message away.
        """
        self.has_failed = True
        file = file_of_stderr()
        is_first = self._written_to is None
        if not is_first and not (is_end and self._written_to != file):
            return
        self._written_to = file
        reason = str(error) if isinstance(error, InstrumentError) else text_of(error)
        if is_end:
            since = " since their last write" if is_written else ""
            message = f"the counts of process {_getpid()}{since} were not saved: {reason}"
        else:
            again = f"every {self._flush:g} s and at the end" if self._flush else "at the end"
            message = f"the counts of process {_getpid()} are not being saved: {reason} (tried again {again})"
        # If an audit hook of the program forbids the work, one line is enough for all its consequences. A data folder
        # that cannot be used is always named.
        (say_once if is_first and not isinstance(error, InstrumentError) else say)(message)
