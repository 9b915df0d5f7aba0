"""Count exits, each by a counter of its own that is made when the exit is first taken.

The exit stubs of live code pass keys in (rewrite.probes: record_exit); the counts of exits by key go out. If an exit
stub cannot count an exit, it notes the key as a late exit, which is counted before the next reading (rewrite.probes:
record_exit_late).
"""

from __future__ import annotations

from _collections import defaultdict  # type: ignore[import-not-found]
from _functools import partial  # type: ignore[import-not-found]
from _operator import call, ge
from itertools import repeat
from os import urandom

from instrument.decode.versions import COLLECTS_ANYWHERE
from instrument.guest.process_state import ProcessState
from instrument.link.counters import FULL, make_counter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

#: On 3.11 the counters of exits are iterators of this range (rewrite.probes: record_exit).
RANGE_OF_COUNTS = range(FULL)
_counter_type: Any = type(iter(RANGE_OF_COUNTS)) if COLLECTS_ANYWHERE else repeat
_length_of = _counter_type.__length_hint__
_make_exit_counter = partial(iter, RANGE_OF_COUNTS) if COLLECTS_ANYWHERE else make_counter

#: How many late exits one C call counts. Other threads wait for as long.
_LATE_AT_ONCE = 4096
#: More late exits than this, some 400 kB, are counted by the background thread.
_MANY_LATE = 10_000


class LateExits(list):  # type: ignore[type-arg]
    """Keys of exits that could not be counted when they were taken; each takes 40 bytes until it is counted.

    This is a constant of code objects, which are hashed with their constants. So it is hashable, by identity.
    """

    __slots__ = ()
    __hash__ = object.__hash__  # type: ignore[assignment]
    __eq__ = object.__eq__
    __ne__ = object.__ne__

    def __reduce__(self) -> tuple[object, ...]:
        return LateExits, ()


class ExitRecords(defaultdict):  # type: ignore[misc]
    """The counters of all exits of the code of one *session*, by key; `late` holds exits that are not counted yet.

    This is a constant of code objects, which are hashed with their constants. So it is hashable, by identity.
    """

    __slots__ = ("late", "session")
    __hash__ = object.__hash__
    __eq__ = object.__eq__
    __ne__ = object.__ne__
    if COLLECTS_ANYWHERE:
        __missing__ = range

    def __init__(self, session: Any) -> None:
        super().__init__(_make_exit_counter)
        self.session = session
        self.late = LateExits()

    def count_late(self) -> None:
        """Count the late exits."""
        late = self.late
        while late:
            # Each key is either in `late` or counted, even if a signal handler or another thread interrupts. One C call
            # takes each key off, finds or makes its counter, and moves that on. No Python code runs in it.
            keys = map(late.pop, repeat(-1, min(len(late), _LATE_AT_ONCE)))
            try:
                list(map(next, map(self.setdefault, keys, map(call, repeat(_make_exit_counter)))))
            except IndexError:  # another thread counts late exits, too, and has taken the last one
                pass

    def are_many_late(self) -> Callable[[], bool]:
        """Return a C function that returns whether there are so many late exits that they must be counted now."""
        return map(ge, map(len, repeat(self.late)), repeat(_MANY_LATE)).__next__

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle the session by a number that means it in this process only.

        The program may pickle live code by value, with copies of its counters. In another process the unpickled code
        counts for no session. In this process its original can still be found.
        """
        number = -1
        if self.session is not None:
            sessions = _pickled.sessions
            if self.session not in sessions:
                sessions.append(self.session)
            number = sessions.index(self.session)
        return _unpickle, (_pickled.process, number)


class _PickledSessions(ProcessState):
    """The sessions whose exit records were pickled, and a random name for the process that pickled them.

    A forked child keeps both: it has the same sessions.
    """

    __slots__ = ("process", "sessions")

    def reset(self) -> None:
        self.process = urandom(8)
        self.sessions: list[object] = []


_pickled = _PickledSessions()


def _unpickle(process: bytes, number: int) -> ExitRecords:
    """Return exit records of the session with *number*, or of no session if another *process* pickled them."""
    return ExitRecords(_pickled.sessions[number] if process == _pickled.process and number >= 0 else None)


def exit_counts(records: ExitRecords) -> dict[int, int]:
    """Return how often each exit of *records* was taken, by key, late exits included."""
    records.count_late()
    return {key: FULL - _length_of(counter) for key, counter in list(records.items())}


def exit_lengths(records: ExitRecords) -> dict[int, int]:
    """Return the remaining length of the counter of each exit of *records*, by key; FULL for an exit never taken."""
    records.count_late()
    keys = list(records)
    try:
        return dict(zip(keys, map(_length_of, map(records.__getitem__, keys))))
    except KeyError:  # another thread retires code
        return {key: _length_of(counter) for key, counter in list(records.items())}


def count_of_exit(counter: Iterator[int]) -> int:
    """Return how often the exit was taken whose *counter* is a value of ExitRecords."""
    count: int = FULL - _length_of(counter)
    return count
