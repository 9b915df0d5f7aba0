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
from instrument.flow.plan import ProbePosition
from instrument.guest.isolation import bytecode
from instrument.rewrite.output import NO_UNIT
from instrument.rewrite.routes import DIRECT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import CodeType
    from typing import Any

    from bytecode import ConcreteBytecode

    from instrument.decode.instructions import Instructions
    from instrument.rewrite.output import Output, Source
    from instrument.rewrite.routes import ExceptionRoutes, Route
    from instrument.rewrite.stubs import ExitStubs

    #: One entry: first code unit, unit behind the last, unit of the handler, 2 * depth + push_lasti.
    ExceptionEntry = tuple[int, int, int, int]

_LONGEST = 8
_CONTINUES = 64


def location_table(code: CodeType, sources: Sequence[Source], offsets: Sequence[int]) -> bytes:
    """Return the location table of rewritten *code*: of pieces with *sources*, which begin at the units *offsets*."""
    try:
        writer = _Splicer(LocationTable(code), code.co_firstlineno)
    except (ValueError, IndexError):
        return _location_table_anew(code, sources, offsets)
    offset = 0
    for (start, stop), end in zip(sources, offsets[1:]):
        if start < stop:
            writer.copy(start, stop)
        else:
            writer.add(start, end - offset)
        offset = end
    return writer.finish()


class _Splicer:
    """Builds a location table from entries of *original*; the line before the first entry is *line*.

    Units that are added one after another, all with one entry, share one entry in the new table.
    """

    __slots__ = ("_ends", "_entry", "_line", "_lines", "_n_units", "_offsets", "_original", "_table", "_written")

    def __init__(self, original: LocationTable, line: int) -> None:
        self._original = original
        self._table, self._offsets, self._ends = original.table, original.offsets, original.ends
        self._lines = original.lines
        self._line = line  # the line behind the entries that are written
        self._entry = NO_UNIT  # the entry of the units that are added, but not written yet
        self._n_units = 0
        self._written = bytearray()

    def add(self, unit: int, n_units: int) -> None:
        """Add *n_units* with the location of the original code unit *unit*, or without one for NO_UNIT."""
        self._add_entry(bisect_right(self._ends, unit) if unit >= 0 else NO_UNIT, n_units)

    def copy(self, start: int, stop: int) -> None:
        """Add the original code units from *start* to *stop*, each with its location."""
        ends = self._ends
        entry = bisect_right(ends, start)
        last = bisect_left(ends, stop, entry)
        begin = ends[entry - 1] if entry else 0
        # Add entries one by one until the line is that before the next entry, as in the original.
        while True:
            is_whole = begin == start and entry != self._entry
            if is_whole and entry < last and self._line_behind() == (self._lines[entry - 1] if entry else None):
                break
            end = min(ends[entry], stop)
            self._add_entry(entry, end - start)
            if end == stop:
                return
            begin = start = end
            entry += 1
        self._flush()
        self._written += self._table[self._offsets[entry] : self._offsets[last]]
        self._line = self._lines[last - 1]
        self._add_entry(last, stop - ends[last - 1])

    def finish(self) -> bytes:
        """Return the table."""
        self._flush()
        return bytes(self._written)

    def _line_behind(self) -> int:
        """Return the line behind all entries that were added."""
        entry = self._entry
        if not self._n_units or entry < 0 or self._original.kind(entry) == NOWHERE:
            return self._line
        return self._lines[entry]

    def _add_entry(self, entry: int, n_units: int) -> None:
        if entry != self._entry:
            self._flush()
            self._entry = entry
        self._n_units += n_units

    def _flush(self) -> None:
        """Write an entry, or several if there are many, for the units that were added."""
        n_units, entry, written = self._n_units, self._entry, self._written
        if not n_units:
            return
        self._n_units = 0
        kind = self._original.kind(entry) if entry >= 0 else NOWHERE
        difference = 0
        if kind != NOWHERE:
            difference = self._lines[entry] - self._line
            self._line += difference
        while n_units > 0:
            n = n_units if n_units < _LONGEST else _LONGEST
            if kind < ONE_LINE and not difference:
                written.append(127 + n | kind << 3)
                written.append(self._table[self._offsets[entry] + 1])
            else:
                new_kind, body = self._encode(entry, kind, difference)
                written.append(127 + n | new_kind << 3)
                written += body
            n_units -= n
            difference = 0

    def _encode(self, entry: int, kind: int, difference: int) -> tuple[int, bytes]:
        """Return *entry*, of *kind*, with another *difference* of lines: its new kind, and the bytes behind the first.

        An entry on one line takes the shortest form that holds the difference.
        """
        if kind == NOWHERE:
            return kind, b""
        body = self._original.body(entry)
        if kind == NO_COLUMNS:
            return kind, _signed_number(difference) + body
        if kind == LONG:
            return kind, _signed_number(difference) + body
        if kind < ONE_LINE:
            if not difference:
                return kind, body
            start = kind << 3 | body[0] >> 4
            body = bytes((start, start + (body[0] & 15)))
        if 0 <= difference < NO_COLUMNS - ONE_LINE:
            return ONE_LINE + difference, body
        return LONG, _signed_number(difference) + b"\0" + _number(body[0] + 1) + _number(body[1] + 1)


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
        offsets: Sequence[int],
        routes: ExceptionRoutes,
        stubs: ExitStubs,
    ) -> None:
        self._instructions = instructions
        self._offset_of = [offsets[place] for place in output.labels]
        self._routes = routes
        self._stubs = stubs
        self._entries = entries = self._entries_of_routes(output, offsets)
        self.deepest = max([depth_and_lasti >> 1 for _, _, _, depth_and_lasti in entries], default=0)
        for (place, unit), n_units, (target_place, target_unit), depth in stubs.fallbacks:
            start = offsets[place] + unit
            entries.append((start, start + n_units, offsets[target_place] + target_unit, depth << 1))
        for (place, unit), number in stubs.reraises:
            start = offsets[place] + unit
            entries.append((start, start + 1, *self._target_of_handler(number)))
        entries.sort()

    def _entries_of_routes(self, output: Output, offsets: Sequence[int]) -> list[ExceptionEntry]:
        """Return the entries of all pieces, in order; neighbours that are alike are one entry."""
        entries: list[ExceptionEntry] = []
        targets: dict[Route, tuple[int, int]] = {}
        latest: tuple[int, tuple[int, int]] | None = None  # unit behind the latest entry, and its target
        for (place, route), (end_place, _) in zip(output.routes, output.routes[1:]):
            if route is None or place == end_place:
                continue
            if route not in targets:
                targets[route] = self._target_of(route)
            start, end, target = offsets[place], offsets[end_place], targets[route]
            if latest == (start, target):
                start = entries.pop()[0]
            entries.append((start, end, *target))
            latest = end, target
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
        return self._offset_of[self._stubs.labels[route]], (0 if handler is None else handler.depth) << 1 | push_lasti

    def _target_of_handler(self, number: int) -> tuple[int, int]:
        handler = self._instructions.table[number]
        return self._offset_of[handler.target], handler.depth << 1 | handler.push_lasti

    def encode(self) -> bytes:
        """Return the encoded table: for each entry start, size, target, 2 * depth + push_lasti."""
        table = bytearray()
        for start, stop, target, depth_and_lasti in self._entries:
            first = len(table)
            for value in (start, stop - start, target, depth_and_lasti):
                if value >= _CONTINUES:  # groups of six bits, the highest first
                    for shift in range((value.bit_length() - 1) // 6 * 6, 0, -6):
                        table.append(_CONTINUES | value >> shift & 63)
                table.append(value & 63)
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
    """Return the location table of rewritten *code*, encoded from `co_positions`, as `location_table` does."""
    positions = [_Location(position) for position in code.co_positions()]
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
