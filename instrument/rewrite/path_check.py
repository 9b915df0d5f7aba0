"""Follows every path through rewritten code, and checks that each probe stands on the path that it counts.

A graph, its Plan and a `RewrittenCode` come in; the first mistake goes out as a text. `verifier` compares the places
to which instructions, jumps and handlers lead. It cannot see the probes on their way: a jump that arrives right above
the probe of another edge counts for that edge, too.

A *path* leads through the rewritten code from the end of one original instruction to the next one. A path follows an
edge, a step that is no edge, an exit to its handler, or the return of an inlined call. All paths are followed, so the
paths that pass each probe are known. They must be the one path that the probe counts, or paths that are taken exactly
as often (`_are_equivalent`).
"""

from __future__ import annotations

from _bisect import bisect_left, bisect_right

from instrument.decode.opcodes import (
    BACKWARD,
    CACHE,
    EXTENDED_ARG,
    FOR_ITER,
    JUMPS,
    LOAD_CONST,
    OPCODES,
    POP_ITER,
    PUSH_NULL,
    RERAISE,
    RESUME,
    SEND,
    SKIPPED,
    UNCONDITIONAL_JUMPS,
    flags_of,
)
from instrument.decode.versions import CALLERS_ARE_LEFT_ABOVE
from instrument.flow.exits import is_left_above
from instrument.flow.graph import ControlFlowGraph, EdgeKind
from instrument.flow.placement_names import CALLING, EVENTS, LINE, MINIMAL, NOTHING
from instrument.flow.plan import ExitKind, Plan, ProbePosition
from instrument.rewrite import probes
from instrument.rewrite.unlinked import layout_of
from instrument.rewrite.verifier import SIZES, RewrittenCode

TYPE_CHECKING = False
if TYPE_CHECKING:
    #: "edge" and its number; "step" and the instruction that it leads to; "handler" and its number, -1 for outside;
    #: "call" and the CALL.
    Path = tuple[str, int]
    #: The path that a probe counts, None for exits; and the item of `Plan.measured_by_probe` that it must have.
    Expected = tuple[Path | None, object]
    #: Handler, unit that the exception table leads to, counter, whether the exit is its instruction's own.
    Exit = tuple[int, int, int, bool]

#: The counter of an instruction's exits, if it is no probe: the exit record, nothing, or one that is checked
#: elsewhere.
_RECORD, _NONE, _ELSEWHERE = -1, -2, -3
_JUMP, _FALL = EdgeKind.JUMP, EdgeKind.FALL
_RAISES = frozenset((EdgeKind.RAISE, EdgeKind.RERAISED))
_FOLLOWED_ELSEWHERE = _RAISES | {EdgeKind.LEAVE}
#: In place of a code unit: an exception has left the code.
_LEFT = -1
_POP_JUMP_IF_FALSE = OPCODES.get("POP_JUMP_IF_FALSE", -1)
#: Opcodes that only probes and records of exits contain, behind their first instruction.
_PARTS_OF_PROBE = {FOR_ITER, *SKIPPED, POP_ITER} - {OPCODES["POP_TOP"], -1}
#: No added code begins with these opcodes, records of exits excepted: control that arrives there has passed something.
_NEVER_FIRST = {CACHE, OPCODES["POP_TOP"]}
#: The opcodes that matter for a walk.
_STOPS = flags_of({EXTENDED_ARG, LOAD_CONST, RERAISE, _POP_JUMP_IF_FALSE, *UNCONDITIONAL_JUMPS, *_PARTS_OF_PROBE})


class WrongPath(Exception):
    """A path passes a probe that does not count it, or does not arrive."""


def wrong_path(graph: ControlFlowGraph, plan: Plan, rewritten: RewrittenCode) -> str:
    """Return which path of *graph* in *rewritten* passes other probes than *plan* says, or an empty string."""
    if not rewritten.is_table_in_order:
        return "the exception table is out of order"
    try:
        paths = _Paths(graph, plan, rewritten)
        paths.follow_edges()
        paths.follow_steps()
        paths.follow_exceptions()
        paths.compare()
    except WrongPath as error:
        return str(error)
    return ""


class _Paths:
    """The paths that pass each probe of a Plan.

    - `by_probe`: for each probe, the paths that pass it.
    """

    def __init__(self, graph: ControlFlowGraph, plan: Plan, rewritten: RewrittenCode) -> None:
        self.by_probe: list[set[Path]] = [set() for _ in plan.probes]
        self._graph = graph
        self._plan = plan
        self._instructions = graph.instructions
        self._rewritten = rewritten
        self._units = units = rewritten.units
        self._layout = layout_of(graph.instructions.code, plan)
        self._advance = b"" if plan.placement in CALLING else probes.ADVANCE
        #: The number of code units of a probe that counts, without a prefix.
        self._size_of_probe = 1 + len(self._advance) // 2
        self._stops = rewritten.opcodes.translate(_STOPS)
        self._raising = [number for number, edge in enumerate(graph.edges) if edge.kind in _RAISES]
        #: The code unit behind the instruction above, for each original with added code in between.
        self._gaps: dict[int, int] = {}
        for first, _ in rewritten.runs:
            if first and (end := rewritten.end_of(first - 1)) != units[first]:
                self._gaps[first] = end

    # Following
    # ##########################################################################################################

    def _walk(self, unit: int, goal: int, records: list[int] | None = None) -> list[int]:
        """Return the probes on the path from *unit* to the instruction *goal*, -1 for outside.

        Append the numbers of the exit records on this path to *records*. Raise WrongPath if it does not arrive.
        """
        opcodes = self._rewritten.opcodes
        end = self._units[goal] if goal >= 0 else _LEFT
        if 0 <= unit == end - self._size_of_probe and opcodes[unit] == LOAD_CONST:  # half of all walks: just one probe
            raw = self._rewritten.raw
            number = raw[2 * unit + 1] - self._layout.first_counter
            if 0 <= number < len(self.by_probe) and raw.startswith(self._advance, 2 * unit + 2):
                return [number]
        passed: list[int] = []
        for _ in range(len(opcodes)):
            if unit == end:
                return passed
            if not 0 <= unit < len(opcodes) or (opcodes[unit] in _NEVER_FIRST and not records):
                break
            limit = end
            if not self._gaps.get(goal, end) <= unit < end:
                limit = self._next_original(unit)
                if unit == limit:
                    break
            unit = self._walk_to_jump(unit, limit, passed, records)
        raise WrongPath(f"control does not arrive at instruction {goal}")

    def _next_original(self, unit: int) -> int:
        """Return the first code unit from *unit* on at which an original stands; the end of the code if none does."""
        units, steps = self._units, self._instructions.steps
        index = bisect_left(units, unit)
        while index in steps:
            index += 1
        return units[index] if index < len(units) else len(self._stops)

    def _walk_to_jump(self, unit: int, limit: int, passed: list[int], records: list[int] | None) -> int:
        """Return the code unit at which control arrives from *unit* on: *limit*, or the target of a jump before that.

        Append to *passed* and *records* as `_walk` does. Return _LEFT if an exception leaves the code.
        """
        raw, opcodes = self._rewritten.raw, self._rewritten.opcodes
        stops, layout = self._stops, self._layout
        while (unit := stops.find(1, unit, limit)) >= 0:
            op, argument = opcodes[unit], raw[2 * unit + 1]
            while op == EXTENDED_ARG and unit + 1 < limit:
                unit += 1
                op, argument = opcodes[unit], argument << 8 | raw[2 * unit + 1]
            after = unit + SIZES[op]
            if op == LOAD_CONST:
                if layout.first_counter <= argument < layout.first_exit:
                    if not raw.startswith(self._advance, 2 * after):
                        raise WrongPath(f"probe {argument - layout.first_counter} does not count")
                    passed.append(argument - layout.first_counter)
                    after += len(self._advance) // 2
                elif layout.first_exit <= argument < layout.traceback_of:
                    if records is None:
                        raise WrongPath(f"control passes exit record {argument - layout.first_exit}")
                    records.append(argument - layout.first_exit)
            elif op in UNCONDITIONAL_JUMPS:
                return after - argument if op in BACKWARD else after + argument
            elif op == _POP_JUMP_IF_FALSE:
                passed.append(self._probe_of_inlined_call(after, after + argument))
                return after + argument
            elif op == RERAISE:
                return self._rewritten.landing_at(unit)[0]
            elif op in _PARTS_OF_PROBE and not records:
                raise WrongPath("control passes a part of a probe")
            unit = after
        return limit

    def _probe_of_inlined_call(self, unit: int, end: int) -> int:
        """Return the probe from *unit* to *end*, which control passes if a call was inlined; raise WrongPath if the
        code there is something else.
        """
        raw = self._rewritten.raw
        argument = 0
        if raw[2 * unit] == PUSH_NULL:  # of a probe that calls
            unit += 1
        while raw[2 * unit] == EXTENDED_ARG and unit < end:
            argument = argument << 8 | raw[2 * unit + 1]
            unit += 1
        number = (argument << 8 | raw[2 * unit + 1]) - self._layout.first_counter
        is_probe = raw[2 * unit] == LOAD_CONST and 0 <= number < len(self._plan.probes)
        if not is_probe or self._plan.probes[number].position != ProbePosition.INLINED:
            raise WrongPath("a condition that asks about no inlined call")
        return number

    def _add(self, path: Path, passed: list[int]) -> None:
        """Add *path* to those of each of the probes *passed*; raise WrongPath if it passes one twice."""
        for number in passed:
            probe = self._plan.probes[number]
            counted = path
            if probe.position == ProbePosition.INLINED:
                kind, at = path
                counted = "call", self._graph.edges[at].at if kind == "edge" else at - 1
            if probe.position == ProbePosition.EXITING or counted in self.by_probe[number]:
                raise WrongPath(f"{self._name(path)} passes probe {number} ({probe}) twice, or as an exit")
            self.by_probe[number].add(counted)

    def follow_edges(self) -> None:
        """Follow each edge from the instruction that leads over it to the next one, those of exceptions excepted."""
        ops, units, gaps, steps = self._instructions.ops, self._units, self._gaps, self._instructions.steps
        for number, edge in enumerate(self._graph.edges):
            kind = edge.kind
            if kind in _FOLLOWED_ELSEWHERE:
                continue
            at, target = edge.at, edge.target_instruction
            if kind == _JUMP or (kind != _FALL and ops[at] in JUMPS and at not in steps):
                unit = self._target_of_jump(at)
            elif target == at + 1 and target not in gaps:
                continue
            else:
                unit = self._rewritten.end_of(at)
            if unit != units[target] and not self._is_skipped(edge.source):
                self._add(("edge", number), self._walk(unit, target))

    def _target_of_jump(self, index: int) -> int:
        """Return the code unit at which control goes on if the jump *index* is taken."""
        unit = self._rewritten.arrivals()[index]
        if self._instructions.ops[index] == FOR_ITER:
            for op in SKIPPED:
                if unit >= len(self._stops) or self._rewritten.opcodes[unit] != op:
                    break
                unit += 1
        return unit

    def follow_steps(self) -> None:
        """Follow each step that is no edge: within blocks, above the first block, and in await loops."""
        graph, instructions = self._graph, self._instructions
        ops, firsts, blocks, loops = instructions.ops, graph.firsts, graph.blocks, graph.await_loops
        for index, end in self._gaps.items():
            number = bisect_right(firsts, index) - 1
            is_within = number >= 0 and blocks[number].head < index <= blocks[number].last
            if is_within or index <= instructions.first or index in loops or ops[index] == RESUME:
                self._add(("step", index), self._walk(end, index))
        for index in loops:
            if ops[index] in UNCONDITIONAL_JUMPS:
                self._add(("step", index + 1), self._walk(self._target_of_jump(index), instructions.targets[index]))

    def follow_exceptions(self) -> None:
        """Follow exceptions from each instruction to its handler, and check that each is recorded once."""
        for number in self._raising:
            self._follow_raise(number)
        probes_of_handler: dict[int, list[int]] = {}
        for (handler, unit, counter, is_own), index in self._exits().items():
            if counter == _ELSEWHERE:
                continue
            if unit >= 0:
                others = self._follow_exit(handler, unit, counter, is_own, index)
                if probes_of_handler.setdefault(handler, others) is others:
                    self._add(("handler", handler), others)
                elif probes_of_handler[handler] != others:
                    raise WrongPath(f"exceptions of instruction {index} pass {others}")
            elif handler >= 0 or counter != _NONE:
                raise WrongPath(f"exceptions of instruction {index} are not recorded")

    def _other_counters(self) -> dict[int, int]:
        """Return the counter of the exits of each instruction that does not count them as all others do.

        That is the number of a probe, or a constant from above.
        """
        instructions = self._instructions
        counters = dict(self._plan.stubs)
        counters.update(dict.fromkeys(range(instructions.throwable_from), _NONE))
        counters.update(dict.fromkeys(instructions.steps, _ELSEWHERE))
        for number in self._raising:
            counters[self._graph.edges[number].at] = _ELSEWHERE
        return counters

    def _exits(self) -> dict[Exit, int]:
        """Return the distinct exits, and an instruction for each.

        An exit is not its instruction's own if the handler is looked up one code unit above (`is_left_above`).
        """
        handlers, steps = self._instructions.handlers, self._instructions.steps
        has_handlers, n = bool(self._instructions.table), len(handlers)
        other_counters = self._other_counters()
        others = [*sorted(other_counters), n]
        counter = _NONE if self._plan.placement == NOTHING else _RECORD
        exits: dict[Exit, int] = {}
        n_others = 0
        for start, stop, (unit, _) in self._rewritten.originals_by_landing:
            first = start  # behind the latest instruction with another counter
            if CALLERS_ARE_LEFT_ABOVE and start:
                top = next(index for index in range(start, n) if index not in steps)
                self._add_exit_above(top, other_counters, counter, exits)
            while others[n_others] < stop:
                index = others[n_others]
                if first < index:
                    for handler in set(handlers[first:index]):
                        exits[handler, unit, counter, True] = first
                exits[handlers[index], unit, other_counters[index], True] = index
                first = index + 1
                n_others += 1
            if has_handlers:
                for handler in set(handlers[first:stop]):
                    exits[handler, unit, counter, True] = first
            elif first < stop:
                exits[-1, unit, counter, True] = first
        return exits

    def _add_exit_above(self, index: int, other_counters: dict[int, int], counter: int, exits: dict[Exit, int]) -> None:
        """Add to *exits* that of the instruction *index* whose handler is looked up one code unit above.

        *counter* is that of the instructions which *other_counters* lacks.
        """
        instructions, rewritten, unit = self._instructions, self._rewritten, self._units[index]
        if not is_left_above(instructions.ops[index]) or rewritten.opcodes[unit - 1] == EXTENDED_ARG:
            return
        (landing, _), above = rewritten.landing_at(unit - 1), instructions.above(index)
        own_counter = other_counters.get(index, counter)
        if landing != rewritten.landing_at(unit)[0] and min(other_counters.get(above, counter), own_counter) >= _RECORD:
            exits[instructions.handlers[above], landing, own_counter, False] = index

    def _follow_exit(self, handler: int, unit: int, counter: int, is_own: bool, index: int) -> list[int]:
        """Return the probes that an exception of instruction *index* passes from *unit* to *handler*.

        The probe that counts the exit is left out. Raise WrongPath if that is not *counter*.
        """
        plan = self._plan
        records: list[int] = []
        passed = self._walk(unit, self._target_of(handler), records)
        counting = [number for number in passed if plan.probes[number].position == ProbePosition.EXITING]
        if records and not is_own and counter >= 0:  # led to the handler above: the record tells the two apart
            counter = _RECORD
        expected = [plan.exits.index((handler, ExitKind.RAISED))] if counter == _RECORD else []
        if records != expected or counting != ([counter] if counter >= 0 else []):
            raise WrongPath(f"exceptions of instruction {index} are recorded by {records} and counted by {counting}")
        return [number for number in passed if plan.probes[number].position != ProbePosition.EXITING]

    def _target_of(self, handler: int) -> int:
        """Return the first instruction of *handler*, -1 for outside."""
        return self._instructions.table[handler].target if handler >= 0 else -1

    def _follow_raise(self, number: int) -> None:
        """Follow the edge *number* of an instruction that raises, or raises again."""
        graph = self._graph
        at = graph.edges[number].at
        handler = self._instructions.handlers[at]
        unit, _ = self._rewritten.landing_at(self._units[at])
        if handler < 0 and unit < 0:
            return
        is_recorded = graph.restores_place(at) and (handler, ExitKind.RESTORED) in self._plan.exits
        records: list[int] = []
        self._add(("edge", number), self._walk(unit, self._target_of(handler), records))
        if records != ([self._plan.exits.index((handler, ExitKind.RESTORED))] if is_recorded else []):
            raise WrongPath(f"the exception that instruction {at} raises again is recorded by {records}")

    # Comparing
    # ##########################################################################################################

    def compare(self) -> None:
        """Raise WrongPath if a probe stands on another path than the one that it counts."""
        for number, (path, measure) in enumerate(self._expected()):
            if measure != self._plan.measured_by_probe[number]:
                raise WrongPath(f"probe {number} measures {self._plan.measured_by_probe[number]}, not {measure}")
            passed_by = self.by_probe[number]
            if path is not None and passed_by != {path} and not self._are_equivalent(passed_by, path):
                names = ", ".join(sorted(map(self._name, passed_by))) or "nothing"
                raise WrongPath(f"probe {number} of {self._name(path)} is passed by {names}")

    def _expected(self) -> list[Expected]:
        """Return the path and the measure of each probe; raise WrongPath if the Plan has more or fewer probes."""
        expected = self._expected_on_chords() if self._plan.placement == MINIMAL else self._expected_on_lines()
        if self._plan.inlinable:
            expected += [(("call", call), (False, (line,))) for call, line, _ in self._graph.inlinable_calls]
        if len(expected) != len(self._plan.probes):
            raise WrongPath(f"{len(self._plan.probes)} probes for {len(expected)} paths")
        return expected

    def _expected_on_chords(self) -> list[Expected]:
        """Return path and measure of each probe of the placement `minimal`, those of inlined calls excepted."""
        expected: list[Expected] = []
        for measure, probe in zip(self._plan.measured_by_probe, self._plan.probes):
            if isinstance(measure, int):
                expected.append((("edge", measure), measure))
            elif probe.position == ProbePosition.EXITING:
                expected.append((None, None))
        return expected

    def _expected_on_lines(self) -> list[Expected]:
        """Return path and measure of each probe of the other placements, those of inlined calls excepted."""
        graph, placement = self._graph, self._plan.placement
        ops = self._instructions.ops
        expected: list[Expected] = []
        if placement in (LINE, EVENTS):
            expected += [(("step", index), (False, (line,))) for index, line in graph.events]
        for number, edge in enumerate(graph.edges):
            is_entry = edge.kind == EdgeKind.ENTER and ops[edge.at] != SEND
            if placement in (LINE, EVENTS):
                if edge.lines or is_entry:
                    expected.append((("edge", number), (is_entry, edge.lines)))
            elif is_entry and placement != NOTHING:
                expected.append((("edge", number), (True, ())))
        if placement not in (LINE, NOTHING):
            expected += [(("step", index + 1), (True, ())) for index in graph.await_loops if ops[index] == RESUME]
        return expected

    def _is_skipped(self, number: int) -> bool:
        """Return whether an exhausted FOR_ITER skips all of the block *number*."""
        return number != self._graph.outside and self._graph.blocks[number].head > self._graph.blocks[number].last

    def _are_equivalent(self, paths: set[Path], path: Path) -> bool:
        """Return whether control takes *paths* together exactly as often as *path*.

        First case: *path* is the only edge out of a block. Then *paths* are all paths into it, or the last step in it.
        Second case: *path* is the only way into a block that begins with POP_ITER. Then *paths* follow that
        instruction, which cannot raise.
        """
        kind, number = path
        if kind != "edge":
            return False
        graph = self._graph
        edge = graph.edges[number]
        if edge.source != graph.outside and len(self._edges_out_of(edge.source)) == 1:
            block = graph.blocks[edge.source]
            if block.head < block.last:
                if paths == {("step", block.last)}:
                    return True
            elif paths == self._paths_into(edge.source):
                return True
        if edge.target != graph.outside and graph.n_ways_into[edge.target] == 1:
            block = graph.blocks[edge.target]
            if self._instructions.ops[block.head] == POP_ITER:
                if block.head < block.last:
                    return paths == {("step", block.head + 1)}
                return paths == {("edge", number) for number in self._edges_out_of(edge.target)}
        return False

    def _paths_into(self, block: int) -> set[Path]:
        """Return all paths into *block*."""
        paths: set[Path] = set()
        for number, edge in enumerate(self._graph.edges):
            if edge.target == block:
                paths |= self._paths_into(edge.source) if self._is_skipped(edge.source) else {("edge", number)}
        paths.update(("handler", number) for number, entry in enumerate(self._graph.entries) if entry.block == block)
        return paths

    def _edges_out_of(self, node: int) -> list[int]:
        """Return the edges that lead out of *node*."""
        return [number for number, edge in enumerate(self._graph.edges) if edge.source == node]

    def _name(self, path: Path) -> str:
        """Return the name of *path* for messages."""
        kind, number = path
        if kind != "edge":
            return f"the {kind} {'to' if kind == 'step' else 'at'} instruction {number}"
        edge = self._graph.edges[number]
        return f"the {edge.kind} from {self._graph.name(edge.source)} to {self._graph.name(edge.target)}"
