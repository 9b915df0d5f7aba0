"""CounterMemory: finds the counters that have moved on among many, in the interpreter's memory.

Code objects with their counters come in. Out go the code objects whose counters have moved on since the last time, and
how far.

Problem: a run that tells tests apart reads all counters three times a test. A call in C for each makes a number each:
4.8 ms for 100,000 counters [3.12].
Solution: the interpreter allocates counters side by side, and `ctypes` has views of memory. A view of a hundred lengths
is compared with their last values in place: 0.4 ms in all. Lengths are copied only where they differ, and those of one
code object are subtracted as one long integer. Where a counter keeps its length is searched for, in counters whose
lengths are known. Where that fails, a call in C reads each counter.
Alternatives: copies of all views, which are then compared: 0.8 ms. A copy of all memory, with the objects between
counters: 4 ms. Counters of a type that C reads at once: there is none that one instruction moves on without an
allocation (DESIGN.md of `rewrite`).
"""

from __future__ import annotations

import sys
from _operator import ne
from itertools import chain, compress, groupby, pairwise, repeat

from instrument.guest.interpreters import ctypes_copy
from instrument.guest.own_imports import extension
from instrument.guest.process_state import ProcessState
from instrument.link.counters import FULL, make_counter, read_counters

TYPE_CHECKING = False
if TYPE_CHECKING:
    from array import array
    from collections.abc import Iterator
    from typing import Any, TypeAlias

    #: The parts whose counters have moved on, each with the bytes of the lengths now.
    Reading: TypeAlias = list[tuple["_Part", bytes]]
    #: The number of a code group, and of a code object in it.
    Place: TypeAlias = tuple[int, int]
    #: Pairs of a counter, by its position in the code object, and how often it was moved on; in ascending order.
    Pairs: TypeAlias = tuple[tuple[int, int], ...]
else:
    array = extension("array").array

#: Bytes of a length.
_WIDTH = 8
#: A length that no other field of a counter has.
_UNLIKELY = 0x5A17_3C96_2B4D
#: A view of fewer counters takes longer than calls in C for each.
_FEWEST = 6
#: Of fewer counters than this no view is made: to search for clusters takes longer.
_FEWEST_IN_ALL = 24
#: Lengths that are compared at once, or a few more. With 32, a comparison of all takes 1.5 times as long; with 512,
#: more is copied. A code object with up to so many counters is in one part.
_LONGEST = 128
_ORDER = sys.byteorder


class Segment:
    """Counters of the code object *place* that are side by side in a part.

    The difference of a segment is a number that says how far each counter has moved on. `known` is for the user of the
    memory: a dict from differences to numbers. *is_whole* says whether these are all counters of the code object.
    """

    __slots__ = ("_positions", "is_whole", "known", "place")

    def __init__(self, place: Place, positions: list[int], *, is_whole: bool) -> None:
        self.place = place
        self.is_whole = is_whole
        self.known: dict[int, int] = {}
        self._positions = positions

    def pairs(self, difference: int) -> Pairs:
        """Return which counters have moved on, and how often, if *difference* is that of this segment."""
        positions = self._positions
        moved = array("q", difference.to_bytes(_WIDTH * len(positions), _ORDER))
        return tuple(sorted(compress(zip(positions, moved), moved)))


class _Part:
    """Counters whose lengths are read together: those of *batch* with these *indexes*.

    With a *view* of their lengths, they are side by side. `last` has the lengths at the last call of `changes`.
    """

    __slots__ = ("_batch", "_counters", "_segments", "index", "indexes", "last", "view")

    def __init__(self, batch: Batch, indexes: list[int], view: memoryview | None, last: bytes) -> None:
        self.indexes = indexes
        self.view = view
        self.last = last
        #: The index of this part among those with a view, or among those without.
        self.index = 0
        self._batch = batch  # without its counters, the view would be one of foreign memory
        self._counters = [batch.counters[index] for index in indexes] if view is None else []
        #: The first byte of each segment, the byte after its last, and the segment.
        self._segments: list[tuple[int, int, Segment]] = []
        start = 0
        for code, indexes_of_code in groupby(indexes, batch.owners.__getitem__):
            first = batch.starts[code]
            positions = [index - first for index in indexes_of_code]
            end = start + _WIDTH * len(positions)
            is_whole = len(positions) == batch.starts[code + 1] - first
            self._segments.append((start, end, Segment(batch.places[code], positions, is_whole=is_whole)))
            start = end

    def lengths(self) -> bytes:
        """Return the lengths of these counters now."""
        return _bytes_of(read_counters(self._counters)) if self.view is None else self.view.tobytes()

    def changes(self, now: bytes) -> Iterator[tuple[Segment, int]]:
        """Yield each segment whose counters have moved on, and its difference; *now* has the lengths now."""
        before, self.last = self.last, now
        for start, end, segment in self._segments:
            old, new = before[start:end], now[start:end]
            if old != new:
                # No length grows. So no digit is borrowed from one number for another, and one subtraction serves all.
                yield segment, int.from_bytes(old, _ORDER) - int.from_bytes(new, _ORDER)


class Batch:
    """Code objects with consecutive *counters*, which live as long as this.

    - `starts`: the index of the first counter of each code object, then the number of counters.
    - `places`: the place of each code object.
    - `owners`: the index in `places` for each counter.
    """

    __slots__ = ("counters", "owners", "parts", "places", "starts")

    def __init__(self, counters: list[repeat[None]], starts: list[int], places: list[Place]) -> None:
        self.counters = counters
        self.starts = starts
        self.places = places
        self.owners = [*chain.from_iterable(map(repeat, range(len(places)), _distances(starts)))]
        self.parts: list[_Part] = []

    def last_lengths(self) -> dict[int, int]:
        """Return the lengths at the last call of `changes`, by index, unless they are FULL."""
        return {
            index: length
            for part in self.parts
            for index, length in zip(part.indexes, array("q", part.last))
            if length != FULL
        }


class CounterMemory:
    """The lengths of the counters of batches, which are added and removed. The first lengths are FULL."""

    def __init__(self) -> None:
        self._offset = _offset.value if _offset.is_known else _offset.find()
        #: Parts with views, and parallel to these: the views, and the last lengths, which are compared with the views.
        self._viewed: list[_Part] = []
        self._views: list[memoryview] = []
        self._last: list[memoryview] = []
        #: Parts without views.
        self._called: list[_Part] = []

    def add(self, batch: Batch, lengths: dict[int, int] | None = None) -> None:
        """Add *batch*. *lengths* are its last lengths by index, unless they are FULL."""
        addresses = {id(counter): index for index, counter in enumerate(batch.counters)}
        scattered: list[int] = []
        if self._offset and len(addresses) >= _FEWEST_IN_ALL:
            for cluster, stride in clusters(sorted(addresses)):
                indexes = [addresses[address] for address in cluster]
                if len(cluster) < _FEWEST:
                    scattered += indexes
                    continue
                for start, end in _cuts([batch.owners[index] for index in indexes]):
                    view = self._view(cluster[start], end - start, stride)
                    self._add_part(batch, indexes[start:end], view, lengths or {})
        else:
            scattered += range(len(addresses))
        scattered.sort()
        for first in range(0, len(scattered), _LONGEST):
            self._add_part(batch, scattered[first : first + _LONGEST], None, lengths or {})

    def _add_part(self, batch: Batch, indexes: list[int], view: memoryview | None, lengths: dict[int, int]) -> None:
        last = _bytes_of([lengths.get(index, FULL) for index in indexes])
        part = _Part(batch, indexes, view, last)
        batch.parts.append(part)
        if view is None:
            part.index = len(self._called)
            self._called.append(part)
        else:
            part.index = len(self._viewed)
            self._viewed.append(part)
            self._views.append(view)
            self._last.append(_numbers(last))

    def remove(self, batch: Batch) -> None:
        """Remove *batch*."""
        for part in batch.parts:
            lists: tuple[list[Any], ...] = (self._viewed, self._views, self._last) if part.view else (self._called,)
            lists[0][-1].index = part.index
            for each in lists:
                each[part.index] = each[-1]
                each.pop()
        batch.parts.clear()

    def read(self) -> Reading:
        """Return which counters have moved on since the last call of `changes`.

        The result is no picture of one moment if other threads run meanwhile. If two results are equal, both are.
        """
        moved = compress(self._viewed, map(ne, self._views, self._last))
        return [*((part, part.lengths()) for part in moved), *_moved(self._called)]

    def changes(self, now: Reading) -> list[tuple[Segment, int]]:
        """Return each segment whose counters have moved on since the last call, and its difference.

        *now* is the result of the last call of `read`.
        """
        changes: list[tuple[Segment, int]] = []
        for part, lengths in now:
            changes += part.changes(lengths)
            if part.view is not None:
                self._last[part.index] = _numbers(lengths)
        return changes

    def changes_of(self, batch: Batch) -> list[tuple[Segment, int]]:
        """Return the same for the counters of *batch* only, as of now."""
        return self.changes([*_moved(batch.parts)])

    def _view(self, address: int, n: int, stride: int) -> memoryview:
        """Return a view of the lengths of *n* counters from *address* on, *stride* bytes from each other."""
        ctypes = ctypes_copy()
        memory = (ctypes.c_int64 * (stride * (n - 1) // _WIDTH + 1)).from_address(address + self._offset)
        return memoryview(memory).cast("B").cast("q")[:: stride // _WIDTH]


def _moved(parts: list[_Part]) -> Iterator[tuple[_Part, bytes]]:
    """Yield those of *parts* whose counters have moved on, and their lengths."""
    for part in parts:
        lengths = part.lengths()
        if lengths != part.last:
            yield part, lengths


def _bytes_of(lengths: list[int]) -> bytes:
    return array("q", lengths).tobytes()


def _numbers(lengths: bytes) -> memoryview:
    """Return the numbers in *lengths*. Only views of equal types are compared without a copy."""
    return memoryview(lengths).cast("q")


def _distances(numbers: list[int]) -> Iterator[int]:
    """Yield the distance from each of *numbers* to the next."""
    return (after - before for before, after in pairwise(numbers))


def _cuts(owners: list[int]) -> Iterator[tuple[int, int]]:
    """Yield the first and the last index, plus 1, of each part of counters with these *owners*: see _LONGEST."""
    start = 0
    for index in range(1, len(owners)):
        n = index - start
        if n >= 2 * _LONGEST or (n >= _LONGEST and owners[index] != owners[index - 1]):
            yield start, index
            start = index
    yield start, len(owners)


def clusters(addresses: list[int]) -> Iterator[tuple[list[int], int]]:
    """Yield the ascending *addresses* in clusters, each with the distance from each address to the next.

    The distance is the most frequent one: counters lie side by side.
    """
    frequencies: dict[int, int] = {}
    for distance in _distances(addresses):
        frequencies[distance] = frequencies.get(distance, 0) + 1
    stride = max(frequencies, key=frequencies.__getitem__, default=_WIDTH)
    cluster: list[int] = []
    for address in addresses:
        if cluster and (address - cluster[-1] != stride or stride % _WIDTH):
            yield cluster, stride
            cluster = []
        cluster.append(address)
    if cluster:
        yield cluster, stride


class _Offset(ProcessState):
    """How far behind the address of a counter its length is, in bytes: a *value* that is found once."""

    __slots__ = ("is_known", "value")

    def reset(self) -> None:
        self.is_known, self.value = False, 0

    def find(self) -> int:
        """Return the offset, which is known from now on."""
        self.is_known, self.value = True, _offset_of_length()
        return self.value


_offset = _Offset()


def _offset_of_length() -> int:
    """Return how far behind the address of a counter its length is, in bytes; 0 if that cannot be found."""
    try:
        ctypes: Any = ctypes_copy()
        n_words = repeat.__basicsize__ // _WIDTH
        offsets = []
        for length in (_UNLIKELY, _UNLIKELY + 1):
            counter = repeat(None, length)
            words = (ctypes.c_int64 * n_words).from_address(id(counter))
            offsets.append([_WIDTH * place for place in range(n_words) if words[place] == length])
        counter = make_counter()
        next(counter)
        [offset] = offsets[0]
        is_certain = offsets[0] == offsets[1]
        is_certain = is_certain and ctypes.c_int64.from_address(id(counter) + offset).value == FULL - 1
    except (ImportError, AttributeError, ValueError):  # no ctypes, another implementation, or no single place
        return 0
    return offset if is_certain else 0
