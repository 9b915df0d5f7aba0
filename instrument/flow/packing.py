"""Packs numbers into few bytes, and unpacks them.

Most data that recovery may need is never read. But all of it is stored, in the cache and in the memory of the running
program. It consists of numbers of instructions, blocks and lines, each close to the one before it. So the
differences are stored, and most take one byte. [3.12, recovery data of sympy, compressed: 5.3 MB as tuples of numbers,
2.0 MB as columns of differences]
"""

from __future__ import annotations

from _operator import sub
from _struct import error, pack  # type: ignore[attr-defined]
from itertools import accumulate

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


def pack_numbers(numbers: Iterable[int]) -> bytes:
    """Return *numbers* packed: a letter for the narrowest `struct` format that fits, then their differences.

    Raise `struct.error` if a difference does not fit in 64 bits.
    """
    values = tuple(numbers)
    if not values:
        return b""
    differences = tuple(map(sub, values, (0, *values)))
    for letter in "bhi":
        try:
            return pack(f"=c{len(values)}{letter}", letter.encode(), *differences)
        except error:
            continue
    return pack(f"=c{len(values)}q", b"q", *differences)


def unpack_numbers(packed: bytes) -> list[int]:
    """Return the numbers that `pack_numbers` has *packed*."""
    return list(accumulate(memoryview(packed)[1:].cast(chr(packed[0])))) if packed else []  # type: ignore[call-overload]


def pack_rows(rows: Sequence[tuple[int, ...]]) -> tuple[bytes, ...]:
    """Return *rows* of equally many numbers packed by columns, an entry for each column."""
    return tuple(map(pack_numbers, zip(*rows)))


def unpack_rows(columns: Iterable[bytes]) -> tuple[tuple[int, ...], ...]:
    """Return the rows that `pack_rows` has packed as *columns*."""
    return tuple(zip(*map(unpack_numbers, columns)))
