"""Maximum spanning tree of a weighted graph.

Nodes 0 … n - 1 and weighted edges come in; the edges of a spanning forest of greatest weight go out, in an order in
which each can be settled from its leaf. Knows nothing of bytecode.

Kruskal, Proc. AMS 7, 1956, with union-find (Tarjan, J. ACM 22, 1975): sorting dominates, O(E log E).
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


def maximum_spanning_tree(n_nodes: int, edges: Sequence[tuple[int, int]], weights: Sequence[float]) -> list[int]:
    """Return the numbers of the *edges* on a spanning forest of maximum weight; of equals, the first in order wins."""
    leader = list(range(n_nodes))

    def find(node: int) -> int:
        while leader[node] != node:
            leader[node] = node = leader[leader[node]]
        return node

    tree = []
    for number in sorted(range(len(edges)), key=weights.__getitem__, reverse=True):
        u, v = edges[number]
        u, v = find(u), find(v)
        if u != v:
            leader[u] = v
            tree.append(number)
    return tree


def leaves_first(n_nodes: int, edges: Sequence[tuple[int, int]], tree: Sequence[int]) -> list[tuple[int, int]]:
    """Return (edge, leaf) for every edge of *tree*, so that each edge is the last one left at its leaf when its turn
    comes.
    """
    at: list[set[int]] = [set() for _ in range(n_nodes)]
    for number in tree:
        u, v = edges[number]
        at[u].add(number)
        at[v].add(number)
    order = []
    leaves = [node for node in range(n_nodes) if len(at[node]) == 1]
    while leaves:
        leaf = leaves.pop()
        if not at[leaf]:
            continue
        number = at[leaf].pop()
        order.append((number, leaf))
        u, v = edges[number]
        other = v if u == leaf else u
        at[other].discard(number)
        if len(at[other]) == 1:
            leaves.append(other)
    return order


def fundamental_cycles(
    n_nodes: int, edges: Sequence[tuple[int, int]], settling_order: Sequence[tuple[int, int]], longest: int
) -> Iterator[tuple[int, list[tuple[int, int]]]]:
    """Yield, for every edge that is not on the tree of *settling_order*, its number and the cycle that it closes with
    the tree.

    A cycle is (edge, 1 or -1) for each of its edges: 1 for those that lead the same way round as that edge.
    *settling_order* are
    those of `leaves_first`. Cycles of more than *longest* edges are left out, so this is linear.
    """
    up: list[tuple[int, int]] = [(-1, -1)] * n_nodes  # the edge towards the root, and the node that it leads to
    depth = [0] * n_nodes
    on_tree = set()
    for number, leaf in reversed(settling_order):
        u, v = edges[number]
        parent = v if u == leaf else u
        up[leaf] = number, parent
        depth[leaf] = depth[parent] + 1
        on_tree.add(number)
    for number, (u, v) in enumerate(edges):
        if number in on_tree:
            continue
        cycle = [(number, 1)]
        # Onwards from the edge's target, and back from its source, until the two ways meet.
        while u != v and len(cycle) <= longest:
            if depth[v] >= depth[u]:
                edge, above = up[v]
                cycle.append((edge, 1 if edges[edge][0] == v else -1))
                v = above
            else:
                edge, above = up[u]
                cycle.append((edge, 1 if edges[edge][1] == u else -1))
                u = above
        if u == v:
            yield number, cycle
