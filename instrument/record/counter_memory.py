"""CounterMemory: reads many counters at once, out of the interpreter's memory.

Counters come in. Out go readings, and how often each counter was moved on between two of them.

Problem: a run that tells tests apart reads all counters three times a test. A call in C for each makes a number each:
4.8 ms for 100,000 counters [3.12].
Solution: the interpreter allocates counters near each other, and `ctypes` has views of memory. One strided copy takes
hundreds of lengths, and one subtraction of long integers compares them: 0.6 ms. Objects between counters are masked.
Where a counter keeps its length is searched for, in counters whose lengths are known. Where that fails, or a counter is
far from all others, a call in C reads it.
Alternatives: counters of a type that C reads at once. There is none that one instruction moves on without an allocation
(DESIGN.md of `rewrite`).
"""

from __future__ import annotations

import sys
from _functools import partial  # type: ignore[import-not-found]
from itertools import pairwise, repeat

from instrument.guest.interpreters import ctypes_copy
from instrument.guest.own_imports import extension
from instrument.guest.process_state import ProcessState
from instrument.link.counters import FULL, make_counter, read_counters

TYPE_CHECKING = False
if TYPE_CHECKING:
    from array import array
    from collections.abc import Callable, Iterator
    from typing import Any, TypeAlias

    #: The bytes of each part of the memory: see `_Part`.
    Reading: TypeAlias = list[bytes]
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
#: Objects between two counters of one view, at most. More would be copied in vain. All of them are in pages of memory
#: that the two counters are in, which can be read: see `_MOST_BYTES`.
_MOST_BETWEEN = 16
_MOST_BYTES = 4096
#: Lengths that are compared at once.
_LONGEST = 512
_ORDER = sys.byteorder


class _Part:
    """Some counters near each other.

    - copy: returns the bytes of their lengths, and of the objects between them.
    - numbers: the number of the counter of each length; -1 for anything else.
    - mask: has all bits set that belong to lengths; None if there is nothing else.
    """

    __slots__ = ("copy", "mask", "numbers")

    def __init__(self, copy: Callable[[], bytes], numbers: list[int], mask: int | None) -> None:
        self.copy = copy
        self.numbers = numbers
        self.mask = mask

    def difference(self, before: bytes, now: bytes) -> bytes:
        """Return how often each counter was moved on, as bytes; zeros for anything else.

        No length grows. So no digit is borrowed from one number for another, and one subtraction serves all of them.
        """
        was, remains = int.from_bytes(before, _ORDER), int.from_bytes(now, _ORDER)
        if self.mask is not None:
            was, remains = was & self.mask, remains & self.mask
        return (was - remains).to_bytes(len(now), _ORDER)


class CounterMemory:
    """The lengths of the counters in the list *counters*, which only grows, and whose counters live on."""

    def __init__(self, counters: list[repeat[None]]) -> None:
        self._counters = counters
        self._offset = _offset.value if _offset.is_known else _offset.find()
        self._parts: list[_Part] = []
        self._n = self._n_arranged = 0
        #: The reading at the last call of `changes`; before that, the lengths of new counters.
        self.last: Reading = []

    def read(self, n: int) -> Reading:
        """Return a reading of the first *n* counters, which are as many as at the last call, or more.

        It is no picture of one moment if other threads run meanwhile: see `are_equal`.
        """
        if n > self._n:
            if n > 2 * self._n_arranged:
                self._arrange_anew(n)
            else:
                self._add(self._n, n)
            self._n = n
        return [part.copy() for part in self._parts]

    def are_equal(self, one: Reading, other: Reading) -> bool:
        """Return whether all counters have the same lengths in both readings, after the same number of `read`."""
        return all(
            before == now or not any(part.difference(before, now))
            for part, before, now in zip(self._parts, one, other, strict=True)
        )

    def changes(self, now: Reading) -> Iterator[tuple[int, int]]:
        """Yield the number of each counter that was moved on since the last call, and how often.

        *now* is the result of the last `read`. The caller must exhaust the iterator.
        """
        last, self.last = self.last, now
        for part, before, data in zip(self._parts, last, now, strict=True):
            if before == data:
                continue
            difference = part.difference(before, data)
            numbers = part.numbers
            place = 0
            while rest := difference[_WIDTH * place :].lstrip(b"\0"):
                place = (len(difference) - len(rest)) // _WIDTH
                fired = difference[_WIDTH * place : _WIDTH * (place + 1)]
                yield numbers[place], int.from_bytes(fired, _ORDER)
                place += 1

    def _arrange_anew(self, n: int) -> None:
        """Make new parts of the first *n* counters: those of counters that came bit by bit are many."""
        lengths = self._last_lengths()
        self._parts, self.last, self._n_arranged = [], [], n
        self._add(0, n, lengths)

    def _last_lengths(self) -> dict[int, int]:
        """Return the lengths of counters as of the last `changes`, by number, unless they are FULL."""
        return {
            number: length
            for part, data in zip(self._parts, self.last, strict=True)
            for number, length in zip(part.numbers, array("q", data))
            if number >= 0 and length != FULL
        }

    def _add(self, first: int, end: int, lengths: dict[int, int] | None = None) -> None:
        """Add parts for the counters from number *first* to *end* - 1. *lengths* are the last ones, by default FULL."""
        n_before = len(self._parts)
        addresses = {id(counter): number for number, counter in enumerate(self._counters[first:end], first)}
        scattered: list[int] = []
        has_views = self._offset and end - first >= _FEWEST_IN_ALL
        for cluster, stride in _clusters(sorted(addresses)) if has_views else ():
            if len(cluster) < _FEWEST:
                scattered += [addresses[address] for address in cluster]
            else:
                self._parts.append(self._part(cluster, stride, addresses))
        if not has_views:
            scattered = [*addresses.values()]
        for place in range(0, len(scattered), _LONGEST):
            numbers = scattered[place : place + _LONGEST]
            counters = [self._counters[number] for number in numbers]
            self._parts.append(_Part(partial(_read_by_calls, counters), numbers, None))
        for part in self._parts[n_before:]:
            before = [(lengths or {}).get(number, FULL) for number in part.numbers]
            self.last.append(_bytes_of(before))

    def _part(self, cluster: list[int], stride: int, numbers: dict[int, int]) -> _Part:
        """Return the part of the counters at the addresses *cluster*, with *stride* bytes from each to the next.

        *numbers* has the number of each counter, by address.
        """
        ctypes = ctypes_copy()
        n = (cluster[-1] - cluster[0]) // stride + 1
        memory = (ctypes.c_int64 * (stride * (n - 1) // _WIDTH + 1)).from_address(cluster[0] + self._offset)
        copy: Callable[[], bytes] = memoryview(memory).cast("B").cast("q")[:: stride // _WIDTH].tobytes
        of_part = [numbers.get(address, -1) for address in range(cluster[0], cluster[-1] + 1, stride)]
        mask = None
        if n > len(cluster):
            ones, zeros = b"\xff" * _WIDTH, b"\0" * _WIDTH
            mask = int.from_bytes(b"".join([zeros if number < 0 else ones for number in of_part]), _ORDER)
        return _Part(copy, of_part, mask)


def _bytes_of(lengths: list[int]) -> bytes:
    return array("q", lengths).tobytes()


def _read_by_calls(counters: list[repeat[None]]) -> bytes:
    return _bytes_of(read_counters(counters))


def _clusters(addresses: list[int]) -> Iterator[tuple[list[int], int]]:
    """Yield the ascending *addresses* in clusters, each with a number. Distances in a cluster are multiples of it.

    Everything between the first and the last address of a cluster can be read.
    """
    gaps: dict[int, int] = {}
    for above, below in pairwise(addresses):
        gaps[below - above] = gaps.get(below - above, 0) + 1
    stride = max(gaps, key=gaps.__getitem__, default=_WIDTH)
    most = min(stride * _MOST_BETWEEN, _MOST_BYTES) if stride % _WIDTH == 0 else 0
    cluster: list[int] = []
    for address in addresses:
        gap = address - cluster[-1] if cluster else 0
        if cluster and (gap > most or gap % stride or address - cluster[0] >= stride * _LONGEST):
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
