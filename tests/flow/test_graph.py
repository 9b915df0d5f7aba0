"""The control-flow graph has every instruction once, and every step that a program takes."""

import pytest
import strategies
from flow.codes import MODULES, code_called, codes_of, codes_of_module
from flow.replay import Replay
from hypothesis import example, given, settings

from instrument.decode.instructions import Instructions
from instrument.decode.opcodes import (
    CACHES,
    JUMPS,
    MAY_RERAISE,
    OPCODES,
    OPNAMES,
    RAISES,
    RESUME,
    RETURNS,
    SEND,
    UNCONDITIONAL_JUMPS,
    YIELD_VALUE,
)
from instrument.flow.graph import EdgeKind, build

ENDS = JUMPS | RETURNS | RAISES | MAY_RERAISE | {YIELD_VALUE}


def graphs_of_module(module):
    """Return the graphs of all code of *module*."""
    return [build(Instructions(code)) for code in codes_of_module(module)]


def check_blocks(graph):
    """Check the instructions and the line events of the blocks of *graph*."""
    ops, first = graph.instructions.ops, graph.instructions.first
    members = [index for block in graph.blocks for index in range(block.first, block.last + 1)]
    left_out = {index for index in range(first + 1, len(ops)) if ops[index] == RESUME} | graph.await_loops
    assert members == [index for index in range(first + 1, len(ops)) if index not in left_out]
    for number, block in enumerate(graph.blocks):
        assert block.first <= block.head <= block.last + 1
        assert ENDS.isdisjoint(ops[block.first : block.last])
        assert all(OPNAMES[op] in ("END_FOR", "POP_TOP") for op in ops[block.first : block.head])
        for index in range(block.first, block.last + 1):
            inside = ops[index] not in (YIELD_VALUE, SEND, RESUME)
            assert graph.block_of(index) == (number if inside else -1)
    for index in (*left_out, *range(first + 1)):
        assert graph.block_of(index) == -1
    heads = {block.head for block in graph.blocks}
    for index, line in graph.events:  # the events of heads belong to the edges
        assert index in members
        assert index not in heads
        assert graph.instructions.ops[index] != RESUME
        assert line is not None


def check_edges(graph):
    """Check where the edges of *graph* start and end, and the kinds of the edges out of each block."""
    instructions = graph.instructions
    ops, targets = instructions.ops, instructions.targets
    leaving = {number: set() for number in range(graph.outside)}
    for edge in graph.edges:
        assert 0 <= edge.source <= graph.outside
        assert 0 <= edge.target <= graph.outside
        if edge.kind == EdgeKind.ENTER:
            assert edge.source == graph.outside
            assert ops[edge.at] in (RESUME, SEND)
        else:
            assert edge.at == graph.blocks[edge.source].last
            leaving[edge.source].add(edge.kind)
        if edge.target == graph.outside:
            assert edge.target_instruction == -1
            assert not edge.lines
        elif edge.kind == EdgeKind.RAISE or edge.kind == EdgeKind.RERAISED:
            assert edge.target_instruction == instructions.table[instructions.handlers[edge.at]].target
        else:
            assert edge.target_instruction == graph.blocks[edge.target].head
            came = {EdgeKind.ENTER: targets[edge.at] if ops[edge.at] == SEND else edge.at + 1, EdgeKind.FALL: edge.at + 1}
            assert graph.blocks[edge.target].first == came.get(edge.kind, targets[edge.at])
    for number, block in enumerate(graph.blocks):
        assert leaving[number] == ways_out(ops[block.last])
    entered = [edge.at for edge in graph.edges if edge.kind == EdgeKind.ENTER]
    resumed = {index for index, op in enumerate(ops) if op in (RESUME, SEND) and index >= instructions.first}
    assert sorted(entered) == sorted(resumed - graph.await_loops)
    for handler, entry in zip(instructions.table, graph.entries, strict=True):
        assert graph.blocks[entry.block].first == handler.target


def ways_out(op):
    """Return the kinds of the edges that leave a block whose last instruction is *op*."""
    if op in RETURNS or op in (YIELD_VALUE, SEND):
        return {EdgeKind.LEAVE}
    if op in RAISES:
        return {EdgeKind.RAISE}
    if op in UNCONDITIONAL_JUMPS:
        return {EdgeKind.GOTO}
    if op in MAY_RERAISE:
        return {EdgeKind.FALL, EdgeKind.RERAISED}
    return {EdgeKind.FALL, EdgeKind.JUMP} if op in JUMPS else {EdgeKind.FALL}


def unreachable(graph):
    """Return the blocks that neither edges nor exceptions lead to, from outside, except dead code of the compiler."""
    targets = {node: set() for node in range(graph.outside + 1)}
    for edge in graph.edges:
        targets[edge.source].add(edge.target)
    handlers = graph.instructions.handlers
    for number, block in enumerate(graph.blocks):
        raising = {handlers[index] for index in range(block.first, block.last + 1)}
        targets[number].update(graph.entries[handler].block for handler in raising if handler >= 0)
    throwable_from = graph.instructions.throwable_from
    thrown = {handlers[index] for index in (*range(throwable_from, graph.instructions.first + 1), *graph.await_loops)}
    seen, waiting = set(), [graph.outside, *(graph.entries[handler].block for handler in thrown if handler >= 0)]
    while waiting:
        node = waiting.pop()
        if node not in seen:
            seen.add(node)
            waiting.extend(targets[node])
    alive = instructions_within_reach(graph.instructions)
    return {number for number, block in enumerate(graph.blocks) if block.first in alive} - seen


def instructions_within_reach(instructions):
    """Return the set of instructions that control can reach if each instruction may raise.

    The compiler leaves the handler of `try: pass` in the code, and nothing leads to it.
    """
    reached, waiting = set(), [0]
    while waiting:
        index = waiting.pop()
        if index in reached or index == len(instructions):
            continue
        reached.add(index)
        op = instructions.ops[index]
        if op not in UNCONDITIONAL_JUMPS | RETURNS | RAISES:
            waiting.append(index + 1)
        if op in JUMPS:
            waiting.append(instructions.targets[index])
        if instructions.handlers[index] >= 0:
            waiting.append(instructions.table[instructions.handlers[index]].target)
    return reached


@pytest.mark.parametrize("module", MODULES)
def test_every_instruction_is_in_one_block(module):
    """Below the first RESUME each instruction is in one block, except in await loops and RESUME itself."""
    for graph in graphs_of_module(module):
        check_blocks(graph)


@pytest.mark.parametrize("module", MODULES)
def test_every_edge_starts_at_the_last_instruction_of_its_block(module):
    """Edges lead from the end of a block, or from outside, to the target of the instruction there."""
    for graph in graphs_of_module(module):
        check_edges(graph)


@pytest.mark.parametrize("module", MODULES)
def test_every_block_is_reached(module):
    """Edges and exceptions lead to every block."""
    for graph in graphs_of_module(module):
        assert not unreachable(graph), graph


@pytest.mark.parametrize("module", MODULES)
def test_ways_into_a_block_are_counted(module):
    """`n_ways_into` is the number of edges and handlers that lead to a node."""
    for graph in graphs_of_module(module):
        ways = [edge.target for edge in graph.edges] + [entry.block for entry in graph.entries]
        assert graph.n_ways_into == [ways.count(node) for node in range(graph.outside + 1)]


#: Two handlers that nothing leads to: of an empty `try`, and of an empty `except … as`.
EMPTY = """\
def f(a):
    try:
        pass
    except Exception:
        note(a)
    try:
        note(a)
    except Exception as e:
        pass
"""


@example(strategies.Program(EMPTY, (0,)))
@given(strategies.programs(size=25))
@settings(max_examples=min(60, settings().max_examples))
def test_graphs_of_any_program_are_consistent(program):
    """Graphs of generated programs have the same properties as those of the standard library."""
    for code in codes_of(program.source):
        graph = build(Instructions(code))
        check_blocks(graph)
        check_edges(graph)
        assert not unreachable(graph), graph


# Steps of real runs ###################################################################################################


def follow(graph, code, step):
    """Return the lines that *graph* gives for *step*; fail if the graph has no such step."""
    ops = graph.instructions.ops
    prev, here = step.prev, step.here
    if any(here == handler.target for handler in code.instructions.table) and not goes_on(code, prev, here):
        return enter_handler(graph, step)
    if here in graph.await_loops or (ops[here] == SEND and prev in graph.await_loops):
        return ()
    at = prev if prev not in graph.await_loops else -1
    edges = [edge for edge in graph.edges if edge.at == at and edge.kind not in (EdgeKind.RAISE, EdgeKind.RERAISED, EdgeKind.LEAVE)]
    if edges:
        (edge,) = [edge for edge in edges if edge.target_instruction == here]
        return edge.lines + skipped(graph, edge)
    assert here == prev + 1
    assert graph.block_of(prev) == graph.block_of(here) or ops[here] in (YIELD_VALUE, SEND)
    return tuple(line for index, line in graph.events if index == here)


def goes_on(code, prev, here):
    """Return whether control may get from *prev* to *here*, which is a handler, without an exception."""
    return here == code.instructions.targets[prev] or (here == prev + 1 and code.instructions.falls_into(here))


def skipped(graph, edge):
    """Return the lines of the edge behind *edge*, if all of the block between them is skipped."""
    block = graph.blocks[edge.target]
    if block.head <= block.last:
        return ()
    (behind,) = [other for other in graph.edges if other.source == edge.target]
    return behind.lines


def enter_handler(graph, step):
    """Return the lines of the events as an exception goes from `step.prev` to its handler."""
    instructions = graph.instructions
    number = instructions.handlers[step.prev]
    if instructions.ops[step.prev] == RESUME and instructions.table[number].target != step.here:
        number = instructions.handlers[step.prev - 1]  # thrown in: from 3.13 on at the RESUME, as if by the yield
    assert instructions.table[number].target == step.here
    entry = graph.entries[number]
    event = () if entry.line is None or step.place in entry.eventless_sources else (entry.line,)
    if instructions.ops[step.prev] in RAISES | MAY_RERAISE:
        (edge,) = [edge for edge in graph.edges if edge.at == step.prev and edge.kind in (EdgeKind.RAISE, EdgeKind.RERAISED)]
        assert edge.source == graph.block_of(step.prev)
        assert edge.target == entry.block
        if not graph.restores_place(step.prev):
            return edge.lines
        assert not edge.lines
    return event


def check_steps(seen):
    """Follow all steps that were *seen* through the graphs; return the kinds of edges that they take."""
    kinds = set()
    for code in seen.codes.values():
        graph = build(code.instructions)
        inlinable = {call for call, _, _ in graph.inlinable_calls}
        for step in code.steps:
            described = [code.instructions.describe(index) for index in (step.prev, step.place, step.here)]
            lines = follow(graph, code, step)
            lost = step.called and step.lines == (code.events.lines[step.here],)
            if lost and (step.prev in inlinable or graph.block_of(step.here) in handler_blocks(graph)):
                continue  # 3.12 lost the line of an inlined call
            assert step.lines == lines, described
            kinds.update(edge.kind for edge in graph.edges if (edge.at, edge.target_instruction) == (step.prev, step.here))
    return kinds


def handler_blocks(graph):
    return {entry.block for entry in graph.entries}


@given(strategies.programs(size=15))
@settings(max_examples=min(40, settings().max_examples))
def test_each_step_of_a_program_is_in_its_graph(program):
    """A program goes along the edges and within the blocks of its graphs, and raises the events of these."""
    seen = Replay()
    strategies.run(program, lambda **_: seen)
    check_steps(seen)


@pytest.mark.slow
def test_the_steps_of_many_programs_take_edges_of_every_kind():
    """Hundreds of larger programs stay within their graphs, and leave out no kind of edge but LEAVE."""
    kinds = set()
    for seed in range(1000, 1400):
        seen = Replay()
        strategies.run(strategies.random_program(seed), lambda **_: seen)
        kinds |= check_steps(seen)
    assert kinds == {EdgeKind.FALL, EdgeKind.JUMP, EdgeKind.GOTO, EdgeKind.ENTER, EdgeKind.RAISE, EdgeKind.RERAISED}


# Shapes that no compiler makes ########################################################################################

PROGRAM = """
def f(x):
    for y in x:
        yield y
        x = call(y)
    return x
async def g(x):
    await x
"""


def changed(name, changes):
    """Return the code *name* of PROGRAM with its units changed: {unit: (opcode, argument)}."""
    code = code_called(name, PROGRAM)
    raw = bytearray(code.co_code)
    for unit, pair in changes.items():
        raw[2 * unit : 2 * unit + 2] = bytes(pair)
    return Instructions(code.replace(co_code=bytes(raw)))


def units_of(name, *wanted):
    """Return the units of the instructions of the code *name* whose opcodes are called one of *wanted*."""
    instructions = Instructions(code_called(name, PROGRAM))
    return [unit for op, unit in zip(instructions.ops, instructions.units) if OPNAMES[op] in wanted]


def test_control_that_runs_off_the_end_is_refused():
    """Code must end in an instruction that does not go on to the next one."""
    instructions = Instructions(code_called("f", PROGRAM))
    with pytest.raises(ValueError, match="runs off the end"):
        build(changed("f", {instructions.units[-1]: (OPCODES["NOP"], 0)}))


def test_a_yield_without_its_resume_is_refused():
    """Control enters again at the RESUME below a yield."""
    (unit,) = units_of("f", "YIELD_VALUE")
    with pytest.raises(ValueError, match="no RESUME behind a yield"):
        build(changed("f", dict.fromkeys(range(unit + 1, unit + 2 + CACHES[OPCODES["RESUME"]]), (OPCODES["NOP"], 0))))


def test_a_jump_to_a_resume_is_refused():
    """Control arrives at a RESUME only from outside."""
    (jump,) = units_of("f", "JUMP_BACKWARD")
    (unit,) = units_of("f", "YIELD_VALUE")
    cache = {jump + 1: (OPCODES["NOP"], 0)} if CACHES[OPCODES["JUMP_BACKWARD"]] else {}
    made = changed("f", {jump: (OPCODES["JUMP_BACKWARD_NO_INTERRUPT"], jump - unit), **cache})
    with pytest.raises(ValueError, match="starts no block"):
        build(made)


def test_an_await_loop_of_another_shape_is_refused():
    """An await loop goes back to its own SEND."""
    (jump,) = units_of("g", "JUMP_BACKWARD_NO_INTERRUPT")[:1]
    with pytest.raises(ValueError, match="await loop of unknown shape"):
        build(changed("g", {jump: (OPCODES["NOP"], 0)}))
    (unit,) = units_of("g", "YIELD_VALUE")
    with pytest.raises(ValueError, match="await loop of unknown shape"):
        build(changed("g", {jump: (OPCODES["JUMP_BACKWARD_NO_INTERRUPT"], jump + 1 - unit)}))


def test_the_drawing_of_a_graph_has_its_blocks_and_edges():
    """The text of a graph is for bug reports."""
    graph = build(Instructions(code_called("f", PROGRAM)))
    drawn = str(graph)
    for number in range(graph.outside):
        assert f"block {number}\n" in drawn
    assert drawn.count("  -> ") == sum(edge.kind != EdgeKind.ENTER for edge in graph.edges)
    assert "-> outside leave" in drawn
