"""Computes maximum spanning trees of weighted graphs, and the cycles that other edges close with them.

Nodes 0 … n - 1 and weighted edges come in. The edges of a spanning forest of greatest weight go out, in an order in
which each edge can be settled at a leaf. This module knows nothing of bytecode.

Kruskal, Proc. AMS 7, 1956, with union-find (Tarjan, J. ACM 22, 1975): sorting dominates, O(E log E).
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


def maximum_spanning_tree(n_nodes: int, edges: Sequence[tuple[int, int]], weights: Sequence[float]) -> list[int]:
    """Return the numbers of the *edges* on a spanning forest of maximum weight; of equal edges the first one wins."""
    parent = list(range(n_nodes))

    def root_of(node: int) -> int:
        while parent[node] != node:
            parent[node] = node = parent[parent[node]]
        return node

    tree = []
    for number in sorted(range(len(edges)), key=weights.__getitem__, reverse=True):
        u, v = edges[number]
        u, v = root_of(u), root_of(v)
        if u != v:
            parent[u] = v
            tree.append(number)
    return tree


def leaves_first(n_nodes: int, edges: Sequence[tuple[int, int]], tree: Sequence[int]) -> list[tuple[int, int]]:
    """Return (edge, leaf) for every edge of *tree*, from the leaves inwards.

    The edge is the last one at its leaf that was not returned before.
    """
    edges_at: list[set[int]] = [set() for _ in range(n_nodes)]
    for number in tree:
        u, v = edges[number]
        edges_at[u].add(number)
        edges_at[v].add(number)
    order = []
    leaves = [node for node in range(n_nodes) if len(edges_at[node]) == 1]
    while leaves:
        leaf = leaves.pop()
        if not edges_at[leaf]:
            continue
        number = edges_at[leaf].pop()
        order.append((number, leaf))
        u, v = edges[number]
        other = v if u == leaf else u
        edges_at[other].discard(number)
        if len(edges_at[other]) == 1:
            leaves.append(other)
    return order


def fundamental_cycles(
    n_nodes: int, edges: Sequence[tuple[int, int]], settling_order: Sequence[tuple[int, int]], longest: int
) -> Iterator[tuple[int, list[tuple[int, int]]]]:
    """Yield (number, cycle) for every edge that is not on the tree: the cycle that this edge closes with the tree.

    A cycle is a list of (edge, 1 or -1), with -1 for the edges that lead the other way round than the first one. The
    tree is given by its *settling_order*, the result of `leaves_first`. Cycles of more than *longest* edges are left
    out, so the time is linear.
    """
    edge_up: list[tuple[int, int]] = [(-1, -1)] * n_nodes  # the edge towards the root, and the node that it leads to
    depth = [0] * n_nodes
    on_tree = set()
    for number, leaf in reversed(settling_order):
        u, v = edges[number]
        parent = v if u == leaf else u
        edge_up[leaf] = number, parent
        depth[leaf] = depth[parent] + 1
        on_tree.add(number)
    for number, (u, v) in enumerate(edges):
        if number in on_tree:
            continue
        cycle = [(number, 1)]
        # Go up from the edge's target and from its source, until the two paths meet.
        while u != v and len(cycle) <= longest:
            if depth[v] >= depth[u]:
                edge, above = edge_up[v]
                cycle.append((edge, 1 if edges[edge][0] == v else -1))
                v = above
            else:
                edge, above = edge_up[u]
                cycle.append((edge, 1 if edges[edge][1] == u else -1))
                u = above
        if u == v:
            yield number, cycle
