"""Takes the location table of a code object apart into its entries.

A `co_linetable` comes in (CPython: Objects/locations.md); a `LocationTable` goes out. An entry gives one location to up
to eight code units. An entry holds the difference from the line of the entry before, not the line itself. So an entry
that is moved behind another one may need another difference.
"""

from __future__ import annotations

from itertools import accumulate, compress

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import CodeType

# Bits 3 to 6 of an entry's first byte are its kind. Kinds below ONE_LINE stay on the line of the entry before. ONE_LINE
# and the two kinds above it add 0, 1 or 2 to that line. NO_COLUMNS and LONG store the difference as a number.
ONE_LINE = 10
NO_COLUMNS = 13
LONG = 14
NOWHERE = 15

#: By first byte of an entry: how many code units the entry is for.
_SIZES = bytes((head & 7) + 1 for head in range(256))
#: By first byte of an entry: the difference of lines that its kind says; 0 if a number says it.
_DIFFERENCES = bytes(max((head >> 3 & 15) - ONE_LINE, 0) if head >> 3 & 15 < NO_COLUMNS else 0 for head in range(256))
_HAS_VARINT = bytes(int(head >= 128 and head >> 3 & 15 in (NO_COLUMNS, LONG)) for head in range(256))
_IS_NOWHERE = bytes(int(head >= 128 and head >> 3 & 15 == NOWHERE) for head in range(256))
_IS_FIRST = bytes(128) + b"\1" * 128
_NOT_FIRST = bytes(range(128))
#: By byte: the signed number that it is, if it is the only byte of a number. The lowest bit is the sign.
_SHORT_NUMBERS = [-(byte >> 1) if byte & 1 else byte >> 1 for byte in range(64)]


class LocationTable:
    """The entries of the location table of *code*, in lists by index.

        table       the bytes of the table
        offsets     where each entry begins in the table, and the end of the table
        ends        the code unit behind each entry
        nowhere     the entries that give no location
        lines       the line of each entry; for an entry without a location, that of the last entry that has one

    Raise ValueError if the entries are not those of all code units of *code*.
    """

    __slots__ = ("ends", "lines", "nowhere", "offsets", "table")

    def __init__(self, code: CodeType) -> None:
        self.table = table = code.co_linetable
        heads = table.translate(None, _NOT_FIRST)
        self.offsets = offsets = [*compress(range(len(table)), table.translate(_IS_FIRST)), len(table)]
        self.ends = list(accumulate(heads.translate(_SIZES)))
        if not heads or offsets[0] or self.ends[-1] != len(code.co_code) >> 1:
            raise ValueError("the location table is not one of this code")
        differences = list(heads.translate(_DIFFERENCES))
        for entry in compress(range(len(heads)), heads.translate(_HAS_VARINT)):
            byte = table[offsets[entry] + 1]
            differences[entry] = _SHORT_NUMBERS[byte] if byte < 64 else self._signed_number(offsets[entry] + 1)
        differences[0] += code.co_firstlineno
        self.lines = list(accumulate(differences))
        self.nowhere = frozenset(compress(range(len(heads)), heads.translate(_IS_NOWHERE)))

    def _signed_number(self, offset: int) -> int:
        """Return the signed number that begins at *offset*: groups of six bits, the lowest and the sign first."""
        table = self.table
        value, shift = table[offset] & 63, 6
        while table[offset] & 64:
            offset += 1
            value |= (table[offset] & 63) << shift
            shift += 6
        return -(value >> 1) if value & 1 else value >> 1

    def body(self, entry: int) -> bytes:
        """Return the bytes of *entry* behind its first byte, without the number for its difference of lines, if any."""
        table, start, end = self.table, self.offsets[entry] + 1, self.offsets[entry + 1]
        if _HAS_VARINT[table[start - 1]]:
            while table[start] & 64:  # another byte of the number follows
                start += 1
            start += 1
        return table[start:end]
