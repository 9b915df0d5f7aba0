"""Lines that can be missing are the same on all Pythons, whether the file was imported or not."""

import sys
import warnings
from pathlib import Path

import pytest
from oracle import programs

from instrument.analysis.file_analysis import FileAnalysis
from instrument.model.measurement import FileCounts

BARE = '''\
# A comment
"""Docstring after a comment."""
import typing
x: int
y: int = 3
z: typing.Dict[
    int,
    str,
] = {}
class C:
    """Docstring."""
    a: int
    b: typing.List[
        int
    ]
    c: int = 1
def f(
    a: int,
    b: str = "b",
) -> typing.List[
    int
]:
    v: int
    return a
if x:
    w: int
'''


def analysis(path, lines=None):
    """Return the analysis of the file at *path*: never imported, or with *lines* that each ran once."""
    never_imported = FileAnalysis(path, None)
    return never_imported if lines is None else when_imported(never_imported, path, lines)


def when_imported(never_imported, path, lines):
    """Return the analysis of the file at *path* with *lines* that each ran once, given that of a file never imported."""
    counts = FileCounts()
    for line in lines:
        counts.lines.add(line, 1, 1e9, 1e9)
    counts.functions.add(("<module>", 1), 1, 1e9, 1e9)
    return FileAnalysis(path, never_imported.version, counts, measured_at={path})


@pytest.mark.slow
@pytest.mark.parametrize("head", ["", "from __future__ import annotations\n"])
def test_annotations_are_missing_in_no_file_that_was_never_imported(tmp_path, head):
    """In a file that was never imported, `x: int` is no line that can be missing, and `x: int = 3` is one."""
    path = tmp_path / "m.py"
    path.write_text(BARE if not head else BARE.replace("import typing", head + "import typing"))
    shift = 1 if head else 0
    expected = [3, *(line + shift for line in (5, 6, 9, 10, 16, 17, 24, 25))]
    assert analysis(str(path)).missing == sorted({*expected, 3 + shift})


@pytest.mark.slow
def test_a_file_has_the_same_lines_and_functions_when_it_was_imported():
    """A file that was imported has the executable lines of a file that was never imported."""
    n_compared = 0
    for path in programs():
        never = analysis(path)
        if never.source.reason:  # it cannot be compiled
            continue
        n_compared += 1
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            code = compile(Path(path).read_bytes(), path, "exec", dont_inherit=True)
        ran = {line for _start, _end, line in code.co_lines() if line}
        imported = when_imported(never, path, ran)
        assert imported.executable == never.executable, path
        assert imported.missing == sorted(never.executable - ran), path
        assert imported.source.functions() == never.source.functions(), path
    assert n_compared > 300


@pytest.mark.skipif(sys.version_info < (3, 12), reason="no type parameters before 3.12")
def test_type_parameters_are_never_missing(tmp_path):
    """The scope of type parameters runs with its statement, whose first line says whether it ran."""
    path = tmp_path / "m.py"
    path.write_text("class C[\n    T: int,\n    *U,\n]:\n    pass\ntype X[\n    T,\n] = tuple[\n    T\n]\n")
    assert analysis(str(path)).missing == [1, 5, 6]


DEFAULTS = """\
import typing
def f(
    a: typing.List[int] = None,
    b: int = -1,
    c: tuple = (1, 2),
):
    return a
def g(
    a: int = 1,
    b: int = typing.x,
):
    return a
async def h(
    *,
    a: typing.List[int] = None,
):
    return a
"""


@pytest.mark.parametrize("head", ["", "from __future__ import annotations\n"])
def test_a_default_on_a_line_with_an_annotation_is_not_missing(tmp_path, head):
    """Such a line runs with its `def`, or only with the annotation, which nobody requested."""
    path = tmp_path / "m.py"
    path.write_text(DEFAULTS.replace("import typing", f"{head}import typing"))
    code = compile(path.read_bytes(), str(path), "exec", dont_inherit=True)
    ran = {line for _start, _end, line in code.co_lines() if line}
    shift = 1 if head else 0
    assert analysis(str(path), ran).missing == [line + shift for line in (7, 12, 17)]
    # 9 and 10 are evaluated one after the other; the defaults of `f` are one constant; 15 is evaluated.
    lines = [*([1] if head else []), *(line + shift for line in (1, 2, 7, 8, 9, 10, 12, 13, 15, 17))]
    assert analysis(str(path)).missing == lines


def test_the_message_of_an_assertion_is_not_missing(tmp_path):
    """Nor is the line of `assert` itself, if the condition is on another line."""
    path = tmp_path / "m.py"
    path.write_text(
        "a = 1\nassert (\n    a == 1\n    and a\n), (\n    f'{a}'\n)\nassert a, (\n    'message'\n)\nassert a\n"
    )
    assert analysis(str(path)).missing == [1, 3, 4, 8, 11]
    assert analysis(str(path), {1, 3, 4, 8, 11}).missing == []


def test_a_line_with_code_for_an_annotation_alone_is_not_missing(tmp_path):
    """The compiler may turn any default into a constant, so that its line has no other code."""
    path = tmp_path / "m.py"
    path.write_text("import typing\ndef f(\n    a: typing.Any = 'ab'[0],\n):\n    return a\n")
    code = compile(path.read_bytes(), str(path), "exec", dont_inherit=True)
    ran = {line for _start, _end, line in code.co_lines() if line}
    assert analysis(str(path), ran).missing == [5]


# Statements with `#!` for the comment, and the lines that it excludes. The lines that are left can be missing, and
# are the statements that coverage.py 7.17.5 leaves.
EXCLUDED = [
    ("a = 1  #!\nb = 2\n", [1]),
    ("a = (  #!\n 1,\n f(),\n)\nb = 2\n", [1, 2, 3, 4]),
    ("a = (\n 1,  #!\n f(),\n)\nb = 2\n", [1, 2, 3, 4]),
    ("a = (\n 1,\n f(),\n)  #!\nb = 2\n", [1, 2, 3, 4]),
    ("def f():  #!\n    a = 1\n    return a\nb = 2\n", [1, 2, 3]),
    ("def f(\n    a=1,\n    b=g(),\n):  #!\n    return a\nb = 2\n", [1, 2, 3, 4, 5]),
    ("class C:  #!\n    a = 1\n    def m(self):\n        return 1\nb = 2\n", [1, 2, 3, 4]),
    ("@d  #!\ndef f():\n    return 1\nb = 2\n", [1, 2, 3]),
    ("@d\n@e(1)  #!\ndef f():\n    return 1\nb = 2\n", [1, 2, 3, 4]),
    ("@d\n@e\ndef f():  #!\n    return 1\nb = 2\n", [1, 2, 3, 4]),
    ("@d(\n    1,  #!\n)\ndef f():\n    return 1\nb = 2\n", [1, 2, 3, 4, 5]),
    ("if x:  #!\n    a = 1\nelse:\n    b = 1\nc = 1\n", [1, 2]),
    ("if x:\n    a = 1\nelse:  #!\n    b = 1\n    c = 2\nc = 1\n", [3, 4, 5]),
    ("if x:\n    a = 1\nelif y:\n    b = 1\nelse:  #!\n    c = 2\nc = 1\n", [5, 6]),
    ("try:  #!\n    a = 1\nexcept E:\n    b = 1\nc = 1\n", [1, 2]),
    ("try:\n    a = 1\nexcept E:  #!\n    b = 1\nc = 1\n", [3, 4]),
    ("try:\n    a = 1\nfinally:  #!\n    b = 1\nc = 1\n", [3, 4]),
    ("try:\n    a = 1\nexcept E:\n    d = 1\nelse:  #!\n    b = 1\nc = 1\n", [5, 6]),
    ("with (\n    x,  #!\n    y,\n):\n    a = 1\nc = 1\n", [1, 2, 3, 4, 5]),
    ("for x in y:\n    a = 1\nelse:  #!\n    b = 1\nc = 1\n", [3, 4]),
    ("while x:  #!\n    a = 1\nc = 1\n", [1, 2]),
    ("match x:  #!\n    case 1:\n        a = 1\nc = 1\n", [1, 2, 3]),
    ("match x:\n    case 1:  #!\n        a = 1\n    case _:\n        b = 1\nc = 1\n", [2, 3]),
    ("if x: a = 1  #!\nc = 1\n", [1]),
    ("def f(): return 1  #!\nc = 1\n", [1]),
    ("if x: a = 1\nelse: b = 1  #!\nc = 1\n", [2]),
    ("def f():\n    a = 1  #!\n    return a\nc = 1\n", [2]),
    ("#!\na = 1\nc = 1\n", []),
    ("def f():\n    #!\n    a = 1\nc = 1\n", []),
    ("a = 1; b = 2  #!\nc = 1\n", [1]),
    (
        "class C:\n    def m(self):  #!\n        if x:\n            return 1\n        return 2\n    def n(self):\n        return 3\n",
        [2, 3, 4, 5],
    ),
    ("a = 1 + \\\n    f()  #!\nc = 1\n", [1, 2]),
    ("if (\n    x\n    and y  #!\n):\n    a = 1\nc = 1\n", [1, 2, 3, 4, 5]),
    ("a = [\n    lambda: 1,  #!\n    lambda: f(),\n]\nc = 1\n", [1, 2, 3, 4]),
    ("@d\nclass C:  #!\n    @e\n    def m(self):\n        return 1\nc = 1\n", [1, 2, 3, 4, 5]),
    ("from a import (  #!\n    b,\n    c,\n)\nc = 1\n", [1, 2, 3, 4]),
]

# The same without a comment.
EXCLUDED_BY_ITSELF = [
    ("if TYPE_CHECKING:\n    import b\nelse:\n    b = 1\nc = 1\n", [1, 2]),
    ("if typing.TYPE_CHECKING: import b\nc = 1\n", [1]),
    ("if typing.TYPE_CHECKING:\n    import b\n    import d\nc = 1\n", [1, 2, 3]),
    ("if not TYPE_CHECKING:\n    b = 1\nc = 1\n", []),
    ("if TYPE_CHECKING and d:\n    b = 1\nc = 1\n", []),
    ("def f(a): ...\nc = 1\n", [1]),
    ("async def f(a) -> int: ...  # a comment\nc = 1\n", [1]),
    ("@d\ndef f(\n    a: int = g(),\n) -> int: ...\nc = 1\n", [1, 2, 3, 4]),
    ("def f(a):\n    ...\nc = 1\n", [1, 2]),
    ("@d\n@e\nasync def f(\n    a,\n):\n    ...\nc = 1\n", [1, 2, 3, 4, 5, 6]),
    ('def f(a):\n    """Docstring."""\n    ...\nc = 1\n', [3]),
    ("def f(a):\n    b = 1\n    ...\nc = 1\n", [3]),
    ("class C:\n    ...\nc = 1\n", [2]),
    ("class C(B): ...\nc = 1\n", []),
    ("if b: ...\nc = 1\n", []),
    ("a = ...\nb = lambda: ...\nc = 1\n", []),
    ("def f():\n    return ...\nc = 1\n", []),
]


@pytest.mark.parametrize(("source", "excluded"), EXCLUDED_BY_ITSELF)
def test_code_that_coverage_py_excludes_without_a_comment_is_excluded(tmp_path, source, excluded):
    """This is code for type checkers, and functions whose body is `...`."""
    path = tmp_path / "m.py"
    path.write_text(source)
    found = analysis(str(path))
    assert sorted(found.source.excluded) == excluded
    assert not set(found.missing) & set(excluded)
    last = source.count("\n")
    assert last in found.missing


@pytest.mark.parametrize(("source", "excluded"), EXCLUDED)
def test_a_comment_excludes_the_same_lines_as_in_coverage_py(tmp_path, source, excluded):
    """The comment may be on any line of a statement, a decorator or a header, `else` included."""
    path = tmp_path / "m.py"
    path.write_text(source.replace("#!", "# pragma: no cover"))
    found = analysis(str(path))
    assert sorted(found.source.excluded) == excluded
    assert not set(found.missing) & set(excluded)
    path.write_text(source)
    assert set(found.missing) == set(analysis(str(path)).missing) - set(excluded)
