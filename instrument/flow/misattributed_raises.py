"""Where 3.11 would say that the instruction above raised.

A `ControlFlowGraph` comes in; the instructions go out that must not stand right behind the one above. In warm code 3.11
runs pairs of instructions as one. If the second is a LOAD_FAST that finds no value, the place of the exception is that
of the first (ceval.c: LOAD_FAST_LOAD_FAST and the like), and so are its line in tracebacks and its record here. When
code gets warm depends on how often it jumps back, which unrolled loops do less often: so such pairs are kept apart.
Variables that certainly have a value, as in definite assignment, are left alone. Later versions have no such pairs:
their compiler does this analysis, and marks what may be without a value.
"""

from __future__ import annotations

from _bisect import bisect_right

from instrument.decode.opcodes import DELETE_FAST, LOAD_CONST, LOAD_FAST, STORE_FAST, YIELD_VALUE
from instrument.decode.unrolling import takes_no_space
from instrument.flow.graph import ENTER, LEAVE, ControlFlowGraph

_FIRST_OF_PAIR = frozenset((LOAD_CONST, LOAD_FAST, STORE_FAST))


def must_be_told_apart(graph: ControlFlowGraph) -> frozenset[int]:
    """Return each LOAD_FAST that may find no value, and that the interpreter may run as one with what stands above."""
    instructions = graph.instructions
    ops, args = instructions.ops, instructions.args
    pairs = set()
    for index in [index for index, op in enumerate(ops) if op == LOAD_FAST]:
        above = index - 1
        while above > 0 and takes_no_space(instructions, above):
            above -= 1
        if ops[above] in _FIRST_OF_PAIR:
            pairs.add(index)
    if not pairs:
        return frozenset()
    deleted = 0
    for index, op in enumerate(ops):
        if op == DELETE_FAST:
            deleted |= 1 << args[index]
    kept = ((1 << _n_arguments(graph)) - 1) & ~deleted
    waiting = _without_value(graph, pairs, [kept] * graph.outside)
    # What a block needs to know of others is asked only if it needs to know anything.
    return frozenset(_without_value(graph, waiting, _assigned(graph)) if waiting else ())


def _without_value(graph: ControlFlowGraph, loads: set[int], assigned: list[int]) -> set[int]:
    """Return those of *loads* that may find no value if *assigned* variables have one where each block begins."""
    ops, args = graph.instructions.ops, graph.instructions.args
    found = set()
    blocks = sorted({bisect_right(graph.firsts, index) - 1 for index in loads})
    for number in blocks:
        values = assigned[number]
        for index in range(graph.blocks[number].first, graph.blocks[number].last + 1):
            if index in loads and not values >> args[index] & 1:
                found.add(index)
            values = _after(values, ops[index], args[index])
    return found


def _n_arguments(graph: ControlFlowGraph) -> int:
    code = graph.instructions.code
    return code.co_argcount + code.co_kwonlyargcount + bool(code.co_flags & 4) + bool(code.co_flags & 8)


def _after(values: int, op: int, variable: int) -> int:
    """Return which variables have a value, as bits, behind an instruction that did not raise."""
    if op in (LOAD_FAST, STORE_FAST):
        return values | 1 << variable
    return values & ~(1 << variable) if op == DELETE_FAST else values


def _assigned(graph: ControlFlowGraph) -> list[int]:
    """Return which variables certainly have a value where each block begins, as bits."""
    instructions = graph.instructions
    ops, args = instructions.ops, instructions.args
    assigned = [(1 << instructions.code.co_nlocals) - 1] * (graph.outside + 1)
    ways, raising, start = _ways(graph)
    assigned[start] = (1 << _n_arguments(graph)) - 1
    waiting = {start}
    seen = {graph.outside}
    while waiting:
        number = waiting.pop()
        seen.add(number)
        values = always = assigned[number]
        for index in range(graph.blocks[number].first, graph.blocks[number].last + 1):
            values = _after(values, ops[index], args[index])
            always &= values | ~assigned[number]
        for targets, left in ((ways[number], values), (raising[number], always)):
            for target in targets:
                if assigned[target] & ~left or target not in seen:
                    assigned[target] &= left
                    if target != graph.outside:
                        waiting.add(target)
    return assigned


def _ways(graph: ControlFlowGraph) -> tuple[list[set[int]], list[set[int]], int]:
    """Return, for each block, those that go on with what it leaves behind, those that may go on with what there is at
    any point of it, and the first block.
    """
    ops, handlers = graph.instructions.ops, graph.instructions.handlers
    ways: list[set[int]] = [set() for _ in graph.blocks]
    raising: list[set[int]] = [set() for _ in graph.blocks]
    entering = {edge.at: edge.target for edge in graph.edges if edge.kind == ENTER}
    waiting_at: dict[int, int] = {}
    for edge in graph.edges:
        if edge.kind == LEAVE:
            ways[edge.source].add(entering.get(edge.at + (ops[edge.at] == YIELD_VALUE), graph.outside))
            waiting_at[edge.at] = edge.source
        elif edge.kind != ENTER:
            ways[edge.source].add(edge.target)
    number = 0
    for index, handler in enumerate(handlers):
        # What is thrown into a generator is raised outside of the blocks, behind the one that has left.
        number = waiting_at[index] if index in waiting_at else max(graph.block_of(index), number)
        if handler >= 0:
            raising[number].add(graph.entries[handler].block)
    return ways, raising, entering[graph.instructions.first]
