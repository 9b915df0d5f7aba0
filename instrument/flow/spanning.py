"""Computes maximum spanning trees of weighted graphs, and the cycles that other edges close with them.

Nodes 0 … n - 1 and weighted edges come in. The edges of a spanning forest of greatest weight go out, in an order in
which each edge can be settled at a leaf. This module knows nothing of bytecode.

Kruskal, Proc. AMS 7, 1956, with union-find (Tarjan, J. ACM 22, 1975): sorting dominates, O(E log E).
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


def maximum_spanning_tree(n_nodes: int, edges: Sequence[tuple[int, int]], weights: Sequence[float]) -> list[int]:
    """Return the numbers of the *edges* on a spanning forest of maximum weight; of equal edges the first one wins."""
    parent = list(range(n_nodes))
    tree = []
    for number in sorted(range(len(edges)), key=weights.__getitem__, reverse=True):
        u, v = edges[number]
        while parent[u] != u:
            parent[u] = u = parent[parent[u]]
        while parent[v] != v:
            parent[v] = v = parent[parent[v]]
        if u != v:
            parent[u] = v
            tree.append(number)
            if len(tree) == n_nodes - 1:
                break
    return tree


def leaves_first(n_nodes: int, edges: Sequence[tuple[int, int]], tree: Sequence[int]) -> list[tuple[int, int]]:
    """Return (edge, leaf) for every edge of *tree*, from the leaves inwards.

    The edge is the last one at its leaf that was not returned before.
    """
    n_edges_at = [0] * n_nodes
    # For each node the exclusive or of its edges that were not returned yet. At a leaf it is the only one that remains.
    edges_at = [0] * n_nodes
    for number in tree:
        u, v = edges[number]
        n_edges_at[u] += 1
        n_edges_at[v] += 1
        edges_at[u] ^= number
        edges_at[v] ^= number
    order = []
    leaves = [node for node, n_edges in enumerate(n_edges_at) if n_edges == 1]
    while leaves:
        leaf = leaves.pop()
        if not n_edges_at[leaf]:
            continue
        number = edges_at[leaf]
        order.append((number, leaf))
        u, v = edges[number]
        other = v if u == leaf else u
        n_edges_at[leaf] = 0
        n_edges_at[other] -= 1
        edges_at[other] ^= number
        if n_edges_at[other] == 1:
            leaves.append(other)
    return order


def fundamental_cycles(
    n_nodes: int, edges: Sequence[tuple[int, int]], settling_order: Sequence[tuple[int, int]], longest: int
) -> dict[int, list[int]]:
    """Return for every edge that is not on the tree the cycle that this edge closes with the tree.

    A cycle is a list of edges, the first of which is the edge off the tree. An edge that leads the other way round than
    the first one stands there as ~edge. The tree is given by its *settling_order*, the result of `leaves_first`. Cycles
    that pass more than *longest* edges of the tree are left out, so the time is linear.
    """
    parent = [-1] * n_nodes
    edge_up = [-1] * n_nodes  # the edge towards the root: ~edge if it leads down from there
    depth = [0] * n_nodes
    off_tree = dict.fromkeys(range(len(edges)))
    for number, leaf in reversed(settling_order):
        u, v = edges[number]
        above, edge_up[leaf] = (v, number) if u == leaf else (u, ~number)
        parent[leaf] = above
        depth[leaf] = depth[above] + 1
        del off_tree[number]
    cycles = {}
    for number in off_tree:
        u, v = edges[number]
        cycle = [number]
        # Go up from the edge's target and from its source, until the two paths meet.
        while u != v and len(cycle) <= longest:
            if depth[v] >= depth[u]:
                cycle.append(edge_up[v])
                v = parent[v]
            else:
                cycle.append(~edge_up[u])
                u = parent[u]
        if u == v:
            cycles[number] = cycle
    return cycles
