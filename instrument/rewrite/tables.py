"""The location table and the exception table of rewritten code.

An `Output` and the offsets of its pieces come in; the two tables go out, encoded as CPython reads them
(Objects/locations.md, Objects/exception_handling_notes.txt). `bytecode.ConcreteBytecode` encodes them.
"""

from __future__ import annotations

from _functools import partial  # type: ignore[import-not-found]
from _operator import attrgetter

from instrument.flow.plan import ProbePosition
from instrument.guest.isolation import bytecode
from instrument.rewrite.routes import DIRECT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from bytecode import ConcreteBytecode
    from bytecode.concrete import ExceptionTableEntry

    from instrument.decode.instructions import Instructions
    from instrument.rewrite.output import Output
    from instrument.rewrite.routes import ExceptionRoutes, Route
    from instrument.rewrite.stubs import ExitStubs


class ExceptionTable:
    """The entries of the exception table, built from the routes of exceptions.

    - `deepest`: the greatest depth of the stack that an entry keeps, those of fallbacks excepted.
    """

    def __init__(
        self,
        instructions: Instructions,
        output: Output,
        offsets: list[int],
        routes: ExceptionRoutes,
        stubs: ExitStubs,
    ) -> None:
        self.entries: list[ExceptionTableEntry] = []
        self.deepest = 0
        self._instructions = instructions
        self._offset_of = [offsets[place] for place in output.labels]
        self._routes = routes
        self._stubs = stubs
        ends = [place for place, _ in output.routes[1:]]
        for (place, route), end in zip(output.routes, ends):
            if route is not None and place != end:
                self._add(offsets[place], offsets[end], *self._target_of(route))
        self.deepest = max((entry.stack_depth for entry in self.entries), default=0)
        for place, end, label, depth in stubs.fallbacks:
            self._append(offsets[place], offsets[end], self._offset_of[label], depth, False)
        for place, number in stubs.reraises:
            handler = instructions.table[number]
            target = self._offset_of[handler.target]
            self._append(offsets[place], offsets[place + 1], target, handler.depth, handler.push_lasti)
        self.entries.sort(key=attrgetter("start_offset"))

    def _target_of(self, route: Route) -> tuple[int, int, bool]:
        """Return where *route* leads first: code unit, depth of the stack, and whether lasti is pushed."""
        kind, _ = route
        number = self._routes.handler_of(route)
        handler = self._instructions.table[number] if number >= 0 else None
        depth = 0 if handler is None else handler.depth
        if kind == DIRECT:
            assert handler is not None
            return self._offset_of[handler.target], depth, handler.push_lasti
        # A record needs lasti on versions that push an int, and so does a RERAISE.
        push_lasti = (
            kind != ProbePosition.EXITING or handler is None or handler.push_lasti or self._routes.must_reraise(route)
        )
        return self._offset_of[self._stubs.labels[route]], depth, push_lasti

    def _add(self, start: int, end: int, target: int, depth: int, push_lasti: bool) -> None:
        """Add the code units from *start* to *end*; extend the latest entry if it ends there and is alike."""
        latest = self.entries[-1] if self.entries else None
        if (
            latest is not None
            and latest.stop_offset + 1 == start
            and (latest.target, latest.stack_depth, latest.push_lasti) == (target, depth, push_lasti)
        ):
            latest.stop_offset = end - 1
        else:
            self._append(start, end, target, depth, push_lasti)

    def _append(self, start: int, end: int, target: int, depth: int, push_lasti: bool) -> None:
        entry = bytecode.concrete.ExceptionTableEntry(start, end - 1, target, depth, push_lasti)
        self.entries.append(entry)


def encode_tables(
    first_line: int, output: Output, offsets: list[int], entries: list[ExceptionTableEntry]
) -> tuple[bytes, bytes]:
    """Return the location table of *output*, for code that begins at *first_line*, and the exception table."""
    concrete = bytecode.ConcreteBytecode(exception_table=entries)
    concrete._pack_location = partial(_pack_location, concrete)  # type: ignore[method-assign]
    pieces: list[tuple[int, int, int, Any]]
    pieces = [(0, 2 * (end - start), 0, at) for start, end, at in zip(offsets, offsets[1:], output.locations)]
    return concrete._assemble_locations(first_line, pieces), concrete._assemble_exception_table()


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
