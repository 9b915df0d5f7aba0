"""Follows every path through rewritten code, and checks that each probe stands on the path that it counts.

A graph, its Plan and the rewritten code come in; the first mistake goes out as a text. `verifier` compares the places
to which instructions, jumps and handlers lead. It cannot see the probes on their way: a jump that arrives right above
the probe of another edge counts for that edge, too.

A *path* leads through the rewritten code from the end of one original instruction to the next one. A path follows an
edge, a step that is no edge, an exit to its handler, or the return of an inlined call. All paths are followed, so the
paths that pass each probe are known. They must be the one path that the probe counts, or paths that are taken exactly
as often (`_are_equivalent`).
"""

from __future__ import annotations

from _bisect import bisect_right

from instrument.decode.instructions import exception_table
from instrument.decode.opcodes import (
    BACKWARD,
    CACHES,
    EXTENDED_ARG,
    FOR_ITER,
    JUMPS,
    LOAD_CONST,
    OPCODES,
    OPNAMES,
    POP_ITER,
    PUSH_NULL,
    RERAISE,
    RESUME,
    SEND,
    UNCONDITIONAL_JUMPS,
)
from instrument.decode.versions import SKIPPED_AT_EXHAUSTION
from instrument.flow.exits import is_left_above
from instrument.flow.graph import ControlFlowGraph, EdgeKind
from instrument.flow.placement_names import CALLING, EVENTS, LINE, MINIMAL, NOTHING
from instrument.flow.plan import ExitKind, Plan, ProbePosition
from instrument.rewrite import probes
from instrument.rewrite.unlinked import layout_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import CodeType

    #: "edge" and its number; "step" and the instruction that it leads to; "handler" and its number, -1 for outside;
    #: "call" and the CALL.
    Path = tuple[str, int]
    #: The path that a probe counts, None for exits; and the item of `Plan.measured_by_probe` that it must have.
    Expected = tuple[Path | None, object]

#: The counter of an instruction's exits, if it is no probe: the exit record, nothing, or one that is checked
#: elsewhere.
_RECORD, _NONE, _ELSEWHERE = -1, -2, -3
_POP_JUMP_IF_FALSE = OPCODES.get("POP_JUMP_IF_FALSE", -1)


class WrongPath(Exception):
    """A path passes a probe that does not count it, or does not arrive."""


def wrong_path(graph: ControlFlowGraph, plan: Plan, code: CodeType, units: Sequence[int]) -> str:
    """Return which path of *graph* in *code* passes other probes than *plan* says, or an empty string.

    *units* are the code units of the instructions of *graph* in *code*; further items are ignored.
    """
    try:
        paths = _Paths(graph, plan, code, units)
        paths.follow_edges()
        paths.follow_steps()
        paths.follow_exceptions()
        paths.compare()
    except WrongPath as error:
        return str(error)
    return ""


class _Code:
    """The rewritten code: where original instructions stand in it, and where exceptions lead.

    - `units`: code unit of each original instruction.
    - `ends`: the code unit behind each original instruction.
    - `no_space`: original instructions that became a step to the next one, and take no space.
    - `originals`: code units at which an original instruction stands.
    - `handler_at`: for each code unit, that to which its exceptions lead, -1 for outside.
    """

    __slots__ = ("ends", "handler_at", "layout", "no_space", "opcodes", "originals", "raw", "units")

    def __init__(self, graph: ControlFlowGraph, plan: Plan, code: CodeType, units: Sequence[int]) -> None:
        instructions = graph.instructions
        self.raw = raw = code.co_code
        self.opcodes = opcodes = raw[::2]
        self.layout = layout_of(instructions.code, plan)
        self.units = units = units[: len(instructions)]
        self.no_space = {
            index
            for index, target in enumerate(instructions.targets)
            if target == index + 1 and index in instructions.steps
        }
        self.ends = [unit + 1 + CACHES[opcodes[unit]] for unit in units]
        for index in self.no_space:
            self.ends[index] = units[index]
        self.originals = set(units)
        if self.no_space:
            self.originals = {unit for index, unit in enumerate(units) if index not in self.no_space}
        self.handler_at = [-1] * len(opcodes)
        for start, stop, target, _ in exception_table(code.co_exceptiontable):
            self.handler_at[start:stop] = [target] * (stop - start)

    def target_of_jump(self, index: int) -> int:
        """Return the code unit at which the jump *index* arrives if it is taken."""
        raw = self.raw
        unit = self.units[index]
        argument, shift, op = raw[2 * unit + 1], 8, raw[2 * unit]
        prefix = unit - 1
        above = index - 1
        while above >= 0 and above in self.no_space:
            above -= 1
        while prefix >= self.ends[above] and raw[2 * prefix] == EXTENDED_ARG:
            argument |= raw[2 * prefix + 1] << shift
            shift += 8
            prefix -= 1
        after = self.ends[index]
        target = after - argument if op in BACKWARD else after + argument
        if op == FOR_ITER:
            for name in SKIPPED_AT_EXHAUSTION:
                if target >= len(raw) // 2 or OPNAMES[raw[2 * target]] != name:
                    break
                target += 1
        return target


class _Paths:
    """The paths that pass each probe of a Plan.

    - `by_probe`: for each probe, the paths that pass it.
    """

    def __init__(self, graph: ControlFlowGraph, plan: Plan, code: CodeType, units: Sequence[int]) -> None:
        self.by_probe: list[set[Path]] = [set() for _ in plan.probes]
        self._graph = graph
        self._plan = plan
        self._instructions = graph.instructions
        self._code = _Code(graph, plan, code, units)
        self._advance = b"" if plan.placement in CALLING else probes.ADVANCE
        self._edges_into: list[list[int]] = [[] for _ in range(graph.outside + 1)]
        self._edges_out_of: list[list[int]] = [[] for _ in range(graph.outside + 1)]
        for number, edge in enumerate(graph.edges):
            self._edges_into[edge.target].append(number)
            self._edges_out_of[edge.source].append(number)
        self._handlers_at: dict[int, list[int]] = {}  # handlers that begin with each block
        for number, entry in enumerate(graph.entries):
            self._handlers_at.setdefault(entry.block, []).append(number)

    # Following
    # ##########################################################################################################

    def _walk(self, unit: int, goal: int, records: list[int] | None = None) -> list[int]:
        """Return the probes on the path from *unit* to the instruction *goal*, -1 for outside.

        Append the numbers of the exit records on this path to *records*. Raise WrongPath if it does not arrive.
        """
        raw, originals = self._code.raw, self._code.originals
        first_probe, first_exit = self._code.layout.first_counter, self._code.layout.first_exit
        first_other = self._code.layout.traceback_of
        end = self._code.units[goal] if goal >= 0 else -1
        passed: list[int] = []
        argument = 0
        for _ in range(len(raw)):
            if unit == end:
                return passed
            if unit in originals or unit >= len(raw) // 2:
                break
            op, argument = raw[2 * unit], argument << 8 | raw[2 * unit + 1]
            after = unit + 1 + CACHES[op]
            if op == EXTENDED_ARG:
                unit += 1
                continue
            if op == LOAD_CONST and first_probe <= argument < first_exit:
                self._check_probe(argument - first_probe, after)
                after += len(self._advance) // 2
                passed.append(argument - first_probe)
            elif op == LOAD_CONST and first_exit <= argument < first_other:
                if records is None:
                    break
                records.append(argument - first_exit)
            elif op in UNCONDITIONAL_JUMPS:
                after += -argument if op in BACKWARD else argument
            elif op == _POP_JUMP_IF_FALSE:
                passed.append(self._probe_of_inlined_call(after, after + argument))
                after += argument
            elif op == RERAISE:
                after = self._code.handler_at[unit]
                if after < 0 and end < 0:
                    return passed
            unit = after
            argument = 0
        raise WrongPath(f"control does not arrive at instruction {goal}")

    def _check_probe(self, number: int, unit: int) -> None:
        """Raise WrongPath if the probe *number*, whose counter is loaded right above *unit*, is incomplete."""
        if not self._code.raw.startswith(self._advance, 2 * unit):
            raise WrongPath(f"probe {number} does not count")

    def _probe_of_inlined_call(self, unit: int, end: int) -> int:
        """Return the probe from *unit* to *end*, which control passes if a call was inlined; raise WrongPath if the
        code there is something else.
        """
        raw = self._code.raw
        argument = 0
        if raw[2 * unit] == PUSH_NULL:  # of a probe that calls
            unit += 1
        while raw[2 * unit] == EXTENDED_ARG and unit < end:
            argument = argument << 8 | raw[2 * unit + 1]
            unit += 1
        number = (argument << 8 | raw[2 * unit + 1]) - self._code.layout.first_counter
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
        graph, code = self._graph, self._code
        ops = self._instructions.ops
        for number, edge in enumerate(graph.edges):
            if edge.kind in (EdgeKind.LEAVE, EdgeKind.RAISE, EdgeKind.RERAISED) or self._is_skipped(edge.source):
                continue
            at = edge.at
            takes_jump = edge.kind == EdgeKind.JUMP or (
                ops[at] in JUMPS and edge.kind != EdgeKind.FALL and at not in code.no_space
            )
            unit = code.target_of_jump(at) if takes_jump else code.ends[at]
            if unit != code.units[edge.target_instruction]:
                self._add(("edge", number), self._walk(unit, edge.target_instruction))

    def follow_steps(self) -> None:
        """Follow each step that is no edge: within blocks, above the first block, and in await loops."""
        graph, ends, units = self._graph, self._code.ends, self._code.units
        instructions = self._instructions
        ops, firsts, blocks, loops = instructions.ops, graph.firsts, graph.blocks, graph.await_loops
        for index in range(1, len(ops)):
            if ends[index - 1] == units[index]:
                continue
            number = bisect_right(firsts, index) - 1
            is_within = number >= 0 and blocks[number].head < index <= blocks[number].last
            if is_within or index <= instructions.first or index in loops or ops[index] == RESUME:
                self._add(("step", index), self._walk(ends[index - 1], index))
        for index in loops:
            if ops[index] in UNCONDITIONAL_JUMPS:
                target = self._code.target_of_jump(index)
                self._add(("step", index + 1), self._walk(target, instructions.targets[index]))

    def follow_exceptions(self) -> None:
        """Follow exceptions from each instruction to its handler, and check that each is recorded once."""
        for number, edge in enumerate(self._graph.edges):
            if edge.kind == EdgeKind.RAISE or edge.kind == EdgeKind.RERAISED:
                self._follow_raise(number)
        probes_of_handler: dict[int, list[int]] = {}
        for (handler, unit, counter, is_own), index in self._exits(self._exit_counters()).items():
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

    def _exit_counters(self) -> list[int]:
        """Return the counter that each instruction's exits need: the number of a probe, or a constant from above."""
        plan, instructions = self._plan, self._instructions
        counters = [_NONE if plan.placement == NOTHING else _RECORD] * len(instructions)
        for index, number in plan.stubs.items():
            counters[index] = number
        counters[: instructions.throwable_from] = [_NONE] * instructions.throwable_from
        for index in self._code.no_space:
            counters[index] = _ELSEWHERE
        for edge in self._graph.edges:
            if edge.kind == EdgeKind.RAISE or edge.kind == EdgeKind.RERAISED:
                counters[edge.at] = _ELSEWHERE
        return counters

    def _exits(self, counters: list[int]) -> dict[tuple[int, int, int, bool], int]:
        """Return the distinct exits: (handler, unit that the exception table leads to, counter, is own) and an
        instruction.

        An exit is not its instruction's own if the handler is looked up one code unit above (`is_left_above`).
        """
        instructions, code = self._instructions, self._code
        handlers, units, handler_at = instructions.handlers, code.units, code.handler_at
        n = len(units)
        landings = [handler_at[unit] for unit in units]
        exits = dict(zip(zip(handlers, landings, counters, [True] * n), range(n)))
        for index in [index for index in range(1, n) if handler_at[units[index] - 1] != landings[index]]:
            if is_left_above(instructions.ops[index]) and code.opcodes[units[index] - 1] != EXTENDED_ARG:
                above = instructions.above(index)
                if counters[above] >= _RECORD and counters[index] >= _RECORD:
                    exits[handlers[above], handler_at[units[index] - 1], counters[index], False] = index
        return exits

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
        unit = self._code.handler_at[self._code.units[at]]
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
        if edge.source != graph.outside and len(self._edges_out_of[edge.source]) == 1:
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
                return paths == {("edge", number) for number in self._edges_out_of[edge.target]}
        return False

    def _paths_into(self, block: int) -> set[Path]:
        """Return all paths into *block*."""
        paths: set[Path] = set()
        for number in self._edges_into[block]:
            source = self._graph.edges[number].source
            paths |= self._paths_into(source) if self._is_skipped(source) else {("edge", number)}
        paths.update(("handler", number) for number in self._handlers_at.get(block, ()))
        return paths

    def _name(self, path: Path) -> str:
        """Return the name of *path* for messages."""
        kind, number = path
        if kind != "edge":
            return f"the {kind} {'to' if kind == 'step' else 'at'} instruction {number}"
        edge = self._graph.edges[number]
        return f"the {edge.kind} from {self._graph.name(edge.source)} to {self._graph.name(edge.target)}"
