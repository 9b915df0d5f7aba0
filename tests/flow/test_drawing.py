"""Each line of a drawing is a fact of the graph or of the Plan, and each of these facts has its line."""

import re

import pytest
from flow.codes import code_called, codes_of, codes_of_module

from instrument.decode.opcodes import OPNAMES
from instrument.flow.conservation import Flows
from instrument.flow.drawing import draw
from instrument.flow.placement import MINIMAL, graph_of, plan
from instrument.flow.weights import edge_weights

SOURCE = """
def branch(x):
    if x:
        return 1
    return 2

def loop(items):
    total = 0
    for item in items:
        if item % 2 and total:
            continue
        total += item
    return total

def handlers(x):
    try:
        return x.attribute[0]
    except (KeyError, AttributeError):
        raise
    finally:
        x.close()

def generator(x):
    with x:
        yield x
        y = yield from x
    return [each for each in y]

async def coroutine(x):
    async for each in x:
        await each
    return x and each
"""
PATTERNS = {
    "header": r"(?P<name>\S+), line (?P<line>\d+): (?P<blocks>\d+) blocks, (?P<edges>\d+) edges, "
    r"(?P<probes>\d+) probes, (?P<exits>\d+) exit records",
    "block": r"block (?P<number>\d+)(?P<times>   \d+ times)?",
    "no block": r"no block",
    "handler": r"  handler (?P<number>\d+)(?P<times>   \d+ times)?",
    "source": r" *(?P<line>\d+) \|(?P<text>.*)",
    "instruction": r" *(?P<index>\d+)  (?P<opcode>[A-Z][A-Z_0-9]+) (?P<argument>\d+)( -> (?P<target>\d+))?"
    r"( \((?P<accessed>[^ )]+)\))?( \(copy of (?P<copy>\d+)\))?( +exit stub: (?P<stub>.*))?",
    "probe": r"          probe (?P<number>\d+), (?P<position>.*): counts (?P<counted>.*)",
    "edge": r"        (?P<mark>[ *]) edge (?P<number>\d+) -> (?P<target>outside|block \d+): (?P<kind>[a-z]+)"
    r"(, weight (?P<weight>[\d.e+-]+|inf))(?P<lines>(, line \d+)*)"
    r"(, probe (?P<probe>\d+))?( +(?P<times>\d+) times)?",
    "records": r"exit records",
    "record": r"  record (?P<number>\d+): exceptions (that leave the code|that go to handler (?P<handler>\d+))"
    r"(?P<restored>, with the place that RERAISE restores)?",
    "empty": r"",
}


def rows_of(lines):
    """Return (kind, match) for each of *lines*; fail if one is of no kind."""
    rows = []
    for line in lines:
        matches = [(kind, found) for kind, pattern in PATTERNS.items() if (found := re.fullmatch(pattern, line))]
        assert matches, line
        rows.append(matches[0])
    return rows


def drawn(code, source, flows=None):
    """Return the graph, the Plan and the rows of the drawing of *code*."""
    graph = graph_of(code, MINIMAL)
    planned = plan(graph)
    return graph, planned, rows_of(draw(graph, planned, source.splitlines(), flows))


def numbers(rows, kind, group="number"):
    """Return the numbers in the rows of one *kind*, in order."""
    return [int(found[group]) for each, found in rows if each == kind]


def check(code, source):
    """Check each line of the drawing of *code*, and that no fact is missing."""
    graph, planned, rows = drawn(code, source)
    instructions = graph.instructions
    sizes = len(graph.blocks), len(graph.edges), len(planned.probes), len(planned.exits)
    assert rows[0][0] == "header"
    assert tuple(int(rows[0][1][name]) for name in ("blocks", "edges", "probes", "exits")) == sizes
    assert numbers(rows, "instruction", "index") == list(range(len(instructions)))
    assert set(numbers(rows, "block")) == set(range(len(graph.blocks)))
    assert set(numbers(rows, "handler")) == set(range(len(graph.entries)))
    assert sorted(numbers(rows, "edge")) == list(range(len(graph.edges)))
    assert sorted(numbers(rows, "probe")) == list(range(len(planned.probes)))
    assert numbers(rows, "record") == list(range(len(planned.exits)))
    weights = edge_weights(graph)
    tree = {edge for edge, _ in planned.settling_order}
    block = index = line = None
    for kind, found in rows:
        if kind in ("block", "no block"):
            block = int(found["number"]) if kind == "block" else None
        elif kind == "handler":
            assert graph.entries[int(found["number"])].block == block
        elif kind == "source":
            line = int(found["line"])
            text = source.splitlines()[line - 1] if line else ""  # modules begin at line 0
            assert found["text"].strip() == text.strip()
        elif kind == "instruction":
            index = int(found["index"])
            check_instruction(graph, planned, index, found)
            is_in_block = block is not None and graph.blocks[block].first <= index <= graph.blocks[block].last
            assert is_in_block or (block is None and graph.block_of(index) == -1)
            assert instructions.lines[index] in (line, None)
        elif kind == "edge":
            edge = graph.edges[int(found["number"])]
            number = int(found["number"])
            assert edge.at == index
            assert (found["kind"], found["target"]) == (edge.kind, graph.name(edge.target))
            assert found["weight"] == f"{weights[number]:.3g}"
            assert tuple(map(int, re.findall(r"\d+", found["lines"]))) == edge.lines
            assert (found["mark"] == "*") == (number not in tree)
            is_counted = number in planned.measured_by_probe
            assert is_counted == (found["probe"] is not None) == (found["mark"] == "*")
            if is_counted:
                assert planned.measured_by_probe[int(found["probe"])] == number
        elif kind == "probe":
            measure = planned.measured_by_probe[int(found["number"])]
            if isinstance(measure, int):
                assert found["counted"] == f"edge {measure}"
            elif measure is None:
                assert found["counted"] == "exits"
            else:
                assert found["counted"] == ", ".join(f"line {number}" for number in measure[1])


def check_instruction(graph, planned, index, found):
    """Check the row of the instruction *index*, and its exit stub."""
    instructions = graph.instructions
    assert found["opcode"] == OPNAMES[instructions.ops[index]]
    assert int(found["argument"]) == instructions.args[index]
    assert int(found["target"] or -1) == instructions.targets[index]
    first_copy = list(instructions.origins).index(instructions.origins[index])
    assert int(found["copy"] or index) == first_copy
    stub = found["stub"]
    if index in planned.stubs:
        assert stub == f"probe {planned.stubs[index]}"
    elif stub is not None:
        record = int(stub.removeprefix("record "))
        assert planned.exits[record][0] == instructions.handlers[index]


@pytest.mark.parametrize("name", ["branch", "loop", "handlers", "generator", "coroutine"])
def test_each_line_is_a_fact_and_each_fact_has_a_line(name):
    """Instructions, blocks, handlers, edges, probes and exit records are all there, and nothing else is."""
    check(code_called(name, SOURCE), SOURCE)


def test_code_of_the_standard_library_can_be_drawn():
    """Each line of the drawings of a whole module is right, those of unrolled loops and nested code included."""
    for code in codes_of_module("contextlib"):
        graph = graph_of(code, MINIMAL)
        rows = rows_of(draw(graph, plan(graph), []))
        assert sorted(numbers(rows, "edge")) == list(range(len(graph.edges)))
    for code in codes_of(SOURCE):
        check(code, SOURCE)


def test_the_edges_of_a_branch_are_the_same_on_each_version():
    """One of the two ways is a chord with a probe, which suffices for two of the three numbers of calls and ways."""
    _graph, planned, rows = drawn(code_called("branch", SOURCE), SOURCE)
    edges = [(found["kind"], found["target"]) for kind, found in rows if kind == "edge"]
    expected = [("enter", "block 0"), ("fall", "block 1"), ("jump", "block 2"), ("leave", "outside"), ("leave", "outside")]
    assert edges == expected
    chords = [found for kind, found in rows if kind == "edge" and found["mark"] == "*"]
    assert len(chords) == len([each for each in planned.measured_by_probe if each is not None]) == 2


def test_flows_of_a_run_stand_at_blocks_edges_handlers_and_exits():
    """A block has the sum of its edges and exits."""
    code = code_called("handlers", SOURCE)
    graph = graph_of(code, MINIMAL)
    planned = plan(graph)
    edges = [*range(len(graph.edges))]
    raising = next(iter(planned.stubs))
    lines = draw(graph, planned, SOURCE.splitlines(), Flows(edges, {raising: 5}, {0: 7}))
    rows = rows_of(lines)
    times = {int(found["number"]): found["times"] for kind, found in rows if kind == "edge"}
    assert times == {number: str(flow) for number, flow in enumerate(edges)}
    assert [found["times"].strip() for kind, found in rows if kind == "handler"][:1] == ["7 times"]
    assert [found["stub"] for kind, found in rows if kind == "instruction" and int(found["index"]) == raising] == [
        f"probe {planned.stubs[raising]}   5 times"
    ]
