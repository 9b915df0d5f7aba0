"""The code that is written for one code object: pieces, labels, jumps, and the routes of exceptions.

`rewrite.emitter` and `rewrite.stubs` append to an `Output`. The offset of each piece goes out once all jumps have their
distances. A *piece* is a run of original instructions, one jump, or code that is added. A *place* is the number of a
piece. A *label* stands for a place; jumps lead to labels (rewrite.jumps).

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
from instrument.rewrite.probes import encode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from instrument.decode.instructions import Instructions
    from instrument.rewrite.routes import Route

    #: The code units of a piece that have locations of the original: (first unit, unit behind the last). If both are
    #: equal, all units of the piece have the location of that one unit, or none if it is NO_UNIT.
    Source = tuple[int, int]
    #: Place of the jump, opcode, label of the target, whether the distance is counted backward.
    Jump = tuple[int, int, int, bool]

#: Stands for the unit of code that has no location.
NO_UNIT = -1
#: By opcode: a jump before its distance is known.
PLACEHOLDERS = [bytes(2 + 2 * n_caches) for n_caches in CACHES]


class Output:
    """The pieces that have been written for one code object, and all that still depends on their offsets.

    - `pieces`: code units of each piece.
    - `sources`: for each piece, which units of the original have its locations (rewrite.tables).
    - `labels`: the place that each label stands for.
    - `jumps`: the jumps to encode.
    - `routes`: (place, n_units, route): exceptions from *n_units* behind the beginning of the piece at *place* on take
      *route*, up to the next item.
    - `runs`: (first, end, place): the piece at *place* has the instructions from *first* to *end*.
    - `place_of_probe`: for each probe at which a trace function may be called: the place at which that happens.
    - `added_jumps`: (place, meaning) of each jump that is added; the meaning is an item of `Unlinked.added_jumps`.
    """

    __slots__ = ("added_jumps", "jumps", "labels", "pieces", "place_of_probe", "routes", "runs", "sources")

    def __init__(self, n_labels: int) -> None:
        self.pieces: list[bytes] = []
        self.sources: list[Source] = []
        self.labels = [0] * n_labels
        self.jumps: list[Jump] = []
        self.routes: list[tuple[int, int, Route | None]] = []
        self.runs: list[tuple[int, int, int]] = []
        self.place_of_probe: dict[int, int] = {}
        self.added_jumps: list[tuple[int, int]] = []

    def resolve_jumps(self) -> list[int]:
        """Encode each jump with its distance; return the offset of each piece, and of the end, in code units.

        Raise RewriteError if a target lies on the wrong side of its jump.
        """
        widths = [len(piece) >> 1 for piece in self.pieces]
        labels = self.labels
        jumps = [(place, CACHES[op], labels[label], is_backward) for place, op, label, is_backward in self.jumps]
        is_stable = False
        while not is_stable:
            offsets = list(accumulate(widths, initial=0))
            is_stable = True
            distances = []
            for place, n_caches, target, is_backward in jumps:
                distance = offsets[target] - offsets[place + 1]
                if is_backward:
                    distance = -distance
                distances.append(distance)
                if 0 <= distance < 256:
                    continue
                if distance < 0:
                    raise RewriteError(f"a jump would go {distance} units")
                width = (distance.bit_length() + 7) // 8 + n_caches
                if width > widths[place]:  # never narrower again, so this loop ends
                    widths[place] = width
                    is_stable = False
        pieces = self.pieces
        for (place, op, _, _), distance in zip(self.jumps, distances):
            pieces[place] = encode(op, distance, widths[place] - 1 - CACHES[op])
        return offsets

    def opcode_offsets(self, offsets: list[int]) -> list[int]:
        """Return *offsets*, those of jumps moved to the unit of their opcode, behind their prefixes."""
        moved = offsets.copy()
        for place, op, _, _ in self.jumps:
            moved[place] = offsets[place + 1] - 1 - CACHES[op]
        return moved

    def units(self, instructions: Instructions, opcode_offsets: list[int]) -> list[int]:
        """Return the code unit of the opcode of each of *instructions*."""
        units: list[int] = []
        starts, old_units, targets = instructions.starts, instructions.units, instructions.targets
        for first, end, place in self.runs:
            if targets[first] >= 0:
                units.append(opcode_offsets[place])
            else:
                units += map((opcode_offsets[place] - starts[first]).__add__, old_units[first:end])
        return units
