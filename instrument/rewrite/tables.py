"""Writes the location table and the exception table of rewritten code, as CPython reads them.

The pieces of an `Output` and their offsets come in; the encoded tables go out (Objects/locations.md,
Objects/exception_handling_notes.txt).

Decision: the location table is spliced.
    Problem: most entries stay as they are. To encode them anew, unit by unit, takes a third of the time of rewriting.
    Solution: copy the entries of each copied run of code as one slice. Only entries at the ends of runs are cut or get
    another difference of lines.
    Alternatives: `bytecode.ConcreteBytecode` writes all entries from `co_positions` [3.12: 9 times as slow]. It does so
    for code whose table is not one of this code: hand-made code objects have such tables.
"""

from __future__ import annotations

from _bisect import bisect_left, bisect_right
from _functools import partial  # type: ignore[import-not-found]
from _operator import itemgetter

from instrument.decode.locations import LONG, NO_COLUMNS, NOWHERE, ONE_LINE, LocationTable
from instrument.errors import RewriteError
from instrument.flow.plan import ProbePosition
from instrument.guest.isolation import bytecode
from instrument.rewrite.output import NO_UNIT
from instrument.rewrite.routes import DIRECT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from types import CodeType
    from typing import Any

    from bytecode import ConcreteBytecode

    from instrument.decode.instructions import Instructions
    from instrument.rewrite.output import Output, Source
    from instrument.rewrite.routes import ExceptionRoutes, Route
    from instrument.rewrite.stubs import ExitStubs

    #: One entry: first code unit, unit behind the last, unit of the handler, 2 * depth + push_lasti.
    ExceptionEntry = tuple[int, int, int, int]

#: The most units of one entry, and the first byte of an entry without location: for one unit, for the most.
LONGEST = 8
_FIRST_NOWHERE = 128 | NOWHERE << 3
_ALL_NOWHERE = bytes((_FIRST_NOWHERE | LONGEST - 1,))
_CONTINUES = 64


def location_table(code: CodeType, sources: Sequence[Source], offsets: Sequence[int]) -> bytes:
    """Return the location table of rewritten *code*: of pieces with *sources*, which begin at the units *offsets*."""
    try:
        original = LocationTable(code)
    except (ValueError, IndexError):
        return _location_table_anew(code, sources, offsets)
    return _Splicer(original, code.co_firstlineno).splice(sources, offsets)


class _Splicer:
    """Builds a location table from entries of *original*; the line before the first entry is *line*.

    Units that are added one after another, all with one entry, share one entry in the new table.
    """

    __slots__ = (
        *("_difference", "_ends", "_entry", "_first_line", "_line", "_lines", "_n_units", "_nowhere", "_offsets"),
        *("_original", "_table", "_written"),
    )

    def __init__(self, original: LocationTable, line: int) -> None:
        self._original = original
        self._table, self._offsets, self._ends = original.table, original.offsets, original.ends
        self._lines, self._nowhere = original.lines, original.nowhere
        #: The line of the last unit that was added.
        self._line = self._first_line = line
        # Units that were added and are not written yet: their entry, its difference of lines, and their number.
        self._entry, self._difference, self._n_units = NO_UNIT, 0, 0
        self._written = bytearray()

    def splice(self, sources: Sequence[Source], offsets: Sequence[int]) -> bytes:
        """Return the table of pieces with *sources*, which begin at the units *offsets*."""
        ends, add = self._ends, self._add
        begin = 0
        for (start, stop), end in zip(sources, offsets[1:]):
            if start < stop:
                self._copy(start, stop)
            else:
                add(bisect_right(ends, start) if start >= 0 else NO_UNIT, end - begin)
            begin = end
        self._write()
        return bytes(self._written)

    def _copy(self, start: int, stop: int) -> None:
        """Add the original code units from *start* to *stop*, each with its location."""
        ends, lines = self._ends, self._lines
        entry = bisect_right(ends, start)
        last = bisect_left(ends, stop, entry)
        is_whole = start == 0 or ends[entry - 1] == start
        # Add entries one by one until the line is that before the next entry, as in the original.
        while entry < last and not (is_whole and entry and self._line == lines[entry - 1] and entry != self._entry):
            self._add(entry, ends[entry] - start)
            start = ends[entry]
            entry += 1
            is_whole = True
        if entry < last:
            if self._n_units:
                self._write()
            self._written += self._table[self._offsets[entry] : self._offsets[last]]
            self._line = lines[last - 1]
            start = ends[last - 1]
        self._add(last, stop - start)

    def _add(self, entry: int, n_units: int) -> None:
        """Add *n_units* with the location of *entry* of the original, or without one for NO_UNIT."""
        if entry != self._entry or not self._n_units:
            if self._n_units:
                self._write()
            self._entry, self._n_units = entry, 0
            if entry < 0 or entry in self._nowhere:
                self._difference = 0
            else:
                self._difference = self._lines[entry] - self._line
                self._line = self._lines[entry]
        self._n_units += n_units

    def _write(self) -> None:
        """Write an entry, or several if there are many, for the units that were added."""
        n_units, entry, written = self._n_units, self._entry, self._written
        self._n_units = 0
        if entry < 0:
            written += entries_without_location(n_units)
            return
        offset, difference, lines = self._offsets[entry], self._difference, self._lines
        first, body = self._table[offset] & ~7, self._table[offset + 1 : self._offsets[entry + 1]]
        if difference != lines[entry] - (lines[entry - 1] if entry else self._first_line):
            first, body = self._encode(entry, difference)
        if n_units > LONGEST:
            written.append(first | 7)
            written += body
            n_units -= LONGEST
            if difference:
                first, body = self._encode(entry, 0)
            while n_units > LONGEST:
                written.append(first | 7)
                written += body
                n_units -= LONGEST
        written.append(first | n_units - 1)
        written += body

    def _encode(self, entry: int, difference: int) -> tuple[int, bytes]:
        """Return *entry* with another *difference* of lines: its first byte, for one unit, and the bytes behind that.

        An entry on one line takes the shortest form that holds the difference.
        """
        kind, body = self._table[self._offsets[entry]] >> 3 & 15, self._original.body(entry)
        if kind == NOWHERE:
            return _FIRST_NOWHERE, b""
        if kind >= NO_COLUMNS:
            return 128 | kind << 3, _signed_number(difference) + body
        if kind < ONE_LINE:
            if not difference:
                return 128 | kind << 3, body
            start = kind << 3 | body[0] >> 4
            body = bytes((start, start + (body[0] & 15)))
        if 0 <= difference < NO_COLUMNS - ONE_LINE:
            return 128 | ONE_LINE + difference << 3, body
        return 128 | LONG << 3, _signed_number(difference) + b"\0" + _number(body[0] + 1) + _number(body[1] + 1)


def entries_without_location(n_units: int) -> bytes:
    """Return the entries of *n_units* code units that have no location."""
    entries = _ALL_NOWHERE * (n_units >> 3)
    return entries + bytes((_FIRST_NOWHERE | (n_units & 7) - 1,)) if n_units & 7 else entries


def _number(value: int) -> bytes:
    """Return *value* in groups of six bits, the lowest first."""
    groups = bytearray()
    while value >= _CONTINUES:
        groups.append(_CONTINUES | value & 63)
        value >>= 6
    groups.append(value)
    return bytes(groups)


def _signed_number(value: int) -> bytes:
    return _number(-value << 1 | 1 if value < 0 else value << 1)


class ExceptionTable:
    """The entries of the exception table, built from the routes of exceptions. `encode` returns the table.

    - `deepest`: the greatest depth of the stack that an entry keeps, those of fallbacks excepted.
    """

    def __init__(
        self,
        instructions: Instructions,
        output: Output,
        routes: ExceptionRoutes,
        stubs: ExitStubs,
    ) -> None:
        self._instructions = instructions
        self._address = output.address
        self._routes = routes
        self._stubs = stubs
        self._entries = entries = self._entries_of_routes(output)
        self.deepest = max([depth_and_lasti >> 1 for _, _, _, depth_and_lasti in entries], default=0)
        offsets = output.offsets
        for (place, unit), n_units, (target_place, target_unit), depth in stubs.fallbacks:
            start = offsets[place] + unit
            entries.append((start, start + n_units, offsets[target_place] + target_unit, depth << 1))
        for (place, unit), number in stubs.reraises:
            start = offsets[place] + unit
            entries.append((start, start + 1, *self._target_of_handler(number)))
        entries.sort()

    def _entries_of_routes(self, output: Output) -> list[ExceptionEntry]:
        """Return the entries for `output.routes`, in order.

        Each route holds up to the next item of `output.routes`. Code without a route gets no entry. Two routes share an
        entry if the second begins at the end of the first, and both lead to the same target.
        """
        entries: list[ExceptionEntry] = []
        targets: dict[Route, tuple[int, int]] = {}
        offsets = output.offsets
        starts = [offsets[place] + n_units for place, n_units, _ in output.routes]
        end_above, target_above = -1, (-1, -1)
        for start, end, (_, _, route) in zip(starts, starts[1:], output.routes):  # the last route is None
            if route is None or start == end:
                continue
            target = targets.get(route)
            if target is None:
                target = targets[route] = self._target_of(route)
            if end_above == start and target_above == target:
                start = entries.pop()[0]
            entries.append((start, end, *target))
            end_above, target_above = end, target
        return entries

    def _target_of(self, route: Route) -> tuple[int, int]:
        """Return where *route* leads first: code unit, and 2 * depth of the stack + whether lasti is pushed."""
        kind, _ = route
        number = self._routes.handler_of(route)
        if kind == DIRECT:
            return self._target_of_handler(number)
        handler = self._instructions.table[number] if number >= 0 else None
        # A record needs lasti on versions that push an int, and so does a RERAISE.
        push_lasti = (
            kind != ProbePosition.EXITING or handler is None or handler.push_lasti or self._routes.must_reraise(route)
        )
        return self._address(self._stubs.labels[route]), (0 if handler is None else handler.depth) << 1 | push_lasti

    def _target_of_handler(self, number: int) -> tuple[int, int]:
        handler = self._instructions.table[number]
        return self._address(handler.target), handler.depth << 1 | handler.push_lasti

    def encode(self) -> bytes:
        """Return the encoded table."""
        return encode_exception_table(self._entries)


def encode_exception_table(entries: Iterable[ExceptionEntry]) -> bytes:
    """Return the encoded table of *entries*, in their order: of each the start, the size, the target, and the rest."""
    table = bytearray()
    for start, stop, target, depth_and_lasti in entries:
        first = len(table)
        for value in (start, stop - start, target, depth_and_lasti):
            if value >= _CONTINUES:  # groups of six bits, the highest first
                if value >= 4096:
                    for shift in range((value.bit_length() - 1) // 6 * 6, 6, -6):
                        table.append(_CONTINUES | value >> shift & 63)
                table.append(_CONTINUES | value >> 6 & 63)
                value &= 63
            table.append(value)
        table[first] |= 128
    return bytes(table)


# Tables that cannot be spliced ########################################################################################


class _Location(tuple):  # type: ignore[type-arg]
    """One item of `co_positions`, with the attributes that `bytecode` expects of a location."""

    __slots__ = ()
    lineno: Any = property(itemgetter(0))
    end_lineno: Any = property(itemgetter(1))
    col_offset: Any = property(itemgetter(2))
    end_col_offset: Any = property(itemgetter(3))


def _location_table_anew(code: CodeType, sources: Sequence[Source], offsets: Sequence[int]) -> bytes:
    """Return the location table of rewritten *code*, encoded from `co_positions`, as `location_table` does.

    Raise RewriteError if a number in `co_positions` cannot be encoded: no compiler writes a table with such numbers.
    """
    positions = [_Location(position) for position in code.co_positions()]
    for line, end_line, column, end_column in positions:
        if (end_line or 0) < (line or 0) or min(column or 0, end_column or 0) < 0:
            raise RewriteError("the location table has an end line above the line, or a column below zero")
    nowhere = _Location((None, None, None, None))
    positions.append(nowhere)  # of NO_UNIT
    pieces: list[tuple[int, int, int, Any]] = []
    for (start, stop), begin, end in zip(sources, offsets, offsets[1:]):
        if start < stop:
            pieces += [(0, 2, 0, positions[unit]) for unit in range(start, stop)]
        elif begin < end:
            pieces.append((0, 2 * (end - begin), 0, positions[start]))
    concrete = bytecode.ConcreteBytecode()
    concrete._pack_location = partial(_pack_location, concrete)  # type: ignore[method-assign]
    return concrete._assemble_locations(code.co_firstlineno, pieces)


def _pack_location(concrete: ConcreteBytecode, entries: bytearray, size: int, line: int, location: Any) -> None:
    """Append to *entries* the *location* of *size* code units behind *line*, as `bytecode` does but for one mistake.

    `bytecode` 0.19 writes columns from 128 on into an entry for one line, which has 7 bits for each column. The
    interpreter then reads two entries, and all lines behind them are wrong. Such locations get the long form.
    """
    if (
        location is None
        or location.lineno is None
        or location.col_offset is None
        or location.end_col_offset is None
        or location.end_lineno != location.lineno
        or location.lineno - line not in (1, 2)
        or max(location.col_offset, location.end_col_offset) < 128
    ):
        type(concrete)._pack_location(concrete, entries, size, line, location)
        return
    entries.append(concrete._pack_location_header(14, size))
    entries += concrete._encode_location_svarint(location.lineno - line)
    for number in (0, location.col_offset + 1, location.end_col_offset + 1):
        entries += concrete._encode_location_varint(number)
