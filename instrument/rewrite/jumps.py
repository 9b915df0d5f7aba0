"""Decides how the jumps of a code object are written.

A graph, its Plan and the places of probes come in; for each jump, its opcode and the label that it leads to go out. A
jump of the original keeps its target. Three things can stand in its way:

- A probe of the edge that is taken, at a target where control arrives by other edges, too. The jump then leads to a
  *second jump* behind all instructions, which stands below the probe and leads on to the target. On 3.11 the probe of
  some jumps back stands right above the target instead. There a step back within one line would be a line event.
- An unrolled loop (decode.unrolling). A jump back that became a step to the next copy of the loop takes no space.
  A NOP is left if a trace function or `sys.monitoring` could notice that the jump is gone.
- A loop whose copies go upwards. The jump from the first copy to the last leads downwards, to an *upward jump*.

A *label* stands for a place in the rewritten code. The first labels are those of the instructions, and of the end.
"""

from __future__ import annotations

from instrument.decode.opcodes import (
    BACKWARD,
    CACHES,
    ENDS_LOOP,
    JUMPS,
    NOT_TAKEN,
    OPCODES,
    OPNAMES,
    SEND,
    UNCONDITIONAL_JUMPS,
)
from instrument.decode.versions import HAS_MONITORING, JUMP_BACK_RAISES_LINE_EVENT, SEND_IS_SHORT
from instrument.errors import RewriteError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from instrument.flow.graph import ControlFlowGraph
    from instrument.rewrite.places import Places

    #: Opcode, label that the jump leads to, whether the distance is counted backward.
    Way = tuple[int, int, bool]

#: By opcode: the jump like it that goes forward; -1 if there is none.
FORWARD = [OPCODES.get(name.replace("BACKWARD", "FORWARD"), -1) for name in OPNAMES]


#: A longer distance, in code units, may have no room in one byte after rewriting.
_SHORT = 80


class Jumps:
    """How the jumps of one code object are written. *long_jumps* are further jumps that may grow.

    - `ways`: for each jump of the original, its Way. Jumps that became steps have none.
    - `pieces`: the jumps that are pieces of their own, because they may grow. The others are patched in a run.
    - `second`: (label, probe, another label) of each second jump. The other label stands for the place where control
      goes on if the target of the jump has instructions that FOR_ITER skips.
    - `upward`: (label, jump) of each upward jump, with the jump of the original that leads there.
    - `before`: for each target with probes right before it, the label of these probes.
    - `above`: for each jump with probes above its target, the label of these probes.
    - `ends`: the last instruction of each copy of a loop that goes on to the next copy.
    - `with_nop`: those of `ends` in whose place a NOP is left.
    - `with_event`: 3.11: those of `ends` behind which an instruction without a line must stand, see `pads`.
    - `pads`: 3.11: for each head of a copy of a loop, the label of the pad above it, if jumps lead there.
    - `behind_pads`: a label for the place behind the pad, for each head of a copy that has probes. Only a step may pass
      these probes.
    - `n_labels`: the number of all labels.

    On 3.11 a jump back within one line is a line event. Between copies of the loop a step from an instruction without a
    line takes its place: the pad is that instruction. Jumps that must raise the event lead to the pad.
    """

    __slots__ = (
        *("_graph", "_instructions", "_places", "above", "before", "behind_pads", "ends", "n_labels", "pads", "pieces"),
        *("second", "upward", "ways", "with_event", "with_nop"),
    )

    def __init__(self, graph: ControlFlowGraph, places: Places, long_jumps: Iterable[int] = ()) -> None:
        self._graph = graph
        self._instructions = instructions = graph.instructions
        self._places = places
        self.n_labels = len(instructions) + 1
        self.ways: dict[int, Way] = {}
        self.second: list[tuple[int, int, int]] = []
        self.upward: list[tuple[int, int]] = []
        self.before = {target: self._new_label() for target in places.before_target}
        self.above: dict[int, int] = {}
        self.ends: set[int] = set()
        self.with_nop: set[int] = set()
        self.with_event: set[int] = set()
        self.pads: dict[int, int] = {}
        self.behind_pads: dict[int, int] = {}
        for index in instructions.jumps:
            if index in instructions.steps:
                self._add_end(index)
                if self._arrives_with_event(index) or self._is_branched_to(index):
                    self.with_nop.add(index)
            else:
                self.ways[index] = self._way_of(index)
                # The opposite condition: if it is not taken, control goes to the next copy.
                if instructions.ops[index] != instructions.source.ops[instructions.origins[index]]:
                    self._add_end(index)
        self.pieces = self.ends.union(long_jumps, filter(self._may_grow, instructions.jumps))

    def _may_grow(self, index: int) -> bool:
        """Return whether the jump at *index* may need more code units than in the original, or fewer."""
        instructions, way = self._instructions, self.ways.get(index)
        if way is None or instructions.args[index] > _SHORT:
            return True
        op, label, _ = way
        return label > len(instructions) or CACHES[op] != CACHES[instructions.ops[index]]

    def _new_label(self) -> int:
        self.n_labels += 1
        return self.n_labels - 1

    def _way_of(self, index: int) -> Way:
        """Return the Way of the jump at *index*, which has not become a step.

        The jump leads to its target if it can. Otherwise it leads to a label: of a pad, of an upward jump, of a second
        jump, or of the probes at the target.
        """
        instructions, places = self._instructions, self._places
        op, target = instructions.ops[index], instructions.targets[index]
        label, is_backward = target, target <= index
        # A jump back of the original may lead forward here: to the head of the next copy of its loop.
        if not is_backward and op in BACKWARD and self._turns_on_line(index, target):
            if target not in self.pads:
                self.pads[target] = self._new_label()
            label = self.pads[target]
        elif index in instructions.turns:
            label = self._new_label()
            self.upward.append((label, index))
        if index in places.taken:
            if places.before_target.get(target) == index:
                label = self.before[target]
            elif index in places.above_target.get(target, ()):
                label = self.above[index] = self._new_label()
            else:
                label, is_backward = self._new_second_jump(index), False
        return op if is_backward else FORWARD[op], label, is_backward

    def _new_second_jump(self, index: int) -> int:
        """Return the label of a new second jump for the jump at *index*.

        Raise RewriteError if that is a SEND of 3.11, whose distance must fit one byte.
        """
        if SEND_IS_SHORT and self._instructions.ops[index] == SEND:
            raise RewriteError("an await loop ends where others arrive")
        label = self._new_label()
        self.second += [(label, number, self._new_label()) for number in self._places.taken[index]]
        return label

    def _add_end(self, index: int) -> None:
        """Note that control goes on from the jump at *index* to the next copy of its loop."""
        self.ends.add(index)
        if index + 1 in self._places.falling:
            self.behind_pads[index + 1] = self._new_label()
        if self._turns_on_line(index, index + 1):
            self.with_event.add(index)

    def _turns_on_line(self, index: int, head: int) -> bool:
        """Return whether the jump at *index* to the *head* of a loop is a line event that a step must replace.

        That is so on 3.11, if both are on one line. On later versions the jump remains a jump back (decode.unrolling).
        """
        lines = self._graph.line_events.lines
        return not JUMP_BACK_RAISES_LINE_EVENT and lines[index] is not None and lines[index] == lines[head]

    def _arrives_with_event(self, index: int) -> bool:
        """Return whether a step to the instruction at *index* may be a line event.

        Otherwise the instruction above has the same line, and its step to the next line is the same line event.
        """
        instructions = self._instructions
        sources = [jump for jump in instructions.jumps if instructions.targets[jump] == index]
        if instructions.falls_into(index):
            sources.append(index - 1)
        return any(self._graph.line_events.fires(source, index) for source in sources)

    def _is_branched_to(self, index: int) -> bool:
        """Return whether `sys.monitoring` reports a branch to the instruction at *index*."""
        instructions = self._instructions
        above = index - 1
        while instructions.ops[above] in ENDS_LOOP:
            above -= 1
        op = instructions.ops[above]
        is_branch = op == NOT_TAKEN or (op in JUMPS and op not in UNCONDITIONAL_JUMPS)
        return HAS_MONITORING and (is_branch or not instructions.joins.isdisjoint(range(above + 1, index + 1)))
