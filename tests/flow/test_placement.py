"""A Plan puts probes where they tell enough, no more than are needed, and survives being stored."""

import collections

import pytest
import strategies
from flow.codes import MODULES, code_called, codes_of, codes_of_module
from hypothesis import given, settings
from hypothesis import strategies as st

from instrument.decode.exec_calls import may_execute_code
from instrument.decode.instructions import Instructions
from instrument.decode.opcodes import JUMPS, RESUME, SEND
from instrument.decode.versions import INLINED_CALL_LOSES_LINE
from instrument.flow.graph import EdgeKind, build
from instrument.flow.placement import CALLS, EVENTS, LINE, MINIMAL, NOTHING, PLACEMENTS, graph_of, plan
from instrument.flow.plan import ExitKind, Plan, ProbePosition

ALL = [MINIMAL, LINE, EVENTS, CALLS, NOTHING]


def graphs_of_module(module):
    """Return the graphs of all code of *module*."""
    return [graph_of(code, placement) for code in codes_of_module(module) for placement in PLACEMENTS]


def graph_called(name, source):
    """Return the graph of the code called *name* in *source*."""
    return build(Instructions(code_called(name, source)))


def n_components(graph):
    """Return how many parts the edges of *graph* fall into, blocks that only exceptions enter included."""
    part = list(range(graph.outside + 1))
    for edge in graph.edges:
        old, new = part[edge.source], part[edge.target]
        part = [new if node == old else node for node in part]
    return len(set(part))


def chords_of(made):
    """Return the numbers of the edges that the Plan *made* counts."""
    return [measure for measure in made.measured_by_probe if isinstance(measure, int)]


def check_minimal(graph):
    """Check the probes of the smallest Plan of *graph*."""
    made = plan(graph, MINIMAL)
    chords = chords_of(made)
    tree = [number for number, _ in made.settling_order]
    left_out = set(range(len(graph.edges))) - {*chords, *tree}
    assert len(tree) == graph.outside + 1 - n_components(graph)
    assert len(chords) + len(tree) + len(left_out) == len(graph.edges)
    for number in left_out:
        assert not effects_of_turning_round(graph, tree, number)
    counted = [(probe.position, probe.index) for probe in made.probes if probe.position not in (ProbePosition.INLINED, ProbePosition.EXITING)]
    assert len(counted) == len(chords)
    check_exiting(graph, made)
    assert len(set(counted)) == len(counted)
    # Conservation settles each tree edge at a node of which nothing else is unknown.
    unknown = set(tree)
    for number, leaf in made.settling_order:
        assert [other for other in unknown if leaf in made.edges[other][:2]] == [number]
        unknown.remove(number)
    for number in chords:
        assert graph.edges[number].kind != EdgeKind.RERAISED, "a probe there would stand in a handler's way"


def check_exiting(graph, made):
    """Check that it is all one which of the instructions that an EXITING probe stands for raised."""
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


def effects_of_turning_round(graph, tree, chord):
    """Return what changes if control takes *chord* once more and goes back along the *tree*: lines, blocks with lines."""
    ways = collections.defaultdict(list)
    for number in tree:
        edge = graph.edges[number]
        ways[edge.source].append((number, edge.target, 1))
        ways[edge.target].append((number, edge.source, -1))
    start = graph.edges[chord]
    waiting, came = [start.target], {start.target: None}
    for node in waiting:
        for number, other, sign in ways[node]:
            if other not in came:
                came[other] = node, number, sign
                waiting.append(other)
    taken, node = [(chord, 1)], start.source
    while came[node] is not None:
        node, number, sign = came[node]
        taken.append((number, sign))
    line_effects = collections.Counter()
    with_lines = {graph.block_of(index) for index, _ in graph.events}
    for number, sign in taken:
        edge = graph.edges[number]
        line_effects["entered"] += sign * (edge.kind == EdgeKind.ENTER)
        for line in edge.lines:
            line_effects[graph.instructions.lines[edge.at], line] += sign
        if edge.target in with_lines:
            line_effects["block", edge.target] += sign
    return {effect: change for effect, change in line_effects.items() if change}


def check_lines(graph):
    """Check that the Plan of *graph* that has a probe for each line event has one for each, and for each entry."""
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
    """Check that each probe of *graph* stands where its place makes sense."""
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
            # What is counted happens behind this instruction, or before it.
            assert probe.rollback_at == -1 or graph.edges[measure].at == probe.index
    for probe in made.probes[len(made.probes) - len(made.inlinable) :]:
        assert probe.position == ProbePosition.INLINED


@pytest.mark.parametrize("module", MODULES)
def test_chords_and_tree_are_all_edges(module):
    """Each edge is counted or follows from others, in an order in which it does; no two chords share a place."""
    for graph in graphs_of_module(module):
        check_minimal(graph)


@pytest.mark.parametrize("module", MODULES)
def test_each_line_event_and_entry_has_its_probe(module):
    """The plain placement measures every line event and every function entry, each once."""
    for graph in graphs_of_module(module):
        check_lines(graph)


@pytest.mark.parametrize("module", MODULES)
@pytest.mark.parametrize("placement", ALL)
def test_probes_stand_where_their_place_makes_sense(placement, module):
    """Only jumps are taken, only raising instructions raise, and nothing falls in behind a return."""
    for graph in graphs_of_module(module):
        check_places(graph, placement)


@given(strategies.programs(size=25))
@settings(max_examples=60)
def test_plans_of_any_program_hold_together(program):
    """What holds for the standard library holds for programs that nobody would write."""
    for code in codes_of(program.source):
        graph = build(Instructions(code))
        check_minimal(graph)
        check_lines(graph)
        for placement in ALL:
            check_places(graph, placement)


def test_conservation_saves_probes():
    """Over the sample `minimal` needs less than half the probes of `line`, and for no code that has no loop more."""
    n_minimal = n_line = 0
    for module in MODULES:
        for graph in graphs_of_module(module):
            n_minimal += len(plan(graph, MINIMAL).probes)
            n_line += len(plan(graph, LINE).probes)
    assert 0 < n_minimal < n_line / 2


@pytest.mark.parametrize("module", MODULES[:4])
@pytest.mark.parametrize("placement", ALL)
def test_a_plan_that_was_packed_is_the_same(placement, module):
    """Unpacking gives a Plan with equal fields, whose probes stand at the same places; stubs and effects are for others."""
    for graph in graphs_of_module(module):
        made = plan(graph, placement)
        again = Plan.unpack(made.pack())
        for name in Plan.__slots__:
            if name not in ("probes", "stubs", "line_effects"):
                assert getattr(again, name) == getattr(made, name), name
        assert (again.stubs, again.line_effects) == ({}, None)
        assert [(probe.position, probe.index, probe.rollback_at) for probe in again.probes] == [
            (probe.position, probe.index, probe.rollback_at) for probe in made.probes
        ]
        assert again.pack() == Plan.unpack(again.pack()).pack()


@pytest.mark.parametrize("module", MODULES)
def test_every_handler_and_what_none_covers_has_its_record(module):
    """There is one record for each handler and one for what leaves the code; those of RERAISE come on top."""
    for graph in graphs_of_module(module):
        records = plan(graph, MINIMAL).exits
        assert [entry for entry, kind in records if kind == ExitKind.RAISED] == list(range(-1, len(graph.entries)))
        restored = [entry for entry, kind in records if kind == ExitKind.RESTORED]
        assert len(set(restored)) == len(restored)
        needed = {
            graph.instructions.handlers[edge.at]
            for edge in graph.edges
            if edge.kind == EdgeKind.RAISE and graph.restores_place(edge.at)
        }
        assert set(restored) == {entry for entry in needed if graph.entries[entry].line is not None}


def circles(graph, node):
    """Return all ways from *node* back to it that pass no block twice, as sets of edges."""
    found = []
    waiting = [(node, (), ())]
    while waiting:
        here, passed, way = waiting.pop()
        for number, edge in enumerate(graph.edges):
            if edge.source == here and edge.target == node:
                found.append({*way, number})
            elif edge.source == here and edge.target not in (*passed, graph.outside):
                waiting.append((edge.target, (*passed, edge.target), (*way, number)))
    return found


def probes_passed(graph, node):
    """Return how many probes stand on each way from *node* back to it."""
    chords = set(chords_of(plan(graph, MINIMAL)))
    return sorted(len(chords & way) for way in circles(graph, node))


def heads_of_loops(graph):
    return {edge.target for edge in graph.edges if edge.target <= edge.source and edge.kind not in (EdgeKind.ENTER, EdgeKind.RAISE)}


def test_a_straight_function_takes_one_probe():
    """A chain of lines costs one probe."""
    graph = graph_called("f", "def f(x):\n    a = x\n    b = a\n    return b\n")
    assert len(plan(graph, MINIMAL).probes) == 1


def test_the_arms_of_a_branch_carry_the_probes_not_the_call():
    """A call passes one probe, whichever way it goes."""
    graph = graph_called("f", "def f(x):\n    if x:\n        a = 1\n    else:\n        a = 2\n    return a\n")
    assert probes_passed(graph, graph.outside) == [1, 1]


def test_a_turn_of_a_loop_takes_one_probe():
    """However long the body of a loop is, a turn passes one probe; leaving it passes one more."""
    graph = graph_called("f", "def f(x):\n    for a in x:\n        b = a\n        c = b\n    return c\n")
    (head,) = heads_of_loops(graph)
    assert probes_passed(graph, head) == [1]
    assert probes_passed(graph, graph.outside) == [1]


def test_what_is_rare_carries_the_probe():
    """An arm that ends in an exception has its probe, and a turn of the loop that goes on still passes only one."""
    source = "def f(x):\n    for y in x:\n        if y:\n            raise ValueError\n        a(y)\n"
    graph = graph_called("f", source)
    chords = chords_of(plan(graph, MINIMAL))
    assert any(graph.edges[number].kind == EdgeKind.RAISE or graph.edges[number].target in raising(graph) for number in chords)
    heads = heads_of_loops(graph)
    assert [probes_passed(graph, head) for head in heads] == [[1]] * len(heads) != []


def raising(graph):
    return {edge.source for edge in graph.edges if edge.kind == EdgeKind.RAISE}


def test_calls_alone_have_one_probe_for_each_entry():
    """`calls` measures entries and no line; `nothing` measures nothing and records no exit."""
    graph = graph_called("f", "async def f(x):\n    yield 1\n    await x\n    yield 2\n")
    resumed = [index for index, op in enumerate(graph.instructions.ops) if op == RESUME]
    made = plan(graph, CALLS)
    assert len(made.probes) == len([index for index in resumed if index >= graph.instructions.first])
    assert made.measured_by_probe == ((True, ()),) * len(made.probes)
    assert plan(graph, NOTHING).probes == plan(graph, NOTHING).exits == ()


def test_a_placement_that_is_none_is_refused():
    """The message names the placements that there are."""
    graph = graph_called("<module>", "x = 1")
    with pytest.raises(ValueError, match=f"'hourly' is not one of .*{PLACEMENTS[0]}.*{PLACEMENTS[1]}"):
        plan(graph, "hourly")


HANDOVERS = {
    "exec(a)": [0],
    "exec(a, b)": [2],
    "exec(a, globals=b)": [2],
    "eval(a, b, c)": [2],
    "x.eval(a)": [0],
    "exec()": [],
    "exec(a if b else c)": [0],
    "a = exec(a if b else c)": [0],
    "exec(*a)": [0],
    "exec(*a, **b)": [],
    "a = exec; a(b, c)": [2],
    "print(a(b), exec)": [0],
    "exec_(a)": [0],
    "getattr(a, 'exec')(b)": [0],
    "getattr(a, 'execute')(b)": [],
    "print(a)": [],
    "print(exec, a)": [],
    "types.FunctionType(a, b)": [2],
    "marshal.dumps(a)": [0],
    "pickle.dumps(a)": [],
    "print(exec(a), eval(b, c))": [0, 2],
}


@pytest.mark.parametrize("call", HANDOVERS)
def test_calls_that_hand_over_code_are_found(call):
    """Each is noted with the number of its namespace argument, 0 if it has none."""
    graph = graph_called("f", f"def f(a, b, c):\n    {call}\n")
    found = [namespace for _, namespace in plan(graph).exec_calls]
    if " if " in call:  # from 3.12 on each branch may have its own call
        found = sorted({*found})
    assert found == HANDOVERS[call]


@given(st.lists(st.sampled_from(["exec", "eval", "FunctionType", "marshal", "dump", "dumps", "print"]), max_size=4))
def test_names_tell_whether_code_may_be_handed_over(names):
    """One of the functions must be named; `dump` alone may be anybody's."""
    wanted = {"exec", "eval", "FunctionType"} & {*names} or ("marshal" in names and {"dump", "dumps"} & {*names})
    code = (lambda: 0).__code__.replace(co_names=tuple(names))
    assert may_execute_code(code) == bool(wanted)
    outer = (lambda: lambda: 0).__code__
    assert may_execute_code(outer.replace(co_consts=(None, (lambda: 0).__code__, code))) == bool(wanted)
