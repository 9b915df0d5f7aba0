"""ProbeCounts: how often each probe of a code group fired, with the exits and frames in flight. Values that add.

They are all that a process has to save: readers recover everything else by the Plans of the code group, see
`instrument.plans.plan_file`.
"""

from __future__ import annotations

import sys
from _operator import add
from _struct import Struct

from instrument.guest.own_imports import extension

TYPE_CHECKING = False
if TYPE_CHECKING:
    from array import array
    from collections.abc import Mapping
    from typing import TypeVar

    _Key = TypeVar("_Key")
else:
    array = extension("array").array

#: The greatest count. Sums end there.
GREATEST = (1 << 63) - 1

# The header: the type code of the counters, then the numbers of counters, exits and places of frames. The counters
# follow. Then comes the position and the count of each exit. Each place of frames has the number of its code object,
# its code unit, and the number of frames. All have the lowest byte first.
_HEADER = Struct("<cIII")
#: The type codes of counters, with the number of values that each has.
_KINDS = {"B": 1 << 8, "H": 1 << 16, "I": 1 << 32, "q": 1 << 63}
_IS_BIG_ENDIAN = sys.byteorder == "big"


class ProbeCounts:
    """The counts of the probes of a code group.

    - `fired`: how often each probe fired, by the number of its counter in the group.
    - `exits`: how often each exit was taken, by its position in the group: see `link.code_group`.
    - `in_flight`: how many frames are at each place; a place is the number of a code object and a code unit in it.
    """

    __slots__ = ("exits", "fired", "in_flight")

    def __init__(self, n_counters: int) -> None:
        """Make the counts of *n_counters* probes that have not fired."""
        self.fired: array[int] = array("q", bytes(8 * n_counters))
        self.exits: dict[int, int] = {}
        self.in_flight: dict[tuple[int, int], int] = {}

    def add(
        self, first: int, fired: array[int], exits: Mapping[int, int], in_flight: Mapping[tuple[int, int], int]
    ) -> None:
        """Add *fired*, the counts of consecutive probes from the number *first* on, and *exits* and *in_flight*.

        Raise OverflowError if a sum takes more than 64 bits.
        """
        part = slice(first, first + len(fired))
        if any(self.fired[part]):
            fired = array("q", map(add, self.fired[part], fired))
        self.fired[part] = fired
        _add_by_key(self.exits, exits)
        _add_by_key(self.in_flight, in_flight)

    def add_all(self, other: ProbeCounts) -> None:
        """Add *other*, of the same code group. Sums end at GREATEST. Raise ValueError if it has other probes."""
        if len(self.fired) != len(other.fired):
            raise ValueError(f"{len(other.fired)} counters are added to {len(self.fired)}")
        sums = [*map(add, self.fired, other.fired)]
        if max(sums, default=0) > GREATEST:
            sums = [min(count, GREATEST) for count in sums]
        self.fired = array("q", sums)
        _add_by_key(self.exits, other.exits)
        _add_by_key(self.in_flight, other.in_flight)

    def times(self, n: int) -> ProbeCounts:
        """Return *n* times these counts. Products end at GREATEST."""
        product = ProbeCounts(0)
        product.fired = array("q", [min(n * count, GREATEST) for count in self.fired])
        product.exits = {position: min(n * count, GREATEST) for position, count in self.exits.items()}
        product.in_flight = {place: n * count for place, count in self.in_flight.items()}
        return product

    def encoded(self) -> bytes:
        """Return the counts as bytes, with the fewest bytes that all counters fit in."""
        fired = self.fired
        greatest = max(fired, default=0)
        kind = next(kind for kind, n_values in _KINDS.items() if greatest < n_values)
        counters = fired if kind == "q" else array(kind, fired)
        others = array("q", [value for pair in self.exits.items() for value in pair])
        others.extend([value for (index, unit), n in self.in_flight.items() for value in (index, unit, n)])
        if _IS_BIG_ENDIAN:
            counters = counters[:]
            counters.byteswap()
            others.byteswap()
        header = _HEADER.pack(kind.encode(), len(fired), len(self.exits), len(self.in_flight))
        return b"".join((header, counters.tobytes(), others.tobytes()))


def _add_by_key(total: dict[_Key, int], counts: Mapping[_Key, int]) -> None:
    """Add *counts* to *total*, by key; a sum of 0 takes no key. Sums end at GREATEST."""
    for key, count in counts.items():
        new = min(total.get(key, 0) + count, GREATEST)
        if new:
            total[key] = new
        else:
            total.pop(key, None)


def numbers_in(data: bytes) -> tuple[int, int, int]:
    """Return the numbers of counters, exits and places of frames in *data*, encoded ProbeCounts of any length.

    Raise ValueError if *data* is cut off.
    """
    if len(data) < _HEADER.size:
        raise ValueError("the counts of probes are cut off")
    _letter, n_counters, n_exits, n_places = _HEADER.unpack_from(data)
    return n_counters, n_exits, n_places


def decoded(data: bytes) -> ProbeCounts:
    """Return the ProbeCounts that `ProbeCounts.encoded` returned *data* for; raise ValueError if it cannot have.

    A count is never negative. A number of frames may be: frames that entered before the counting began have left.
    """
    if len(data) < _HEADER.size:
        raise ValueError("the counts of probes are cut off")
    letter, n_counters, n_exits, n_places = _HEADER.unpack_from(data)
    kind = letter.decode("latin-1")
    if kind not in _KINDS:
        raise ValueError(f"the counts of probes are of no known kind: {kind!r}")
    counters: array[int] = array(kind)
    end = _HEADER.size + n_counters * counters.itemsize
    n_others = 2 * n_exits + 3 * n_places
    if len(data) != end + 8 * n_others:
        raise ValueError("the counts of probes have another length than they should")
    counters.frombytes(data[_HEADER.size : end])
    others: array[int] = array("q", data[end:])
    if _IS_BIG_ENDIAN:
        counters.byteswap()
        others.byteswap()
    counts = ProbeCounts(0)
    counts.fired = array("q", counters)
    values = iter(others)
    counts.exits = {position: next(values) for _, position in zip(range(n_exits), values)}
    counts.in_flight = {(index, next(values)): next(values) for _, index in zip(range(n_places), values)}
    keys_and_counts = [*counts.exits.items(), *counts.in_flight]
    if (kind == "q" and min(counters, default=0) < 0) or any(min(pair) < 0 for pair in keys_and_counts):
        raise ValueError("the counts of probes have a negative number")
    if len(counts.exits) != n_exits or len(counts.in_flight) != n_places:
        raise ValueError("the counts of probes have a place twice")
    return counts
