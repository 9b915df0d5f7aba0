"""The true counts follow from counters, recorded exits and frames in flight; contradictions are reported."""

import itertools
import random
import re

import pytest
import strategies
from flow.codes import MODULES, code_called, codes_of, codes_of_module
from flow.walks import Moment, World, observation, truth
from hypothesis import given, settings
from hypothesis import strategies as st

import instrument
from instrument.decode.instructions import Instructions
from instrument.decode.opcodes import CALL, SEND
from instrument.errors import ConservationError
from instrument.flow.conservation import Observation, recover
from instrument.flow.fast_recovery import recover_fast
from instrument.flow.graph import EdgeKind, build
from instrument.flow.packing import PackedLineEffects, PackedPlans, pack_line_effects, pack_plans
from instrument.flow.placement import LINE, MINIMAL, PLACEMENTS, graph_of, plan
from instrument.flow.plan import ExitKind, LineEffects
from instrument.link.code_group import CodeGroup, index_of_group
from instrument.link.unlinked_values import take_apart
from instrument.model.counts import Counts
from instrument.rewrite.rewriter import rewrite
from instrument.session.session import session

N_STEPS = 150


def walk(graph, placement, chance, n_steps=N_STEPS):
    """Return the Plan for *graph*, and three Moments of a World in which frames walk."""
    made = plan(graph, placement)
    world = World(graph, made, chance)
    moments = [Moment(world)]
    for _ in range(2):
        world.run(chance.randrange(n_steps))
        moments.append(Moment(world))
    return made, moments


def check(graph, made, before, after):
    """Check that the Counts recovered for the time between two Moments are the true ones."""
    counts, happened = recover(made, observation(before, after)), truth(before, after)
    fields = {*Counts.__slots__}
    if made.placement != LINE and SEND in graph.instructions.ops:
        fields.remove("entered")  # `minimal` counts the end of an await as an entry
    for field in fields:
        assert getattr(counts, field) == getattr(happened, field), field


@pytest.mark.parametrize("placement", PLACEMENTS)
@given(program=strategies.programs(size=20), chance=st.randoms(use_true_random=False))
@settings(max_examples=min(60, settings().max_examples))
def test_counts_of_any_walk_through_any_graph_are_recovered(placement, program, chance):
    """Lines are counted exactly, wherever frames go, raise, wait, are abandoned or are in flight."""
    for code in codes_of(program.source):
        graph = graph_of(code, placement)
        made, (start, middle, end) = walk(graph, placement, random.Random(chance.random()))
        check(graph, made, start, middle)
        check(graph, made, start, end)
        check(graph, made, middle, end)


def effects_of(made):
    """Return the LineEffects of a Plan, packed and unpacked."""
    return PackedLineEffects(pack_line_effects([made])).effects(0)


def calm_walk(graph, chance):
    """Return a Plan for *graph*, and the Observation of a calm World; None in place of it if there were exits or frames
    in flight.
    """
    made = plan(graph, MINIMAL)
    world = World(graph, made, chance, calm=True)
    start = Moment(world)
    world.run(300)
    world.finish()
    seen = observation(start, Moment(world))
    return made, None if any(seen.exits) or any(seen.in_flight.values()) else seen


@pytest.mark.parametrize("module", MODULES)
@pytest.mark.slow
def test_without_exits_and_frames_in_flight_the_line_effects_suffice(module):
    """The counts follow from the effects of the probes alone, for nearly all code of the standard library."""
    chance = random.Random(module)
    n_codes = n_known = 0
    for code in codes_of_module(module):
        made, seen = calm_walk(graph_of(code, MINIMAL), chance)
        if seen is not None:
            counts = recover_fast(effects_of(made), seen.counters)
            n_codes += 1
            n_known += counts is not None
            assert counts is None or counts == recover(made, seen)
    assert n_known > 0.8 * n_codes > 0


@given(program=strategies.programs(size=20), chance=st.randoms(use_true_random=False))
@settings(max_examples=min(60, settings().max_examples))
def test_line_effects_and_equations_give_equal_counts(program, chance):
    """Wherever the effects of the probes suffice, recovery by the equations gives the same counts."""
    for code in codes_of(program.source):
        made, seen = calm_walk(graph_of(code, MINIMAL), random.Random(chance.random()))
        if seen is not None:
            assert recover_fast(effects_of(made), seen.counters) in (None, recover(made, seen))


def test_line_effects_give_no_counts_that_contradict_each_other():
    """Nor do they give any if an exit was counted, or if a cycle was too long to be followed."""
    graph = build(Instructions(code_called("f", "def f(x):\n    a(x)\n    b(x)\n")))
    made = plan(graph, MINIMAL)
    assert made.measured_by_probe[1:] == (None, None), "an exit of either call"
    assert recover_fast(effects_of(made), [3, 0, 0]) == Counts({2: 3, 3: 3}, entered=3)
    assert recover_fast(effects_of(made), [3, 1, 0]) is None
    assert recover_fast(LineEffects([1], [1], [2], [-1]), [1]) is None
    assert recover_fast(LineEffects([1], [-1], [2], [1]), [1]) is None
    assert recover_fast(LineEffects([1, 1], [0, 0], [2, 2], [1, -1]), [4, 4]) == Counts()
    long = "def f(x):\n" + "".join(f"    if x == {n}:\n        a({n})\n" for n in range(100))
    assert plan(build(Instructions(code_called("f", long))), MINIMAL).line_effects is None
    assert plan(graph, LINE).line_effects is None
    assert recover_fast(effects_of(plan(graph, LINE)), [1, 1, 1]) is None


@pytest.mark.parametrize("module", MODULES)
@pytest.mark.parametrize("placement", PLACEMENTS)
@pytest.mark.slow
def test_counts_of_walks_through_the_standard_library_are_recovered(placement, module):
    """The counts of large code are recovered like those of small programs."""
    chance = random.Random(module)
    for code in codes_of_module(module):
        graph = graph_of(code, placement)
        made, (start, _, end) = walk(graph, placement, chance)
        check(graph, made, start, end)


@pytest.mark.slow
def test_windows_that_begin_while_frames_are_in_flight_are_recovered():
    """Counts are of the time between two moments, even if frames were under way at the first."""
    chance = random.Random(1)
    for code in codes_of_module(MODULES[0]):
        graph = graph_of(code, MINIMAL)
        made, (_, middle, end) = walk(graph, MINIMAL, chance)
        check(graph, made, middle, end)


@pytest.mark.slow
def test_walks_pass_every_edge_and_every_record():
    """The walks of these tests leave out no edge, record, line or probe of a Plan."""
    chance = random.Random(1)
    source = WALKED
    for code in codes_of(source):
        graph = graph_of(code, MINIMAL)
        made = plan(graph, MINIMAL)
        world = World(graph, made, chance)
        world.run(100_000)
        assert min(world.counters, default=1) > 0
        assert all(world.exits)
        assert world.n_edges_passed > 1000
        assert set(world.lines) == {line for _, line in graph.events} | {
            line for edge in graph.edges for line in edge.lines
        } | {entry.line for entry in graph.entries} - {None}
        check(graph, made, Moment(World(graph, made, chance)), Moment(world))


WALKED = """
def f(x):
    for y in x:
        try:
            if y: continue
            a(y)
        except ValueError as e:
            raise KeyError
        finally:
            while y: y = b()
    else:
        return 1
def g(x):
    with x as y, y as z: yield 1
    while x and z: yield 2
async def h(x):
    async with x as y: await y
    async for z in x: yield z
    return
"""


def test_code_that_never_ran_has_no_counts():
    """The Counts are empty in either placement."""
    for placement in PLACEMENTS:
        graph = graph_of(code_called("f", WALKED), placement)
        made = plan(graph, placement)
        moment = Moment(World(graph, made, random.Random(0)))
        assert recover(made, observation(moment, moment)) == Counts()


# Contradictions #######################################################################################################


def reversed_in_time(seen):
    """Return *seen* with all counts negative."""
    return Observation(
        [-count for count in seen.counters],
        [{place: -count for place, count in record.items()} for record in seen.exits],
        {place: -count for place, count in seen.in_flight.items()},
        seen.n_instructions,
    )


@given(program=strategies.programs(size=10), chance=st.randoms(use_true_random=False))
@settings(max_examples=min(40, settings().max_examples))
def test_an_impossible_observation_is_refused(program, chance):
    """If time runs backwards, each edge is taken less than never, and the counts contradict each other."""
    for code in codes_of(program.source):
        graph = graph_of(code, MINIMAL)
        made, (start, _, end) = walk(graph, MINIMAL, random.Random(chance.random()))
        seen = observation(start, end)
        recover(made, seen)
        if end.n_edges_passed:
            with pytest.raises(ConservationError, match=r"(block \d+|the outside) was entered -?\d+ times and left -?\d+ times"):
                recover(made, reversed_in_time(seen))


def nothing_seen(graph, made):
    """Return the Observation of code that never ran."""
    moment = Moment(World(graph, made, random.Random(0)))
    return observation(moment, moment)


def leave(seen, made, index, count):
    """Let *seen* have *count* exits at *index*, which no handler covers."""
    if index in made.stubs:
        seen.counters[made.stubs[index]] = count
    else:
        seen.exits[made.exits.index((-1, ExitKind.RAISED))] = {(index, False): count}


def calls(graph):
    return [index for index, op in enumerate(graph.instructions.ops) if op == CALL]


def test_more_exits_than_entries_are_refused():
    """Of two calls two may end in an exception but not three; the message names block and edge."""
    graph = build(Instructions(code_called("f", "def f(x):\n    a(x)\n    b(x)\n    return x\n")))
    made = plan(graph, MINIMAL)
    chord, *others = made.measured_by_probe
    assert graph.edges[chord].kind == EdgeKind.ENTER
    assert others == [None, None], "an exit of either call"
    seen = nothing_seen(graph, made)
    first, second = calls(graph)
    for n_exits, index, expected in [(0, first, (2, 2, 2)), (1, first, (2, 1, 1)), (2, second, (2, 2, 0))]:
        seen.counters = [2, 0, 0]
        leave(seen, made, index, n_exits)
        assert recover(made, seen) == Counts({2 + n: count for n, count in enumerate(expected) if count}, entered=2)
    seen.counters = [2, 0, 0]
    leave(seen, made, first, 3)
    message = (
        "its counts contradict each other: block 0 was entered 2 times and left 3 times, "
        "not counting the edge from block 0 to the outside"
    )
    with pytest.raises(ConservationError, match=f"^{re.escape(message)}$"):
        recover(made, seen)


def test_exits_from_a_loop_that_did_not_turn_are_refused():
    """The body of a loop cannot be left more often than it was entered, however often its function was called."""
    graph = build(Instructions(code_called("f", "def f(x):\n    for y in x:\n        a(y)\n    return x\n")))
    made = plan(graph, MINIMAL)
    (index,) = calls(graph)
    seen = nothing_seen(graph, made)
    seen.counters = [
        5 * (chord is not None and graph.edges[chord].target != graph.block_of(index)) for chord in made.measured_by_probe
    ]
    assert recover(made, seen).lines == {2: 5, 4: 5}
    leave(seen, made, index, 1)
    with pytest.raises(ConservationError, match=r"block \d+ was entered 0 times and left 1 times, not counting the edge from block"):
        recover(made, seen)


def test_a_plan_that_was_packed_recovers_the_same_counts():
    """The counts do not depend on whether the Plan was packed and unpacked."""
    graph = graph_of(code_called("f", WALKED), MINIMAL)
    made, (start, _, end) = walk(graph, MINIMAL, random.Random(3), 2000)
    seen = observation(start, end)
    assert recover(PackedPlans(pack_plans([made])).plan(0), seen) == recover(made, seen) == truth(start, end)


CONTRADICTING = """\
def f(x):
    a(x)
    return x
f(1)
for constant in f.__code__.co_consts:
    if type(constant) is repeat:
        last = constant
for _ in range(7):
    next(last)
"""


@pytest.mark.usefixtures("frozen_heap")
def test_the_warning_about_a_contradiction_names_function_file_block_and_both_sums(capfd):
    """A program that moves the counter of an exit on by itself is warned about, and the rest is counted."""
    names = {"a": int, "repeat": itertools.repeat, "__file__": "contradicting.py"}
    tracer = instrument.Trace(count=1, trace=0)
    tracer.runctx(compile(CONTRADICTING, "contradicting.py", "exec"), names, names)
    message = (
        "f in contradicting.py is not measured: its counts contradict each other: "
        "block 0 was entered 1 times and left 7 times, not counting the edge from block 0 to the outside"
    )
    counts = tracer.results().counts
    assert session(MINIMAL).not_measured.pop("contradicting.py").startswith("f: its counts contradict each other")
    assert capfd.readouterr().err == f"InstrumentWarning: {message}\n"
    assert counts["contradicting.py", 4] == 1
    assert ("contradicting.py", 2) not in counts


def test_an_error_of_recovery_names_the_code():
    """Whoever reads the counts of a code object, and not of a program, gets the names with the error."""
    code = code_called("f", "def f(x):\n    a(x)\n    return x\n")
    graph = graph_of(code, MINIMAL)
    rewritten = rewrite(graph, plan(graph, MINIMAL))
    unlinked, packed = take_apart([(code, rewritten)])
    group = CodeGroup(1, None, index_of_group(unlinked, "program"), packed)
    infos = group.packed()
    (call,) = calls(graph)
    with pytest.raises(ConservationError) as caught:
        infos.recover(0, infos.fast_path_info(0), [0] * group.starts[1], (), {rewritten.units[call]: 3})
    error = caught.value
    assert (error.function, error.file_name) == ("f", "program")
    assert error.entered < error.left
    assert f"{error.node} was entered {error.entered} times and left {error.left} times" in str(error)
