"""What each code object did between two readings, and the counts that follow from it.

The counters, exits and frames in flight of a code group come in, before and after. A `Delta` goes out for each code
object that ran, and `recovered` turns it into counts. Both readers of counters use this: `session.window`, which reads
everything at one moment, and `record.reading`, which reads piece by piece.
"""

from __future__ import annotations

from instrument.errors import InstrumentError

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
    """What code object *index* of *group* did between two readings.

    fired      how often each of its probes fired
    exits      how often each exit was taken, by key
    in_flight  how many more frames are at a code unit now than before; less than zero if fewer are
    """

    __slots__ = ("exits", "fired", "group", "in_flight", "index", "n_tried")

    def __init__(self, group: CodeGroup, index: int) -> None:
        self.group = group
        self.index = index
        self.fired: list[int] = []
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
    """Return what the code objects of *span* did, by number; those that did nothing are left out.

    *before* and *now* are the remaining lengths of the counters of *span*. *exits* are pairs of a key and how often
    the exit was taken, *in_flight* pairs of a place and the difference of frames there, both of the whole group. All
    differences are other than zero.
    """
    group, first, last = span.group, span.first, span.last
    starts, offset = group.starts, group.starts[first]
    deltas: dict[int, Delta] = {}
    if now != before:
        for index in range(first, last):
            part = slice(starts[index] - offset, starts[index + 1] - offset)
            if now[part] != before[part]:
                deltas[index] = Delta(group, index)
    for key, n in exits:
        index = group.code_at(key)
        if first <= index < last:
            deltas.setdefault(index, Delta(group, index)).exits[key] = n
    for (key, unit), n in in_flight:
        index = group.code_at(key)
        if first <= index < last:
            deltas.setdefault(index, Delta(group, index)).in_flight[unit] = n
    for index, delta in deltas.items():
        part = slice(starts[index] - offset, starts[index + 1] - offset)
        delta.fired = [old - new for old, new in zip(before[part], now[part])]
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
    except InstrumentError as error:
        registry.refuse(info.file_name, info.name, error)
        return None
    return RecoveredCounts(info.file_name, info.name, counts) if counts.lines or counts.entered else None
