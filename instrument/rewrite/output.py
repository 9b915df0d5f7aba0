"""The code that is written for one code object: pieces, labels, jumps, and the routes of exceptions.

`rewrite.emitter` and `rewrite.stubs` append to an `Output`. All offsets go out once the jumps have their distances. A
*piece* is a run of original instructions, one jump, or code that is added. A *place* is the number of a piece. A
*label* stands for an instruction or for a place; jumps lead to labels (rewrite.jumps).

Decision: pieces of bytes.
    Problem: jumps, locations and handlers have to follow when probes move the instructions apart.
    Solution: copy runs of instructions as bytes. A jump that stays short is patched within its run; another one is a
    piece, which may grow.
    Alternatives: `bytecode.ConcreteBytecode` makes one object for each code unit, and takes eight times as long.
    `bytecode.Bytecode` orders constants and names anew, and takes twice as long again.
"""

from __future__ import annotations

from _bisect import bisect_right
from _operator import add
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
    #: Place or instruction of the jump, opcode, label of its target, whether the distance is counted backward.
    Jump = tuple[int, int, int, bool]

#: Stands for the unit of code that has no location.
NO_UNIT = -1
#: By opcode: a jump before its distance is known.
PLACEHOLDERS = [bytes(2 + 2 * n_caches) for n_caches in CACHES]


class Output:
    """The pieces that have been written for one code object, and all that still depends on their offsets.

    - `pieces`: code units of each piece.
    - `sources`: for each piece, which units of the original have its locations (rewrite.tables).
    - `labels`: the place that each label stands for. A label without a place is the index of an instruction.
    - `jumps`: the jumps that are pieces, by place.
    - `jumps_in_runs`: the other jumps, by instruction.
    - `routes`: (place, n_units, route): exceptions from *n_units* behind the beginning of the piece at *place* on take
      *route*, up to the next item.
    - `runs`: (first, end, place, unit): the piece at *place* has the instructions from *first* to *end*. It begins with
      the original code unit *unit*, prefixes of jumps not counted.
    - `place_of_probe`: for each probe at which a trace function may be called: the place at which that happens.
    - `added_jumps`: (place, meaning) of each jump that is added; the meaning is an item of `Unlinked.added_jumps`.

    `resolve_jumps` sets these attributes, in code units:

    - `code`: all code units, with the distances of the jumps.
    - `offsets`: where each piece begins, and the end.
    - `opcode_offsets`: the same, but for jumps where their opcode is, behind their prefixes.
    - `units`: where the opcode of each instruction is.
    """

    __slots__ = (
        *("_firsts", "_instructions", "_n_labels", "_shifts", "added_jumps", "code", "jumps", "jumps_in_runs"),
        *("labels", "offsets", "opcode_offsets", "pieces", "place_of_probe", "routes", "runs", "sources", "units"),
    )
    code: bytes
    offsets: list[int]
    opcode_offsets: list[int]
    units: list[int]
    #: The first instruction of each run, and by how many units its instructions have moved.
    _firsts: list[int]
    _shifts: list[int]

    def __init__(self, instructions: Instructions, n_labels: int) -> None:
        self.pieces: list[bytes] = []
        self.sources: list[Source] = []
        self.labels: dict[int, int] = {}
        self.jumps: list[Jump] = []
        self.jumps_in_runs: list[Jump] = []
        self.routes: list[tuple[int, int, Route | None]] = []
        self.runs: list[tuple[int, int, int, int]] = []
        self.place_of_probe: dict[int, int] = {}
        self.added_jumps: list[tuple[int, int]] = []
        self._instructions = instructions
        self._n_labels = n_labels

    def new_label(self, place: int) -> int:
        """Return a new label, which stands for *place*."""
        self._n_labels += 1
        self.labels[self._n_labels] = place
        return self._n_labels

    def address(self, label: int) -> int:
        """Return the code unit that *label* stands for."""
        if label in self.labels:
            return self.offsets[self.labels[label]]
        start: int = self._instructions.starts[label]
        return start + self._shifts[bisect_right(self._firsts, label) - 1]

    def resolve_jumps(self) -> list[int]:
        """Encode all jumps; return the jumps in runs that have no room for their distance, and have to be pieces.

        Raise RewriteError if a target lies on the wrong side of its jump.
        """
        address, pieces = self.address, self.pieces
        self._firsts = [first for first, _, _, _ in self.runs]
        widths = [len(piece) >> 1 for piece in pieces]
        is_stable = False
        while not is_stable:
            self._locate(widths)
            is_stable = True
            for place, op, label, is_backward in self.jumps:
                after = self.offsets[place + 1]
                distance = after - address(label) if is_backward else address(label) - after
                if distance < 0:
                    raise _wrong_side(distance)
                width = (distance.bit_length() + 7 >> 3 or 1) + CACHES[op]
                if width > widths[place]:  # never narrower again, so this loop ends
                    widths[place] = width
                    is_stable = False
                elif is_stable:
                    pieces[place] = encode(op, distance, widths[place] - 1 - CACHES[op])
        # All instructions of a run have moved by as many units.
        shifts: list[int] = []
        for shift, (first, end, _, _) in zip(self._shifts, self.runs):
            shifts += [shift] * (end - first)
        self.units = units = list(map(add, self._instructions.units, shifts))
        code = bytearray(b"".join(pieces))
        too_long = []
        for index, op, label, is_backward in self.jumps_in_runs:
            unit = units[index]
            after = unit + 1 + CACHES[op]
            distance = after - address(label) if is_backward else address(label) - after
            if not 0 <= distance <= 255:
                if distance < 0:
                    raise _wrong_side(distance)
                too_long.append(index)
            code[2 * unit] = op
            code[2 * unit + 1] = distance & 255
        self.code = bytes(code)
        return too_long

    def _locate(self, widths: list[int]) -> None:
        """Set `offsets`, `opcode_offsets` and the shifts of runs for pieces that have *widths* code units."""
        self.offsets = offsets = list(accumulate(widths, initial=0))
        self.opcode_offsets = opcode_offsets = offsets.copy()
        for place, op, _, _ in self.jumps:  # a jump has prefixes, its opcode, and caches
            opcode_offsets[place] = offsets[place + 1] - 1 - CACHES[op]
        self._shifts = [opcode_offsets[place] - unit for _, _, place, unit in self.runs]


def _wrong_side(distance: int) -> RewriteError:
    """Return the error for a jump whose *distance* to its target is below zero."""
    return RewriteError(f"a jump would go {distance} units")
