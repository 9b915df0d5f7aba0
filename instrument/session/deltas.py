"""Deltas: the work of each code object between two readings, and the counts that follow from it.

The counters, exits and frames in flight of a code group come in, before and after. A `Delta` goes out for each code
object that ran, and `recovered` turns it into counts. Both readers of counters use this: `session.window`, which reads
everything at one moment, and `record.reading`, which reads piece by piece.
"""

from __future__ import annotations

from _operator import sub

from instrument.guest.own_imports import errors

TYPE_CHECKING = False
if TYPE_CHECKING:
    from array import array
    from collections.abc import Iterable

    from instrument.link.code_group import CodeGroup
    from instrument.link.recovery_info import PackedInfos
    from instrument.model.counts import Counts
    from instrument.session.registry import Registry


class Span:
    """The code objects of *group* with the numbers from *first* to *last* - 1."""

    __slots__ = ("first", "group", "last")

    def __init__(self, group: CodeGroup, first: int, last: int) -> None:
        self.group = group
        self.first = first
        self.last = last


class Delta:
    """The work of code object *index* of *group* between two readings.

    - fired: how often each of its probes fired.
    - exits: how often each exit was taken, by key.
    - in_flight: how many more frames are at a code unit now than before.
    """

    __slots__ = ("exits", "fired", "group", "in_flight", "index", "n_tried")

    def __init__(self, group: CodeGroup, index: int, fired: list[int]) -> None:
        self.group = group
        self.index = index
        self.fired = fired
        self.exits: dict[int, int] = {}
        self.in_flight: dict[int, int] = {}
        #: How often the counts were to be recovered.
        self.n_tried = 0


def deltas_of(
    span: Span,
    before: list[int] | array[int],
    now: list[int] | array[int],
    exits: Iterable[tuple[int, int]],
    in_flight: Iterable[tuple[tuple[int, int], int]],
) -> list[Delta]:
    """Return the deltas of the code objects of *span* that did anything, in the order of their numbers.

    *before* and *now* are the remaining lengths of the counters of *span*. The others are of the whole group: *exits*
    are pairs of a key and how often the exit was taken. *in_flight* are pairs of a place and the difference of frames
    there. No difference is zero.
    """
    group, first, last = span.group, span.first, span.last
    starts, offset = group.starts, group.starts[first]
    deltas: dict[int, Delta] = {}
    if now != before:
        begin = 0
        for index, end in enumerate(starts[first + 1 : last + 1], first):
            end -= offset
            if end != begin:
                remaining, was = now[begin:end], before[begin:end]
                if remaining != was:
                    deltas[index] = Delta(group, index, [*map(sub, was, remaining)])
            begin = end
    for key, n in exits:
        index = group.code_at(key)
        if first <= index < last:
            if index not in deltas:
                deltas[index] = Delta(group, index, [0] * (starts[index + 1] - starts[index]))
            deltas[index].exits[key] = n
    for (key, unit), n in in_flight:
        index = group.code_at(key)
        if first <= index < last:
            if index not in deltas:
                deltas[index] = Delta(group, index, [0] * (starts[index + 1] - starts[index]))
            deltas[index].in_flight[unit] = n
    return [deltas[index] for index in sorted(deltas)]


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
