"""Unrolled loops take the same steps as before, and pass fewer probes."""

import itertools
import random

import pytest
import strategies
from flow.codes import MODULES, code_called, codes_of, codes_of_module
from flow.walks import Moment, World, observation
from hypothesis import given, settings

from instrument.decode.instructions import Instructions
from instrument.decode.line_events import LineEvents
from instrument.decode.opcodes import BACKWARD, FOR_ITER, JUMPS, OPNAMES, UNCONDITIONAL_JUMPS
from instrument.decode.unrolling import Unrolled, is_faithful, unroll
from instrument.flow.conservation import recover
from instrument.flow.graph import build
from instrument.flow.placement import MINIMAL, graph_of, plan

LOOPS = """
def straight(x):
    for y in x:
        z = y
    return z
def turning(x):
    while x:
        x -= 1
    return x
def branching(x):
    for y in x:
        if y: continue
        if not x: break
        z = y
    return z
def guarded(x):
    for y in x:
        try:
            y()
        except KeyError:
            z = y
    return z
def nested(x):
    for y in x:
        for z in y:
            a = z
        b = y
    return b
def tightly_nested(x):
    for y in x:
        for z in y: pass
def yielding(x):
    for y in x:
        yield y
async def waiting(x):
    async for y in x:
        z = y
    for y in x:
        await y
def large(x):
    for y in x:
        y.a.b.c.d.e.f = x(y, y, y, y, y, y).a.b.c.d.e.f
        y.a.b.c.d.e.f = x(y, y, y, y, y, y).a.b.c.d.e.f
        y.a.b.c.d.e.f = x(y, y, y, y, y, y).a.b.c.d.e.f
"""


def copies_of(instructions, name):
    """Return the number of instructions called *name* in *instructions* for each one in their source."""
    ops, source = instructions.ops, instructions.source.ops
    return sum(OPNAMES[op] == name for op in ops) / sum(OPNAMES[op] == name for op in source)


def steps_of(instructions):
    """Return all pairs of instructions of the source whose copies can follow each other, and all handlers."""
    steps = set()
    for index, (op, target) in enumerate(zip(instructions.ops, instructions.targets, strict=True)):
        origins = instructions.origins
        if index + 1 < len(instructions) and instructions.falls_into(index + 1) and index not in instructions.steps:
            steps.add((origins[index], origins[index + 1]))
        if op in JUMPS:
            steps.add((origins[index], origins[target]))
        if instructions.handlers[index] >= 0:
            handler = instructions.table[instructions.handlers[index]]
            steps.add((origins[index], origins[handler.target], handler.depth, handler.push_lasti))
    return steps


def check(code):
    """Check that *code* has the same steps, lines and handlers if it is unrolled."""
    source = Instructions(code)
    unrolled = unroll(source)
    assert is_faithful(unrolled)
    assert steps_of(unrolled) == steps_of(source)
    events, unrolled_events = LineEvents(source), LineEvents(unrolled)
    assert [unrolled.lines[index] for index in range(len(unrolled))] == [source.lines[at] for at in unrolled.origins]
    assert [unrolled_events.starts[index] for index in range(len(unrolled))] == [events.starts[at] for at in unrolled.origins]
    assert set(unrolled.origins) == set(range(len(source)))
    # Every cycle of the unrolled code keeps a jump back, at which interrupts are handled.
    for first, last in itertools.pairwise([*range(len(unrolled)), len(unrolled)]):
        if first in unrolled.steps:
            assert unrolled.targets[first] == last


@pytest.mark.parametrize("module", MODULES)
def test_the_standard_library_is_unrolled_faithfully(module):
    """Steps, handlers and line events are those of the original."""
    for code in codes_of_module(module):
        check(code)


@given(program=strategies.programs(size=20))
@settings(max_examples=min(60, settings().max_examples))
def test_any_program_is_unrolled_faithfully(program):
    """Steps, handlers and line events of generated programs are those of the original, too."""
    for code in codes_of(program.source):
        check(code)


@pytest.mark.parametrize(
    ("name", "copied", "times"),
    [
        ("straight", "FOR_ITER", (3, 4)),
        ("turning", "BINARY_OP", (3, 4)),
        ("branching", "FOR_ITER", (2, 2)),
        ("guarded", "FOR_ITER", (4, 4)),  # without the handler
        ("nested", "FOR_ITER", (1.5, 2.5)),
        ("tightly_nested", "FOR_ITER", (2.5, 2.5)),  # the outer one once, the inner one four times
        ("yielding", "FOR_ITER", (1, 1)),
        ("waiting", "FOR_ITER", (1, 1)),
        ("large", "FOR_ITER", (1, 1)),
    ],
)
def test_small_innermost_loops_are_unrolled(name, copied, times):
    """Other loops turn too slowly to gain, or pass a probe in each turn anyhow."""
    least, most = times
    assert least <= copies_of(unroll(Instructions(code_called(name, LOOPS))), copied) <= most


def test_a_long_loop_passes_a_probe_in_few_of_its_turns():
    """The number of probes that a loop passes is divided by the number of copies, and every turn is counted."""
    graph = graph_of(code_called("straight", LOOPS), MINIMAL)
    made = plan(graph, MINIMAL)
    n_copies = copies_of(graph.instructions, "FOR_ITER")

    class Turning(random.Random):
        """Chance that lets loops turn and never raises."""

        def random(self):
            return 0.99

        def choice(self, ways):
            return ways[0]

    world = World(graph, made, Turning(0))
    start = Moment(world)
    world.run(5000)
    end = Moment(world)
    counts = recover(made, observation(start, end))
    assert counts.lines == dict(end.lines)
    turns = max(counts.lines.values())
    assert turns > 200
    assert sum(end.counters) <= turns / n_copies + 5


def test_code_with_another_step_or_handler_is_not_faithful():
    """Each jump, instruction and handler is compared with its original."""
    unrolled = unroll(Instructions(code_called("guarded", LOOPS)))
    assert isinstance(unrolled, Unrolled)
    assert is_faithful(unrolled)
    for index, op in enumerate(unrolled.ops):
        for name, wrong in (("targets", unrolled.targets[index] + 1), ("ops", op + 1), ("handlers", -1)):
            all_right = getattr(unrolled, name)
            values = list(all_right)
            right = values[index]
            if right in (-1, wrong):
                continue
            values[index] = wrong
            setattr(unrolled, name, type(all_right)(values))
            assert not is_faithful(unrolled), (index, name)
            setattr(unrolled, name, all_right)
    assert is_faithful(unrolled)


def test_code_without_small_loops_is_not_copied():
    """The same Instructions are returned."""
    for name in ("yielding", "large"):
        instructions = Instructions(code_called(name, LOOPS))
        assert unroll(instructions) is instructions
        assert is_faithful(instructions)
        assert build(instructions).instructions is instructions


def test_an_unrolled_loop_has_one_jump_back():
    """Only the last copy goes back, and handles interrupts there."""
    unrolled = unroll(Instructions(code_called("straight", LOOPS)))
    backward = [index for index, op in enumerate(unrolled.ops) if op in BACKWARD and op in UNCONDITIONAL_JUMPS]
    (last,) = (index for index in backward if index not in unrolled.steps)
    assert last == backward[-1]
    assert unrolled.ops[unrolled.targets[last]] == FOR_ITER
