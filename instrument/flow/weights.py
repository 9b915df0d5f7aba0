"""Estimates how often control takes each edge, and the cost of a probe there.

A `ControlFlowGraph` comes in; a weight for each edge goes out. The spanning tree of greatest weight then leaves the
rare edges to be counted. The estimates affect only speed, never counts.
"""

from __future__ import annotations

from itertools import accumulate, compress

from instrument.decode.opcodes import SEND, YIELD_VALUE
from instrument.decode.versions import SEND_IS_SHORT
from instrument.flow.exits import OFTEN_RAISES
from instrument.flow.graph import ControlFlowGraph, EdgeKind

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

#: How often a loop turns.
_TURNS = 10.0
#: The share of paths that end in an exception.
_RARE = 0.02
#: The cost of a probe behind a second jump, in probes.
_SECOND_JUMP = 1.5
#: The cost of a probe behind moves of locals, and of one behind moves and before a yield, in a generator.
_BEHIND_MOVES, _BEFORE_YIELD = 0.9, 0.93
#: The cost of another probe before a yield.
_AT_YIELD = 1.05
#: Of equal edges, the earlier one carries the probe: the one into a loop's body, not the one back from it.
_FIRST_IS_BETTER = 1e-9


def edge_weights(graph: ControlFlowGraph) -> list[float]:
    """Return the weight of each edge of *graph*: its estimated frequency times the cost of its cheapest probe.

    The weight is infinite for edges that cannot carry a probe. Such edges close no cycle, because each leads outwards.
    """
    instructions, n_ways_into, behind_moves = graph.instructions, graph.n_ways_into, graph.behind_moves
    ops = instructions.ops
    weights = []
    for number, (edge, frequency) in enumerate(zip(graph.edges, _frequencies(graph))):
        kind = edge.kind
        cost = 1.0
        if kind == EdgeKind.JUMP or (kind == EdgeKind.ENTER and ops[edge.at] == SEND):
            if n_ways_into[edge.target] > 1 and instructions.falls_into(edge.target_instruction):
                cost = float("inf") if SEND_IS_SHORT and kind == EdgeKind.ENTER else _SECOND_JUMP
        elif kind == EdgeKind.RERAISED:
            cost = float("inf")
        elif edge.target_instruction in behind_moves:
            cost = _BEFORE_YIELD if ops[edge.target_instruction] == YIELD_VALUE else _BEHIND_MOVES
        elif kind == EdgeKind.LEAVE and ops[edge.at] == YIELD_VALUE:
            cost = _AT_YIELD
        weights.append((frequency + 1e-6) * cost * (1.0 + _FIRST_IS_BETTER * number))
    return weights


def _frequencies(graph: ControlFlowGraph) -> list[float]:
    """Return the estimated frequency of each edge, for one call of the code.

    The edges are passed once, in the order of their sources in the code. That is a topological order except for jumps
    back. A jump back makes a loop, and multiplies the frequency of the block that it leads to.
    """
    edges, outside, ops = graph.edges, graph.outside, graph.instructions.ops
    ranks = _ranks(graph)
    loops = _loops(graph, ranks)
    shares, sums = _shares(graph, ranks, loops)
    entry_at = {edge.at: number for number, edge in enumerate(edges) if edge.kind == EdgeKind.ENTER}
    turns = [_TURNS if rank in loops else 1.0 for rank in ranks]
    frequencies = [0.0] * len(edges)
    incoming = [0.0] * (outside + 1)
    for entry in graph.entries:
        incoming[entry.block] += _RARE

    def enter(at: int, frequency: float) -> None:
        number = entry_at[at]
        frequencies[number] += frequency
        incoming[edges[number].target] += frequency

    enter(graph.instructions.first, 1.0)
    order: Sequence[int] = range(len(edges))
    if graph.instructions.turns:
        order = sorted(order, key=lambda number: ranks[edges[number].source])
    for number in order:
        edge = edges[number]
        source, target = edge.source, edge.target
        if source == outside:
            continue
        frequencies[number] = frequency = incoming[source] * turns[source] * shares[number] / sums[source]
        if target != outside:
            if ranks[target] > ranks[source]:
                incoming[target] += frequency
        elif ops[edge.at] == YIELD_VALUE:
            enter(edge.at + 1, frequency)
        elif ops[edge.at] == SEND:
            enter(edge.at, frequency)
    return frequencies


def _shares(graph: ControlFlowGraph, ranks: list[int], loops: dict[int, int]) -> tuple[list[float], list[float]]:
    """Return how often each edge is taken in relation to the others out of its block, and the sums for each block.

    *loops* is the result of `_loops`.
    """
    edges, outside = graph.edges, graph.outside
    depths = _loop_depths(loops, ranks)
    rare = {entry.block for entry in graph.entries}
    rare.update([edge.source for edge in edges if edge.kind == EdgeKind.RAISE])
    shares = []
    sums = [0.0] * (outside + 1)
    for number in _blocks_of_likely_exits(graph, depths):
        sums[number] = _RARE
    for edge in edges:
        source, target = edge.source, edge.target
        share = 1.0
        if edge.kind == EdgeKind.RERAISED or target in rare:
            share = _RARE
        elif target != outside and depths[target] < depths[source]:
            share = 1.0 / _TURNS
        shares.append(share)
        sums[source] += share
    return shares, sums


def _blocks_of_likely_exits(graph: ControlFlowGraph, depths: list[int]) -> set[int]:
    """Return the blocks of loops that exceptions often leave for a handler of the same loop.

    *depths* is the result of `_loop_depths`.
    """
    entries, instructions = graph.entries, graph.instructions
    if not entries or not any(depths):
        return set()
    handlers = instructions.handlers
    blocks = set()
    for index in compress(range(len(instructions)), instructions.ops.translate(OFTEN_RAISES)):
        if handlers[index] >= 0:
            number = graph.block_of(index)
            if number >= 0 and depths[number] and depths[entries[handlers[index]].block] >= depths[number]:
                blocks.add(number)
    return blocks


def _loops(graph: ControlFlowGraph, ranks: list[int]) -> dict[int, int]:
    """Return a dict from the rank of each loop's head to the rank of the last block that jumps back to it.

    Several jumps back to one head belong to one loop, whose turns end early by `continue` or by a filter.
    """
    loops: dict[int, int] = {}
    for edge in graph.edges:
        head, last = ranks[edge.target], ranks[edge.source]
        if head <= last and edge.kind in (EdgeKind.GOTO, EdgeKind.JUMP):
            loops[head] = max(loops.get(head, 0), last)
    return loops


def _ranks(graph: ControlFlowGraph) -> list[int]:
    """Return the rank of each node: its place in the order of the code, copies of loops in the order of control."""
    instructions, outside = graph.instructions, graph.outside
    ranks = list(range(outside + 1))
    if instructions.turns:
        order = sorted(range(outside), key=[instructions.ranks[first] for first in graph.firsts].__getitem__)
        for rank, block in enumerate(order):
            ranks[block] = rank
    return ranks


def _loop_depths(loops: dict[int, int], ranks: list[int]) -> list[int]:
    """Return, for each node, the number of *loops* around it. A loop is everything from its head to its last block."""
    if not loops:
        return [0] * len(ranks)
    change = [0] * (len(ranks) + 1)
    for first, last in loops.items():
        change[first] += 1
        change[last + 1] -= 1
    depths = list(accumulate(change))
    return [depths[rank] for rank in ranks]
