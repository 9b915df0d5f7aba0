"""The code that the rewriter writes: pieces, labels, jumps, and the routes of exceptions.

Pieces are appended in order; the offset of each piece goes out once all jumps have their distances. A *piece* is a run
of original instructions, one jump, or code that is added. A *place* is the number of a piece. A *label* stands for a
place that may not be known yet; jumps lead to labels.

Decision: pieces of bytes.
    Problem: jumps, locations and handlers have to follow when probes move the instructions apart.
    Solution: copy runs of instructions as bytes, and encode jumps anew.
    Alternatives: `bytecode.ConcreteBytecode` makes one object for each code unit, and takes eight times as long.
    `bytecode.Bytecode` orders constants and names anew, and takes twice as long again.
"""

from __future__ import annotations

from itertools import accumulate

from instrument.decode.opcodes import CACHES
from instrument.errors import RewriteError
from instrument.rewrite import probes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from instrument.rewrite.constant_layout import ConstantLayout
    from instrument.rewrite.routes import Route

    #: The code units of a piece that have locations of the original: (first unit, unit behind the last). If both are
    #: equal, all units of the piece have the location of that one unit, or none if it is NO_UNIT.
    Source = tuple[int, int]
    #: Place of the jump, opcode, label of the target, whether the distance is counted backward.
    Jump = tuple[int, int, int, bool]

#: Stands for the unit of code that has no location.
NO_UNIT = -1
#: By opcode: a jump before its distance is known.
_PLACEHOLDERS = [bytes(2 + 2 * n_caches) for n_caches in CACHES]


class Output:
    """The pieces that have been emitted for one code object, and all that still depends on their offsets.

    - `pieces`: code units of each piece.
    - `sources`: for each piece, which units of the original have its locations (rewrite.tables).
    - `labels`: place that each label stands for; the first `n_instructions + 1` labels are those of the original
      instructions and of the end of the code.
    - `jumps`: the jumps to resolve.
    - `routes`: (place, n_units, route): exceptions from *n_units* behind the beginning of the piece at *place* on take
      *route*, up to the next item.
    - `place_of_probe`: for each probe at which a trace function may be called: the place at which that happens.
    """

    def __init__(self, raw: bytes, n_instructions: int, layout: ConstantLayout, calls: bool) -> None:
        self.pieces: list[bytes] = []
        self.sources: list[Source] = []
        self.labels = [0] * (n_instructions + 1)
        self.jumps: list[Jump] = []
        self.routes: list[tuple[int, int, Route | None]] = []
        self.place_of_probe: dict[int, int] = {}
        self._raw = raw
        self._first_counter = layout.first_counter
        self._calls = calls

    def emit(self, piece: bytes, unit: int) -> None:
        """Append *piece*, all of whose code units have the location of the original *unit*; NO_UNIT: none."""
        self.pieces.append(piece)
        self.sources.append((unit, unit))

    def copy_units(self, start: int, stop: int) -> None:
        """Append the code units from *start* to *stop* of the original as one piece."""
        self.pieces.append(self._raw[2 * start : 2 * stop])
        self.sources.append((start, stop))

    def probe(self, number: int) -> bytes:
        """Return the instructions of the probe *number*."""
        constant = self._first_counter + number
        return probes.call(constant) if self._calls else probes.probe(constant)

    def emit_probes(self, numbers: Sequence[int], unit: int) -> None:
        """Emit the probes *numbers*, which share one place: a trace function may be called and raise there."""
        place = len(self.pieces)
        for number in numbers:
            self.place_of_probe[number] = place
            self.pieces.append(self.probe(number))
            self.sources.append((unit, unit))

    def jump(self, op: int, label: int, backward: bool, unit: int) -> None:
        """Emit a jump to *label*."""
        self.jumps.append((len(self.pieces), op, label, backward))
        self.pieces.append(_PLACEHOLDERS[op])
        self.sources.append((unit, unit))

    def new_label(self) -> int:
        """Return a new label, which stands for no place yet."""
        self.labels.append(-1)
        return len(self.labels) - 1

    def set_label(self, label: int) -> None:
        """Let *label* stand for the place of the next piece."""
        self.labels[label] = len(self.pieces)

    def set_route(self, route: Route | None, n_units: int = 0) -> None:
        """Give *route* to the exceptions of all code behind the next *n_units* code units, which are of one piece."""
        if not self.routes or self.routes[-1][2] != route:
            self.routes.append((len(self.pieces), n_units, route))

    def latest_route(self) -> Route | None:
        """Return the route of the exceptions of the latest piece, None if they have none."""
        return next((route for place, _, route in reversed(self.routes) if place < len(self.pieces)), None)

    def resolve_jumps(self) -> list[int]:
        """Encode each jump with its distance; return the offset of each piece, and of the end, in code units.

        Raise RewriteError if a target lies on the wrong side of its jump.
        """
        widths = [len(piece) >> 1 for piece in self.pieces]
        labels = self.labels
        jumps = [(place, CACHES[op], labels[label], backward) for place, op, label, backward in self.jumps]
        is_stable = False
        while not is_stable:
            offsets = list(accumulate(widths, initial=0))
            is_stable = True
            distances = []
            for place, n_caches, target, backward in jumps:
                distance = offsets[target] - offsets[place + 1]
                if backward:
                    distance = -distance
                distances.append(distance)
                if distance < 256 and distance >= 0:
                    continue
                if distance < 0:
                    raise RewriteError(f"a jump would go {distance} units")
                width = (distance.bit_length() + 7) // 8 + n_caches
                if width > widths[place]:  # never narrower again, so this loop ends
                    widths[place] = width
                    is_stable = False
        pieces = self.pieces
        for (place, op, _, _), distance in zip(self.jumps, distances):
            pieces[place] = probes.encode(op, distance, widths[place] - 1 - CACHES[op])
        return offsets

    def opcode_offsets(self, offsets: list[int]) -> list[int]:
        """Return *offsets*, those of jumps moved to the unit of their opcode, behind their prefixes."""
        moved = offsets.copy()
        for place, op, _, _ in self.jumps:
            moved[place] = offsets[place + 1] - 1 - CACHES[op]
        return moved
