"""The code that the rewriter writes: pieces, labels, jumps, and the routes of exceptions.

Pieces are appended in order; the offset of each piece goes out once all jumps have their distances. A *piece* is one
instruction with its prefixes and caches, or one probe. A *place* is the number of a piece. A *label* stands for a place
that may not be known yet; jumps lead to labels.

Decision: pieces of bytes.
    Problem: jumps, locations and handlers have to follow when probes move the instructions apart.
    Solution: copy instructions as bytes, and encode jumps anew. `bytecode.ConcreteBytecode` writes only the tables.
    Alternatives: `ConcreteBytecode` for all of it makes one object for each code unit, and takes nearly three times as
    long [3.12, networkx: 4.9 s instead of 1.8 s]. `bytecode.Bytecode` orders constants and names anew, and takes twice
    as long again.
"""

from __future__ import annotations

from _operator import itemgetter
from itertools import accumulate

from instrument.decode.opcodes import CACHES
from instrument.errors import RewriteError
from instrument.rewrite import probes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import CodeType
    from typing import Any

    from instrument.rewrite.constant_layout import ConstantLayout
    from instrument.rewrite.routes import Route

    #: Place of the jump, opcode, label of the target, whether the distance is counted backward.
    Jump = tuple[int, int, int, bool]


class Location(tuple):  # type: ignore[type-arg]
    """One item of `co_positions`, with the attributes that `bytecode` expects of a location."""

    __slots__ = ()
    lineno: Any = property(itemgetter(0))
    end_lineno: Any = property(itemgetter(1))
    col_offset: Any = property(itemgetter(2))
    end_col_offset: Any = property(itemgetter(3))


NO_LOCATION = Location((None, None, None, None))


class Output:
    """The pieces that have been emitted for one code object, and all that still depends on their offsets.

    - `pieces`: code units of each piece.
    - `locations`: Location of each piece.
    - `labels`: place that each label stands for; the first `n_instructions + 1` labels are those of the original
      instructions and of the end of the code.
    - `jumps`: the jumps to resolve.
    - `routes`: (place, route): exceptions of the pieces from *place* on take *route*, up to the next item.
    - `place_of_probe`: for each probe at which a trace function may be called: the place at which that happens.
    """

    def __init__(self, code: CodeType, n_instructions: int, layout: ConstantLayout, calls: bool) -> None:
        self.pieces: list[bytes] = []
        self.locations: list[Location] = []
        self.labels = [0] * (n_instructions + 1)
        self.jumps: list[Jump] = []
        self.routes: list[tuple[int, Route | None]] = []
        self.place_of_probe: dict[int, int] = {}
        self._raw = code.co_code
        self._positions = list(code.co_positions())
        self._latest_location = NO_LOCATION
        self._first_counter = layout.first_counter
        self._calls = calls

    def emit(self, piece: bytes, location: Location) -> None:
        """Append *piece*, all of whose code units have *location*."""
        self.pieces.append(piece)
        self.locations.append(location)

    def location_at(self, unit: int) -> Location:
        """Return the location of the code unit *unit* of the original."""
        position = self._positions[unit]
        if position != self._latest_location:
            self._latest_location = Location(position)
        return self._latest_location

    def copy_units(self, start: int, stop: int, location: Location) -> None:
        """Emit the code units from *start* to *stop* of the original: one piece, if all have the same *location*.

        Compilers give all units of an instruction one location; code of another origin need not.
        """
        if stop - start == 1 or self._positions[start:stop].count(location) == stop - start:
            self.emit(self._raw[2 * start : 2 * stop], location)
            return
        for unit in range(start, stop):
            self.emit(self._raw[2 * unit : 2 * unit + 2], self.location_at(unit))

    def probe(self, number: int) -> bytes:
        """Return the instructions of the probe *number*."""
        constant = self._first_counter + number
        return probes.call(constant) if self._calls else probes.probe(constant)

    def emit_probes(self, numbers: Sequence[int], location: Location) -> None:
        """Emit the probes *numbers*, which share one place: a trace function may be called and raise there."""
        self.place_of_probe.update((number, len(self.pieces)) for number in numbers)
        for number in numbers:
            self.emit(self.probe(number), location)

    def jump(self, op: int, label: int, backward: bool, location: Location) -> None:
        """Emit a jump to *label*."""
        self.jumps.append((len(self.pieces), op, label, backward))
        self.emit(probes.encode(op), location)

    def new_label(self) -> int:
        """Return a new label, which stands for no place yet."""
        self.labels.append(-1)
        return len(self.labels) - 1

    def set_label(self, label: int) -> None:
        """Let *label* stand for the place of the next piece."""
        self.labels[label] = len(self.pieces)

    def set_route(self, route: Route | None) -> None:
        """Give *route* to the exceptions of all pieces from here on."""
        if not self.routes or self.routes[-1][1] != route:
            self.routes.append((len(self.pieces), route))

    def latest_route(self) -> Route | None:
        """Return the route of the exceptions of the latest piece, None if they have none."""
        return next((route for place, route in reversed(self.routes) if place < len(self.pieces)), None)

    def resolve_jumps(self) -> list[int]:
        """Encode each jump with its distance; return the offset of each piece, and of the end, in code units.

        Raise RewriteError if a target lies on the wrong side of its jump.
        """
        widths = [len(piece) >> 1 for piece in self.pieces]
        labels = self.labels
        jumps = [(place, op, labels[label], backward) for place, op, label, backward in self.jumps]
        while True:
            offsets = [0, *accumulate(widths)]
            is_stable = True
            distances = []
            for place, op, target, backward in jumps:
                after = offsets[place + 1]
                distance = after - offsets[target] if backward else offsets[target] - after
                if distance < 0:
                    raise RewriteError(f"a jump would go {distance} units")
                distances.append(distance)
                width = 1 if distance < 1 << 8 else 2 if distance < 1 << 16 else 3 if distance < 1 << 24 else 4
                width += CACHES[op]
                if width > widths[place]:  # never narrower again, so this loop ends
                    widths[place] = width
                    is_stable = False
            if is_stable:
                break
        for (place, op, _, _), distance in zip(jumps, distances):
            self.pieces[place] = probes.encode(op, distance, widths[place] - 1 - CACHES[op])
        return offsets

    def opcode_offsets(self, offsets: list[int]) -> list[int]:
        """Return *offsets*, those of jumps moved to the unit of their opcode, behind their prefixes."""
        moved = offsets.copy()
        for place, op, _, _ in self.jumps:
            moved[place] = offsets[place + 1] - 1 - CACHES[op]
        return moved
