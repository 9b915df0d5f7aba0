"""Decisions have the places, kinds, numbers and outcomes that the source says, on each version of Python."""

import textwrap

import pytest
import strategies
from flow.deciding import outcome_differences
from hypothesis import given, settings

from instrument.decode.versions import VERSION
from instrument.flow.derived.derivation import static_flow
from instrument.model.flow_counts import DecisionKind

#: The first byte of an entry of a location table without columns (CPython: Objects/locations.md).
NO_COLUMNS = 0xE8


def decisions_of(source):
    """Return (kind, number, text) of each decision of *source*, in the order of their places."""
    source = textwrap.dedent(source)
    lines = source.splitlines()
    found = []
    for line, column, end_line, end_column, kind, number in sorted(static_flow(compile(source, "program", "exec")).decisions):
        assert line == end_line
        found.append((kind, number, lines[line - 1][column:end_column]))
    return found


EXAMPLES = {
    "if a.b: c": ["test a.b"],
    "if not a: b": ["test a"],
    "if a and not (b or f(c)): d": ["test a", "test b", "test f(c)"],
    "if a < b < c: d": ["test a < b < c", "test1 a < b < c"],
    "x = a < b < c < d": ["test a < b < c < d", "test1 a < b < c < d"],
    "x = a or b[c] and d": ["test a", "test b[c]"],
    "x = a if b == c else d": ["test b == c"],
    "if a is None: b": ["none a"],
    "if f(a) is not None: b": ["none f(a)"],
    "assert a, b": ["test a"],
    "while a: b": ["test a"],
    "while True:\n    if a: break": ["test a"],
    "for a in f(b): c": ["loop f(b)"],
    "for a in b:\n    for c in d.e:\n        if c: f": ["loop b", "loop d.e", "test c"],
    "with a: b": [],
    "async def f():\n    async with a: await b": [],
    "async def f():\n    if await b: c": ["test await b"],
    "try: a\nexcept B: c\nexcept (D, E): f\nexcept: g": ["except B", "except (D, E)"],
    "try: a\nexcept* B: c\nexcept* D.e: f": ["except B", "except D.e"],
    "try: a\nfinally:\n    if b: c": ["test b"],
    "match a:\n    case 1: b\n    case _: c": ["case 1"],
    "match a:\n    case None: b": ["case None"],
    "match a:\n    case 'x': b\n    case None: c\n    case True: d": ["case 'x'", "case None", "case True"],
    "match a:\n    case [1, b, *_]: c\n    case {'k': 2, **d}: e": ["case [1, b, *_]", "case {'k': 2, **d}"],
    "match a:\n    case C(x=1) | D() | 5: c\n    case -1 if b: e": ["case C(x=1) | D() | 5", "case -1", "test b"],
    "match a:\n    case b if c: d\n    case x.y: z": ["test c", "case x.y"],
    "for a in b:\n    match a:\n        case 1: pass\n        case 2: c": ["loop b", "case 1", "case 2"],
    "def f(x: int = 0) -> str: pass\ny: int = 1": [],
}


@pytest.mark.parametrize("source", EXAMPLES)
def test_each_decision_has_its_place_kind_and_number(source):
    """They are the same on each version, and jumps that the compiler adds are no decisions."""
    found = [f"{kind}{number or ''} {text}" for kind, number, text in decisions_of(source)]
    assert found == EXAMPLES[source]


def test_the_tests_of_a_comprehension_are_decisions():
    """Its loop is one, too; before 3.13 the place of an outermost loop may be that of the whole comprehension."""
    *loops, test = decisions_of("def f(b, e):\n    return [a for a in b for c in e if c.d]")
    assert test == (DecisionKind.TEST, 0, "c.d")
    texts = {text for _, _, text in loops}
    assert "e" in texts
    assert texts - {"e"} <= ({"b"} if VERSION >= (3, 12) else {"[a for a in b for c in e if c.d]"})


CALLS = "if any(a.b for a in c): d\nall(a for a in b)\nmatch e:\n    case [1, True] if tuple(a for a in b): f\n    case True: g\n"


def test_calls_that_the_compiler_replaces_are_no_decisions():
    """It replaces calls with a generator by loops, and asks whether the name means the builtin."""
    found = [(kind, text) for kind, _, text in decisions_of(CALLS)]
    assert [kind for kind, _ in found].count(DecisionKind.LOOP) == 3
    assert [each for each in found if each[0] != DecisionKind.LOOP] == [
        (DecisionKind.TEST, "any(a.b for a in c)"),
        (DecisionKind.CASE, "[1, True]"),
        (DecisionKind.TEST, "tuple(a for a in b)"),
        (DecisionKind.CASE, "True"),
    ]


@pytest.mark.parametrize("value", ["a and c", "(a or d) and c"])
def test_a_local_that_is_loaded_with_another_one_has_the_place_of_the_whole(value):
    """Since 3.13 the compiler keeps the place of the first one only."""
    [(kind, _, text), *_] = decisions_of(f"def f(a, b, c):\n    b -= ({value})")
    assert kind == DecisionKind.TEST
    assert text in ({value, "a or d"} if VERSION >= (3, 13) else {"a"})


def test_without_columns_the_decisions_of_a_line_have_numbers():
    """Code without columns is known by its lines only."""
    code = compile("if a and b: c", "program", "exec")
    n_units = len(code.co_code) // 2
    table = b"".join(bytes((NO_COLUMNS | min(n_units - start, 8) - 1, 0)) for start in range(0, n_units, 8))
    found = sorted(static_flow(code.replace(co_linetable=table)).decisions)
    assert [(each.column, each.kind, each.number) for each in found] == [(-1, DecisionKind.TEST, 0), (-1, DecisionKind.TEST, 1)]


@given(program=strategies.programs())
@settings(max_examples=min(60, settings().max_examples))
def test_outcomes_are_those_of_the_expressions(program):
    """Each expression was as often true, and as often false, as a call around it notices."""
    assert not outcome_differences(program)
