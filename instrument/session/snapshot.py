"""Snapshots: all counters, exits and frames in flight of a registry, as of one moment.

Conservation ties the three together: counts can only be recovered if all three are of one moment. Counters and exits
are read by calls in C, which no other thread interrupts. Frames take longer, so they are read between two
readings of the counters, until both readings agree (`read_at_one_moment`).
"""

from __future__ import annotations

import sys

# The program may replace the names of these modules at any time, so the functions are held by name.
from _operator import call, eq
from itertools import compress

from instrument.guest.interpreters import is_single_threaded, newest_frames
from instrument.guest.own_builtins import functions_of_sys
from instrument.guest.process_state import ProcessState
from instrument.link.code_group import group_of
from instrument.link.counters import FULL, read_counters
from instrument.link.exit_records import exit_counts
from instrument.link.linker import appended_constants
from instrument.session.garbage_collector import instances_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import FrameType
    from typing import TypeAlias, TypeVar

    from instrument.link.code_group import CodeGroup
    from instrument.link.exit_records import ExitRecords
    from instrument.session.registry import Registry

    #: How many frames are at each place; a place is the first key of a code object, and a code unit in it.
    FramesInFlight: TypeAlias = dict[tuple[int, int], int]
    Reading = TypeVar("Reading")

# The program may have replaced functions of `sys` before this late module is loaded.
getswitchinterval, setswitchinterval = functions_of_sys["getswitchinterval"], functions_of_sys["setswitchinterval"]
#: So often a reading is repeated, if other threads count all the time.
_MOST_READINGS = 1_000


class Snapshot:
    """All counters, exits and frames in flight of a registry, as of one moment.

    - remaining: the remaining length of each counter of the permanent groups.
    - short_lived: the remaining lengths of the counters of each short-lived group, by its number.
    - exits: how often each exit was taken, by key.
    - in_flight: how many frames are at each place.
    """

    __slots__ = ("exits", "in_flight", "remaining", "short_lived")

    def __init__(
        self,
        remaining: list[int],
        short_lived: dict[int, list[int]],
        exits: dict[int, int],
        in_flight: FramesInFlight,
    ) -> None:
        self.remaining = remaining
        self.short_lived = short_lived
        self.exits = exits
        self.in_flight = in_flight

    def remaining_of(self, group: CodeGroup) -> list[int]:
        """Return the remaining lengths of the counters of *group*; full lengths if it did not exist yet."""
        n = group.starts[-1]
        if group.counters:
            return self.short_lived.get(group.number) or [FULL] * n
        remaining = self.remaining[group.first : group.first + n]
        return remaining if len(remaining) == n else [FULL] * n

    def exclude_groups(self, numbers: Mapping[int, object], before: Snapshot) -> None:
        """Set the short-lived groups with these *numbers* back to their state *before*."""
        for number in numbers:
            if number in before.short_lived:
                self.short_lived[number] = before.short_lived[number]
            else:
                self.short_lived.pop(number, None)
        for key in [key for key in self.exits.keys() | before.exits.keys() if group_of(key) in numbers]:
            if key in before.exits:
                self.exits[key] = before.exits[key]
            else:
                self.exits.pop(key, None)


def take_snapshot(registry: Registry) -> Snapshot:
    """Return all counters, exits and frames in flight of *registry*, as of one moment."""

    def read() -> tuple[list[int], dict[int, list[int]], dict[int, int]]:
        short_lived = {number: read_counters(group.counters) for number, group in list(registry.short_lived.items())}
        return read_counters(registry.counters), short_lived, exit_counts(registry.records)

    counted, in_flight = read_at_one_moment(read, registry.records)
    return Snapshot(*counted, in_flight)


def read_at_one_moment(read: Callable[[], Reading], records: ExitRecords) -> tuple[Reading, FramesInFlight]:
    """Return the result of *read*, and the frames in flight of the code with *records*, both as of one moment.

    *read* reads counters and exits. It is called again after the frames were read. If both results are equal, then no
    thread moved a counter on, or took an exit, in between.
    """
    with LongSwitchInterval():
        for _ in range(_MOST_READINGS):
            before, in_flight, reading = read_around_frames(read, records)
            if reading == before:
                break
    return reading, in_flight


def read_around_frames(read: Callable[[], Reading], records: ExitRecords) -> tuple[Reading, FramesInFlight, Reading]:
    """Return a result of *read*, then the frames in flight of the code with *records*, then another result.

    If no other thread runs, both results are one.
    """
    is_single = is_single_threaded()
    before = read()
    in_flight = frames_in_flight(records)
    return before, in_flight, before if is_single else read()


def frames_in_flight(records: ExitRecords) -> FramesInFlight:
    """Return how many frames of the live code with *records* are at each place."""
    in_flight: FramesInFlight = {}
    for newest in _newest_frames():
        frame: FrameType | None = newest
        while frame is not None:
            constants = appended_constants(frame.f_code)
            if constants is not None and constants[0] is records and frame.f_lasti >= 0:
                place = constants[1], frame.f_lasti >> 1
                in_flight[place] = in_flight.get(place, 0) + 1
            frame = frame.f_back
    return in_flight


def _newest_frames() -> list[FrameType]:
    """Return the newest frame of each thread, and of each greenlet that is switched out.

    Of this thread, return the frame of the caller's caller. A frame that holds itself, by way of this list, would not
    be freed; nor would its callers, or the exceptions that they handle.
    """
    frames = newest_frames(2)
    greenlet = sys.modules.get("greenlet")
    if greenlet is not None:
        types = [greenlet.greenlet]
        for each in types:  # the list grows as subclasses are found
            types.extend(type.__subclasses__(each))
        frames.extend(frame for one in instances_of(types) if (frame := one.gr_frame) is not None)
    return frames


class _State(ProcessState):
    """How often `LongSwitchInterval` is entered, the interval that the program has set, and the long one."""

    __slots__ = ("long_interval", "n_entered", "program_interval")
    n_entered: int
    program_interval: float
    long_interval: float

    def reset(self) -> None:
        """Set all to zero."""
        self.n_entered = 0
        self.program_interval = self.long_interval = 0.0


_state = _State()


class LongSwitchInterval:
    """Have other threads wait longer for their turn, so that a reading sees one moment.

    The interval is `_SECONDS`: a thread that requested its turn before still gets it, and this thread then waits for
    that long, too.
    """

    _SECONDS = 0.2

    def __enter__(self) -> None:
        _state.n_entered += 1
        if _state.n_entered == 1:
            _state.program_interval = getswitchinterval()
        setswitchinterval(max(self._SECONDS, _state.program_interval))
        _state.long_interval = getswitchinterval()

    def __exit__(self, *exception: object) -> None:
        _state.n_entered -= 1
        if not _state.n_entered:
            # Restore the program's interval only if the current one is ours: the program may have set another. This is
            # one call in C, so no other thread sets it between the comparison and the assignment.
            is_ours = map(eq, map(call, (getswitchinterval,)), (_state.long_interval,))
            any(map(setswitchinterval, compress((_state.program_interval,), is_ours)))
