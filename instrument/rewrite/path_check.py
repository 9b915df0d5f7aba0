"""Whether rewritten code passes each probe where its count says, and nowhere else.

A graph, its Plan and the rewritten code come in; the first thing that is wrong goes out. `rewriter.verify` compares
where instructions, jumps and handlers go. It cannot see what they pass on their way: a jump that arrives right above
the probe of another way counts for that one, too.

Each *way* of the graph is followed through the rewritten code, from the end of one original instruction to the next
one: edges, steps within blocks, and the ways of exceptions to their handlers. So each probe gets the set of the ways
that pass it, which must be the one way that it counts. Where a block has a single way out, all ways into the block may
stand for that; where it has a single way in, so may the step behind its first instruction.
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
    PLAIN_JUMPS,
    POP_ITER,
    PUSH_NULL,
    RERAISE,
    RESUME,
    SEND,
)
from instrument.decode.unrolling import takes_no_space
from instrument.decode.versions import SKIPPED_AT_EXHAUSTION
from instrument.flow.graph import ENTER, FALL, JUMP, LEAVE, RAISE, RERAISED, ControlFlowGraph
from instrument.flow.placement import (
    CALLING,
    EVENTS,
    EXITING,
    INLINED,
    LINE,
    MINIMAL,
    NOTHING,
    RAISED,
    RESTORED,
    Plan,
    is_left_above,
)
from instrument.rewrite import probes
from instrument.rewrite.constant_layout import layout_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import CodeType

    #: "edge" and its number, "step" and the instruction it leads to, "handler" and its number, "call" and the CALL
    Way = tuple[str, int]

#: An exit passes a probe, or one of these: the record of exits, nothing, or something that another check covers.
_RECORD, _NONE, _SKIPPED = -1, -2, -3
_POP_JUMP_IF_FALSE = OPCODES.get("POP_JUMP_IF_FALSE", -1)


class WrongWay(Exception):
    """Says what is wrong with a way."""


def wrong_way(graph: ControlFlowGraph, plan: Plan, code: CodeType, places: Sequence[int]) -> str:
    """Return which way of *graph* passes other probes of *plan* in *code* than it should, or an empty string.

    *places* says where each instruction of *graph* is in *code*, in code units; what it has behind those is of no use.
    """
    try:
        ways = _Ways(graph, plan, code, places)
        ways.follow_edges()
        ways.follow_steps()
        ways.follow_exceptions()
        ways.compare()
    except WrongWay as error:
        return str(error)
    return ""


class _Ways:
    """Which ways pass which probes."""

    def __init__(self, graph: ControlFlowGraph, plan: Plan, code: CodeType, places: Sequence[int]) -> None:
        self.graph = graph
        self.plan = plan
        self.instructions = instructions = graph.instructions
        self.raw = raw = code.co_code
        self.places = places = places[: len(instructions)]
        self.layout = layout_of(instructions.code, plan)
        self.no_space = {
            index
            for index, target in enumerate(instructions.targets)
            if target == index + 1 and takes_no_space(instructions, index)
        }
        self.units = units = raw[::2]
        self.ends = [place + 1 + CACHES[units[place]] for place in places]
        for index in self.no_space:
            self.ends[index] = places[index]
        self.others = set(places)
        if self.no_space:
            self.others = {place for index, place in enumerate(places) if index not in self.no_space}
        self.advance = b"" if plan.placement in CALLING else probes.ADVANCE
        self.passed: list[set[Way]] = [set() for _ in plan.probes]
        self.led_to = [-1] * len(units)  # the handler of each code unit
        for start, stop, target, _ in exception_table(code.co_exceptiontable):
            self.led_to[start:stop] = [target] * (stop - start)
        self.into: list[list[int]] = [[] for _ in range(graph.outside + 1)]  # edges into each block, and out of it
        self.out_of: list[list[int]] = [[] for _ in range(graph.outside + 1)]
        for number, edge in enumerate(graph.edges):
            self.into[edge.target].append(number)
            self.out_of[edge.source].append(number)
        self.entries: dict[int, list[int]] = {}  # handlers that begin with each block
        for number, entry in enumerate(graph.entries):
            self.entries.setdefault(entry.block, []).append(number)

    # Following
    # ##########################################################################################################

    def walk(self, unit: int, goal: int, exits: list[int] | None = None) -> list[int]:
        """Return the probes that are passed from *unit* on to the instruction *goal*, -1 for outside; add to *exits*
        the records of exits. Raise WrongWay if control goes elsewhere.
        """
        raw, others = self.raw, self.others
        end = self.places[goal] if goal >= 0 else -1
        passed: list[int] = []
        argument = 0
        for _ in range(len(raw)):
            if unit == end:
                return passed
            if unit in others or unit >= len(raw) // 2:
                break
            op, argument = raw[2 * unit], argument << 8 | raw[2 * unit + 1]
            after = unit + 1 + CACHES[op]
            if op == EXTENDED_ARG:
                unit += 1
                continue
            if op == LOAD_CONST and self.layout.first_counter <= argument < self.layout.traceback_of:
                if argument < self.layout.first_exit:
                    if not raw.startswith(self.advance, 2 * after):
                        raise WrongWay(f"probe {argument - self.layout.first_counter} does not count")
                    after += len(self.advance) // 2
                    passed.append(argument - self.layout.first_counter)
                elif exits is not None:
                    exits.append(argument - self.layout.first_exit)
                else:
                    break
            elif op in PLAIN_JUMPS:
                after += -argument if op in BACKWARD else argument
            elif op == _POP_JUMP_IF_FALSE:  # over the probe of a call that may have been inlined
                passed += self.walk_over(after, after + argument)
                after += argument
            elif op == RERAISE:
                after = self.led_to[unit]
                if after < 0 and end < 0:
                    return passed
            unit = after
            argument = 0
        raise WrongWay(f"control does not arrive at instruction {goal}")

    def walk_over(self, unit: int, end: int) -> list[int]:
        """Return the probe that stands from *unit* to *end*, and is passed by inlined calls only."""
        argument = 0
        if self.raw[2 * unit] == PUSH_NULL:  # of a call
            unit += 1
        while self.raw[2 * unit] == EXTENDED_ARG and unit < end:
            argument = argument << 8 | self.raw[2 * unit + 1]
            unit += 1
        number = (argument << 8 | self.raw[2 * unit + 1]) - self.layout.first_counter
        is_probe = self.raw[2 * unit] == LOAD_CONST and 0 <= number < len(self.plan.probes)
        if not is_probe or self.plan.probes[number].where != INLINED:
            raise WrongWay("a condition that asks about no inlined call")
        return [number]

    def note(self, way: Way, passed: list[int]) -> None:
        """Add *way* to those that pass each of the probes *passed*."""
        for number in passed:
            probe = self.plan.probes[number]
            if probe.where == INLINED:
                kind, at = way
                index = self.graph.edges[at].at if kind == "edge" else at - 1
                this = "call", index
            else:
                this = way
            if probe.where == EXITING or this in self.passed[number]:
                raise WrongWay(f"{self.name(way)} passes probe {number} ({probe}) twice, or as an exit")
            self.passed[number].add(this)

    def lands(self, index: int) -> int:
        """Return where the jump at *index* lands if it is taken."""
        raw = self.raw
        unit = self.places[index]
        argument, shift, op = raw[2 * unit + 1], 8, raw[2 * unit]
        above = unit - 1
        before = index - 1
        while before >= 0 and before in self.no_space:
            before -= 1
        while above >= self.ends[before] and raw[2 * above] == EXTENDED_ARG:
            argument |= raw[2 * above + 1] << shift
            shift += 8
            above -= 1
        after = self.ends[index]
        landed = after - argument if op in BACKWARD else after + argument
        if op == FOR_ITER:
            for name in SKIPPED_AT_EXHAUSTION:
                if landed >= len(raw) // 2 or OPNAMES[raw[2 * landed]] != name:
                    break
                landed += 1
        return landed

    def follow_edges(self) -> None:
        """Follow each edge from the instruction that leads over it to the next one."""
        graph, ends = self.graph, self.ends
        ops = self.instructions.ops
        for number, edge in enumerate(graph.edges):
            if edge.kind == LEAVE or self.is_empty(edge.source):
                continue
            if edge.kind in (RAISE, RERAISED):
                continue
            at = edge.at
            takes_jump = edge.kind == JUMP or (ops[at] in JUMPS and edge.kind != FALL and at not in self.no_space)
            unit = self.lands(at) if takes_jump else ends[at]
            if unit != self.places[edge.target_instruction]:
                self.note(("edge", number), self.walk(unit, edge.target_instruction))

    def follow_steps(self) -> None:
        """Follow each step that is no edge: within blocks, before the code is measured, and in loops that wait."""
        graph, ends, places = self.graph, self.ends, self.places
        instructions = self.instructions
        ops, firsts, blocks, loops = instructions.ops, graph.firsts, graph.blocks, graph.loops
        for index in range(1, len(ops)):
            if ends[index - 1] == places[index]:
                continue
            number = bisect_right(firsts, index) - 1
            is_within = number >= 0 and blocks[number].head < index <= blocks[number].last
            if is_within or index <= instructions.first or index in loops or ops[index] == RESUME:
                self.note(("step", index), self.walk(ends[index - 1], index))
        for index in loops:
            if ops[index] in PLAIN_JUMPS:
                self.note(("step", index + 1), self.walk(self.lands(index), instructions.targets[index]))

    def follow_exceptions(self) -> None:
        """Follow exceptions from each instruction to its handler, and see that they are recorded, once."""
        graph, plan, instructions, led_to = self.graph, self.plan, self.instructions, self.led_to
        handlers, places = instructions.handlers, self.places
        n = len(places)
        # For each instruction: the probe that counts its exits, or one of these.
        expected = [_NONE if plan.placement == NOTHING else _RECORD] * n
        for index, number in plan.stubs.items():
            expected[index] = number
        expected[: instructions.made_by] = [_NONE] * instructions.made_by
        for index in self.no_space:
            expected[index] = _SKIPPED
        for number, edge in enumerate(graph.edges):
            if edge.kind == RAISE or edge.kind == RERAISED:
                expected[edge.at] = _SKIPPED
                self.follow_raised(number)
        led = [led_to[place] for place in places]
        ways = dict(zip(zip(handlers, led, expected, [True] * n), range(n)))
        for index in [index for index in range(1, n) if led_to[places[index] - 1] != led[index]]:
            if is_left_above(instructions.ops[index]) and self.units[places[index] - 1] != EXTENDED_ARG:
                above = instructions.above(index)
                if expected[above] >= _RECORD and expected[index] >= _RECORD:  # else: of no record
                    ways[handlers[above], led_to[places[index] - 1], expected[index], False] = index
        passed_by: dict[int, list[int]] = {}
        for (handler, unit, counter, is_own), index in ways.items():
            if counter == _SKIPPED:
                continue
            if unit >= 0:
                others = self.follow_exit(handler, unit, counter, is_own, index)
                if passed_by.setdefault(handler, others) is others:
                    self.note(("handler", handler), others)
                elif passed_by[handler] != others:
                    raise WrongWay(f"exceptions of instruction {index} pass {others}")
            elif handler >= 0 or counter != _NONE:
                raise WrongWay(f"exceptions of instruction {index} are not recorded")

    def follow_exit(self, handler: int, unit: int, counter: int, is_own: bool, index: int) -> list[int]:
        """Return which probes an exception of instruction *index* passes on its way from *unit* to *handler*, beside
        the one that counts exits.
        """
        plan = self.plan
        found: list[int] = []
        passed = self.walk(unit, self.target_of(handler), found)
        counted = [number for number in passed if plan.probes[number].where == EXITING]
        if found and not is_own and counter >= 0:  # led to the handler above: a record knows the two apart
            counter = _RECORD
        records = [plan.exits.index((handler, RAISED))] if counter == _RECORD else []
        if found != records or counted != ([counter] if counter >= 0 else []):
            raise WrongWay(f"exceptions of instruction {index} are recorded by {found} and counted by {counted}")
        return [number for number in passed if plan.probes[number].where != EXITING]

    def target_of(self, handler: int) -> int:
        """Return the instruction that *handler* begins with, -1 for outside."""
        return self.instructions.table[handler].target if handler >= 0 else -1

    def follow_raised(self, number: int) -> None:
        """Follow the edge *number* of an exception that is raised anew, or again."""
        graph = self.graph
        at = graph.edges[number].at
        handler = self.instructions.handlers[at]
        unit = self.led_to[self.places[at]]
        if handler < 0 and unit < 0:
            return
        is_recorded = graph.restores_place(at) and (handler, RESTORED) in self.plan.exits
        found: list[int] = []
        self.note(("edge", number), self.walk(unit, self.target_of(handler), found))
        if found != ([self.plan.exits.index((handler, RESTORED))] if is_recorded else []):
            raise WrongWay(f"the exception that instruction {at} raises again is recorded by {found}")

    # Comparing
    # ##########################################################################################################

    def is_empty(self, number: int) -> bool:
        """Return whether all of the block *number* is skipped: an exhausted FOR_ITER goes past it."""
        return number != self.graph.outside and self.graph.blocks[number].head > self.graph.blocks[number].last

    def compare(self) -> None:
        """Raise WrongWay if a probe is not passed by the way that it counts alone."""
        for number, (way, measure) in enumerate(self.counted()):
            if measure != self.plan.measured_by_probe[number]:
                raise WrongWay(f"probe {number} measures {self.plan.measured_by_probe[number]}, not {measure}")
            passed = self.passed[number]
            if way is not None and passed != {way} and not self.stand_for(passed, way):
                names = ", ".join(sorted(map(self.name, passed))) or "nothing"
                raise WrongWay(f"probe {number} of {self.name(way)} is passed by {names}")

    def counted(self) -> list[tuple[Way | None, object]]:
        """Return, for each probe of the Plan, which way it counts, None for exits, and what it must measure."""
        graph, plan = self.graph, self.plan
        ops = self.instructions.ops
        ways: list[tuple[Way | None, object]] = []
        if plan.placement == MINIMAL:
            for measure, probe in zip(plan.measured_by_probe, plan.probes):
                if isinstance(measure, int):
                    ways.append((("edge", measure), measure))
                elif probe.where == EXITING:
                    ways.append((None, None))
        else:
            if plan.placement in (LINE, EVENTS):
                ways += [(("step", index), (False, (line,))) for index, line in graph.events]
            for number, edge in enumerate(graph.edges):
                is_entry = edge.kind == ENTER and ops[edge.at] != SEND
                if plan.placement in (LINE, EVENTS):
                    if edge.lines or is_entry:
                        ways.append((("edge", number), (is_entry, edge.lines)))
                elif is_entry and plan.placement != NOTHING:
                    ways.append((("edge", number), (True, ())))
            if plan.placement not in (LINE, NOTHING):
                ways += [(("step", index + 1), (True, ())) for index in graph.loops if ops[index] == RESUME]
        if plan.inlinable:
            ways += [(("call", call), (False, (line,))) for call, line, _ in graph.inlinable_calls]
        if len(ways) != len(plan.probes):
            raise WrongWay(f"{len(plan.probes)} probes for {len(ways)} ways")
        return ways

    def stand_for(self, passed: set[Way], way: Way) -> bool:
        """Return whether the ways *passed* are taken together as often as *way*."""
        kind, number = way
        if kind != "edge":
            return False
        graph = self.graph
        edge = graph.edges[number]
        if edge.source != graph.outside and len(self.out_of[edge.source]) == 1:
            block = graph.blocks[edge.source]
            if block.head < block.last:
                if passed == {("step", block.last)}:
                    return True
            elif passed == self.ways_into(edge.source):
                return True
        if edge.target != graph.outside and graph.n_ways_into[edge.target] == 1:
            block = graph.blocks[edge.target]
            if self.instructions.ops[block.head] == POP_ITER:  # which cannot raise
                if block.head < block.last:
                    return passed == {("step", block.head + 1)}
                return passed == {("edge", n) for n in self.out_of[edge.target]}
        return False

    def ways_into(self, block: int) -> set[Way]:
        """Return all ways into *block*."""
        ways: set[Way] = set()
        for number in self.into[block]:
            source = self.graph.edges[number].source
            ways |= self.ways_into(source) if self.is_empty(source) else {("edge", number)}
        ways.update(("handler", number) for number in self.entries.get(block, ()))
        return ways

    def name(self, way: Way) -> str:
        """Return what *way* is called in messages."""
        kind, number = way
        if kind != "edge":
            return f"the {kind} {'to' if kind == 'step' else 'at'} instruction {number}"
        edge = self.graph.edges[number]
        return f"the {edge.kind} from {self.graph.name(edge.source)} to {self.graph.name(edge.target)}"
