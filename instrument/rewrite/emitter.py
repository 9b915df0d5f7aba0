"""Emits the original instructions in order, each with the probes that stand at it.

A graph, its Plan, the layout of the constants and the routes of exceptions come in; pieces go into an `Output`. Beside
probes and jumps, code is added at three places:

- A NOP, where an exception would otherwise be led to a handler without being counted. The interpreter looks up the
  handler of some exceptions one code unit above the instruction that raised (`flow.exits.is_left_above`).
- A NOP, where Python 3.11 would blame a wrong instruction for an exception (flow.misattributed_raises).
- The exchange of exec'd code before a call, and the question whether a call will be inlined (rewrite.probes).
"""

from __future__ import annotations

from _bisect import bisect_right

from instrument.decode.call_sites import passes_keywords, start_of_call
from instrument.decode.opcodes import CACHES, CALL_FUNCTION_EX, CALL_KW, JUMPS, MAY_RERAISE, RAISES, RESUME
from instrument.decode.versions import (
    INLINED_CALL_LOSES_LINE,
    INTERRUPTS_ARE_RAISED_ABOVE_TARGET,
    PAIRS_MISATTRIBUTE_RAISES,
)
from instrument.flow.exits import is_left_above
from instrument.flow.misattributed_raises import loads_to_separate
from instrument.flow.placement_names import CALLING, NOTHING
from instrument.rewrite import probes
from instrument.rewrite.jumps import JumpEmitter, ProbePlaces
from instrument.rewrite.output import NO_UNIT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from instrument.decode.instructions import Instructions
    from instrument.flow.graph import ControlFlowGraph
    from instrument.flow.plan import Plan
    from instrument.rewrite.constant_layout import ConstantLayout
    from instrument.rewrite.output import Output
    from instrument.rewrite.routes import ExceptionRoutes


class InstructionEmitter:
    """Emits the instructions of one code object."""

    def __init__(
        self,
        graph: ControlFlowGraph,
        plan: Plan,
        layout: ConstantLayout,
        output: Output,
        routes: ExceptionRoutes,
        jumps: JumpEmitter,
        probe_places: ProbePlaces,
    ) -> None:
        instructions = graph.instructions
        self._runs: list[tuple[int, int, int]] = []  # first instruction, the one behind the last, place of the piece
        self._instructions = instructions
        self._output = output
        self._routes = routes
        self._jumps = jumps
        self._probes = probe_places
        self._calls = plan.placement in CALLING
        self._changes = list(routes.changes())
        self._loop_heads = _loop_heads(instructions)
        self._before_calls = _code_before_calls(instructions, plan, layout, probe_places)
        #: Instructions that must not stand right behind the one above.
        self._separated = (
            loads_to_separate(graph) if PAIRS_MISATTRIBUTE_RAISES and plan.placement != NOTHING else frozenset()
        )

    def emit_instructions(self) -> None:
        """Emit all original instructions with their probes, in runs as long as nothing stands in between."""
        output = self._output
        stops = self._stops()
        for index, next_stop in zip(stops, [*stops[1:], len(self._instructions)]):
            self._emit_added_code(index)
            self._set_routes(index, next_stop)
            self._emit_run(index, next_stop)
        output.set_route(None)

    def units(self, offsets: list[int]) -> list[int]:
        """Return the code unit of each original instruction, where *offsets* are those of the pieces' opcodes.

        The piece of a jump begins with its opcode here; that of other instructions begins with their prefixes.
        """
        instructions = self._instructions
        units: list[int] = []
        for index, end, place in self._runs:
            if instructions.targets[index] >= 0:
                units.append(offsets[place])
            else:
                moved = offsets[place] - instructions.starts[index]
                units += map(moved.__add__, instructions.units[index:end])
        return units

    def _stops(self) -> list[int]:
        """Return the instructions at which a new piece must begin, in order."""
        instructions, probe_places = self._instructions, self._probes
        stops = {0, instructions.first, *instructions.jumps, *instructions.joins}
        stops.update(probe_places.before, probe_places.falling, probe_places.above_target, probe_places.before_target)
        stops.update(self._separated, self._before_calls, probe_places.heads)
        stops.update([index + 1 for index in instructions.jumps], [call + 1 for call in probe_places.inlined])
        if instructions.source is not instructions:
            origins = instructions.origins
            stops.update(index for index in range(1, len(origins)) if origins[index] != origins[index - 1] + 1)
        if self._calls:
            resumes = [index for index, op in enumerate(instructions.ops) if op == RESUME]
            stops.update(resumes, [index + 1 for index in resumes])
        stops.discard(len(instructions))
        return sorted(stops)

    def _emit_added_code(self, index: int) -> None:
        """Emit the code that is added above the instruction *index*, and set the label of the instruction."""
        instructions, output = self._instructions, self._output
        unit = instructions.units[index]
        first_place = len(output.pieces)
        if index > instructions.first:
            self._emit_entrance(index, unit)
        output.set_label(index)
        if index in self._probes.before:
            output.set_route(self._routes.of_trace_function(index))
            output.emit_probes(self._probes.before[index], unit)
            if index > instructions.first and is_left_above(instructions.ops[index]):
                self._route_as_above(index, unit)
        if index in self._separated and len(output.pieces) == first_place:
            output.set_route(self._routes.by_instruction[index])
            output.emit(probes.nop(), unit)
        if index in self._before_calls:
            output.set_route(self._routes.by_instruction[index])
            output.emit(self._before_calls[index], unit)

    def _set_routes(self, index: int, end: int) -> None:
        """Set the routes of the instructions from *index* to *end*, the next piece."""
        output, routes, starts = self._output, self._routes.by_instruction, self._instructions.starts
        output.set_route(routes[index])
        changes = self._changes
        n = bisect_right(changes, index)
        while n < len(changes) and changes[n] < end:
            output.set_route(routes[changes[n]], starts[changes[n]] - starts[index])
            n += 1

    def _emit_run(self, index: int, end: int) -> None:
        """Emit the instructions from *index* to *end*: one jump, or a run without a jump."""
        instructions, output = self._instructions, self._output
        unit = instructions.units[index]
        self._runs.append((index, end, len(output.pieces)))
        if instructions.targets[index] >= 0:
            self._jumps.emit_jump(index, unit)
            return
        last = end - 1
        if self._calls and instructions.ops[index] == RESUME:
            output.emit(probes.resume(instructions.args[index]), unit)
        else:
            output.copy_units(instructions.starts[index], instructions.units[last] + 1 + CACHES[instructions.ops[last]])
        if last in self._probes.inlined:
            # After an inlined call, the next line raises an event because the call's last unit has no line. The probe
            # stands in between, so it must not have a line, either.
            condition, probe = probes.count_if_inlined(output.probe(self._probes.inlined[last]))
            output.emit(condition, instructions.units[last])
            output.emit(probe, NO_UNIT)

    def _emit_entrance(self, index: int, unit: int) -> None:
        """Emit the code between the instruction above and the place where jumps to *index* arrive."""
        instructions, output, probe_places = self._instructions, self._output, self._probes
        op_above = instructions.ops[index - 1]
        is_loop_head = index in self._loop_heads
        # An interrupt at a jump back may be led to the handler of the instruction above. If exceptions of that one
        # are not recorded, a NOP whose exceptions are recorded stands in between.
        if is_loop_head and (op_above in RAISES or op_above in MAY_RERAISE):
            output.set_route(self._routes.to_record(instructions.handlers[index - 1]))
            output.emit(probes.nop(), unit)
        self._jumps.entrances[index] = len(output.pieces)
        if index in probe_places.falling:
            output.set_route(self._routes.of_trace_function(index))
            output.emit_probes(probe_places.falling[index], unit)
        if index in probe_places.before_target:
            output.set_route(self._routes.of_trace_function(index))
            output.set_label(self._jumps.label_before(index))
            output.emit_probes(probe_places.taken[probe_places.before_target[index]], unit)
        if index in probe_places.above_target:
            self._jumps.emit_probes_above(index, unit)
        has_probes = index in probe_places.falling or index in probe_places.before_target
        is_left = is_left_above(instructions.ops[index]) or (INLINED_CALL_LOSES_LINE and is_loop_head)
        is_left = is_left or (has_probes and INTERRUPTS_ARE_RAISED_ABOVE_TARGET and is_loop_head)
        if is_left and (has_probes or instructions.above(index) != index - 1):
            self._route_as_above(index, unit)

    def _route_as_above(self, index: int, unit: int) -> None:
        """Give the code unit above the instruction at *index* the route of the original instruction above it.

        A NOP is added if the latest piece has another route.
        """
        handler = self._instructions.handlers[self._instructions.above(index)]
        route = self._routes.to_record(handler)
        if self._output.latest_route() != route:
            self._output.set_route(route)
            self._output.emit(probes.nop(), unit)


def _loop_heads(instructions: Instructions) -> set[int]:
    """Return the instructions that jumps back lead to, in the original or in a copy of a loop."""
    ops, targets = instructions.ops, instructions.targets
    heads = {targets[jump] for jump in instructions.jumps if targets[jump] <= jump and ops[jump] in JUMPS}
    heads.update(instructions.targets[index] for index in instructions.turns)
    return heads


def _code_before_calls(
    instructions: Instructions, plan: Plan, layout: ConstantLayout, probe_places: ProbePlaces
) -> dict[int, bytes]:
    """Return the code units that must stand before calls, by the first instruction of each call."""
    before_calls: dict[int, bytes] = {}
    for number, call in enumerate(probe_places.inlined):
        start = start_of_call(instructions, call)
        code = probes.check_if_inlined(instructions.args[call], layout.first_was_inlined + number)
        before_calls[start] = before_calls.get(start, b"") + code
    for call, namespace in plan.exec_calls:
        start = start_of_call(instructions, call)
        if instructions.ops[call] == CALL_FUNCTION_EX:
            code = probes.exchange_exec_arguments(passes_keywords(instructions, call), layout.exchange)
        else:
            has_keywords = instructions.ops[call] == CALL_KW
            code = probes.exchange_exec_argument(instructions.args[call], namespace, has_keywords, layout.exchange)
        before_calls[start] = before_calls.get(start, b"") + code
    return before_calls
