"""Branches: lines with several ways on, without excluded lines."""

import ast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from instrument.analysis.branching.branches import branches_of
from instrument.analysis.branching.statements import StatementLines
from instrument.flow.derived.derivation import static_flow
from instrument.model.flow_counts import RAISED, Arc, FlowCounts

LINES = st.integers(1, 9)
FUNCTIONS = st.sampled_from([("f", 1), ("g", 5)])
ARCS = st.dictionaries(st.builds(Arc, FUNCTIONS, LINES, st.integers(0, 9)), st.integers(0, 3))


def flow_of(arcs):
    flow = FlowCounts()
    flow.arcs.update(arcs)
    return flow


@given(ARCS, st.sets(LINES), st.sets(LINES))
def test_excluded_lines_have_no_ways_and_complete_lines_miss_none(arcs, excluded, complete):
    """All other ways of lines with several of them are there, with their counts."""
    branches = branches_of(flow_of(arcs), excluded, complete)
    kept = {arc: n for arc, n in arcs.items() if arc.line not in excluded and arc.target not in excluded}
    several = [
        arc for arc in kept if sum((other.function, other.line) == (arc.function, arc.line) for other in kept) > 1
    ]

    found = {Arc(branch.function, branch.line, target): n for branch in branches for target, n in branch.arcs.items()}
    assert found == {arc: kept[arc] for arc in several}
    missing = {Arc(branch.function, branch.line, target) for branch in branches for target in branch.missing}
    assert missing == {arc for arc in several if kept[arc] == 0 and arc.line not in complete}
    assert [(branch.line, branch.function) for branch in branches] == sorted({(a.line, a.function) for a in several})


@pytest.mark.parametrize(
    ("source", "ways"),
    [
        ("x = f(\n    a,\n    g(\n        b),\n)\ny = 1\n", {}),
        ("if (a\n        and b):\n    x = 1\nelse:\n    x = 2\ny = 1\n", {1: [3, 5]}),
        ("x = (a\n     if b\n     else c)\ny = 1\n", {}),
        ("for x in f(\n    a,\n):\n    b\ny = 1\n", {1: [4, 5]}),
        ("with a:\n    b\ny = 1\n", {}),
        ("with (a as c,\n        b as d):\n    if c:\n        d\n    e\ny = 1\n", {3: [4, 5]}),
        ("try:\n    a\nexcept B as b:\n    c\nexcept C as c:\n    d\ny = 1\n", {}),
        ("@a\n@b(\n    1)\ndef f(\n    c=g()):\n    return 1\ny = 1\n", {}),
        ("match a:\n    case [1,\n          2]:\n        b\n    case 3:\n        c\ny = 1\n", {2: [4, 5], 5: [6, 7]}),
        ("while a:\n    b\nelse:\n    c\n", {1: [2, 4]}),
        ("while True:\n    if a: break\n    else: b\ny = 1\n", {2: [3, 4]}),
        ("for x in a:\n    with b:\n        if x:\n            c\ny = 1\n", {1: [2, 5], 3: [1, 4]}),
        ("try:\n    a\nfinally:\n    if b:\n        c\ny = 1\n", {4: [5, 6]}),
        ("match a:\n    case 1:\n        b\n    case _:\n        c\ny = 1\n", {2: [3, 4]}),
        ("if a: b\nelif c: d\ny = 1\n", {1: [2, 3]}),
        ("@a\ndef f(): pass\nasync def g(): pass\nlambda: 0\ny = 1\n", {2: [0, 3], 3: [0, 4]}),
        ("def f(x):\n    if x: raise A\n    try:\n        if x: raise B\n    except B:\n        y\n", {2: [0, 3], 4: [0, 5]}),
        ("def f(x):\n    try:\n        if x: return 3\n        y\n    finally:\n        z\n", {3: [0, 4]}),
        (
            "for x in a:\n    try:\n        if x: break\n        if b: continue\n        c\n    finally:\n        d\ny = 1\n",
            {1: [2, 8], 3: [4, 8], 4: [1, 5]},
        ),
        ("for x in a:\n    with b:\n        if x: continue\n        c\n    d\n", {1: [0, 2], 3: [1, 4]}),
        ("with b:\n    while c:\n        if x: break\n        c\nd\n", {2: [3, 5], 3: [4, 5]}),
        ("for x in a:\n    try:\n        b\n    except C as c:\n        if x: continue\n        d\n    e\n", {1: [0, 2], 5: [1, 6]}),
        ("match a:\n    case (\n        1\n    ):\n        b\n    case (c.d): e\ny = 1\n", {2: [5, 6]}),
        ("if (a\n): b(\n    c)\nelse:\n    d\ny = 1\n", {1: [5, 6]}),
        ("def f(\n    a,\n): pass\ny = 1\n", {1: [0, 4]}),
        ("def f(x):\n    if any(y for\n           y in x): return\n    global z\n    z = 1\n", {2: [0, 5]}),
        ("def f(x):\n    if x:\n        y: int\n        z = 1\n    y: str\n    z = 2\n", {2: [4, 6]}),
    ],
)
def test_a_statement_that_decides_has_two_ways(source, ways):
    """They are those of coverage.py. Control goes up and down the lines of other statements: no branch is there."""
    flow = static_flow(compile(source, "m.py", "exec", dont_inherit=True))
    with_code = {line for arc in flow.arcs for line in (arc.line, arc.target)}
    branches = branches_of(flow, statements=StatementLines(ast.parse(source), source.encode().splitlines(), with_code))

    assert {branch.line: [*branch.arcs] for branch in branches} == ways


def test_an_exception_that_goes_on_passes_the_body():
    """An `if` at the end of a `finally` was false if the exception left the line of the `if`."""
    source = "def f(x):\n    try:\n        a\n    finally:\n        if x:\n            b\n"
    flow = static_flow(compile(source, "m.py", "exec", dont_inherit=True))
    flow.arcs[Arc(("f", 1), 5, RAISED)] += 3
    statements = StatementLines(ast.parse(source), source.encode().splitlines(), {1, 2, 3, 5, 6})

    assert [branch.arcs for branch in branches_of(flow, statements=statements)] == [{0: 3, 6: 0}]
