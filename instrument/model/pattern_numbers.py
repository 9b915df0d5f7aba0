"""The patterns of a context, as numbers: how they are stored.

The numbers of patterns come in, each as often as the context has the pattern (`record.contexts`). Bytes go out, and
back.

Problem: a suite of 5,000 tests that run 300 functions each has 1.5 million such numbers.
Solution: sorted numbers are close to each other. Their differences are small, and take about one byte each, compressed.
"""

from __future__ import annotations

import sys
from _operator import sub
from itertools import accumulate

from instrument.guest.own_imports import extension

TYPE_CHECKING = False
if TYPE_CHECKING:
    from array import array
    from collections.abc import Iterable
    from typing import Any
else:
    array = extension("array").array

#: The most numbers of one context that are read: 64 MiB.
MOST = 1 << 24
_IS_BIG_ENDIAN = sys.byteorder == "big"


def encoded(numbers: Iterable[int]) -> bytes:
    """Return *numbers* as bytes; a number may be there several times."""
    ordered = sorted(numbers)
    differences = array("I", map(sub, ordered, [0, *ordered[:-1]]))
    if _IS_BIG_ENDIAN:
        differences.byteswap()
    zlib: Any = extension("zlib")
    compressed: bytes = zlib.compress(differences.tobytes(), 1)
    return compressed


def decoded(data: bytes) -> list[int]:
    """Return the numbers that `encoded` returned *data* for, sorted; raise ValueError if it cannot have."""
    zlib: Any = extension("zlib")
    decompressor = zlib.decompressobj()
    try:
        content = decompressor.decompress(data, 4 * MOST)
    except zlib.error as error:
        raise ValueError(f"the patterns of a context are damaged: {error}") from error
    if not decompressor.eof or decompressor.unused_data or len(content) % 4:
        raise ValueError("the patterns of a context are too many, or cut off")
    differences = array("I", content)
    if _IS_BIG_ENDIAN:
        differences.byteswap()
    return [*accumulate(differences)]
