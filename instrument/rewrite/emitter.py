"""Writes the original instructions in order, each with the code that is added at it.

A graph, the places of added code, the ways of jumps and the routes of exceptions come in; an `Output` goes out. Runs of
instructions without anything in between are copied in one piece. Second jumps and upward jumps (rewrite.jumps) follow
behind all instructions.
"""

from __future__ import annotations

from _bisect import bisect_right

from instrument.decode.opcodes import (
    CACHES,
    FOR_ITER,
    JUMP_BACKWARD,
    JUMP_BACKWARD_NO_INTERRUPT,
    JUMP_FORWARD,
    MAY_RERAISE,
    RAISES,
    SEND,
)
from instrument.decode.versions import (
    CALLER_IS_ABOVE_TARGET_OF_ITERATION,
    HAS_MONITORING,
    INLINED_CALL_LOSES_LINE,
    INTERRUPTS_ARE_RAISED_ABOVE_TARGET,
)
from instrument.flow.exits import is_left_above
from instrument.rewrite import probes
from instrument.rewrite.output import NO_UNIT, PLACEHOLDERS, Output

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from instrument.flow.graph import ControlFlowGraph
    from instrument.flow.plan import Plan
    from instrument.rewrite.jumps import Jumps
    from instrument.rewrite.places import Places
    from instrument.rewrite.routes import ExceptionRoutes, Route

_NOP = probes.nop()
_JUMP_OVER_NOP = probes.jump_over(len(_NOP) // 2)
_IS_LEFT_ABOVE = [is_left_above(op) for op in range(256)]
_ALWAYS_OR_MAYBE_RAISES = RAISES | MAY_RERAISE


class Emitter:
    """Writes the code of one code object into `output`."""

    def __init__(
        self,
        graph: ControlFlowGraph,
        plan: Plan,
        places: Places,
        jumps: Jumps,
        routes: ExceptionRoutes,
    ) -> None:
        self.output = Output(graph.instructions, jumps.n_labels)
        self._graph = graph
        self._instructions = graph.instructions
        self._plan = plan
        self._places = places
        self._jumps = jumps
        self._routes = routes
        self._raw = graph.instructions.code.co_code
        #: For instructions with code above them, the place at which control arrives that falls into them.
        self._entrances: dict[int, int] = {}

    def emit(self) -> None:
        """Write all original instructions, then the jumps that stand behind them."""
        instructions, ways = self._instructions, self._jumps.ways
        pieces = self._jumps.pieces
        self.output.jumps_in_runs = [(index, *ways[index]) for index in instructions.jumps if index not in pieces]
        stops = self._stops()
        for index, next_stop in zip(stops, [*stops[1:], len(instructions)]):
            self._emit_added_code(index)
            self._set_routes(index, next_stop)
            self._emit_run(index, next_stop)
        self._set_route(None)
        self._emit_second_jumps()
        self._emit_upward_jumps()

    def _stops(self) -> list[int]:
        """Return the instructions at which a new piece begins, in order.

        These are the first one, jumps that are pieces, and instructions with code above or behind them. Others stand
        right behind such an instruction, or behind a copy of a loop.
        """
        instructions, places, jumps = self._instructions, self._places, self._jumps.pieces
        stops = {0, *jumps, *places.loop_heads, *places.heads}
        stops.update(places.before, places.falling, places.above_target, places.before_target)
        stops.update(places.separated, places.before_calls, places.resumes)
        for indices in (jumps, places.behind_calls, places.resumes):
            stops.update([index + 1 for index in indices])
        origins = instructions.origins
        if instructions.source is not instructions:
            stops.update(index for index in range(1, len(origins)) if origins[index] != origins[index - 1] + 1)
        stops.discard(len(origins))
        return sorted(stops)

    # Single pieces
    # ##########################################################################################################

    def _append(self, piece: bytes, unit: int) -> None:
        """Append *piece*, all of whose code units have the location of the original *unit*, or none for NO_UNIT."""
        self.output.pieces.append(piece)
        self.output.sources.append((unit, unit))

    def _append_copy(self, start: int, stop: int) -> None:
        """Append the code units from *start* to *stop* of the original as one piece."""
        self.output.pieces.append(self._raw[2 * start : 2 * stop])
        self.output.sources.append((start, stop))

    def _append_probes(self, numbers: Sequence[int], unit: int) -> None:
        """Append the probes *numbers*, which share one place: a trace function may be called and raise there."""
        place = len(self.output.pieces)
        for number in numbers:
            self.output.place_of_probe[number] = place
            self._append(self._places.probe_code[number], unit)

    def _append_jump(self, op: int, label: int, is_backward: bool, unit: int) -> None:
        self.output.jumps.append((len(self.output.pieces), op, label, is_backward))
        self._append(PLACEHOLDERS[op], unit)

    def _set_label(self, label: int) -> None:
        """Let *label* stand for the place of the next piece."""
        self.output.labels[label] = len(self.output.pieces)

    def _set_route(self, route: Route | None, n_units: int = 0) -> None:
        """Give *route* to the exceptions of all code behind the next *n_units* code units, which are of one piece."""
        routes = self.output.routes
        if not routes or routes[-1][2] != route:
            routes.append((len(self.output.pieces), n_units, route))

    # Original instructions
    # ##########################################################################################################

    def _emit_added_code(self, index: int) -> None:
        """Emit the code that is added above the instruction *index*, and set the label of the instruction."""
        instructions, output, places = self._instructions, self.output, self._places
        unit = instructions.units[index]
        first_place = len(output.pieces)
        if index > instructions.first:
            self._emit_entrance(index, unit)
        output.labels[index] = len(output.pieces)
        if index in places.before:
            self._set_route(self._routes.traced[index])
            self._append_probes(places.before[index], unit)
            if index > instructions.first and _IS_LEFT_ABOVE[instructions.ops[index]]:
                self._route_as_above(index, unit)
        if index in places.separated and len(output.pieces) == first_place:
            self._set_route(self._routes.by_instruction[index])
            self._append(_NOP, unit)
        if index in places.before_calls:
            self._set_route(self._routes.by_instruction[index])
            self._append(places.before_calls[index], unit)

    def _set_routes(self, index: int, end: int) -> None:
        """Set the routes of the instructions from *index* to *end*, the next piece."""
        routes, changes, starts = self._routes.by_instruction, self._routes.changes, self._instructions.starts
        self._set_route(routes[index])
        n = bisect_right(changes, index)
        while n < len(changes) and changes[n] < end:
            self._set_route(routes[changes[n]], starts[changes[n]] - starts[index])
            n += 1

    def _emit_run(self, index: int, end: int) -> None:
        """Emit the instructions from *index* to *end*: one jump that is a piece, or a run."""
        instructions, output, places = self._instructions, self.output, self._places
        if index in self._jumps.pieces:
            output.runs.append((index, end, len(output.pieces), instructions.units[index]))
            self._emit_jump(index)
            return
        output.runs.append((index, end, len(output.pieces), instructions.starts[index]))
        last = end - 1
        unit = instructions.units[last]
        if index in places.resumes:
            self._append(places.resumes[index], unit)
        else:
            self._append_copy(instructions.starts[index], unit + 1 + CACHES[instructions.ops[last]])
        if last in places.behind_calls:
            # After an inlined call, the next line raises an event because the call's last unit has no line. The probe
            # stands in between, so it must not have a line, either.
            condition, probe = places.behind_calls[last]
            self._append(condition, unit)
            self._append(probe, NO_UNIT)

    def _emit_entrance(self, index: int, unit: int) -> None:
        """Emit the code between the instruction above and the place where jumps to *index* arrive."""
        instructions, output, places = self._instructions, self.output, self._places
        is_loop_head = index in places.loop_heads
        # An interrupt at a jump back may be led to the handler of the instruction above. If exceptions of that one
        # are not recorded, a NOP whose exceptions are recorded stands in between.
        if is_loop_head and instructions.ops[index - 1] in _ALWAYS_OR_MAYBE_RAISES:
            self._set_route(self._routes.recorded[index - 1])
            self._append(_NOP, unit)
        self._entrances[index] = len(output.pieces)
        has_probes = index in places.falling or index in places.before_target
        if has_probes:
            self._set_route(self._routes.traced[index])
        if index in places.falling:
            self._append_probes(places.falling[index], unit)
        if index in places.before_target:
            self._set_label(self._jumps.before[index])
            self._append_probes(places.taken[places.before_target[index]], unit)
        if index in places.above_target:
            self._emit_probes_above(index, unit)
        is_left = _IS_LEFT_ABOVE[instructions.ops[index]] or (INLINED_CALL_LOSES_LINE and is_loop_head)
        is_left = is_left or (has_probes and INTERRUPTS_ARE_RAISED_ABOVE_TARGET and is_loop_head)
        if is_left and (has_probes or instructions.above(index) != index - 1):
            self._route_as_above(index, unit)

    def _emit_probes_above(self, target: int, unit: int) -> None:
        """Emit the probes of jumps to *target* above it, and a jump over them for control that falls into *target*."""
        instructions, places = self._instructions, self._places
        if instructions.falls_into(target) or target in places.before_target:
            at = unit
            if target not in places.falling and target not in places.before_target:
                at = instructions.units[target - 1]
            self._append_jump(JUMP_FORWARD, target, False, at)
        first, *others = places.above_target[target]
        for index in (*others, first):
            self._set_label(self._jumps.above[index])
            self._append_probes(places.taken[index], unit)
            if index != first:
                self._append_jump(JUMP_FORWARD, target, False, unit)

    def _route_as_above(self, index: int, unit: int) -> None:
        """Give the code unit above the instruction at *index* the route of the original instruction above it.

        A NOP is added if the latest piece has another route.
        """
        route = self._routes.recorded[self._instructions.above(index)]
        n_pieces = len(self.output.pieces)
        latest = next((latest for place, _, latest in reversed(self.output.routes) if place < n_pieces), None)
        if latest != route:
            self._set_route(route)
            self._append(_NOP, unit)

    # Jumps
    # ##########################################################################################################

    def _emit_jump(self, index: int) -> None:
        """Emit the jump at *index*, or the step that it has become."""
        unit = self._instructions.units[index]
        if index in self._jumps.ways:
            self._append_jump(*self._jumps.ways[index], unit)
        elif index in self._jumps.with_nop:
            self._append(_NOP, unit)
        if index in self._jumps.ends:
            self._emit_pad(index, unit)

    def _emit_pad(self, index: int, unit: int) -> None:
        """Emit the pad between the end of one copy of a loop, at *index*, and the next copy (3.11, rewrite.jumps)."""
        head = index + 1
        label = self._jumps.pads.get(head)
        is_event = index in self._jumps.with_event
        if label is not None and head in self._places.falling:  # only the step may pass its probes
            behind = self._jumps.behind_pads[head]
            self._append_jump(JUMP_FORWARD, behind, False, unit)
            self._set_label(label)
            self._append_jump(JUMP_FORWARD, head, False, NO_UNIT)
            self._set_label(behind)
            label = None
        if label is not None and not is_event:
            self._append(_JUMP_OVER_NOP, unit)
        if label is not None:
            self._set_label(label)
        if label is not None or is_event:
            self._append(_NOP, NO_UNIT)

    def _emit_second_jumps(self) -> None:
        """Emit all second jumps, each below the probe of the edge that it belongs to."""
        instructions, output = self._instructions, self.output
        for label, number, back in self._jumps.second:
            index = self._plan.probes[number].index
            op, target, unit = instructions.ops[index], instructions.targets[index], instructions.units[index]
            if CALLER_IS_ABOVE_TARGET_OF_ITERATION and op in (FOR_ITER, SEND):
                # When a generator ends, the frame of its caller stands one code unit above the target.
                self._append(_NOP, instructions.starts[target] - 1)
            self._set_label(label)
            n_skipped = instructions.n_skipped_at(target) if op == FOR_ITER else 0
            head = target + n_skipped
            if HAS_MONITORING:
                # `sys.monitoring` reports the line of this code as the end of the branch, so it has the line of the
                # target. A trace function may be called here and raise; the exception goes where one of *head* goes.
                unit = instructions.units[head]
                self._set_route(self._routes.recorded[head])
                output.added_jumps.append((len(output.pieces), index))
            if n_skipped:
                self._append_copy(instructions.units[target], instructions.units[target] + n_skipped)
            self._append_probes((number,), unit)
            if op == FOR_ITER:
                if n_skipped:
                    output.labels[back] = self._entrances[head]
                self._append_jump(JUMP_BACKWARD_NO_INTERRUPT, back if n_skipped else target, True, unit)
            elif target <= index:  # a loop of 3.11, which must stay interruptible
                output.added_jumps.append((len(output.pieces), len(instructions) + number))
                self._append_jump(JUMP_BACKWARD, target, True, unit)
            else:
                self._append_jump(JUMP_BACKWARD_NO_INTERRUPT, target, True, unit)
        self._set_route(None)

    def _emit_upward_jumps(self) -> None:
        """Emit the jumps from the first to the last copy of each loop whose copies go upwards."""
        instructions, output = self._instructions, self.output
        for label, index in self._jumps.upward:
            self._set_route(self._routes.by_instruction[index])
            self._set_label(label)
            output.added_jumps.append((len(output.pieces), index))
            self._append_jump(JUMP_BACKWARD, instructions.targets[index], True, instructions.units[index])
        self._set_route(None)
