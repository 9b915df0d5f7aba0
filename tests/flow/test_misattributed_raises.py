"""Pairs of instructions that 3.11 would run as one, and misattribute an exception, are separated."""

import sys

import oracle
import pytest
import strategies
from flow.codes import MODULES, codes_of, codes_of_module, index_at

from instrument.decode.instructions import Instructions
from instrument.decode.opcodes import OPNAMES
from instrument.flow.misattributed_raises import loads_to_separate
from instrument.flow.placement import LINE, MINIMAL, graph_of, plan
from instrument.rewrite.rewriter import rewrite

pytestmark = pytest.mark.skipif(sys.version_info >= (3, 12), reason="later versions load what may be unbound otherwise")

FIRST_OF_PAIR = {"LOAD_CONST", "LOAD_FAST", "STORE_FAST"}


def separated_variables(source):
    """Return the variables whose loads are separated from the instruction above, in the functions of *source*."""
    variables = []
    for code in codes_of(source)[1:]:
        graph = graph_of(code, LINE)
        variables += [code.co_varnames[graph.instructions.args[index]] for index in sorted(loads_to_separate(graph))]
    return variables


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("def f(a):\n x = 1\n return a, x", []),
        ("def f(a):\n if a: x = 1\n y = 1\n return x", ["x"]),
        ("def f(a):\n if a: x = 1\n y = 1\n x\n return y, x", ["x"]),
        ("def f(a):\n del a\n y = 1\n return a", ["a"]),
        ("def f():\n try: x = g()\n except E as e: return x", ["x"]),
        ("def f(a):\n while a: x = a\n return a, x", ["x"]),
        ("def f(*a, b, **c):\n d = 1\n return d, a, b, c", []),
    ],
)
def test_only_loads_of_variables_that_may_have_no_value_are_separated(source, expected):
    """A variable has a value if it is an argument, or if every path to the load assigns it."""
    assert separated_variables(source) == expected


@pytest.mark.parametrize("placement", [MINIMAL, LINE])
def test_a_load_that_may_raise_does_not_follow_an_instruction_that_it_pairs_with(placement):
    """So each load that can raise has its own place, line and columns, however warm the code is."""
    codes = [code for module in MODULES[2:3] for code in codes_of_module(module)]
    (path,) = [path for path in oracle.programs() if oracle.program_name(path) == "unbound_variable_in_warm_code"]
    with open(path, encoding="utf-8") as file:
        codes += codes_of(file.read())
    for seed in range(20):
        codes += codes_of(strategies.random_program(seed).source)
    n_separated = 0
    for code in codes:
        graph = graph_of(code, placement)
        separated = loads_to_separate(graph)
        unlinked = rewrite(graph, plan(graph, placement))
        made = Instructions(unlinked.code)
        before, after = list(code.co_positions()), list(unlinked.code.co_positions())
        for index in separated:
            place = unlinked.units[index]
            there = index_at(made, place)
            assert OPNAMES[made.ops[there]] == "LOAD_FAST"
            assert OPNAMES[made.ops[there - 1]] not in FIRST_OF_PAIR
            assert after[place] == before[graph.instructions.units[index]]
        n_separated += len(separated)
    assert n_separated > 4
