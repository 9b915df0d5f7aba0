"""The units of a source, and the units that differ between two versions of it."""

import ast
import types
import warnings

import pytest
import strategies
from hypothesis import given
from hypothesis import strategies as st

from instrument.analysis.affected.units import MODULE, Changes, Units

SOURCE = '''\
"""Prices."""
from functools import cache
RATE = 0.9
TABLE = {"a": lambda x: x + 1}
def price(item, rate=1):
    """Return the price."""
    def inner(n):
        return [n * rate for _ in range(2)]
    return inner(item)
@cache
def rates():
    return {}
class Basket:
    size = 3
    @property
    def total(self):
        self.seen = True
        return self.size
'''

#: For each change of SOURCE: a text, the text in its place, and the units that change.
EDITS = {
    "the body of a function": ("return inner(item)", "return inner(item + 1)", {"price"}),
    "an inner function": ("n * rate", "n + rate", {"price.<locals>.inner"}),
    "a method": ("return self.size", "return 3", {"Basket.total"}),
    "a module constant": ("0.9", "0.8", {MODULE}),
    "a lambda": ("x + 1", "x + 2", {MODULE}),
    "a class attribute": ("size = 3", "size = 4", {"Basket"}),
    "a default": ("rate=1", "rate=2", {"price", MODULE}),
    "a docstring": ("Return the price.", "Return it.", {"price", MODULE}),
    "a decorator": ("@property", "@staticmethod", {"Basket", "Basket.total"}),
    "a name": ("def total", "def sum", {"Basket", "Basket.total", "Basket.sum"}),
    "a new base": ("class Basket", "class Basket(dict)", {MODULE}),
    "a generator": ("return {}", "yield {}", {"rates", MODULE}),
    "a function that is gone": ("@cache\ndef rates():\n    return {}\n", "", {"rates", MODULE}),
    "a comment": ("RATE = 0.9", "RATE = 0.9  # a comment", set()),
    "empty lines": ("RATE = 0.9", "\n\nRATE = 0.9\n\n", set()),
    "brackets": ("return {}", "return ({})", set()),
}


@pytest.mark.parametrize("edit", EDITS)
def test_changed_units(edit):
    """A change of a unit changes that unit; a change of a header also changes the unit around it."""
    before, after, units = EDITS[edit]
    assert SOURCE.count(before) == 1
    assert Changes(SOURCE.encode(), SOURCE.replace(before, after).encode()).changed == units


def test_a_code_object_has_changed_with_its_unit():
    """Lambdas and comprehensions belong to the unit around them."""
    changes = Changes(SOURCE.encode(), SOURCE.replace("n * rate", "n + rate").encode())
    assert changes.is_changed(("price.<locals>.inner", 7))
    assert changes.is_changed(("price.<locals>.inner.<locals>.<listcomp>", 8))
    assert not changes.is_changed(("price", 5))
    assert not changes.is_changed(("<lambda>", 4))
    assert not changes.changes_bodies
    changes = Changes(SOURCE.encode(), SOURCE.replace("x + 1", "x").encode())
    assert changes.is_changed(("<lambda>", 4))
    assert changes.changes_bodies


@pytest.mark.parametrize("texts", [(None, b"x = 1"), (b"x = 1", None), (b"x = (", b"x = 1"), (b"x = 1", b"x = (")])
def test_all_has_changed_without_both_texts(texts):
    """A source that is gone, or that cannot be parsed, may have any change."""
    changes = Changes(*texts)
    assert changes.changed is None
    assert changes.changes_bodies
    assert changes.is_changed(("f", 1))


def test_features_change_all():
    """An import from `__future__` changes the meaning of the whole source."""
    assert Changes(SOURCE.encode(), b"from __future__ import annotations\n" + SOURCE.encode()).changed is None


def test_a_function_that_is_not_found_has_changed_with_any_other():
    """The key of a code object may be unknown: it is changed unless nothing is."""
    changes = Changes(SOURCE.encode(), SOURCE.replace("0.9", "0.8").encode())
    assert changes.is_changed(("other", 99))
    assert not Changes(SOURCE.encode(), SOURCE.encode()).is_changed(("other", 99))


def test_facts_of_units():
    """A unit has the identifiers of its code. Decorators, stores and aliases may keep results."""
    units = Units(SOURCE.encode())
    rates, total, price = units.find(("rates", 10)), units.find(("Basket.total", 15)), units.find(("price", 5))
    assert (rates.decorators, total.decorators, price.decorators) == ({"cache"}, set(), set())
    assert (rates.is_descriptor, total.is_descriptor, price.is_descriptor) == (True, True, False)
    assert (total.class_name, price.class_name, total.base_name) == ("Basket", "", "total")
    assert {"inner", "item"} <= price.effects.mentions
    assert "range" not in price.effects.mentions
    assert units.find((MODULE, 1)).aliases["TABLE"] == {"a", ".a", "x"}


@pytest.mark.parametrize(
    ("code", "patches"),
    [
        ("shop.RATE = 3", True),
        ("setattr(shop, 'RATE', 3)", True),
        ("shop.ALL.append(3)", True),
        ("shop.ALL['a'] = 3", True),
        ("RATE = shop.RATE", False),
        ("own = {}; own['a'] = shop", False),
        ("def f():\n    shop.RATE = 3", False),
    ],
)
def test_modules_that_change_other_modules(code, patches):
    """An import of the module changes an object that the module has imported. Each version of the source counts."""
    before, after = b"import shop\n", f"import shop\n{code}\n".encode()
    assert Changes(before, after).patches is Changes(after, before).patches is patches


def test_names_of_changed_units():
    """All names of both versions are changed if it is not known which are."""
    before, after = b"def f(): pass\n", b"def f(): pass\ndef g(): pass\n"
    assert Changes(before, after).changed_names == {"g", MODULE}
    assert Changes(before, None).changed_names == {"f", MODULE}


@given(strategies.programs(size=40))
def test_each_code_object_has_a_unit(program):
    """The compiler's names and first lines of code objects lead to units, and another layout changes none."""
    source = program.source
    units = Units(source.encode())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pending = [compile(source, "program.py", "exec")]
    while pending:
        code = pending.pop()
        assert units.find((code.co_qualname, code.co_firstlineno)) is not None
        pending += [each for each in code.co_consts if isinstance(each, types.CodeType)]
    assert Changes(source.encode(), ast.unparse(ast.parse(source)).encode()).changed == set()


@given(strategies.programs(size=40), st.data())
def test_a_change_in_a_function_changes_its_unit_only(program, data):
    """A statement at the end of one function changes the unit of that function."""
    tree = ast.parse(program.source)
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    if functions:
        data.draw(st.sampled_from(functions)).body.append(ast.parse("note(-1)").body[0])
        changed = Changes(program.source.encode(), ast.unparse(tree).encode()).changed
        assert len(changed) == 1
        assert MODULE not in changed
