"""The id of a function changes with its statements, and not with its place in the file."""

import ast

import pytest
import strategies
from flow.codes import MODULES, codes_of, codes_of_module
from hypothesis import given, settings

from instrument.flow.derived.function_ids import function_ids

SOURCE = '''\
import a


@a.decorator
def f(x, y=lambda: 1):
    """Text."""
    def inner():
        return x
    return inner() + 1  # a comment


class C:
    z = 1

    def m(self):
        global g
        def g():
            pass
'''


def ids_of(source):
    return function_ids(ast.parse(source))


def by_name(source):
    return {name: function_id for (name, _), function_id in ids_of(source).items()}


def changed_names(old, new):
    """Return the names of functions whose ids in the text *new* are others than in *old*."""
    before, after = by_name(old), by_name(new)
    return {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}


def test_moved_lines_comments_and_docstrings_change_no_id():
    """Neither do line breaks within a statement."""
    moved = "# head\n\n\n" + SOURCE.replace("# a comment", "").replace('"""Text."""', '"""Other."""')
    assert changed_names(SOURCE, moved.replace("inner() + 1", "(inner()\n    + 1)")) == set()
    assert set(ids_of(SOURCE)) != set(ids_of(moved))


@pytest.mark.parametrize(
    ("old", "new", "names"),
    [
        ("return x", "return -x", {"f.<locals>.inner"}),
        ("inner() + 1", "inner() + 2", {"f"}),
        ("inner() + 1", "inner() - 1", {"f"}),
        ("y=lambda: 1", "y=lambda: 2", {"<lambda>"}),
        ("y=lambda: 1", "y=lambda x: 1", {"<lambda>", "<module>", "f"}),
        ("@a.decorator", "@a.other", {"<module>"}),
        ("z = 1", "z = True", {"C"}),
        ("class C:", "class C(a.B):", {"<module>"}),
        ("import a", "import b as a", {"<module>"}),
        ("            pass", "            return 1", {"g"}),
    ],
)
def test_a_change_changes_the_ids_of_the_code_that_does_something_else(old, new, names):
    """The code around a function executes its decorators and defaults, but not its body."""
    assert changed_names(SOURCE, SOURCE.replace(old, new)) == names


def expected_keys(codes):
    """Return the keys of *codes* that the source has a name for."""
    return {
        (code.co_qualname, code.co_firstlineno)
        for code in codes
        if code.co_name in ("<lambda>", "<module>") or code.co_name.isidentifier()
        if code.co_name not in ("__annotate__", "__annotations__")
    }


def check_keys(source, codes):
    """Check that each function of *codes* has an id. Functions that the compiler has left out have one, too."""
    found = ids_of(source)
    missing = {key for key in expected_keys(codes) if key not in found}
    within = ("<generic parameters", "<listcomp>", "<setcomp>", "<dictcomp>", "<genexpr>")
    assert not {key for key in missing if not any(word in key[0] for word in within)}


@pytest.mark.parametrize("module", MODULES[:6])
def test_ids_have_the_keys_of_the_counts(module):
    """The qualified names and first lines are those of the code objects."""
    import importlib.util

    with open(importlib.util.find_spec(module).origin, "rb") as file:
        check_keys(file.read(), codes_of_module(module))


@given(strategies.programs(size=30))
@settings(max_examples=min(60, settings().max_examples))
def test_ids_of_generated_programs_have_the_keys_of_the_counts(program):
    """Nested classes, lambdas in defaults and decorated functions have theirs."""
    check_keys(program.source, codes_of(program.source))


def test_functions_with_the_same_key_share_an_id():
    """It has the hashes of both."""
    (key,) = [key for key in ids_of("x = lambda: 1, lambda: 2") if key[0] == "<lambda>"]
    assert ids_of("x = lambda: 1, lambda: 2")[key] == ids_of("x = lambda: 2, lambda: 1")[key]
