"""Estimates how often control takes each edge, and the cost of a probe there.

A `ControlFlowGraph` and the cheapest probe for each edge come in; a weight for each edge goes out. The spanning tree of
greatest weight then leaves the rare edges to be counted. The estimates affect only speed, never counts.
"""

from __future__ import annotations

from instrument.decode.opcodes import SEND, YIELD_VALUE
from instrument.decode.versions import SEND_IS_SHORT
from instrument.flow.graph import ControlFlowGraph, Edge, EdgeKind
from instrument.flow.plan import Probe, ProbePosition

#: How often a loop turns.
_TURNS = 10.0
#: The share of paths that end in an exception.
_RARE = 0.02
#: The cost of a probe behind a second jump, in probes.
_SECOND_JUMP = 1.5
#: Of equal edges, the earlier one carries the probe: the one into a loop's body, not the one back from it.
_FIRST_IS_BETTER = 1e-9


def edge_weights(graph: ControlFlowGraph, probes: list[Probe]) -> list[float]:
    """Return the weight of each edge of *graph*: its estimated frequency times the cost of its probe in *probes*.

    It is infinite for edges that cannot carry a probe. No set of those closes a cycle, because each leads outwards.
    """
    instructions = graph.instructions
    frequencies = _Frequencies(graph).estimate()
    weights = []
    for number, edge in enumerate(graph.edges):
        is_taken = probes[number].position == ProbePosition.TAKEN
        has_second_jump = is_taken and instructions.falls_into(edge.target_instruction)
        is_short_send = SEND_IS_SHORT and has_second_jump and instructions.ops[edge.at] == SEND
        if edge.kind == EdgeKind.RERAISED or is_short_send:
            weights.append(float("inf"))
            continue
        cost = _SECOND_JUMP if has_second_jump else 1.0
        weights.append((frequencies[number] + 1e-6) * cost * (1.0 + _FIRST_IS_BETTER * number))
    return weights


class _Frequencies:
    """The estimated frequencies of the edges of *graph*, for one call of the code.

    `estimate` passes the blocks once in the order of the code. That is a topological order except for jumps back; those
    are loops, and multiply the frequency of the block that they lead to.
    """

    def __init__(self, graph: ControlFlowGraph) -> None:
        self.graph = graph
        n_nodes = graph.outside + 1
        self.ranks = _ranks(graph)
        self.depths = _loop_depths(graph, self.ranks)
        self.loop_heads = {edge.target for edge in graph.edges if _is_jump_back(edge, self.ranks)}
        self.is_rare = [False] * n_nodes
        self.incoming = [0.0] * n_nodes
        self.edges_out_of: list[list[int]] = [[] for _ in range(n_nodes)]
        self.entry_at: dict[int, int] = {}  # by RESUME or SEND: the edge that enters there
        self.frequencies = [0.0] * len(graph.edges)
        for number, edge in enumerate(graph.edges):
            if edge.kind == EdgeKind.ENTER:
                self.entry_at[edge.at] = number
            else:
                self.edges_out_of[edge.source].append(number)
            if edge.kind == EdgeKind.RAISE:
                self.is_rare[edge.source] = True
        for entry in graph.entries:
            self.is_rare[entry.block] = True
            self.incoming[entry.block] += _RARE

    def estimate(self) -> list[float]:
        """Return the estimated frequency of each edge."""
        graph = self.graph
        self._enter(graph.instructions.first, 1.0)
        for block in sorted(range(graph.outside), key=self.ranks.__getitem__):
            arriving = self.incoming[block] * (_TURNS if block in self.loop_heads else 1.0)
            shares = [self._share(graph.edges[number]) for number in self.edges_out_of[block]]
            for number, share in zip(self.edges_out_of[block], shares):
                self._take(number, arriving * share / sum(shares))
        return self.frequencies

    def _enter(self, at: int, frequency: float) -> None:
        """Let control enter at the RESUME or SEND *at*."""
        number = self.entry_at[at]
        self.frequencies[number] += frequency
        self.incoming[self.graph.edges[number].target] += frequency

    def _take(self, number: int, frequency: float) -> None:
        """Let control take the edge *number*, and enter again if it suspends the frame."""
        graph, ranks = self.graph, self.ranks
        edge = graph.edges[number]
        op = graph.instructions.ops[edge.at]
        self.frequencies[number] = frequency
        if ranks[edge.source] < ranks[edge.target] < graph.outside:
            self.incoming[edge.target] += frequency
        elif op == YIELD_VALUE:
            self._enter(edge.at + 1, frequency)
        elif op == SEND:
            self._enter(edge.at, frequency)

    def _share(self, edge: Edge) -> float:
        """Return how often *edge* is taken in relation to the other edges out of its block."""
        if edge.kind == EdgeKind.RERAISED:
            return _RARE
        if edge.target == self.graph.outside:
            return 1.0
        if self.is_rare[edge.target]:
            return _RARE
        return 1.0 / _TURNS if self.depths[edge.target] < self.depths[edge.source] else 1.0


def _is_jump_back(edge: Edge, ranks: list[int]) -> bool:
    return ranks[edge.target] <= ranks[edge.source] and edge.kind in (EdgeKind.GOTO, EdgeKind.JUMP)


def _ranks(graph: ControlFlowGraph) -> list[int]:
    """Return the rank of each node: its place in the order of the code, copies of loops in the order of control."""
    ranks = graph.instructions.ranks
    order = sorted(range(graph.outside), key=lambda block: ranks[graph.firsts[block]])
    rank_of = [0] * graph.outside + [graph.outside]
    for rank, block in enumerate(order):
        rank_of[block] = rank
    return rank_of


def _loop_depths(graph: ControlFlowGraph, ranks: list[int]) -> list[int]:
    """Return for each node how many loops it is in.

    A loop is everything from its head to the last jump back to this head. Several jumps back to one head belong to one
    loop, whose turns end early by `continue` or by a filter.
    """
    last_of: dict[int, int] = {}  # by rank of the head: rank of the last block
    for edge in graph.edges:
        if _is_jump_back(edge, ranks):
            head = ranks[edge.target]
            last_of[head] = max(last_of.get(head, 0), ranks[edge.source])
    change = [0] * (graph.outside + 2)
    for first, last in last_of.items():
        change[first] += 1
        change[last + 1] -= 1
    depths, depth = [], 0
    for step in change:
        depth += step
        depths.append(depth)
    return [depths[rank] for rank in ranks]
