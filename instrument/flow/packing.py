"""Numbers as bytes, few of them.

Numbers go in and bytes come out, and the other way round. Most of what is known of code is never read, but all of it is
kept: in the cache, and in memory as long as the program runs. It is numbers of instructions, blocks and lines, each
close to the one before it, so that the differences take a byte each. [3.12, all that reading may need to know of sympy,
compressed: 5.3 MB as tuples of numbers, 2.0 as columns of differences]
"""

from __future__ import annotations

from _operator import sub
from _struct import error, pack  # type: ignore[attr-defined]
from itertools import accumulate

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


def pack_numbers(numbers: Iterable[int]) -> bytes:
    """Return *numbers* as the differences from each to the next, behind the name of the narrowest format for them all.

    Raise `struct.error` if one does not fit in 64 bits.
    """
    values = tuple(numbers)
    if not values:
        return b""
    differences = tuple(map(sub, values, (0, *values)))
    for kind in "bhi":
        try:
            return pack(f"=c{len(values)}{kind}", kind.encode(), *differences)
        except error:
            continue
    return pack(f"=c{len(values)}q", b"q", *differences)


def unpack_numbers(packed: bytes) -> list[int]:
    """Return what `pack_numbers` was given."""
    return list(accumulate(memoryview(packed)[1:].cast(chr(packed[0])))) if packed else []  # type: ignore[call-overload]


def pack_rows(rows: Sequence[tuple[int, ...]]) -> tuple[bytes, ...]:
    """Return *rows* of equally many numbers by columns."""
    return tuple(map(pack_numbers, zip(*rows)))


def unpack_rows(columns: Iterable[bytes]) -> list[tuple[int, ...]]:
    """Return what `pack_rows` was given."""
    return list(zip(*map(unpack_numbers, columns)))
