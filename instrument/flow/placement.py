"""Places the probes: builds the Plan of a code object.

A control-flow graph and the name of a placement come in; a `Plan` goes out. `flow.placement_names` describes them.
"""

from __future__ import annotations

from itertools import chain, compress

from instrument.decode.exec_calls import exec_calls_in
from instrument.decode.instructions import Instructions
from instrument.decode.opcodes import POP_ITER, RESUME, SEND, YIELD_VALUE, flags_of
from instrument.decode.unrolling import unroll
from instrument.decode.versions import PLACES_ARE_OF_TRACEBACK
from instrument.flow.exits import eventless_sources_of_restored, exit_records, group_equivalent_exits, likeliest_exit
from instrument.flow.graph import ControlFlowGraph, Edge, EdgeKind, build
from instrument.flow.placement_names import CALLING, CALLS, EVENTS, LINE, MINIMAL, NOTHING, PLACEMENTS
from instrument.flow.plan import ExitKind, Plan, Probe, ProbePosition
from instrument.flow.spanning import fundamental_cycles, leaves_first, maximum_spanning_tree
from instrument.flow.weights import edge_weights

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import CodeType

    from instrument.flow.plan import LineEffect, Measure

    #: The edges of a cycle, see spanning.fundamental_cycles.
    Cycle = list[int]

#: Longer cycles are not examined, so that planning takes linear time.
_LONGEST_CYCLE = 50
#: Instructions at which a frame has left its block.
_IS_OUTSIDE_BLOCK = flags_of((YIELD_VALUE, SEND, RESUME))


def graph_of(code: CodeType, placement: str) -> ControlFlowGraph:
    """Return the graph of *code* for a plan of *placement*; small loops are unrolled if that saves probes.

    Raise ValueError if no compiler makes code of this shape.
    """
    instructions = Instructions(code)
    return build(unroll(instructions) if placement == MINIMAL else instructions)


def plan(graph: ControlFlowGraph, placement: str = MINIMAL, aliases: frozenset[str] = frozenset()) -> Plan:
    """Return the Plan of *placement* for *graph*.

    *aliases* are further names of executors in the module (exec_calls.executor_aliases_in). Raise ValueError if there
    is no such placement.
    """
    instructions = graph.instructions
    ops = instructions.ops
    outside_block = graph.await_loops.union(
        range(instructions.first + 1),
        compress(range(len(ops)), ops.translate(_IS_OUTSIDE_BLOCK)),
    )
    sends = [index for index in outside_block if ops[index] == SEND] if graph.await_loops else []
    chosen = _choose_probes(graph, placement, outside_block)
    if placement not in (CALLS, NOTHING):
        for call, line, _ in graph.inlinable_calls:
            chosen.add(Probe(ProbePosition.INLINED, call), (False, (line,)), (0, line, 1))
        inlinable = [method for _, _, method in graph.inlinable_calls]
    else:
        inlinable = []
    records = exit_records(graph)
    eventless_sources, raised_again = eventless_sources_of_restored(
        graph,
        [entry for entry, kind in records if kind == ExitKind.RESTORED],
        follows=PLACES_ARE_OF_TRACEBACK or placement in CALLING,
    )
    return Plan(
        placement=placement,
        probes=chosen.probes,
        measured_by_probe=chosen.measured_by_probe,
        inlinable=inlinable,
        exiting=chosen.exiting,
        stubs=chosen.stubs,
        line_effects=chosen.line_effects,
        exits=records if placement != NOTHING else [],
        entries=[(entry.block, entry.line, entry.eventless_sources) for entry in graph.entries],
        eventless_sources=eventless_sources,
        raised_again=raised_again,
        raise_reported_at=chosen.raise_reported_at,
        outside_block=outside_block,
        resumed=outside_block.difference(sends) if sends else outside_block,
        blocks=[(block.first, block.last) for block in graph.blocks],
        edges=[(edge.source, edge.target, edge.lines, edge.kind == EdgeKind.ENTER) for edge in graph.edges],
        events=graph.events,
        settling_order=chosen.settling_order,
        exec_calls=exec_calls_in(instructions, aliases),
    )


class _Probes:
    """The probes that a placement has chosen so far, and the fields of a Plan that depend on them."""

    def __init__(self) -> None:
        self.probes: list[Probe] = []
        self.measured_by_probe: list[Measure] = []
        self.line_effects: list[LineEffect | None] | None = None
        self.exiting: list[tuple[int, int]] = []
        self.stubs: dict[int, int] = {}
        self.raise_reported_at: dict[int, int] = {}
        self.settling_order: list[tuple[int, int]] = []

    def add(self, probe: Probe, measure: Measure, line_effect: LineEffect | None = None) -> None:
        """Add *probe*, which counts *measure*. Its *line_effect* is ignored while `line_effects` is None."""
        self.probes.append(probe)
        self.measured_by_probe.append(measure)
        if self.line_effects is not None:
            self.line_effects.append(line_effect)


def _choose_probes(graph: ControlFlowGraph, placement: str, outside_block: frozenset[int]) -> _Probes:
    if placement == MINIMAL:
        return _probes_on_chords(graph, outside_block)
    if placement in (LINE, EVENTS):
        return _probes_on_lines(graph, placement)
    if placement == CALLS:
        return _probes_on_entries(graph)
    if placement == NOTHING:
        return _Probes()
    raise ValueError(f"placement {placement!r} is not one of {PLACEMENTS}")


# Placement `minimal` ##################################################################################################


def _probes_on_chords(graph: ControlFlowGraph, outside_block: frozenset[int]) -> _Probes:
    """Return the probes of `minimal`: on chords, and for groups of equivalent exits."""
    chosen = _Probes()
    if len(graph.edges) == 2 and graph.edges[1].target == graph.outside:
        # Half of all code is one block. Its entry is the chord, and its way out the tree.
        chosen.settling_order = [(1, graph.outside)]
        chosen.probes, chosen.measured_by_probe = [cheapest_probe(graph, graph.edges[0])], [0]
        chosen.line_effects = [_line_effect(graph, [0, 1])]
    else:
        _add_probes_on_chords(graph, chosen)
    if POP_ITER >= 0 and POP_ITER in graph.instructions.ops:
        chosen.raise_reported_at = _probes_behind_pop_iter(graph, chosen)
    rolled_back = [probe.rollback_at for probe in chosen.probes]
    for record, group in group_equivalent_exits(graph, outside_block.union(rolled_back, chosen.raise_reported_at)):
        probe_number = len(chosen.probes)
        chosen.exiting.append((probe_number, record))
        chosen.stubs.update(dict.fromkeys(group, probe_number))
        chosen.add(Probe(ProbePosition.EXITING, likeliest_exit(graph.instructions, group)), None)
    return chosen


def _add_probes_on_chords(graph: ControlFlowGraph, chosen: _Probes) -> None:
    """Add to *chosen* the probes on chords, and all that follows from the spanning tree."""
    edges = graph.edges
    chosen.settling_order, cycles = _spanning_tree(graph)
    effects = {number: _line_effect(graph, cycle) for number, cycle in cycles.items()}
    chords = set(range(len(edges))).difference([number for number, _ in chosen.settling_order])
    in_order = sorted(chords)
    chosen.probes = [cheapest_probe(graph, edges[number]) for number in in_order]
    chosen.measured_by_probe = [*in_order]
    if chords <= effects.keys():
        chosen.line_effects = [effects[number] for number in in_order]


def _probes_behind_pop_iter(graph: ControlFlowGraph, chosen: _Probes) -> dict[int, int]:
    """Return Plan.raise_reported_at: each POP_ITER above a *chosen* probe, and the jump that the probe counts."""
    raise_reported_at = {}
    for probe, number in zip(chosen.probes, chosen.measured_by_probe):
        edge = graph.edges[number]  # type: ignore[index]
        is_falling = edge.kind == EdgeKind.JUMP and probe.position == ProbePosition.FALLING
        if is_falling and graph.instructions.ops[probe.index - 1] == POP_ITER:
            raise_reported_at[probe.index - 1] = edge.at
    return raise_reported_at


def _spanning_tree(graph: ControlFlowGraph) -> tuple[list[tuple[int, int]], dict[int, Cycle]]:
    """Return the settling order of a spanning tree of greatest weight, and the cycle that each other edge closes."""
    ends = [(edge.source, edge.target) for edge in graph.edges]
    n_nodes = graph.outside + 1
    settling_order = leaves_first(n_nodes, ends, maximum_spanning_tree(n_nodes, ends, edge_weights(graph)))
    return settling_order, fundamental_cycles(n_nodes, ends, settling_order, _LONGEST_CYCLE)


def cheapest_probe(graph: ControlFlowGraph, edge: Edge) -> Probe:
    """Return the cheapest probe that control passes if and only if it takes *edge*."""
    if edge.kind == EdgeKind.LEAVE:
        may_wait = graph.instructions.ops[edge.at] not in (YIELD_VALUE, SEND)
        return Probe(ProbePosition.BEFORE, edge.at, edge.at if may_wait else -1)
    if edge.kind in (EdgeKind.GOTO, EdgeKind.RAISE):
        return Probe(ProbePosition.BEFORE, edge.at, edge.at)
    if edge.kind == EdgeKind.RERAISED:
        return Probe(ProbePosition.RAISING, edge.at)
    is_send = graph.instructions.ops[edge.at] == SEND
    if edge.kind == EdgeKind.FALL or (edge.kind == EdgeKind.ENTER and not is_send):
        return Probe(ProbePosition.FALLING, edge.target_instruction)
    # The edge is a jump that is taken, or the end of an await loop.
    block = graph.blocks[edge.target]
    if graph.n_ways_into[edge.target] > 1:
        return Probe(ProbePosition.TAKEN, edge.at)
    # A probe cannot stand above the instructions that an exhausted FOR_ITER skips. Nor above POP_ITER: this reports the
    # branch to sys.monitoring, and starts no line.
    if graph.instructions.ops[edge.target_instruction] == POP_ITER:
        return Probe(ProbePosition.FALLING, edge.target_instruction + 1)
    is_skipped = block.head > block.first
    return Probe(ProbePosition.FALLING if is_skipped else ProbePosition.BEFORE, edge.target_instruction)


def _line_effect(graph: ControlFlowGraph, cycle: Cycle) -> LineEffect:
    """Return the change of all counts if control goes round *cycle* once more."""
    edges, lines_within, outside = graph.edges, graph.lines_within, graph.outside
    entered = 0
    lines: dict[int, int] = {}
    inflow: dict[int, int] = {}  # of blocks that have events within
    for number in cycle:
        if number >= 0:
            edge, sign = edges[number], 1
        else:
            edge, sign = edges[~number], -1
        if edge.source == outside:
            entered += sign
        target = edge.target
        if target in lines_within:
            inflow[target] = inflow.get(target, 0) + sign
        for line in edge.lines:
            lines[line] = lines.get(line, 0) + sign
    for block, times in inflow.items():
        for line in lines_within[block] if times else ():
            lines[line] = lines.get(line, 0) + times
    changes = lines.items() if all(lines.values()) else [change for change in lines.items() if change[1]]
    return (entered, *chain.from_iterable(changes))


# Other placements #####################################################################################################


def _probes_on_lines(graph: ControlFlowGraph, placement: str) -> _Probes:
    """Return the probes of `line` or `events`: for each line event and each function entry."""
    ops = graph.instructions.ops
    chosen = _Probes()
    # These come first: if a jump starts a line, its event comes before the event of the line that it leads to.
    for index, line in graph.events:
        chosen.add(Probe(ProbePosition.BEFORE, index), (False, (line,)))
    for edge in graph.edges:
        is_entry = edge.kind == EdgeKind.ENTER and ops[edge.at] != SEND
        if edge.lines or is_entry:
            is_raise = edge.kind == EdgeKind.RAISE
            probe = Probe(ProbePosition.RAISING, edge.at) if is_raise else cheapest_probe(graph, edge)
            chosen.add(probe, (is_entry, edge.lines))
    if placement == EVENTS:
        _add_probes_in_await_loops(graph, chosen)
    return chosen


def _probes_on_entries(graph: ControlFlowGraph) -> _Probes:
    """Return the probes of `calls`: for each function entry."""
    chosen = _Probes()
    for edge in graph.edges:
        if edge.kind == EdgeKind.ENTER and graph.instructions.ops[edge.at] != SEND:
            chosen.add(cheapest_probe(graph, edge), (True, ()))
    _add_probes_in_await_loops(graph, chosen)
    return chosen


def _add_probes_in_await_loops(graph: ControlFlowGraph, chosen: _Probes) -> None:
    """Add a probe for each resumption that only goes on waiting: a trace function is called for it."""
    ops = graph.instructions.ops
    for index in graph.await_loops:
        if ops[index] == RESUME:
            chosen.add(Probe(ProbePosition.FALLING, index + 1), (True, ()))
