"""Exclusions: patterns of the user exclude the same lines as in coverage.py."""

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from reporting import in_own_folder as in_own_folder

from instrument.analysis.exclusions import Exclusions

#: Statements, headers and decorators in odd shapes; `#!` stands for a comment.
SOURCE = """\
import os  #!
value = (  #!
    1,  #!
    f(),
)
@decorator  #!
@other(
    2,  #!
)
def function(a,
             b=g()):  #!
    '''Docstring.  #!
    '''
    if a:  #!
        return a
    elif b: return b  #!
    else:  #!
        # A comment alone.  #!
        c = 1
    try:  #!
        c = 2
    except (A,
            B):  #!
        raise NotImplementedError
    finally:  #!
        c = 3
    while True:  #!
        break
    return lambda: c  #!
class Class(Base):  #!
    field: int = 0  #!
    async def method(self): ...
    def __repr__(self):  #!
        return "x"
if TYPE_CHECKING:  #!
    import typing  #!
assert value, (
    "message"  #!
)
with open(
    name  #!
) as file: pass  #!
"""
#: The number of comments in SOURCE.
N_COMMENTS = SOURCE.count("#!")

#: Expressions that have their matches anywhere: in headers, in several lines, in empty matches.
EXPRESSIONS = [
    "# skip",
    "# skip.*\\n.*",
    "def __repr__",
    "^    def ",
    "raise NotImplementedError",
    r"(?s:value = \(.*?\))",
    "if .*:",
    "else:",
    "^ *$",
    "^@",
    "(?=class)",
    "c = [12]",
    ":",
]


def statements(text, exclude):
    """Return the lines on which coverage.py expects statements, with one expression to exclude."""
    parser = pytest.importorskip("coverage.parser").PythonParser(text=text, exclude=exclude)
    parser.parse_source()
    return parser.statements


def compiled(expressions):
    return [re.compile(expression, re.MULTILINE) for expression in expressions]


def find(text, **rules):
    rules = {name: compiled(expressions) for name, expressions in rules.items()}
    return Exclusions(**rules).find(text.encode(), has_ellipsis="..." in text)


@given(st.sets(st.integers(0, N_COMMENTS - 1)), st.lists(st.sampled_from(EXPRESSIONS), unique=True))
@example({0, 3}, [])
@example(set(range(N_COMMENTS)), ["# skip"])
def test_patterns_exclude_the_lines_that_coverage_py_excludes(commented, expressions):
    """A match excludes its statement. On a header it excludes the suite, on a decorator all that is decorated."""
    parts = SOURCE.split("#!")
    text = parts[0] + "".join(("# skip" if n in commented else "") + part for n, part in enumerate(parts[1:]))
    every = statements(text, None)
    joined = "|".join(f"(?:{expression})" for expression in expressions) or None

    # Matches may overlap. coverage.py joins the expressions, and finds the first alternative; here each one is found.
    expected = every - statements(text, joined)
    for expression in expressions:
        expected |= every - statements(text, expression)

    assert find(text, lines=expressions)[0] & every == expected


@pytest.mark.parametrize("marks", [r"# pragma: no cover", "#PRAGMA NO COVER", "# pragma no cover: reason"])
def test_patterns_are_added_to_the_defaults_or_replace_them(marks):
    """`exclude-also` leaves the defaults, `exclude-lines` does not."""
    text = f"a = 1  {marks}\nb = 2\nc = 3\nif TYPE_CHECKING:\n    import d\ndef f(): ...\n"

    assert find(text)[0] == {1, 4, 5, 6}
    assert find(text, also=["b ="])[0] == {1, 2, 4, 5, 6}
    assert find(text, lines=["b ="])[0] == {2}
    assert find(text, lines=["b ="], also=["^c"])[0] == {2, 3}
    assert find(text, lines=[])[0] == set()


def test_the_comment_of_trace_excludes_its_line_always():
    """It excludes a header without its suite, whatever the settings are."""
    text = "if x:  #pragma NO COVER\n    a = 1\n"

    assert find(text)[0] == {1}
    assert find(text, lines=["nothing"])[0] == {1}


def test_a_pattern_that_introduces_a_block_excludes_the_block():
    """The block ends where its indentation does."""
    text = "class C:\n    def __repr__(self):\n        if self:\n            return ''\n    def m(self):\n        pass\n"

    assert find(text, also=["def __repr__"])[0] == {2, 3, 4}


def test_no_way_is_missing_behind_lines_with_a_comment():
    """The comment may be on any line of the header. Patterns of the user replace it, or are added to it."""
    text = "if (x\n    and y):  # pragma: no branch\n    a = 1\nwhile a:\n    pass\nfor b in c:\n    pass\n"

    assert find(text) == (frozenset(), frozenset({1, 2}))
    assert find(text, partial_also=["while"])[1] == {1, 2, 4}
    assert find(text, partial=["while"])[1] == {4}
    assert find(text, partial=["while"], partial_also=["for .* in"])[1] == {4, 6}


def test_patterns_without_a_match_are_known():
    """A match in one of several sources is enough."""
    rules = Exclusions(also=compiled(["first", "second"]), partial_also=compiled(["third", "fourth"]))
    for source in (b"first = 1\n", b"third = 1\n"):
        rules.find(source, has_ellipsis=False)

    assert [(pattern.key, pattern.expression.pattern) for pattern in rules.unmatched()] == [
        ("exclude-also", "second"),
        ("partial-also", "fourth"),
    ]


def test_sources_in_other_encodings_are_searched_as_texts():
    """The declaration of the encoding counts, and so do the line ends of other systems."""
    source = "# coding: latin-1\r\nx = 'é'\r\ny = 1\r\n".encode("latin-1")

    assert Exclusions(also=compiled(["é"])).find(source, has_ellipsis=False)[0] == {2}


def test_the_settings_are_those_of_pyproject_toml(tmp_path):
    """A key that is not there leaves the defaults."""
    (tmp_path / "pyproject.toml").write_text('[tool.instrument]\nexclude_lines = ["^x"]\npartial-also = "while"\n')
    rules = Exclusions.configured(str(tmp_path))
    found = rules.find(b"x = 1  # pragma: no cover\ny = 1  # pragma: no cover\nwhile z: pass\n", has_ellipsis=False)

    assert found == (frozenset({1}), frozenset({3}))
    assert rules.unmatched() == []
