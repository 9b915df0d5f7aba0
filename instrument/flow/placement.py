"""Which places carry a probe.

A control-flow graph comes in, a Plan goes out: where probes stand, and how all counts follow from theirs. Three
placements:

- `minimal`: counts are conserved, what flows into a block flows out of it. So the counts of the edges off any spanning
  tree (the chords) determine all the others, and if the tree has maximum weight the edges left to count are the rare
  ones (Knuth & Stevenson, BIT 13, 1973; Ball & Larus, TOPLAS 16, 1994; GCC's -fprofile-arcs; LLVM's
  PGOInstrumentation). Edges that no count depends on need no probe either (`_is_free`), and small loops are unrolled
  (flow.unrolling).
- `line`: a probe for every line event and every function entry. The plain reference that `minimal` is tested against.
- `events`: the places of `line`, for probes that do not count but call (tracing lines as they run); `calls`: only those
  of function entries; `nothing`: none, for code that is not measured but may execute code that is.

Exceptional exits need no chord: GCC must put such edges on its tree because it cannot count them, but an exception
table can, at no cost until an exception is raised (rewrite.probes). A record of them is looked up by the place of the
instruction. Where exceptions are likely, a counter for all instructions between which no count tells a difference does
at a fifth of the price (`group_equivalent_exits`).
"""

from __future__ import annotations

from _bisect import bisect_right
from itertools import islice

from instrument.decode.exec_calls import exec_calls_in
from instrument.decode.instructions import Instructions
from instrument.decode.opcodes import (
    BINARY_OP,
    CACHES,
    CALL_FUNCTION_EX,
    JUMPS,
    MAY_RERAISE,
    OFTEN_RAISE,
    POP_EXCEPT,
    POP_ITER,
    RAISES,
    RERAISE,
    RESUME,
    SEND,
    YIELD_VALUE,
)
from instrument.decode.unrolling import takes_no_space, unroll
from instrument.decode.versions import (
    CALLERS_ARE_LEFT_ABOVE,
    INLINED_CALL_LOSES_LINE,
    PLACES_ARE_OF_TRACEBACK,
    SEND_IS_SHORT,
    SUBSCRIPT_BINARY_OP,
)
from instrument.flow.graph import ENTER, FALL, GOTO, JUMP, LEAVE, RAISE, RERAISED, ControlFlowGraph, Edge, build
from instrument.flow.packing import pack_numbers, pack_rows, unpack_numbers, unpack_rows
from instrument.flow.spanning import fundamental_cycles, leaves_first, maximum_spanning_tree

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import CodeType
    from typing import Any

MINIMAL = "minimal"
LINE = "line"
EVENTS = "events"
CALLS = "calls"
CALLING = (EVENTS, CALLS)
NOTHING = "nothing"
PLACEMENTS = (MINIMAL, LINE)

# Where a probe stands. The number beside it is the index of an instruction.
BEFORE = "before"  # whenever control arrives at the instruction, however it came
FALLING = "falling"  # when control falls into the instruction from the one above, not when it jumps there
# When the conditional jump is taken: right before its target if nothing falls into that, else behind a second jump.
TAKEN = "taken"
INLINED = "inlined"  # when the call returns, if the interpreter inlined it
RAISING = "raising"  # when the instruction raises again what was caught: in the exception's path
EXITING = "exiting"  # when the instruction, or another that the Plan's stubs name beside it, raises: in that path, too
WHERE = (BEFORE, FALLING, TAKEN, INLINED, RAISING, EXITING)

# What an exit stub records: where an instruction raised, or where a RERAISE says that it was raised.
RAISED = "raised"
RESTORED = "restored"


class Probe:
    """A place for a probe, (*where*, *index*).

    *rollback_at*: an instruction that stands behind the probe and may still fail or be waiting: what is found there
    has passed
    the probe but not what the probe counts; -1 if there is none.
    """

    __slots__ = ("index", "rollback_at", "where")

    def __init__(self, where: str, index: int, rollback_at: int = -1) -> None:
        self.where = where
        self.index = index
        self.rollback_at = rollback_at

    def __repr__(self) -> str:
        return f"<probe {self.where} {self.index}>"


class Plan:
    """All that is known about the counts of one code object before it runs.

    Immutable; indices are those of `Instructions`.

    placement   MINIMAL, LINE or EVENTS
    probes      one for each counter, in the order of the counters
    measures    what each counter counts: the number of a chord, (is an entry, lines), or None for exits
    inlinable   for each INLINED probe, the name of the method that is called, None if the callable is not looked up
    exits       what is recorded on exceptional exits, for each record: (number of the entry or -1, RAISED or RESTORED)
    exiting     the EXITING probes: (number of the probe, record that it stands in for)
    stubs       for each instruction whose exits such a probe counts, its number; for rewriting, not packed
    effects     what each probe says by itself if nothing left a block in its middle: (entries, line, times, …), None
                for what counts exits; None in all if that is not known; for reading fast, not packed
    handovers   calls that may hand code to the interpreter, and which of their arguments is the namespace, 0 for none
    entries     blocks that exceptions enter: (block, line of the event or None, instructions that enter without one)
    blocks      first and last instruction of each block
    outside_block  instructions at which a block was left already, or not entered yet: yields, resumptions, await loops
    eventless_sources  for each entry that RESTORED exits lead to: the instructions whose exits enter it without an
    event
    raised_again  for each of them: the instructions whose exits were raised again elsewhere before they enter it, as
                far as that cannot be told from what was recorded
    moved       instructions that cannot raise, at which exits of another are recorded, or frames found that have not
                passed the probe of their block yet: the other
    resumed     those of outside_block at which an exception that is thrown in arrives
    edges       (source, target, lines of the events, is an entry)
    free        edges that are not told apart: only sums in which they cancel out are known
    steps       tree edges in the order in which conservation settles them: (edge, node that it is settled at)
    events      line events within blocks: (instruction, line)
    """

    __slots__ = (
        "blocks",
        "edges",
        "entries",
        "eventless_sources",
        "events",
        "exec_calls",
        "exiting",
        "exits",
        "inlinable",
        "line_effects",
        "measured_by_probe",
        "outside_block",
        "placement",
        "probes",
        "raise_reported_at",
        "raised_again",
        "resumed",
        "settling_order",
        "stubs",
        "undetermined_edges",
    )

    def __init__(self, graph: ControlFlowGraph, placement: str, aliases: frozenset[str]) -> None:
        self.placement = placement
        self.entries = [(entry.block, entry.line, entry.eventless_sources) for entry in graph.entries]
        self.exits = _exits(graph)
        self.blocks = [(block.first, block.last) for block in graph.blocks]
        ops = graph.instructions.ops
        self.outside_block = graph.loops.union(
            range(graph.instructions.first + 1),
            (index for index, op in enumerate(ops) if op in (YIELD_VALUE, SEND, RESUME)),
        )
        restored = [entry for entry, kind in self.exits if kind == RESTORED]
        self.eventless_sources, self.raised_again = _quiet_if_restored(graph, restored, placement)
        self.resumed = frozenset(index for index in self.outside_block if ops[index] != SEND)
        self.edges = [(edge.source, edge.target, edge.lines, edge.kind == ENTER) for edge in graph.edges]
        self.events = graph.events
        self.exec_calls = exec_calls_in(graph.instructions, aliases)
        self.raise_reported_at: dict[int, int] = {}
        self.undetermined_edges: list[int] = []
        self.probes: list[Probe] = []
        self.measured_by_probe: list[int | tuple[bool, tuple[int, ...]] | None] = []
        self.exiting: list[tuple[int, int]] = []
        self.stubs: dict[int, int] = {}
        self.line_effects: list[tuple[int, ...] | None] | None = [] if placement == MINIMAL else None
        self.settling_order: list[tuple[int, int]] = []
        self.inlinable = [name for _, _, name in graph.inlinable_calls] if placement not in (CALLS, NOTHING) else []
        if placement == MINIMAL:
            self._place_on_chords(graph)
        elif placement in (LINE, EVENTS):
            self._place_on_lines(graph)
        elif placement == CALLS:
            self._place_on_entries(graph)
        elif placement == NOTHING:
            self.exits = []
        else:
            raise ValueError(f"placement {placement!r} is not one of {PLACEMENTS}")
        for call, line, _ in graph.inlinable_calls if placement not in (CALLS, NOTHING) else ():
            self.probes.append(Probe(INLINED, call))
            self.measured_by_probe.append((False, (line,)))
            if self.line_effects is not None:
                self.line_effects.append((0, line, 1))

    def pack(self) -> tuple[object, ...]:
        """Return this Plan as plain values, numbers by columns."""
        state = {name: getattr(self, name) for name in self.__slots__}
        state.update(
            stubs={},
            line_effects=None,
            probes=pack_rows([(WHERE.index(probe.where), probe.index, probe.rollback_at) for probe in self.probes]),
            blocks=pack_rows(self.blocks),
            events=pack_rows(self.events),
            settling_order=pack_rows(self.settling_order),
            outside_block=pack_numbers(sorted(self.outside_block)),
            resumed=pack_numbers(sorted(self.resumed)),
            edges=(
                *pack_rows([(source, target, is_entry, len(lines)) for source, target, lines, is_entry in self.edges]),
                pack_numbers(line for _, _, lines, _ in self.edges for line in lines),
            ),
        )
        if all(isinstance(measure, int) for measure in self.measured_by_probe):
            state["measured_by_probe"] = pack_numbers(self.measured_by_probe)  # type: ignore[arg-type]
        return tuple(state.values())

    @classmethod
    def unpack(cls, values: tuple[object, ...]) -> Plan:
        """Return the Plan that `pack` made *values* of."""
        made = cls.__new__(cls)
        state: dict[str, Any] = dict(zip(cls.__slots__, values))
        *columns, lines_of_all = state["edges"]
        lines = iter(unpack_numbers(lines_of_all))
        state.update(
            probes=[
                Probe(WHERE[where], index, rollback_at) for where, index, rollback_at in unpack_rows(state["probes"])
            ],
            blocks=unpack_rows(state["blocks"]),
            events=unpack_rows(state["events"]),
            settling_order=unpack_rows(state["settling_order"]),
            outside_block=frozenset(unpack_numbers(state["outside_block"])),
            resumed=frozenset(unpack_numbers(state["resumed"])),
            edges=[
                (source, target, tuple(islice(lines, n_lines)), bool(is_entry))
                for source, target, is_entry, n_lines in unpack_rows(columns)
            ],
        )
        if isinstance(state["measured_by_probe"], bytes):
            state["measured_by_probe"] = unpack_numbers(state["measured_by_probe"])
        for name, value in state.items():
            setattr(made, name, value)
        return made

    def _place_on_chords(self, graph: ControlFlowGraph) -> None:
        places = [_place(graph, edge) for edge in graph.edges]
        ends = [(edge.source, edge.target) for edge in graph.edges]
        n_nodes = graph.outside + 1
        tree = maximum_spanning_tree(n_nodes, ends, weigh(graph, places))
        self.settling_order = leaves_first(n_nodes, ends, tree)
        chords = set(range(len(ends))).difference(tree)
        cycles = dict(fundamental_cycles(n_nodes, ends, self.settling_order, _LONGEST_CYCLE))
        for number, cycle in cycles.items():
            if _is_free(graph, cycle):
                chords.discard(number)
                self.undetermined_edges.extend(edge for edge, _ in cycle)
        ops = graph.instructions.ops
        for number in sorted(chords):
            self.probes.append(places[number])
            self.measured_by_probe.append(number)
            above = places[number].index - 1
            if graph.edges[number].kind == JUMP and places[number].where == FALLING and ops[above] == POP_ITER:
                self.raise_reported_at[above] = graph.edges[number].at
        self.line_effects = None
        if chords <= cycles.keys():
            events: dict[int, list[int]] = {}
            for index, line in graph.events:
                events.setdefault(bisect_right(graph.firsts, index) - 1, []).append(line)
            self.line_effects = [_effect(graph, cycles[number], events) for number in sorted(chords)]
        undone = frozenset(probe.rollback_at for probe in self.probes)
        for record, alike in group_equivalent_exits(graph, self.outside_block | undone | self.raise_reported_at.keys()):
            self.exiting.append((len(self.probes), record))
            self.stubs.update(dict.fromkeys(alike, len(self.probes)))
            self.probes.append(Probe(EXITING, alike[0]))
            self.measured_by_probe.append(None)
            if self.line_effects is not None:
                self.line_effects.append(None)

    def _place_on_lines(self, graph: ControlFlowGraph) -> None:
        ops = graph.instructions.ops
        for index, line in graph.events:  # first: where a jump starts a line, that comes before the line it leads to
            self.probes.append(Probe(BEFORE, index))
            self.measured_by_probe.append((False, (line,)))
        for edge in graph.edges:
            is_entry = edge.kind == ENTER and ops[edge.at] != SEND
            if edge.lines or is_entry:
                self.probes.append(Probe(RAISING, edge.at) if edge.kind == RAISE else _place(graph, edge))
                self.measured_by_probe.append((is_entry, edge.lines))
        if self.placement == EVENTS:
            self._place_in_await_loops(graph)

    def _place_on_entries(self, graph: ControlFlowGraph) -> None:
        for edge in graph.edges:
            if edge.kind == ENTER and graph.instructions.ops[edge.at] != SEND:
                self.probes.append(_place(graph, edge))
                self.measured_by_probe.append((True, ()))
        self._place_in_await_loops(graph)

    def _place_in_await_loops(self, graph: ControlFlowGraph) -> None:
        """A resumption that only goes on waiting is a call all the same, though it counts for nothing."""
        ops = graph.instructions.ops
        for index in graph.loops:
            if ops[index] == RESUME:
                self.probes.append(Probe(FALLING, index + 1))
                self.measured_by_probe.append((True, ()))


#: Cycles with more edges are not looked at: that keeps planning linear.
_LONGEST_CYCLE = 50


def _is_free(graph: ControlFlowGraph, cycle: list[tuple[int, int]]) -> bool:
    """Return whether it is all one to every count how often control took the one way round *cycle* or the other.

    So it is with `a and b` on one line: that the line goes on counts, not from which of the two. What counts is which
    line events there are, from which line, and calls.
    """
    lines = graph.instructions.lines
    line_effects: dict[object, int] = {}
    inflow: dict[int, int] = {}
    for number, sign in cycle:
        edge = graph.edges[number]
        if edge.kind in (ENTER, RAISE, RERAISED):
            return False
        inflow[edge.target] = inflow.get(edge.target, 0) + sign
        for line in edge.lines:
            step = lines[edge.at], line
            line_effects[step] = line_effects.get(step, 0) + sign
    return not any(line_effects.values()) and not any(inflow[block] and block in graph.eventful for block in inflow)


def _effect(graph: ControlFlowGraph, cycle: list[tuple[int, int]], events: dict[int, list[int]]) -> tuple[int, ...]:
    """Return what it adds to all counts if control once more goes round *cycle*: entries, then each line and how often.

    *events* are the lines of the events within each block.
    """
    entered = 0
    lines: dict[int, int] = {}
    inflow: dict[int, int] = {}
    for number, sign in cycle:
        edge = graph.edges[number]
        entered += sign * (edge.kind == ENTER)
        inflow[edge.target] = inflow.get(edge.target, 0) + sign
        for line in edge.lines:
            lines[line] = lines.get(line, 0) + sign
    for block, times in inflow.items():
        for line in events.get(block, ()) if times else ():
            lines[line] = lines.get(line, 0) + times
    return (entered, *(number for pair in lines.items() if pair[1] for number in pair))


def graph_of(code: CodeType, placement: str) -> ControlFlowGraph:
    """Return the graph to plan *placement* on: that of *code*, in which small loops are unrolled if that saves
    probes; raise ValueError if its shape is not one that a compiler makes.
    """
    instructions = Instructions(code)
    return build(unroll(instructions) if placement == MINIMAL else instructions)


def plan(graph: ControlFlowGraph, placement: str = MINIMAL, aliases: frozenset[str] = frozenset()) -> Plan:
    """Return the Plan that puts the probes of *graph* according to *placement*; *aliases* as in `exec_calls_in`."""
    return Plan(graph, placement, aliases)


def _exits(graph: ControlFlowGraph) -> list[tuple[int, str]]:
    """Return the records of exceptional exits: one for each handler, one for what none covers, those of RERAISE."""
    records = [(number, RAISED) for number in range(-1, len(graph.entries))]
    restored = {
        graph.instructions.handlers[edge.at]
        for edge in graph.edges
        if edge.kind == RAISE and graph.restores_place(edge.at)
    }
    records += [(number, RESTORED) for number in sorted(restored) if graph.entries[number].line is not None]
    return records


#: A handler, or what none covers, has counters if no more are likely to be needed; else the record of what raised does.
_FEW = 3


def is_left_above(op: int) -> bool:
    """Return whether exceptions of the instruction *op* may be led to the handler of the code unit above it."""
    return CALLERS_ARE_LEFT_ABOVE and (CACHES[op] > 0 or op == CALL_FUNCTION_EX)


_OPTIMIZED = 1  # CO_OPTIMIZED


def group_equivalent_exits(graph: ControlFlowGraph, must_differ: frozenset[int]) -> list[tuple[int, list[int]]]:
    """Return (record, instructions) for the instructions whose exits one counter can count: it is all one to every
    count which of them raised. Those *must_differ* are told apart.

    Such instructions have the same handler and block, no line event between them, and all of them or none enter the
    handler without one.
    """
    instructions = graph.instructions
    if not instructions.code.co_flags & _OPTIMIZED:  # of a module or class: runs once
        return []
    ops, handlers = instructions.ops, instructions.handlers
    heads = {
        target for index, target in enumerate(instructions.targets) if 0 <= target <= index and ops[index] in JUMPS
    }
    classes: dict[tuple[int, int, int, bool], list[int]] = {}
    likely: set[tuple[int, int, int, bool]] = set()
    starts = [index for index, _ in graph.events]
    n_events = 0
    for number, block in enumerate(graph.blocks):
        for index in range(block.first, block.last + 1):
            while n_events < len(starts) and starts[n_events] <= index:
                n_events += 1
            op = ops[index]
            # Up to 3.12 an interrupt at a jump back looks for its handler right above the jump's target.
            if index in must_differ or index + 1 in heads or index < instructions.made_by or op in RAISES | MAY_RERAISE:
                continue
            handler = handlers[index]
            eventless_sources = False
            if handler >= 0 and graph.entries[handler].line is not None:
                eventless_sources = index in graph.entries[handler].eventless_sources
                if (
                    eventless_sources and INLINED_CALL_LOSES_LINE and CACHES[op]
                ):  # it depends on whether a call was inlined
                    continue
            key = handler, number, n_events, eventless_sources
            classes.setdefault(key, []).append(index)
            if op in OFTEN_RAISE or (op == BINARY_OP and instructions.args[index] == SUBSCRIPT_BINARY_OP):
                likely.add(key)
    if CALLERS_ARE_LEFT_ABOVE:
        _tell_apart_what_is_above_calls(instructions, classes)
    n_likely = [0] * (len(graph.entries) + 1)
    for handler, *_ in likely:
        n_likely[handler + 1] += 1
    few = (key for key in classes if key in likely and n_likely[key[0] + 1] <= _FEW)
    return [(key[0] + 1, classes[key]) for key in few if classes[key]]


def _tell_apart_what_is_above_calls(
    instructions: Instructions, classes: dict[tuple[int, int, int, bool], list[int]]
) -> None:
    """Take from *classes* each instruction whose handler an exception of the instruction below it may be led to, unless
    both are in one class: the record of what raised knows the two apart.
    """
    ops = instructions.ops
    class_of = {index: key for key, alike in classes.items() for index in alike}
    for index in range(len(ops) - 1, 0, -1):
        if not is_left_above(ops[index]):
            continue
        above = index - 1
        while above > 0 and takes_no_space(instructions, above):
            above -= 1
        if class_of.get(above) != class_of.get(index):
            for other in range(above, index):
                if other in class_of:
                    classes[class_of.pop(other)].remove(other)


def _quiet_if_restored(
    graph: ControlFlowGraph, entries: list[int], placement: str
) -> tuple[dict[int, frozenset[int]], dict[int, frozenset[int]]]:
    """Return, for each of *entries*, the instructions whose RESTORED exits enter it without a line event, and those
    whose were raised again before.

    The event hangs on the place that RERAISE restores. Where the traceback tells the place, that is the one at which
    the exception was raised in this frame at first, and not the one at which it was raised again: neither a bare
    `raise` nor the end of a `finally` adds to the traceback. So the ways from there to the entry are followed.
    """
    eventless_sources = {entry: set(graph.entries[entry].eventless_sources) for entry in entries}
    again: dict[int, set[int]] = {entry: set() for entry in entries}
    if entries and (PLACES_ARE_OF_TRACEBACK or placement in CALLING):
        raising = _Raising(graph)
        instructions = graph.instructions
        for index, handler in enumerate(instructions.handlers):
            if index and instructions.ops[index] == RESUME:  # what is thrown in takes the way of the yield above
                handler = instructions.handlers[index - 1]
            for entry, lasts in raising.restored_from(handler).items() if handler >= 0 else ():
                last = min(lasts)
                if entry not in eventless_sources or last < 0:  # it may be the place itself
                    continue
                again[entry].add(index)
                if last in graph.entries[entry].eventless_sources:
                    eventless_sources[entry].add(index)
                else:
                    eventless_sources[entry].discard(index)
    return (
        {entry: frozenset(places) for entry, places in eventless_sources.items()},
        {entry: frozenset(places) for entry, places in again.items()},
    )


class _Raising:
    """Follows exceptions from handler to handler of *graph*."""

    def __init__(self, graph: ControlFlowGraph) -> None:
        self.graph = graph
        self.leaving: dict[int, list[Edge]] = {}
        self.entering: dict[int, int] = {}
        for edge in graph.edges:
            if edge.kind == ENTER:
                self.entering[edge.at] = edge.target
            else:
                self.leaving.setdefault(edge.source, []).append(edge)
        self._again: dict[int, list[Edge]] = {}
        self._restored: dict[int, dict[int, set[int]]] = {}

    def restored_from(self, handler: int) -> dict[int, set[int]]:
        """Return the entries that a RERAISE may restore a place for after an exception was led to *handler*, each with
        the places: -1 for that at which it was raised at first, else where it was raised again.
        """
        if handler not in self._restored:
            restored: dict[int, set[int]] = {}
            waiting = [(handler, -1)]
            seen = set(waiting)
            while waiting:
                number, last = waiting.pop()
                for edge in self._raised_again_in(number):
                    restores = self.graph.restores_place(edge.at)
                    target = self.graph.instructions.handlers[edge.at]
                    if restores:
                        restored.setdefault(target, set()).add(last)
                    way = target, last if restores else edge.at
                    if target >= 0 and way not in seen:
                        seen.add(way)
                        waiting.append(way)
            self._restored[handler] = restored
        return self._restored[handler]

    def _raised_again_in(self, handler: int) -> list[Edge]:
        """Return the edges along which what was led to *handler* may be raised again, before it has been handled."""
        if handler not in self._again:
            graph = self.graph
            ops, args = graph.instructions.ops, graph.instructions.args
            found = []
            waiting = [graph.entries[handler].block]
            seen = set(waiting)
            while waiting:
                block = graph.blocks[number := waiting.pop()]
                is_handled = ops[block.last] in MAY_RERAISE or POP_EXCEPT in ops[block.first : block.last + 1]
                for edge in self.leaving.get(number, ()):
                    target = edge.target
                    if edge.kind == RERAISED or (edge.kind == RAISE and (ops[edge.at] == RERAISE or not args[edge.at])):
                        found.append(edge)
                        continue
                    if edge.kind == LEAVE:  # what waits goes on
                        target = self.entering.get(edge.at + (ops[edge.at] == YIELD_VALUE), graph.outside)
                    if not is_handled and target != graph.outside and target not in seen:
                        seen.add(target)
                        waiting.append(target)
            self._again[handler] = found
        return self._again[handler]


def _place(graph: ControlFlowGraph, edge: Edge) -> Probe:
    """Return the cheapest place that control passes if and only if it takes *edge*."""
    if edge.kind == LEAVE:
        may_wait = graph.instructions.ops[edge.at] not in (YIELD_VALUE, SEND)
        return Probe(BEFORE, edge.at, edge.at if may_wait else -1)
    if edge.kind in (GOTO, RAISE):
        return Probe(BEFORE, edge.at, edge.at)
    if edge.kind == RERAISED:
        return Probe(RAISING, edge.at)
    is_send = graph.instructions.ops[edge.at] == SEND
    if edge.kind == FALL or (edge.kind == ENTER and not is_send):
        return Probe(FALLING, edge.target_instruction)
    # A taken jump, or the end of an await loop.
    block = graph.blocks[edge.target]
    if graph.n_ways_into[edge.target] == 1:
        # What an exhausted FOR_ITER skips stands in the way of a probe before it. So does what drops the iterator: it
        # reports the branch, and no line starts there.
        if graph.instructions.ops[edge.target_instruction] == POP_ITER:
            return Probe(FALLING, edge.target_instruction + 1)
        return Probe(FALLING if block.head > block.first else BEFORE, edge.target_instruction)
    return Probe(TAKEN, edge.at)


# Estimated frequencies. Nothing depends on them but speed.
_TURNS = 10.0  # how often a loop turns
_RARE = 0.02  # paths that end in an exception
_SECOND_JUMP = 1.5  # what a trampoline costs, in probes
_FIRST_IS_BETTER = 1e-9  # of equals, the earlier edge carries the probe: into a loop's body, not back from it


def weigh(graph: ControlFlowGraph, places: list[Probe]) -> list[float]:
    """Return the weight of each edge of *graph*: its estimated frequency, times what a probe at its place costs.

    One pass in the order of the code, which is a topological order but for the jumps back: those are the loops, and
    multiply the frequency of what they jump to.
    """
    n_blocks = graph.outside
    ops = graph.instructions.ops
    ranks = _ranks(graph)
    depth = _loop_depths(graph, ranks)
    heads = {
        edge.target for edge in graph.edges if ranks[edge.target] <= ranks[edge.source] and edge.kind in (GOTO, JUMP)
    }
    rare = [False] * (n_blocks + 1)
    incoming = [0.0] * (n_blocks + 1)
    outgoing: list[list[int]] = [[] for _ in range(n_blocks + 1)]
    entering: dict[int, int] = {}
    for number, edge in enumerate(graph.edges):
        if edge.kind == ENTER:
            entering[edge.at] = number
        else:
            outgoing[edge.source].append(number)
        if edge.kind == RAISE:
            rare[edge.source] = True
    for entry in graph.entries:
        rare[entry.block] = True
        incoming[entry.block] += _RARE
    frequency = [0.0] * len(graph.edges)

    def enter(at: int, how_often: float) -> None:
        number = entering[at]
        frequency[number] += how_often
        incoming[graph.edges[number].target] += how_often

    enter(graph.instructions.first, 1.0)
    for block in sorted(range(n_blocks), key=ranks.__getitem__):
        arriving = incoming[block] * (_TURNS if block in heads else 1.0)
        shares = [_share(graph, graph.edges[number], depth, rare) for number in outgoing[block]]
        for number, share in zip(outgoing[block], shares):
            edge = graph.edges[number]
            frequency[number] = arriving * share / sum(shares)
            if ranks[block] < ranks[edge.target] < n_blocks:
                incoming[edge.target] += frequency[number]
            elif ops[edge.at] == YIELD_VALUE:
                enter(edge.at + 1, frequency[number])
            elif ops[edge.at] == SEND:
                enter(edge.at, frequency[number])
    weights = []
    for number, edge in enumerate(graph.edges):
        # No two of these close a circle: each leads outwards.
        jumps_twice = places[number].where == TAKEN and graph.instructions.falls_into(edge.target_instruction)
        if edge.kind == RERAISED or (SEND_IS_SHORT and jumps_twice and ops[edge.at] == SEND):
            weights.append(float("inf"))
            continue
        cost = _SECOND_JUMP if jumps_twice else 1.0
        weights.append((frequency[number] + 1e-6) * cost * (1.0 + _FIRST_IS_BETTER * number))
    return weights


def _share(graph: ControlFlowGraph, edge: Edge, depth: list[int], rare: list[bool]) -> float:
    if edge.kind == RERAISED:
        return _RARE
    if edge.target == graph.outside:
        return 1.0
    if rare[edge.target]:
        return _RARE
    return 1.0 / _TURNS if depth[edge.target] < depth[edge.source] else 1.0


def _ranks(graph: ControlFlowGraph) -> list[int]:
    """Return the rank of each node of *graph* in the order of the code, but for copies of loops that go upwards."""
    ranks = graph.instructions.ranks
    order = sorted(range(graph.outside), key=lambda block: ranks[graph.firsts[block]])
    found = [0] * graph.outside + [graph.outside]
    for rank, block in enumerate(order):
        found[block] = rank
    return found


def _loop_depths(graph: ControlFlowGraph, ranks: list[int]) -> list[int]:
    """Return how many loops each block is in: a loop is all that stands between its head and the last jump back there.

    Jumps to one head are turns of one loop, ended early by `continue` or a filter, not loops in each other.
    """
    ends: dict[int, int] = {}
    for edge in graph.edges:
        source, target = ranks[edge.source], ranks[edge.target]
        if edge.kind in (GOTO, JUMP) and target <= source:
            ends[target] = max(ends.get(target, 0), source)
    change = [0] * (graph.outside + 2)
    for first, last in ends.items():
        change[first] += 1
        change[last + 1] -= 1
    depths, depth = [], 0
    for step in change:
        depth += step
        depths.append(depth)
    return [depths[rank] for rank in ranks]
