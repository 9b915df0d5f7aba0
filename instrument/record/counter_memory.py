"""CounterMemory: reads many counters at once, out of the interpreter's memory.

Counters come in. Out go readings, and how often each counter was moved on between two of them.

Problem: a run that tells tests apart reads all counters three times a test. A call in C for each makes a number each:
4.8 ms for 100,000 counters [3.12].
Solution: the interpreter allocates counters side by side, and `ctypes` has views of memory. One strided copy takes
hundreds of lengths, and one subtraction of long integers compares them: 0.6 ms. Where a counter keeps its length is
searched for, in counters whose lengths are known. Where that fails, a call in C reads each counter.
Alternatives: views of counters with masked objects between them. The 80,338 counters of sympy have a tenth fewer such
views. But these objects change, so the comparison takes as long as the reading [3.12]. Or counters of a type that C
reads at once: there is none that one instruction moves on without an allocation (DESIGN.md of `rewrite`).
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
#: Lengths that are compared at once.
_LONGEST = 512
_ORDER = sys.byteorder


class _Part:
    """Some counters side by side: `copy` returns the bytes of their lengths, and `numbers` has their numbers."""

    __slots__ = ("copy", "numbers")

    def __init__(self, copy: Callable[[], bytes], numbers: list[int]) -> None:
        self.copy = copy
        self.numbers = numbers


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

        It is no picture of one moment if other threads run meanwhile. If two readings are equal, both are.
        """
        if n > self._n:
            if n > 2 * self._n_arranged:
                self._arrange_anew(n)
            else:
                self._add(self._n, n)
            self._n = n
        return [part.copy() for part in self._parts]

    def changes(self, now: Reading) -> Iterator[tuple[int, int]]:
        """Yield the number of each counter that was moved on since the last call, and how often.

        *now* is the result of the last `read`. The caller must exhaust the iterator.
        """
        last, self.last = self.last, now
        for part, before, data in zip(self._parts, last, now, strict=True):
            if before == data:
                continue
            # No length grows. So no digit is borrowed from one number for another, and one subtraction serves all.
            total = int.from_bytes(before, _ORDER) - int.from_bytes(data, _ORDER)
            difference = total.to_bytes(len(data), _ORDER)
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
            if length != FULL
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
            self._parts.append(_Part(partial(_read_by_calls, counters), numbers))
        for part in self._parts[n_before:]:
            before = [(lengths or {}).get(number, FULL) for number in part.numbers]
            self.last.append(_bytes_of(before))

    def _part(self, cluster: list[int], stride: int, numbers: dict[int, int]) -> _Part:
        """Return the part of the counters at the addresses *cluster*, with *stride* bytes from each to the next.

        *numbers* has the number of each counter, by address.
        """
        ctypes = ctypes_copy()
        memory = (ctypes.c_int64 * (stride * (len(cluster) - 1) // _WIDTH + 1)).from_address(cluster[0] + self._offset)
        copy: Callable[[], bytes] = memoryview(memory).cast("B").cast("q")[:: stride // _WIDTH].tobytes
        return _Part(copy, [numbers[address] for address in cluster])


def _bytes_of(lengths: list[int]) -> bytes:
    return array("q", lengths).tobytes()


def _read_by_calls(counters: list[repeat[None]]) -> bytes:
    return _bytes_of(read_counters(counters))


def _clusters(addresses: list[int]) -> Iterator[tuple[list[int], int]]:
    """Yield the ascending *addresses* in clusters, each with the distance from each address to the next.

    The distance is the most frequent one: counters lie side by side.
    """
    distances: dict[int, int] = {}
    for above, below in pairwise(addresses):
        distances[below - above] = distances.get(below - above, 0) + 1
    stride = max(distances, key=distances.__getitem__, default=_WIDTH)
    cluster: list[int] = []
    for address in addresses:
        if cluster and (address - cluster[-1] != stride or stride % _WIDTH or len(cluster) >= _LONGEST):
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
