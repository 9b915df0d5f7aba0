"""Deltas: the work of each code object between two readings, and the counts that follow from it.

The counters, exits and frames in flight of a code group come in, before and after. A `SpanDelta` goes out, which can be
split: into a `Delta` for each code object that ran. `recovered` turns a Delta into counts. Both readers of counters use
this: `session.window`, which reads everything at one moment, and `record.reading`, which reads piece by piece.
"""

from __future__ import annotations

from _operator import sub

from instrument.guest.own_imports import errors, extension
from instrument.link.code_group import position_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from array import array
    from collections.abc import Iterable

    from instrument.link.code_group import CodeGroup
    from instrument.link.recovery_info import PackedInfos
    from instrument.model.counts import Counts
    from instrument.session.registry import Registry
else:
    array = extension("array").array


class Span:
    """The code objects of *group* with the numbers from *first* to *last* - 1."""

    __slots__ = ("first", "group", "last")

    def __init__(self, group: CodeGroup, first: int, last: int) -> None:
        self.group = group
        self.first = first
        self.last = last

    def code_objects(self) -> list[Span]:
        """Return a span for each code object of this span."""
        return [Span(self.group, index, index + 1) for index in range(self.first, self.last)]


class Delta:
    """The work of code object *index* of *group* between two readings.

    - fired: how often each of its probes fired.
    - exits: how often each exit was taken, by its position in the group.
    - in_flight: how many more frames are at a code unit now than before.
    """

    __slots__ = ("exits", "fired", "group", "in_flight", "index")

    def __init__(self, group: CodeGroup, index: int, fired: list[int]) -> None:
        self.group = group
        self.index = index
        self.fired = fired
        self.exits: dict[int, int] = {}
        self.in_flight: dict[int, int] = {}


class SpanDelta:
    """The work of the code objects of a *span* between two readings.

    - fired: how often each of their probes fired.
    - exits: how often each exit was taken, by its position in the group.
    - in_flight: how many more frames are at a place now than before. A place is the number of a code object, and a code
      unit in it.
    """

    __slots__ = ("exits", "fired", "in_flight", "n_taken", "n_tried", "span")

    def __init__(
        self,
        span: Span,
        before: list[int] | array[int],
        now: list[int] | array[int],
        exits: Iterable[tuple[int, int]],
        in_flight: Iterable[tuple[tuple[int, int], int]],
    ) -> None:
        """*before* and *now* are the remaining lengths of the counters of *span*. The others are of its group.

        *exits* are pairs of a key and how often the exit was taken. *in_flight* are pairs of a place and the difference
        of frames there; a place is a key of the code object, and a code unit. No difference is zero.
        """
        self.span = span
        group, first, last = span.group, span.first, span.last
        self.fired: array[int] = array("q", map(sub, before, now))
        self.exits = {position_of(key): n for key, n in exits if first <= group.code_at(key) < last}
        self.in_flight = {
            (index, unit): n for (key, unit), n in in_flight for index in (group.code_at(key),) if first <= index < last
        }
        #: How often the delta was to be added up, and how often its counts were to be recovered.
        self.n_taken = self.n_tried = 0

    def split(self) -> list[Delta]:
        """Return the deltas of the code objects that did anything, in the order of their numbers."""
        span, fired = self.span, self.fired
        group, starts, offset = span.group, span.group.starts, span.group.starts[span.first]
        deltas: dict[int, Delta] = {}
        if any(fired):
            begin = 0
            for index, end in enumerate(starts[span.first + 1 : span.last + 1], span.first):
                end -= offset
                if end != begin and any(fired[begin:end]):
                    deltas[index] = Delta(group, index, fired[begin:end].tolist())
                begin = end
        for position, n in self.exits.items():
            self._delta_of(group.code_at(position), deltas).exits[position] = n
        for (index, unit), n in self.in_flight.items():
            self._delta_of(index, deltas).in_flight[unit] = n
        return [deltas[index] for index in sorted(deltas)]

    def _delta_of(self, index: int, deltas: dict[int, Delta]) -> Delta:
        """Return the delta of the code object *index* in *deltas*, which is a new one if there was none."""
        if index not in deltas:
            starts = self.span.group.starts
            deltas[index] = Delta(self.span.group, index, [0] * (starts[index + 1] - starts[index]))
        return deltas[index]


class RecoveredCounts:
    """The *counts* of a code object, its qualified *name*, and the *file_name* of its source."""

    __slots__ = ("counts", "file_name", "name")

    def __init__(self, file_name: str, name: str, counts: Counts) -> None:
        self.file_name = file_name
        self.name = name
        self.counts = counts


def recovered(delta: Delta, packed: PackedInfos, registry: Registry) -> RecoveredCounts | None:
    """Return the counts of *delta*, of a group whose infos are *packed*; None if nothing was counted.

    If they cannot be recovered return None, too, and have *registry* warn that the file is not fully measured.
    """
    info = packed.fast_path_info(delta.index)
    try:
        counts = packed.recover(delta.index, info, delta.fired, list(delta.exits.items()), delta.in_flight)
    except errors.InstrumentError as error:
        registry.refuse(info.file_name, info.name, error)
        return None
    return RecoveredCounts(info.file_name, info.name, counts) if counts else None
