"""Finds entries of a location table by code unit, for comparisons of two tables without a tuple for each code unit.

A `co_linetable` comes in; the indices of the bytes that locate a code unit go out. An entry gives one location to up to
eight code units. Its first byte has bit 7 set, its other bytes do not (CPython: Objects/locations.md).

The check of rewritten code uses this module, and the rewriter `decode.locations`. Neither uses the other, so a mistake
in one of them is found by the other.
"""

from __future__ import annotations

from _bisect import bisect_right
from itertools import accumulate

#: By byte of a table: the number of code units that the entry covers, zero unless this is its first byte.
_N_UNITS = bytes((byte & 7) + 1 if byte > 127 else 0 for byte in range(256))
#: The bits of the first byte that tell the form of the entry.
_FORM = 0xF8
#: Forms: on the line of the entry above, one or two lines below it; all on one line. Lower ones are short.
_SAME_LINE = 0xD0
_ON_ONE_LINE = (_SAME_LINE, 0xD8, 0xE0)
_NO_COLUMNS, _LONG, _NOWHERE = 0xE8, 0xF0, 0xF8
#: The first bytes of entries without location.
_IS_NOWHERE = bytes(range(_NOWHERE, 256))
#: The number that stands for a column that is not known.
_UNKNOWN = -1


class LocationEntries:
    """The location table *table*.

    - `table`: the bytes themselves.
    - `ends`: for each byte, the code unit behind the entry that it belongs to.

    The first byte at which `ends` is greater than *n* begins the entry of the code unit *n*: `bisect_right(ends, n)`.
    """

    __slots__ = ("ends", "table")

    def __init__(self, table: bytes) -> None:
        self.table = table
        self.ends = list(accumulate(table.translate(_N_UNITS)))


def end_if_alike(new: LocationEntries, start: int, unit: int, old: LocationEntries, old_unit: int, size: int) -> int:
    """Return the byte behind the entries for *unit* to *unit* + *size* in *new*, or -1 if *old* has others.

    *old_unit* is the code unit in *old* that corresponds to *unit*. The lines of the two first entries are not
    compared, since they depend on the entries above. All entries from the byte *start* on are read. Raise IndexError or
    ValueError if one is missing or malformed.
    """
    ends, old_ends, table, old_table = new.ends, old.ends, new.table, old.table
    first, old_first = bisect_right(ends, unit), bisect_right(old_ends, old_unit)
    last, old_last = bisect_right(ends, unit + size, first), bisect_right(old_ends, old_unit + size, old_first)
    end, old_end = bisect_right(ends, ends[last], last), bisect_right(old_ends, old_ends[old_last], old_last)
    while start < first:
        next_start = bisect_right(ends, ends[start], start)
        _columns(table[start:next_start])
        start = next_start
    is_aligned = first == last or ends[first] - unit == old_ends[old_first] - old_unit
    if is_aligned and table[first + 1 : end] == old_table[old_first + 1 : old_end]:
        form, old_form = table[first] & _FORM, old_table[old_first] & _FORM
        if form == old_form or (form in _ON_ONE_LINE and old_form in _ON_ONE_LINE):
            return end
    # An entry beside added code may be cut, extended or written anew. Compare the first one by its columns.
    old_second = bisect_right(old_ends, old_ends[old_first], old_first)
    columns = _columns(old_table[old_first:old_second])
    behind = unit + min(old_ends[old_first] - old_unit, size + 1)
    start = first
    while True:
        second = bisect_right(ends, ends[start], start)
        entry = table[start:second]
        if _columns(entry) != columns or not (start == first or _stays_on_line(entry)):
            return -1
        if ends[start] >= behind:
            break
        start = second
    if old_first == old_last:
        return end
    is_rest_alike = (
        ends[start] == behind
        and table[second:last] == old_table[old_second:old_last]
        and table[last] & _FORM == old_table[old_last] & _FORM
        and table[last + 1 : end] == old_table[old_last + 1 : old_end]
    )
    return end if is_rest_alike else -1


def is_extended(new: bytes, old: bytes, unit: int, n_more: int, n_units: int, n_behind: int) -> bool:
    """Return whether the location table *new* is *old*, that of *n_units* units, with more units.

    These are *n_more* units above the unit *unit*, with the location of that unit, and *n_behind* units at the end,
    without location.
    """
    sizes, new_sizes = old.translate(_N_UNITS), new.translate(_N_UNITS)
    try:
        start = above = 0
        while above + sizes[start] <= unit:
            above += sizes[start]
            start = _next_entry(sizes, start)
        end = _next_entry(sizes, start)
        behind = len(new) - (n_behind + 7 >> 3)
        stop = behind - (len(old) - end)
        columns = _columns(old[start:end])
        if new[start] & _FORM != old[start] & _FORM or new[start + 1 : end] != old[start + 1 : end]:
            return False
        entry = end
        while entry < stop:
            next_entry = _next_entry(new_sizes, entry)
            if _columns(new[entry:next_entry]) != columns or not _stays_on_line(new[entry:next_entry]):
                return False
            entry = next_entry
    except (IndexError, ValueError):  # an entry is missing or malformed
        return False
    return (
        entry == stop
        and new[:start] == old[:start]
        and new[stop:behind] == old[end:]
        and sum(sizes) == n_units
        and sum(new_sizes[start:stop]) == sizes[start] + n_more
        and sum(new_sizes[behind:]) == n_behind
        and not new[behind:].translate(None, _IS_NOWHERE)
    )


def _next_entry(sizes: bytes, start: int) -> int:
    """Return where the entry behind that at *start* begins."""
    start += 1
    while start < len(sizes) and not sizes[start]:
        start += 1
    return start


def _stays_on_line(entry: bytes) -> bool:
    """Return whether *entry* has the line of the entry above it."""
    form = entry[0] & _FORM
    if form in (_NO_COLUMNS, _LONG):
        return not entry[1]
    return form <= _SAME_LINE or form == _NOWHERE


def _columns(entry: bytes) -> tuple[int, int, int] | None:
    """Return (lines from the first to the last, column, end column) of *entry*; None if it has no location.

    The line itself is not returned, since it depends on the entries above. Raise ValueError if *entry* is too long or
    too short: the interpreter has two decoders, which read such entries differently.
    """
    form = entry[0] & _FORM
    if form < _SAME_LINE:
        _, byte = entry
        column = form & ~128 | byte >> 4
        return 0, column, column + (byte & 15)
    if form in _ON_ONE_LINE:
        _, column, end_column = entry
        return 0, column, end_column
    if form == _NOWHERE:
        (_,) = entry
        return None
    numbers = _numbers(entry)
    if form == _NO_COLUMNS:
        (_,) = numbers
        return 0, _UNKNOWN, _UNKNOWN
    _, n_lines, column, end_column = numbers
    return n_lines, column - 1, end_column - 1


def _numbers(entry: bytes) -> list[int]:
    """Return the numbers that follow the first byte of *entry*; raise ValueError if the last is cut off."""
    numbers = []
    number = shift = 0
    for byte in entry[1:]:
        number |= (byte & 63) << shift
        shift += 6
        if not byte & 64:
            numbers.append(number)
            number = shift = 0
    if shift:
        raise ValueError("the last number of an entry is cut off")
    return numbers
