"""Emits jumps: the jumps of the original, and further ones for probes.

A graph, its Plan and an `Output` come in; jumps and the probes of taken jumps go into the `Output`. A jump of the
original keeps its target. Three things can stand in its way:

- A probe of the edge that is taken, at a target where control arrives by other edges, too. The jump then leads to a
  *second jump* behind all instructions, which stands below the probe and leads on to the target. On 3.11 the probe of
  some jumps back stands right above the target instead. There a step back within one line would be a line event.
- An unrolled loop (decode.unrolling). A jump back that became a step to the next copy of the loop takes no space.
  A NOP is left if a trace function or `sys.monitoring` could notice that the jump is gone.
- A loop whose copies go upwards. The jump from the first copy to the last leads downwards, to an *upward jump*.
"""

from __future__ import annotations

from instrument.decode.opcodes import (
    BACKWARD,
    ENDS_LOOP,
    FOR_ITER,
    JUMP_BACKWARD,
    JUMP_BACKWARD_NO_INTERRUPT,
    JUMP_FORWARD,
    JUMPS,
    NOT_TAKEN,
    OPCODES,
    OPNAMES,
    SEND,
    UNCONDITIONAL_JUMPS,
)
from instrument.decode.versions import (
    CALLER_IS_ABOVE_TARGET_OF_ITERATION,
    HAS_MONITORING,
    JUMP_BACK_RAISES_LINE_EVENT,
    SEND_IS_SHORT,
)
from instrument.errors import RewriteError
from instrument.flow.plan import ProbePosition
from instrument.rewrite import probes
from instrument.rewrite.output import NO_UNIT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from instrument.flow.graph import ControlFlowGraph
    from instrument.flow.plan import Plan
    from instrument.rewrite.output import Output
    from instrument.rewrite.routes import ExceptionRoutes


class ProbePlaces:
    """The numbers of the probes of a Plan, by the instruction that they stand at.

    - `before`, `falling`, `taken`, `raising`: the probes of each position (flow.placement), by instruction.
    - `inlined`: the probe of each inlinable call.
    - `before_target`: for each jump target that nothing falls into: the jump whose probe stands right before it.
    - `heads`: for each FOR_ITER whose target has instructions that it skips: the first that it does not skip.
    - `above_target`: 3.11: for each jump target, the jumps back within one line whose probes stand above it.
    """

    __slots__ = ("above_target", "before", "before_target", "falling", "heads", "inlined", "raising", "taken")

    def __init__(self, graph: ControlFlowGraph, plan: Plan) -> None:
        by_position: dict[str, dict[int, list[int]]] = {position: {} for position in ProbePosition.ALL}
        for number, probe in enumerate(plan.probes):
            by_position[probe.position].setdefault(probe.index, []).append(number)
        self.before, self.falling = by_position[ProbePosition.BEFORE], by_position[ProbePosition.FALLING]
        self.taken, self.raising = by_position[ProbePosition.TAKEN], by_position[ProbePosition.RAISING]
        self.inlined = {index: numbers[0] for index, numbers in by_position[ProbePosition.INLINED].items()}
        instructions = graph.instructions
        targets = instructions.targets
        self.before_target: dict[int, int] = {}
        for index in sorted(self.taken, key=lambda index: instructions.ops[index] != SEND):
            target = targets[index]
            if not instructions.falls_into(target) and not instructions.n_skipped_at(target):
                self.before_target.setdefault(target, index)
        ops = instructions.ops
        self.heads = [
            targets[jump] + instructions.n_skipped_at(targets[jump]) for jump in self.taken if ops[jump] == FOR_ITER
        ]
        self.above_target: dict[int, list[int]] = {}
        for index in () if JUMP_BACK_RAISES_LINE_EVENT else self.taken:
            target = targets[index]
            if (
                self.before_target.get(target) != index
                and index < target
                and not graph.line_events.fires(index, target)
            ):
                self.above_target.setdefault(target, []).append(index)


class JumpEmitter:
    """Emits the jumps of one code object.

    - `entrances`: for each instruction, the place at which control arrives that falls into it; filled by the caller.
    - `added_jumps`: (place, meaning) of each jump that is added; the meaning is an item of `Unlinked.added_jumps`.
    """

    def __init__(
        self, graph: ControlFlowGraph, plan: Plan, output: Output, routes: ExceptionRoutes, places: ProbePlaces
    ) -> None:
        self.entrances = [0] * (len(graph.instructions) + 1)
        self.added_jumps: list[tuple[int, int]] = []
        self._graph = graph
        self._instructions = graph.instructions
        self._plan = plan
        self._output = output
        self._routes = routes
        self._places = places
        self._second_jumps: list[tuple[int, int]] = []  # (label, probe)
        self._upward_jumps: list[tuple[int, int]] = []  # (label, jump of the original)
        self._labels_before: dict[int, int] = {}  # target -> label of the probes that stand right before it
        self._labels_above: dict[int, int] = {}  # jump -> label of its probes above the target
        self._pads: dict[int, int] = {}  # head of a copy of a loop -> label of the pad above it, see `_emit_pad`

    def emit_jump(self, index: int, unit: int) -> None:
        """Emit the jump at the instruction *index*."""
        instructions, output = self._instructions, self._output
        if index in instructions.steps:
            self._emit_step(index, unit)
            return
        op = instructions.ops[index]
        target = instructions.targets[index]
        backward = target <= index
        label = target
        if not backward and op in BACKWARD and self._turns_on_line(index, target):
            if target not in self._pads:
                self._pads[target] = output.new_label()
            label = self._pads[target]
        elif index in instructions.turns:
            label = output.new_label()
            self._upward_jumps.append((label, index))
        if index in self._places.taken:
            if self._needs_second_jump(index):
                label, backward = self._new_second_jump(index), False
            else:
                label = self._label_at_target(index)
        output.jump(op if backward else forward(op), label, backward, unit)
        if op != instructions.source.ops[instructions.origins[index]]:  # reversed: not taken, it goes to the next copy
            self._emit_pad(index, unit)

    def _needs_second_jump(self, index: int) -> bool:
        """Return whether the probes of the jump at *index* stand above a second jump, and not at its target."""
        target = self._instructions.targets[index]
        is_at_target = self._places.before_target.get(target) == index
        return not is_at_target and index not in self._places.above_target.get(target, ())

    def _new_second_jump(self, index: int) -> int:
        """Return the label of a new second jump for the jump at *index*.

        Raise RewriteError if that is a SEND of 3.11, whose distance must fit one byte.
        """
        if SEND_IS_SHORT and self._instructions.ops[index] == SEND:
            raise RewriteError("an await loop ends where others arrive")
        label = self._output.new_label()
        self._second_jumps.extend((label, number) for number in self._places.taken[index])
        return label

    def _label_at_target(self, index: int) -> int:
        """Return the label of the probes of the jump at *index*, which stand before or above its target."""
        target = self._instructions.targets[index]
        if self._places.before_target.get(target) == index:
            return self.label_before(target)
        self._labels_above[index] = self._output.new_label()
        return self._labels_above[index]

    def label_before(self, target: int) -> int:
        """Return the label of the probes that stand right before the instruction *target*."""
        if target not in self._labels_before:
            self._labels_before[target] = self._output.new_label()
        return self._labels_before[target]

    def emit_probes_above(self, target: int, unit: int) -> None:
        """Emit the probes of jumps to *target* above it, and a jump over them for control that falls into *target*."""
        instructions, output, places = self._instructions, self._output, self._places
        if instructions.falls_into(target) or target in places.before_target:
            at = unit
            if target not in places.falling and target not in places.before_target:
                at = instructions.units[target - 1]
            output.jump(JUMP_FORWARD, target, False, at)
        first, *others = places.above_target[target]
        for index in (*others, first):
            output.set_label(self._labels_above[index])
            output.emit_probes(places.taken[index], unit)
            if index != first:
                output.jump(JUMP_FORWARD, target, False, unit)

    def emit_second_jumps(self) -> None:
        """Emit all second jumps, each below the probe of the edge that it belongs to."""
        instructions, output = self._instructions, self._output
        for label, number in self._second_jumps:
            index = self._plan.probes[number].index
            op = instructions.ops[index]
            unit = instructions.units[index]
            target = instructions.targets[index]
            if CALLER_IS_ABOVE_TARGET_OF_ITERATION and op in (FOR_ITER, SEND):
                # When a generator ends, the frame of its caller stands one code unit above the target.
                output.emit(probes.nop(), instructions.starts[target] - 1)
            output.set_label(label)
            n_skipped = instructions.n_skipped_at(target) if op == FOR_ITER else 0
            head = target + n_skipped
            if HAS_MONITORING:
                # `sys.monitoring` reports the line of this code as the end of the branch, so it has the line of the
                # target. A trace function may be called here and raise; the exception goes where one of *head* goes.
                unit = instructions.units[head]
                output.set_route(self._routes.to_record(instructions.handlers[head]))
                self.added_jumps.append((len(output.pieces), index))
            if n_skipped:
                skipped = instructions.units[target]
                output.copy_units(skipped, skipped + n_skipped)
            output.emit_probes((number,), unit)
            if op == FOR_ITER:
                back = output.new_label()
                output.labels[back] = self.entrances[head] if n_skipped else output.labels[target]
                output.jump(JUMP_BACKWARD_NO_INTERRUPT, back, True, unit)
            elif target <= index:  # a loop of 3.11, which must stay interruptible
                self.added_jumps.append((len(output.pieces), len(instructions) + number))
                output.jump(JUMP_BACKWARD, target, True, unit)
            else:
                output.jump(JUMP_BACKWARD_NO_INTERRUPT, target, True, unit)
        output.set_route(None)

    def emit_upward_jumps(self) -> None:
        """Emit the jumps from the first to the last copy of each loop whose copies go upwards."""
        instructions, output = self._instructions, self._output
        for label, index in self._upward_jumps:
            output.set_route(self._routes.by_instruction[index])
            output.set_label(label)
            self.added_jumps.append((len(output.pieces), index))
            unit = instructions.units[index]
            output.jump(JUMP_BACKWARD, instructions.targets[index], True, unit)
        output.set_route(None)

    # Jumps back that became steps
    # ##########################################################################################################

    def _emit_step(self, index: int, unit: int) -> None:
        """Emit the jump back at *index*, which became a step to the next copy of its loop.

        A NOP with the line of the jump is left if control may arrive there with a line event, or by a branch. Otherwise
        the instruction above has the same line, and its step to the next line is the same line event.
        """
        if self._arrives_with_event(index) or self._is_branched_to(index):
            self._output.emit(probes.nop(), unit)
        self._emit_pad(index, unit)

    def _emit_pad(self, index: int, unit: int) -> None:
        """Emit the pad between the end of one copy of a loop, at *index*, and the next copy.

        On 3.11 a jump back within one line is a line event. Between copies of the loop a step from an instruction
        without a line takes its place: the pad is that instruction. Jumps that must raise the event lead to the pad.
        """
        output = self._output
        head = index + 1
        label = self._pads.get(head)
        is_event = self._turns_on_line(index, head)
        if label is not None and head in self._places.falling:  # only the step may pass its probes
            after = output.new_label()
            output.jump(JUMP_FORWARD, after, False, unit)
            output.set_label(label)
            output.jump(JUMP_FORWARD, head, False, NO_UNIT)
            output.set_label(after)
            label = None
        if label is not None and not is_event:
            output.emit(probes.jump_over(len(probes.nop()) // 2), unit)
        if label is not None:
            output.set_label(label)
        if label is not None or is_event:
            output.emit(probes.nop(), NO_UNIT)

    def _turns_on_line(self, index: int, head: int) -> bool:
        """Return whether the jump at *index* to the *head* of a loop is a line event that a step must replace.

        That is so on 3.11, if both are on one line. On later versions the jump remains a jump back (decode.unrolling).
        """
        lines = self._graph.line_events.lines
        return not JUMP_BACK_RAISES_LINE_EVENT and lines[index] is not None and lines[index] == lines[head]

    def _arrives_with_event(self, index: int) -> bool:
        """Return whether a step to the instruction at *index* may be a line event."""
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


def forward(op: int) -> int:
    """Return the opcode of the jump like *op* that goes forward; -1 if there is none."""
    return OPCODES.get(OPNAMES[op].replace("BACKWARD", "FORWARD"), -1)
