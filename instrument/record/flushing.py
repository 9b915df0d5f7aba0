"""Plans flushes: their times, the pauses in which the program runs, and the message after a failure.

`Pacing` makes the work of a flush (`record.process_data`) yield to the program. `FlushSchedule` says when the next
flush is due, and `Complaints` tells the user of failures. The recorder (`record.recorder`) decides when to do all that.
"""

from __future__ import annotations

import os
from gc import disable, enable, isenabled
from time import monotonic, perf_counter, sleep

from instrument.guest.messages import file_of_stderr, say, say_once, text_of
from instrument.guest.own_imports import errors

TYPE_CHECKING = False
if TYPE_CHECKING:
    from instrument.record.background import Background

_getpid = os.getpid
#: Seconds of work before other threads get their turn, and seconds of the rest then: they wake up within that time.
_STRETCH = 0.001
_REST = 0.0001
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
        #: Whether the next flush is the first, and comes before its time: many processes end between these two.
        self.is_early = seconds > _FIRST_FLUSH

    def plan_next(self) -> None:
        """Note that a flush is done now."""
        self.is_early = False
        self.next = self._time_of_next()

    def _time_of_next(self) -> float:
        return monotonic() + self._seconds if self._seconds else NEVER


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
        reason = str(error) if isinstance(error, errors.InstrumentError) else text_of(error)
        if is_end:
            since = " since their last write" if is_written else ""
            message = f"the counts of process {_getpid()}{since} were not saved: {reason}"
        else:
            again = f"every {self._flush:g} s and at the end" if self._flush else "at the end"
            message = f"the counts of process {_getpid()} are not being saved: {reason} (tried again {again})"
        # If an audit hook of the program forbids the work, one line is enough for all its consequences. A data folder
        # that cannot be used is always named.
        (say_once if is_first and not isinstance(error, errors.InstrumentError) else say)(message)
