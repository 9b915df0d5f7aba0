"""The regressions of the benchmark of the gate: sources that compile, with the same results, and the right line."""

import ast
from pathlib import Path

import pytest

from benchmarks.regressions import KINDS, STATEMENTS, functions_of, regression

SOURCE = '''\
"""A module."""
import os


class Shop:
    """A class."""

    @property
    def name(self):
        """Return the name,

        whatever it is.
        """
        return "shop"

    def price(self, item):
        for each in item:
            yield each

    def one_line(self): return 1


def total(items):
    result = sum(items)
    return result


if os.name:
    def nested(x):
        return x


async def waits():
    pass


def twice():
    return 1


def twice():
    return 2
'''
LINES = {"Shop.name": 14, "Shop.price": 17, "nested": 30, "total": 24}


def test_functions_that_take_statements_are_found():
    """Not those on one line, of several with a name, and coroutines."""
    assert functions_of(SOURCE) == sorted(LINES)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("function", LINES)
def test_a_regression_compiles_and_names_its_line(function, kind):
    """Its statements are at the start of the function. All else is the same, before and after."""
    found = regression(SOURCE, function, kind)
    before, after = (source.split("\n") for source in (found.before, found.after))
    ast.parse(found.before)
    text_before, text_after, text = STATEMENTS[kind]
    assert after[found.line - 1].strip() == text.strip()
    assert text not in text_before.split("\n")
    first = LINES[function] - 1
    n_before, n_after = len(text_before.split("\n")), len(text_after.split("\n"))
    assert before[:first] == after[:first] == SOURCE.split("\n")[:first]
    assert before[first + n_before :] == after[first + n_after :]
    namespace = {}
    exec(found.after, namespace)
    assert namespace["total"]([1, 2]) == 3
    assert namespace["Shop"]().name == "shop"
    assert [*namespace["Shop"]().price([1, 2])] == [1, 2]
    assert namespace["nested"](5) == 5


def test_sources_of_this_package_take_regressions():
    """Each function of a real module compiles with them."""
    source = Path(ast.__file__).read_text()
    for number, function in enumerate(functions_of(source)):
        ast.parse(regression(source, function, KINDS[number % len(KINDS)]).after)
