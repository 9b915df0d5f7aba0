"""Emits the original instructions in order, each with the probes that stand at it.

A graph, its Plan, the layout of the constants and the routes of exceptions come in; pieces go into an `Output`. Beside
probes and jumps, code is added at three places:

- A NOP, where an exception would otherwise be led to a handler without being counted. The interpreter looks up the
  handler of some exceptions one code unit above the instruction that raised (`flow.exits.is_left_above`).
- A NOP, where Python 3.11 would blame a wrong instruction for an exception (flow.misattributed_raises).
- The exchange of exec'd code before a call, and the question whether a call will be inlined (rewrite.probes).
"""

from __future__ import annotations

from instrument.decode.call_sites import passes_keywords, start_of_call
from instrument.decode.opcodes import CACHES, CALL_FUNCTION_EX, CALL_KW, JUMPS, MAY_RERAISE, RAISES, RESUME
from instrument.decode.versions import (
    INLINED_CALL_LOSES_LINE,
    INTERRUPTS_ARE_RAISED_ABOVE_TARGET,
    PAIRS_MISATTRIBUTE_RAISES,
)
from instrument.flow.exits import is_left_above
from instrument.flow.misattributed_raises import loads_to_separate
from instrument.flow.placement import CALLING, NOTHING
from instrument.rewrite import probes
from instrument.rewrite.jumps import JumpEmitter, ProbePlaces
from instrument.rewrite.output import NO_LOCATION

TYPE_CHECKING = False
if TYPE_CHECKING:
    from instrument.decode.instructions import Instructions
    from instrument.flow.graph import ControlFlowGraph
    from instrument.flow.plan import Plan
    from instrument.rewrite.constant_layout import ConstantLayout
    from instrument.rewrite.output import Location, Output
    from instrument.rewrite.routes import ExceptionRoutes


class InstructionEmitter:
    """Emits the instructions of one code object.

    - `places`: for each instruction, the place of its piece in the `Output`.
    """

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
        self.places = [0] * len(instructions)
        self._instructions = instructions
        self._output = output
        self._routes = routes
        self._jumps = jumps
        self._probes = probe_places
        self._calls = plan.placement in CALLING
        self._loop_heads = _loop_heads(instructions)
        self._before_calls = _code_before_calls(instructions, plan, layout, probe_places)
        #: Instructions that must not stand right behind the one above.
        self._separated = (
            loads_to_separate(graph) if PAIRS_MISATTRIBUTE_RAISES and plan.placement != NOTHING else frozenset()
        )

    def emit_instructions(self) -> None:
        """Emit all original instructions with their probes."""
        for index in range(len(self._instructions)):
            self._emit_instruction(index)
        self._output.set_route(None)

    def units(self, offsets: list[int]) -> list[int]:
        """Return the code unit of each original instruction, where *offsets* are those of the pieces' opcodes.

        The piece of a jump begins with its opcode here; that of another instruction begins with its prefixes.
        """
        instructions = self._instructions
        return [
            offsets[place] + (0 if target >= 0 else unit - start)
            for place, target, unit, start in zip(
                self.places, instructions.targets, instructions.units, instructions.starts
            )
        ]

    def _emit_instruction(self, index: int) -> None:
        instructions, output, routes = self._instructions, self._output, self._routes
        unit = instructions.units[index]
        location = output.location_at(unit)
        op = instructions.ops[index]
        first_place = len(output.pieces)
        if index > instructions.first:
            self._emit_entrance(index, location)
        output.set_label(index)
        if index in self._probes.before:
            output.set_route(routes.of_trace_function(index))
            output.emit_probes(self._probes.before[index], location)
            if index > instructions.first and is_left_above(op):
                self._route_as_above(index, location)
        output.set_route(routes.of_instruction(index))
        if index in self._separated and len(output.pieces) == first_place:
            output.emit(probes.nop(), location)
        if index in self._before_calls:
            output.emit(self._before_calls[index], location)
        self.places[index] = len(output.pieces)
        if instructions.targets[index] >= 0:
            self._jumps.emit_jump(index, location)
            return
        if op == RESUME and self._calls:
            output.emit(probes.resume(instructions.args[index]), location)
        else:
            output.copy_units(instructions.starts[index], unit + 1 + CACHES[op], location)
        if index in self._probes.inlined:
            # After an inlined call, the next line raises an event because the call's last unit has no line. The probe
            # stands in between, so it must not have a line, either.
            condition, probe = probes.count_if_inlined(output.probe(self._probes.inlined[index]))
            output.emit(condition, location)
            output.emit(probe, NO_LOCATION)

    def _emit_entrance(self, index: int, location: Location) -> None:
        """Emit the code between the instruction above and the place where jumps to *index* arrive."""
        instructions, output, probe_places = self._instructions, self._output, self._probes
        op_above = instructions.ops[index - 1]
        is_loop_head = index in self._loop_heads
        # An interrupt at a jump back may be led to the handler of the instruction above. If exceptions of that one
        # are not recorded, a NOP whose exceptions are recorded stands in between.
        if (op_above in RAISES or op_above in MAY_RERAISE) and is_loop_head:
            output.set_route(self._routes.to_record(instructions.handlers[index - 1]))
            output.emit(probes.nop(), location)
        self._jumps.entrances[index] = len(output.pieces)
        if index in probe_places.falling:
            output.set_route(self._routes.of_trace_function(index))
            output.emit_probes(probe_places.falling[index], location)
        if index in probe_places.before_target:
            output.set_route(self._routes.of_trace_function(index))
            output.set_label(self._jumps.label_before(index))
            output.emit_probes(probe_places.taken[probe_places.before_target[index]], location)
        if index in probe_places.above_target:
            self._jumps.emit_probes_above(index, location)
        has_probes = index in probe_places.falling or index in probe_places.before_target
        is_left = is_left_above(instructions.ops[index]) or (INLINED_CALL_LOSES_LINE and is_loop_head)
        is_left = is_left or (has_probes and INTERRUPTS_ARE_RAISED_ABOVE_TARGET and is_loop_head)
        if is_left and (has_probes or instructions.above(index) != index - 1):
            self._route_as_above(index, location)

    def _route_as_above(self, index: int, location: Location) -> None:
        """Give the code unit above the instruction at *index* the route of the original instruction above it.

        A NOP is added if the latest piece has another route.
        """
        handler = self._instructions.handlers[self._instructions.above(index)]
        route = self._routes.to_record(handler)
        if self._output.latest_route() != route:
            self._output.set_route(route)
            self._output.emit(probes.nop(), location)


def _loop_heads(instructions: Instructions) -> set[int]:
    """Return the instructions that jumps back lead to, in the original or in a copy of a loop."""
    heads = {
        target
        for index, (op, target) in enumerate(zip(instructions.ops, instructions.targets))
        if 0 <= target <= index and op in JUMPS
    }
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
