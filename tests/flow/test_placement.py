"""Each placement puts its probes at the right positions, and `minimal` has no more of them than it needs."""

import collections

import pytest
import strategies
from flow.codes import MODULES, code_called, codes_of, codes_of_module
from hypothesis import given, settings

from instrument.decode.instructions import Instructions
from instrument.decode.opcodes import JUMPS, RESUME, SEND
from instrument.decode.versions import INLINED_CALL_LOSES_LINE
from instrument.flow.graph import EdgeKind, build
from instrument.flow.placement import CALLS, EVENTS, LINE, MINIMAL, NOTHING, PLACEMENTS, graph_of, plan
from instrument.flow.plan import ProbePosition

ALL = [MINIMAL, LINE, EVENTS, CALLS, NOTHING]


def graphs_of_module(module):
    """Return the graphs of all code of *module*."""
    return [graph_of(code, placement) for code in codes_of_module(module) for placement in PLACEMENTS]


def graph_called(name, source):
    """Return the graph of the code called *name* in *source*."""
    return build(Instructions(code_called(name, source)))


def n_components(graph):
    """Return the number of components of *graph*, including blocks that only exceptions enter."""
    part = list(range(graph.outside + 1))
    for edge in graph.edges:
        old, new = part[edge.source], part[edge.target]
        part = [new if node == old else node for node in part]
    return len(set(part))


def chords_of(made):
    """Return the numbers of the edges on which the Plan *made* has probes."""
    return [measure for measure in made.measured_by_probe if isinstance(measure, int)]


def check_minimal(graph):
    """Check the chords, the spanning tree and the exits of the minimal Plan of *graph*."""
    made = plan(graph, MINIMAL)
    chords = chords_of(made)
    tree = [number for number, _ in made.settling_order]
    assert len(tree) == graph.outside + 1 - n_components(graph)
    assert sorted([*chords, *tree]) == [*range(len(graph.edges))]
    counted = [(probe.position, probe.index) for probe in made.probes if probe.position not in (ProbePosition.INLINED, ProbePosition.EXITING)]
    assert len(counted) == len(chords)
    check_exiting(graph, made)
    assert len(set(counted)) == len(counted)
    # Conservation settles each tree edge at a node without another unknown edge.
    unknown = set(tree)
    for number, leaf in made.settling_order:
        assert [other for other in unknown if leaf in made.edges[other][:2]] == [number]
        unknown.remove(number)
    for number in chords:
        assert graph.edges[number].kind != EdgeKind.RERAISED, "a probe there would be passed by exceptions on their way to the handler"


def check_exiting(graph, made):
    """Check that no count depends on which of the instructions of an EXITING probe raised."""
    handlers, events = graph.instructions.handlers, [index for index, _ in graph.events]
    undone = {probe.rollback_at for probe in made.probes}
    assert set(made.stubs.values()) == {number for number, _ in made.exiting}
    for number, record in made.exiting:
        alike = [index for index, probe in made.stubs.items() if probe == number]
        assert made.probes[number].position == ProbePosition.EXITING
        assert made.probes[number].index in alike
        assert not made.outside_block.union(undone) & set(alike)
        assert {handlers[index] for index in alike} == {record - 1}
        assert len({graph.block_of(index) for index in alike} - {-1}) == 1
        assert not [event for event in events if min(alike) < event <= max(alike)]
        if record and graph.entries[record - 1].line is not None:
            assert len({index in graph.entries[record - 1].eventless_sources for index in alike}) == 1


def check_lines(graph):
    """Check that the Plan `line` of *graph* has one probe for each line event and each entry."""
    made = plan(graph, LINE)
    lines = collections.Counter(line for _, line in graph.events)
    n_entries = 0
    for edge in graph.edges:
        lines.update(edge.lines)
        n_entries += edge.kind == EdgeKind.ENTER and graph.instructions.ops[edge.at] == RESUME
    lines.update(line for _, line, _ in graph.inlinable_calls)
    assert collections.Counter(line for _, measured in made.measured_by_probe for line in measured) == lines
    assert sum(is_entry for is_entry, _ in made.measured_by_probe) == n_entries
    assert not made.settling_order


def check_places(graph, placement):
    """Check the position of each probe of the Plan of *graph*."""
    ops = graph.instructions.ops
    made = plan(graph, placement)
    taken = {edge.at: edge for edge in graph.edges if edge.kind not in (EdgeKind.FALL, EdgeKind.ENTER) or ops[edge.at] == SEND}
    for probe, measure in zip(made.probes, made.measured_by_probe, strict=True):
        assert graph.instructions.first < probe.index < len(ops)
        if probe.position == ProbePosition.TAKEN:
            assert ops[probe.index] in JUMPS
            assert probe.index in taken
        elif probe.position == ProbePosition.RAISING:
            assert taken[probe.index].kind in (EdgeKind.RAISE, EdgeKind.RERAISED)
        elif probe.position == ProbePosition.FALLING:
            assert ops[probe.index - 1] == RESUME or graph.instructions.falls_into(probe.index)
        elif probe.position == ProbePosition.INLINED:
            assert INLINED_CALL_LOSES_LINE
        elif probe.position == ProbePosition.EXITING:
            assert measure is None
            assert placement == MINIMAL
        else:
            assert probe.position == ProbePosition.BEFORE
        assert probe.rollback_at in (-1, probe.index)
        if isinstance(measure, int) and probe.position == ProbePosition.BEFORE:
            # The edge is taken by this instruction, or the probe stands at its target.
            assert probe.rollback_at == -1 or graph.edges[measure].at == probe.index
    for probe in made.probes[len(made.probes) - len(made.inlinable) :]:
        assert probe.position == ProbePosition.INLINED


@pytest.mark.parametrize("module", MODULES)
@pytest.mark.slow
def test_chords_and_tree_are_all_edges(module):
    """Each edge is a chord or follows from others in the settling order; no two probes share a position."""
    for graph in graphs_of_module(module):
        check_minimal(graph)


@pytest.mark.parametrize("module", MODULES)
def test_each_line_event_and_entry_has_its_probe(module):
    """The placement `line` measures every line event and every function entry, each once."""
    for graph in graphs_of_module(module):
        check_lines(graph)


@pytest.mark.parametrize("module", MODULES)
@pytest.mark.parametrize("placement", ALL)
@pytest.mark.slow
def test_probes_have_positions_that_fit_their_instructions(placement, module):
    """Only jumps are taken, only raising instructions raise, and control does not fall in below a return."""
    for graph in graphs_of_module(module):
        check_places(graph, placement)


@given(strategies.programs(size=25))
@settings(max_examples=min(60, settings().max_examples))
def test_plans_of_any_program_are_consistent(program):
    """Plans of generated programs have the same properties as those of the standard library."""
    for code in codes_of(program.source):
        graph = build(Instructions(code))
        check_minimal(graph)
        check_lines(graph)
        for placement in ALL:
            check_places(graph, placement)


@pytest.mark.slow
def test_minimal_needs_less_than_half_the_probes_of_line():
    """This holds for the sample of the standard library as a whole."""
    n_minimal = n_line = 0
    for module in MODULES:
        for graph in graphs_of_module(module):
            n_minimal += len(plan(graph, MINIMAL).probes)
            n_line += len(plan(graph, LINE).probes)
    assert 0 < n_minimal < n_line / 2


def test_the_placement_calls_has_one_probe_for_each_entry():
    """It measures no line. The placement `nothing` measures nothing and records no exit."""
    graph = graph_called("f", "async def f(x):\n    yield 1\n    await x\n    yield 2\n")
    resumed = [index for index, op in enumerate(graph.instructions.ops) if op == RESUME]
    made = plan(graph, CALLS)
    assert len(made.probes) == len([index for index in resumed if index >= graph.instructions.first])
    assert made.measured_by_probe == ((True, ()),) * len(made.probes)
    assert plan(graph, NOTHING).probes == plan(graph, NOTHING).exits == ()


def test_an_unknown_placement_is_refused():
    """The message names the placements that exist."""
    graph = graph_called("<module>", "x = 1")
    with pytest.raises(ValueError, match=f"'hourly' is not one of .*{PLACEMENTS[0]}.*{PLACEMENTS[1]}"):
        plan(graph, "hourly")
