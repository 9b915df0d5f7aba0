"""Finds instructions that 3.11 must not run together with the instruction above them.

A `ControlFlowGraph` comes in; the indices of such instructions go out. In warm code 3.11 runs some pairs of
instructions as one (versions.PAIRS_MISATTRIBUTE_RAISES). If the second is a LOAD_FAST without a value, the exception is
attributed to the first. Its line is in the traceback, and its place in the record of the exit. Code gets warm by
jumping back, which unrolled loops do less often, so rewriting would change the traceback. A NOP between the two
prevents the pair.

A LOAD_FAST whose variable certainly has a value cannot raise and may stay in its pair. Definite assignment analysis
finds these variables.
"""

from __future__ import annotations

from _bisect import bisect_right
from itertools import compress, pairwise

from instrument.decode.opcodes import DELETE_FAST, LOAD_CONST, LOAD_FAST, STORE_FAST, YIELD_VALUE, flags_of
from instrument.flow.graph import ControlFlowGraph, EdgeKind

TYPE_CHECKING = False
if TYPE_CHECKING:
    #: By block, in order: (instruction, variable as a set, whether the instruction deletes the variable).
    _Changes = dict[int, list[tuple[int, int, bool]]]

_FIRST_OF_PAIR = frozenset((LOAD_CONST, LOAD_FAST, STORE_FAST))
_IS_LOAD = flags_of((LOAD_FAST,))
_IS_DELETE = flags_of((DELETE_FAST,))
_CHANGES_VARIABLE = flags_of((LOAD_FAST, STORE_FAST, DELETE_FAST))
_CO_VARARGS, _CO_VARKEYWORDS = 4, 8

# A set of local variables is an int: bit n stands for the variable number n.


def loads_to_separate(graph: ControlFlowGraph) -> frozenset[int]:
    """Return each LOAD_FAST that may find no value, and that may run as one with the instruction above it."""
    instructions = graph.instructions
    ops, args, steps = instructions.ops, instructions.args, instructions.steps
    # Arguments that are never deleted have a value everywhere. The analysis is for the other loads only.
    n_arguments = _n_arguments(graph)
    deleted = {args[index] for index in compress(range(len(ops)), ops.translate(_IS_DELETE))}
    loads = set()
    for index in compress(range(len(ops)), ops.translate(_IS_LOAD)):
        if args[index] >= n_arguments or args[index] in deleted:
            above = index - 1
            while above > 0 and above in steps:
                above -= 1
            if ops[above] in _FIRST_OF_PAIR:
                loads.add(index)
    if not loads:
        return frozenset()
    changes = _changes_of_variables(graph, {args[index] for index in loads})
    # The analysis of all blocks is for loads whose variable gets no value above them in their block.
    unclear = _may_find_no_value(graph, loads, changes, [0] * graph.outside)
    return frozenset(
        _may_find_no_value(graph, unclear, changes, _assigned_variables(graph, changes)) if unclear else ()
    )


def _changes_of_variables(graph: ControlFlowGraph, variables: set[int]) -> _Changes:
    """Return the instructions of each block that give one of *variables* a value, or take it.

    A variable has a value behind a load of it that did not raise.
    """
    ops, args, firsts = graph.instructions.ops, graph.instructions.args, graph.firsts
    changes: _Changes = {}
    for index in compress(range(len(ops)), ops.translate(_CHANGES_VARIABLE)):
        if args[index] in variables:
            change = index, 1 << args[index], ops[index] == DELETE_FAST
            changes.setdefault(bisect_right(firsts, index) - 1, []).append(change)
    return changes


def _may_find_no_value(graph: ControlFlowGraph, loads: set[int], changes: _Changes, assigned: list[int]) -> set[int]:
    """Return those of *loads* that may find no value, if the variables *assigned* have a value as each block begins."""
    unbound = set()
    for number in {bisect_right(graph.firsts, index) - 1 for index in loads}:
        variables = assigned[number]
        for index, bit, is_delete in changes[number]:
            if index in loads and not variables & bit:
                unbound.add(index)
            variables = variables & ~bit if is_delete else variables | bit
    return unbound


def _n_arguments(graph: ControlFlowGraph) -> int:
    code = graph.instructions.code
    n_packed = bool(code.co_flags & _CO_VARARGS) + bool(code.co_flags & _CO_VARKEYWORDS)
    return code.co_argcount + code.co_kwonlyargcount + n_packed


def _assigned_variables(graph: ControlFlowGraph, changes: _Changes) -> list[int]:
    """Return, for each block, the variables that certainly have a value when it begins.

    The result says nothing about variables that *changes* does not have.
    """
    successors, handlers, start = _successors(graph)
    effects = {number: _effect_of_block(in_block) for number, in_block in changes.items()}
    assigned = [(1 << graph.instructions.code.co_nlocals) - 1] * (graph.outside + 1)
    assigned[start] = (1 << _n_arguments(graph)) - 1
    pending = {start}
    visited = {graph.outside}
    while pending:
        number = pending.pop()
        visited.add(number)
        gained, lost, deleted = effects.get(number, (0, 0, 0))
        at_end, throughout = assigned[number] & ~lost | gained, assigned[number] & ~deleted
        for targets, variables in ((successors[number], at_end), (handlers[number], throughout)):
            for target in targets:
                if assigned[target] & ~variables or target not in visited:
                    assigned[target] &= variables
                    if target != graph.outside:
                        pending.add(target)
    return assigned


def _effect_of_block(changes: list[tuple[int, int, bool]]) -> tuple[int, int, int]:
    """Return three sets of variables: with a value at the end of a block, without one, and deleted anywhere in it."""
    gained = lost = deleted = 0
    for _, bit, is_delete in changes:
        if is_delete:
            gained, lost, deleted = gained & ~bit, lost | bit, deleted | bit
        else:
            gained, lost = gained | bit, lost & ~bit
    return gained, lost, deleted


def _successors(graph: ControlFlowGraph) -> tuple[list[set[int]], list[set[int]], int]:
    """Return, for each block, the blocks that follow it and the handlers of its exceptions; and the first block.

    A block that yields is followed by the block at which the frame is resumed. An exception that is thrown into a
    generator is raised in no block, but behind the block that has left.
    """
    ops, handlers = graph.instructions.ops, graph.instructions.handlers
    successors: list[set[int]] = [set() for _ in graph.blocks]
    entered_at = {edge.at: edge.target for edge in graph.edges if edge.kind == EdgeKind.ENTER}
    for edge in graph.edges:
        if edge.kind == EdgeKind.LEAVE:
            successors[edge.source].add(entered_at.get(edge.at + (ops[edge.at] == YIELD_VALUE), graph.outside))
        elif edge.kind != EdgeKind.ENTER:
            successors[edge.source].add(edge.target)
    handler_blocks = [
        {graph.entries[handler].block for handler in set(handlers[first:stop]) if handler >= 0}
        for first, stop in pairwise([0, *graph.firsts[1:], len(ops)])
    ]
    return successors, handler_blocks, entered_at[graph.instructions.first]
