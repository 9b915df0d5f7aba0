"""The id of a function changes with its statements, and not with its place in the file."""

import ast
import io
import itertools
import tokenize

import pytest
import strategies
from flow.codes import MODULES, codes_of, codes_of_module
from hypothesis import given, settings
from hypothesis import strategies as st

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


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("import a\n", "<module>@1f468b993d3fce3e"),
        ("from . import a\nx: int = 1\nf'{x!r:>{x}}'\n", "<module>@0da8bc1980ca9541"),
        ("class C(a, b=1): x = [y async for y in z if y]\n", "<module>@4ed958f2ca2953f3"),
    ],
)
def test_all_versions_of_python_give_the_same_ids(source, expected):
    """The ids of one version are compared with those of another."""
    assert ids_of(source)["<module>", 1] == expected


def test_a_number_of_many_digits_is_part_of_the_id():
    """Python refuses to write so many decimal digits."""
    long = "0x1" + "0" * 5000
    assert ids_of(f"x = {long}") == ids_of(f"x = {long}  # comment") != ids_of(f"x = {long}1")


def with_comments(source, lines):
    """Return *source* with these *lines*, each blank or a comment, between its logical lines, and comments at their ends."""
    text = source.splitlines(keepends=True)
    ends = {token.end[0] for token in tokenize.generate_tokens(io.StringIO(source).readline) if token.type == tokenize.NEWLINE}
    added = itertools.cycle(lines)
    for end in ends:
        line = text[end - 1].rstrip("\n")
        if "#" not in line:
            line += "  # comment"
        text[end - 1] = f"{line}\n" + "".join(f"{next(added)}\n" for _ in range(end % 3))
    return "# first\n" + "".join(text)


@given(strategies.programs(size=30), st.lists(st.sampled_from(["", "# other", "        # indented", "  "]), min_size=1))
@settings(max_examples=min(60, settings().max_examples))
def test_comments_and_blank_lines_in_generated_programs_change_no_id(program, lines):
    """All functions are moved, and functions with the same key stay on one line."""
    before, after = ids_of(program.source), ids_of(with_comments(program.source, lines))
    assert sorted(before.values()) == sorted(after.values())


@given(strategies.programs(size=30), st.randoms(use_true_random=False))
@settings(max_examples=min(60, settings().max_examples))
def test_another_statement_changes_the_id_of_its_function_only(program, random):
    """Functions around it, and in it, keep their ids."""
    tree = ast.parse(program.source)
    before = function_ids(tree)
    definitions = [each for each in ast.walk(tree) if isinstance(each, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef))]
    changed = random.choice([tree, *definitions])
    changed.body.insert(random.randrange(len(changed.body)) + 1, ast.Expr(ast.Constant(0.5)))
    after = function_ids(tree)
    [(name, line)] = [key for key in before if before[key] != after[key]]

    assert before.keys() == after.keys()
    if changed is tree:
        assert name == "<module>"
    else:
        assert name.endswith(changed.name)
        assert line == min(each.lineno for each in [changed, *changed.decorator_list])
