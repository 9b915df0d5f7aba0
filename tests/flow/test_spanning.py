"""The spanning tree of any multigraph has the greatest weight, and can be settled leaf by leaf."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from instrument.flow.spanning import fundamental_cycles, leaves_first, maximum_spanning_tree


@st.composite
def multigraphs(draw):
    """Draw (number of nodes, edges, weights); loops and parallel edges may occur, and equal weights do."""
    n_nodes = draw(st.integers(1, 12))
    node = st.integers(0, n_nodes - 1)
    edges = draw(st.lists(st.tuples(node, node), max_size=30))
    weight = st.integers(0, 5) | st.just(float("inf")) | st.floats(0, 100)
    weights = draw(st.lists(weight, min_size=len(edges), max_size=len(edges)))
    return n_nodes, edges, weights


def components(n_nodes, edges):
    """Return the set of the components of a graph, each a frozenset of nodes."""
    parts = {node: frozenset([node]) for node in range(n_nodes)}
    for u, v in edges:
        joined = parts[u] | parts[v]
        for node in joined:
            parts[node] = joined
    return set(parts.values())


@given(multigraphs())
def test_the_tree_spans_the_graph_without_a_cycle(graph):
    """A forest of n - components edges has the same components as the graph, so it has no cycle."""
    n_nodes, edges, weights = graph
    tree = maximum_spanning_tree(n_nodes, edges, weights)
    chosen = [edges[number] for number in tree]
    assert len(set(tree)) == len(tree) == n_nodes - len(components(n_nodes, edges))
    assert components(n_nodes, chosen) == components(n_nodes, edges)


@given(multigraphs(), st.randoms(use_true_random=False))
def test_no_spanning_tree_is_heavier(graph, generator):
    """A spanning tree that is grown in any other order of the edges does not weigh more."""
    n_nodes, edges, weights = graph
    chosen = sorted((weights[number] for number in maximum_spanning_tree(n_nodes, edges, weights)), reverse=True)
    for _ in range(5):
        order = generator.sample(range(len(edges)), len(edges))
        other, parts = [], len(components(n_nodes, []))
        for number in order:
            fewer = len(components(n_nodes, [edges[taken] for taken in [*other, number]]))
            if fewer < parts:
                other.append(number)
                parts = fewer
        # Stronger than the sum: the k-th heaviest edge of a maximum tree is no lighter than that of any other.
        for ours, theirs in zip(chosen, sorted((weights[number] for number in other), reverse=True), strict=True):
            assert ours >= theirs


@given(st.integers(2, 12), st.data())
def test_of_equal_edges_the_first_is_on_the_tree(n_nodes, data):
    """This holds for parallel edges of one weight."""
    node = st.integers(0, n_nodes - 1)
    edges = data.draw(st.lists(st.tuples(node, node), max_size=30))
    tree = maximum_spanning_tree(n_nodes, edges, [1.0] * len(edges))
    for number in tree:
        assert set(edges[number]) not in [set(edge) for edge in edges[:number]]


@given(multigraphs())
def test_every_edge_is_settled_at_a_leaf(graph):
    """Each tree edge comes once, and then it is the last remaining tree edge at its leaf."""
    n_nodes, edges, weights = graph
    tree = maximum_spanning_tree(n_nodes, edges, weights)
    remaining = set(tree)
    for number, leaf in leaves_first(n_nodes, edges, tree):
        assert leaf in edges[number]
        assert [other for other in remaining if leaf in edges[other]] == [number]
        remaining.remove(number)
    assert not remaining


@given(multigraphs())
def test_each_edge_off_the_tree_closes_a_cycle_with_it(graph):
    """The edge comes first, then tree edges, each once; ~edge is passed against its direction, so all flows cancel out."""
    n_nodes, edges, weights = graph
    tree = maximum_spanning_tree(n_nodes, edges, weights)
    cycles = fundamental_cycles(n_nodes, edges, leaves_first(n_nodes, edges, tree), longest=n_nodes)
    assert list(cycles) == sorted(set(range(len(edges))).difference(tree))
    for number, cycle in cycles.items():
        assert cycle[0] == number
        passed = [edge if edge >= 0 else ~edge for edge in cycle]
        assert len(set(passed)) == len(passed)
        assert set(tree).issuperset(passed[1:])
        flow = [0] * n_nodes
        for edge, (u, v) in ((edge, edges[edge if edge >= 0 else ~edge]) for edge in cycle):
            flow[u] -= 1 if edge >= 0 else -1
            flow[v] += 1 if edge >= 0 else -1
        assert not any(flow)


def test_longer_cycles_are_left_out():
    """A cycle with three edges of the tree is found if the limit is three, and not if it is two."""
    edges = [(0, 1), (1, 2), (2, 3), (3, 0)]
    order = leaves_first(4, edges, [0, 1, 2])
    assert [sorted(fundamental_cycles(4, edges, order, longest)) for longest in (2, 3)] == [[], [3]]


@pytest.mark.slow
def test_a_path_of_many_nodes_does_not_recurse():
    """A path of 50,000 nodes is spanned and settled: the depth of the tree has no limit."""
    n_nodes = 50_000
    edges = [(node, node + 1) for node in range(n_nodes - 1)]
    random.Random(1).shuffle(edges)
    tree = maximum_spanning_tree(n_nodes, edges, [1.0] * len(edges))
    assert len(tree) == len(leaves_first(n_nodes, edges, tree)) == n_nodes - 1
