"""Where 3.11 says that the instruction above raised.

A `ControlFlowGraph` comes in; instructions go out at which exits are recorded that are those of the next one. In warm
code 3.11 runs pairs of instructions as one, and if the second, a LOAD_FAST, finds no value, the place is that of the
first (ceval.c: LOAD_FAST__LOAD_FAST and the like). So long as the first one cannot raise, that is no riddle; where it
is a LOAD_FAST itself, its variable must be known to have a value, as in definite assignment. Later versions have no
such pairs: their compiler does this analysis, and marks what may be without a value.
"""

from __future__ import annotations

from instrument.flow.graph import ENTER, LEAVE, ControlFlowGraph
from instrument.flow.instructions import LOAD_CONST, OPCODES, YIELD_VALUE

_LOAD_FAST, _STORE_FAST, _DELETE_FAST = OPCODES["LOAD_FAST"], OPCODES["STORE_FAST"], OPCODES["DELETE_FAST"]


def raised_below(graph: ControlFlowGraph) -> dict[int, int]:
    """Return, for instructions that cannot raise and stand above a LOAD_FAST that starts a line, the LOAD_FAST."""
    ops, args = graph.instructions.ops, graph.instructions.args
    starts = [index for index, _ in graph.events if ops[index] == _LOAD_FAST]
    found = {index - 1: index for index in starts if ops[index - 1] in (LOAD_CONST, _STORE_FAST)}
    loads = [index for index in starts if ops[index - 1] == _LOAD_FAST]
    if loads:
        assigned = _assigned(graph)
        for index in loads:
            block = graph.block_of(index)
            values = assigned[block]
            for above in range(graph.blocks[block].first, index - 1):
                values = _after(values, ops[above], args[above])
            if values >> args[index - 1] & 1:
                found[index - 1] = index
    return found


def _after(values: int, op: int, variable: int) -> int:
    """Return which variables have a value, as bits, behind an instruction that did not raise."""
    if op in (_LOAD_FAST, _STORE_FAST):
        return values | 1 << variable
    return values & ~(1 << variable) if op == _DELETE_FAST else values


def _assigned(graph: ControlFlowGraph) -> list[int]:
    """Return which variables certainly have a value where each block begins, as bits."""
    instructions = graph.instructions
    ops, args = instructions.ops, instructions.args
    code = instructions.code
    n_arguments = code.co_argcount + code.co_kwonlyargcount + bool(code.co_flags & 4) + bool(code.co_flags & 8)
    assigned = [(1 << code.co_nlocals) - 1] * (graph.outside + 1)
    ways, raising, start = _ways(graph)
    assigned[start] = (1 << n_arguments) - 1
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
