"""Finds instructions that 3.11 must not run together with the instruction above them.

A `ControlFlowGraph` comes in; the indices of such instructions go out. In warm code 3.11 runs some pairs of
instructions as one (versions.PAIRS_MISATTRIBUTE_RAISES). If the second is a LOAD_FAST without a value, the exception is
attributed to the first. Its line is in the traceback, and its place in the record of the exit. Code gets warm by
jumping back, which unrolled loops do less often, so rewriting would change the traceback. A NOP between the two
prevents the pair.

A LOAD_FAST whose variable certainly has a value cannot raise and may stay in its pair. Definite assignment analysis
tells which those are.
"""

from __future__ import annotations

from _bisect import bisect_right

from instrument.decode.opcodes import DELETE_FAST, LOAD_CONST, LOAD_FAST, STORE_FAST, YIELD_VALUE
from instrument.flow.graph import ControlFlowGraph, EdgeKind

_FIRST_OF_PAIR = frozenset((LOAD_CONST, LOAD_FAST, STORE_FAST))
_CO_VARARGS, _CO_VARKEYWORDS = 4, 8

# A set of local variables is an int: bit n stands for the variable number n.


def loads_to_separate(graph: ControlFlowGraph) -> frozenset[int]:
    """Return each LOAD_FAST that may find no value, and that may run as one with the instruction above it."""
    instructions = graph.instructions
    ops, args = instructions.ops, instructions.args
    loads = set()
    for index in [index for index, op in enumerate(ops) if op == LOAD_FAST]:
        above = index - 1
        while above > 0 and above in instructions.steps:
            above -= 1
        if ops[above] in _FIRST_OF_PAIR:
            loads.add(index)
    if not loads:
        return frozenset()
    deleted = 0
    for index, op in enumerate(ops):
        if op == DELETE_FAST:
            deleted |= 1 << args[index]
    # Arguments that are never deleted have a value everywhere. The analysis of all blocks is for the other loads only.
    arguments = ((1 << _n_arguments(graph)) - 1) & ~deleted
    unclear = _may_find_no_value(graph, loads, [arguments] * graph.outside)
    return frozenset(_may_find_no_value(graph, unclear, _assigned_variables(graph)) if unclear else ())


def _may_find_no_value(graph: ControlFlowGraph, loads: set[int], assigned: list[int]) -> set[int]:
    """Return those of *loads* that may find no value, if the variables *assigned* have a value as each block begins."""
    ops, args = graph.instructions.ops, graph.instructions.args
    unbound = set()
    blocks = sorted({bisect_right(graph.firsts, index) - 1 for index in loads})
    for number in blocks:
        variables = assigned[number]
        for index in range(graph.blocks[number].first, graph.blocks[number].last + 1):
            if index in loads and not variables >> args[index] & 1:
                unbound.add(index)
            variables = _assigned_after(variables, ops[index], args[index])
    return unbound


def _n_arguments(graph: ControlFlowGraph) -> int:
    code = graph.instructions.code
    n_packed = bool(code.co_flags & _CO_VARARGS) + bool(code.co_flags & _CO_VARKEYWORDS)
    return code.co_argcount + code.co_kwonlyargcount + n_packed


def _assigned_after(variables: int, op: int, variable: int) -> int:
    """Return the variables that have a value after an instruction, if *variables* had one before and it did not
    raise.
    """
    if op in (LOAD_FAST, STORE_FAST):
        return variables | 1 << variable
    return variables & ~(1 << variable) if op == DELETE_FAST else variables


def _assigned_variables(graph: ControlFlowGraph) -> list[int]:
    """Return the variables that certainly have a value as each block begins."""
    instructions = graph.instructions
    ops, args = instructions.ops, instructions.args
    assigned = [(1 << instructions.code.co_nlocals) - 1] * (graph.outside + 1)
    successors, handlers, start = _successors(graph)
    assigned[start] = (1 << _n_arguments(graph)) - 1
    pending = {start}
    visited = {graph.outside}
    while pending:
        number = pending.pop()
        visited.add(number)
        at_end = throughout = assigned[number]
        for index in range(graph.blocks[number].first, graph.blocks[number].last + 1):
            at_end = _assigned_after(at_end, ops[index], args[index])
            throughout &= at_end | ~assigned[number]
        for targets, variables in ((successors[number], at_end), (handlers[number], throughout)):
            for target in targets:
                if assigned[target] & ~variables or target not in visited:
                    assigned[target] &= variables
                    if target != graph.outside:
                        pending.add(target)
    return assigned


def _successors(graph: ControlFlowGraph) -> tuple[list[set[int]], list[set[int]], int]:
    """Return, for each block, the blocks that follow it and the handlers of its exceptions; and the first block.

    A block that yields is followed by the block at which the frame is resumed.
    """
    ops, handlers = graph.instructions.ops, graph.instructions.handlers
    successors: list[set[int]] = [set() for _ in graph.blocks]
    handler_blocks: list[set[int]] = [set() for _ in graph.blocks]
    entered_at = {edge.at: edge.target for edge in graph.edges if edge.kind == EdgeKind.ENTER}
    suspended_at: dict[int, int] = {}  # by instruction: the block that leaves there
    for edge in graph.edges:
        if edge.kind == EdgeKind.LEAVE:
            successors[edge.source].add(entered_at.get(edge.at + (ops[edge.at] == YIELD_VALUE), graph.outside))
            suspended_at[edge.at] = edge.source
        elif edge.kind != EdgeKind.ENTER:
            successors[edge.source].add(edge.target)
    number = 0
    for index, handler in enumerate(handlers):
        # An exception that is thrown into a generator is raised in no block, but behind the block that has left.
        number = suspended_at[index] if index in suspended_at else max(graph.block_of(index), number)
        if handler >= 0:
            handler_blocks[number].add(graph.entries[handler].block)
    return successors, handler_blocks, entered_at[graph.instructions.first]
