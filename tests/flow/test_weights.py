"""Edges that are taken often weigh more than rare ones, so the rare ones carry the probes."""

from flow.codes import code_called

from instrument.decode.instructions import Instructions
from instrument.decode.opcodes import BINARY_OP
from instrument.flow.graph import EdgeKind, build
from instrument.flow.placement import MINIMAL, plan
from instrument.flow.weights import edge_weights


def graph_of_f(source):
    """Return the graph of the function `f` of *source*."""
    return build(Instructions(code_called("f", source)))


def weights_of(graph):
    return edge_weights(graph)


def chords_of(graph):
    """Return the numbers of the edges that carry a probe."""
    return {measure for measure in plan(graph, MINIMAL).measured_by_probe if isinstance(measure, int)}


def cycles_through(graph, node):
    """Return the edges of each way from *node* back to it that passes no block twice, as sets."""
    cycles = []
    pending = [(node, (), ())]
    while pending:
        here, passed, way = pending.pop()
        for number, edge in enumerate(graph.edges):
            if edge.source == here and edge.target == node:
                cycles.append({*way, number})
            elif edge.source == here and edge.target not in (*passed, graph.outside):
                pending.append((edge.target, (*passed, edge.target), (*way, number)))
    return cycles


def probes_passed(graph, node):
    """Return the number of probes on each way from *node* back to it."""
    chords = chords_of(graph)
    return sorted(len(chords & cycle) for cycle in cycles_through(graph, node))


def loop_heads(graph):
    return {
        edge.target
        for edge in graph.edges
        if edge.target <= edge.source and edge.kind not in (EdgeKind.ENTER, EdgeKind.RAISE)
    }


def test_a_straight_function_has_one_probe():
    """A chain of lines costs one probe."""
    graph = graph_of_f("def f(x):\n    a = x\n    b = a\n    return b\n")
    assert len(plan(graph, MINIMAL).probes) == 1


def test_a_call_passes_one_probe_on_either_arm_of_a_branch():
    """The arms of the branch carry the probes, not the entry of the function."""
    graph = graph_of_f("def f(x):\n    if x:\n        a = 1\n    else:\n        a = 2\n    return a\n")
    assert probes_passed(graph, graph.outside) == [1, 1]


def test_a_turn_of_a_loop_passes_one_probe():
    """However long the body of a loop is, a turn passes one probe; leaving it passes one more."""
    graph = graph_of_f("def f(x):\n    for a in x:\n        b = a\n        c = b\n    return c\n")
    (head,) = loop_heads(graph)
    assert probes_passed(graph, head) == [1]
    assert probes_passed(graph, graph.outside) == [1]


def test_an_arm_that_raises_carries_the_probe():
    """A turn of the loop that goes on still passes only one probe."""
    graph = graph_of_f("def f(x):\n    for y in x:\n        if y:\n            raise ValueError\n        a(y)\n")
    raising = {edge.source for edge in graph.edges if edge.kind == EdgeKind.RAISE}
    chords = [graph.edges[number] for number in chords_of(graph)]
    assert any(edge.kind == EdgeKind.RAISE or edge.target in raising for edge in chords)
    heads = loop_heads(graph)
    assert [probes_passed(graph, head) for head in heads] == [[1]] * len(heads) != []


def test_a_turn_that_raises_passes_no_probe_in_front_of_the_exception():
    """Its exit is counted, so the loop's probe stands where the turn ends without an exception."""
    graph = graph_of_f("def f(x, d):\n    for y in x:\n        try: d[y]\n        except KeyError: pass\n")
    (body,) = {graph.block_of(index) for index, handler in enumerate(graph.instructions.handlers) if handler == 0}
    chords = [graph.edges[number] for number in chords_of(graph)]
    assert any(edge.source == body for edge in chords)
    assert not any(edge.target == body for edge in chords)


def test_the_probe_of_a_generator_stands_behind_moves_of_locals():
    """Right behind the FOR_ITER, or at the yield, it would cost up to twice as much."""
    graph = graph_of_f("def f(x):\n    for y in x:\n        yield y + y\n")
    ops = graph.instructions.ops
    (adding,) = [index for index, op in enumerate(ops) if op == BINARY_OP]
    assert adding in [graph.edges[number].target_instruction for number in chords_of(graph)]


def test_a_function_is_not_cut_behind_moves_of_locals():
    """More blocks would make planning slower, and probes in functions no cheaper."""
    graph = graph_of_f("def f(x):\n    for y in x:\n        a = y + y\n")
    assert not graph.behind_moves


def test_edges_within_a_loop_weigh_more_than_edges_outside_of_it():
    """A loop is taken to turn ten times, and a handler to be rare."""
    source = "def f(x):\n    for a in x:\n        b = a\n    try: return b\n    except KeyError: pass\n"
    graph = graph_of_f(source)
    weights = weights_of(graph)
    (head,) = loop_heads(graph)
    back = max(weight for edge, weight in zip(graph.edges, weights, strict=True) if edge.target == head and edge.source > head)
    entering = min(weight for edge, weight in zip(graph.edges, weights, strict=True) if edge.kind == EdgeKind.ENTER)
    handlers = {entry.block for entry in graph.entries}
    rare = [weight for edge, weight in zip(graph.edges, weights, strict=True) if edge.source in handlers]
    assert back > 5 * entering > 10 * max(rare) > 0


def test_an_edge_that_cannot_carry_a_probe_has_an_infinite_weight():
    """So it is always on the spanning tree."""
    graph = graph_of_f("async def f(x):\n    async for y in x: a(y)\n")
    weights = weights_of(graph)
    reraised = [number for number, edge in enumerate(graph.edges) if edge.kind == EdgeKind.RERAISED]
    assert reraised
    assert all(weights[number] == float("inf") for number in reraised)
