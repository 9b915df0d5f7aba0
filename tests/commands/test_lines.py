"""Which lines of a source can be missing: the same ones on all Pythons, whether or not the file was imported."""

import sys
import warnings
from pathlib import Path

import pytest
from oracle import programs

from instrument.commands.report import Row

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


def row(path, counts=None):
    """Return what a report says of the file at *path*: never imported, or imported with these lines."""
    never = Row(path, None, (), frozenset()).conclude()
    if counts is None:
        return never
    made = Row(path, never.version, {path}, frozenset())
    made.add(dict.fromkeys(counts, (1, 1e9, 1e9)), {("<module>", 1): (1, 1e9, 1e9)})
    return made.conclude()


@pytest.mark.parametrize("head", ["", "from __future__ import annotations\n"])
def test_annotations_are_missing_in_no_file_that_was_never_imported(tmp_path, head):
    """`x: int` is no line that can be missing; `x: int = 3` is a statement."""
    path = tmp_path / "m.py"
    path.write_text(BARE if not head else BARE.replace("import typing", head + "import typing"))
    shift = 1 if head else 0
    expected = [3, *(line + shift for line in (5, 6, 9, 10, 16, 17, 19, 24, 25))]
    assert row(str(path)).missing == sorted({*expected, 3 + shift})


@pytest.mark.parametrize("path", programs())
def test_a_file_has_the_same_lines_and_functions_when_it_was_imported(path):
    """Imported with nothing called, and never imported, a file has the same executable lines."""
    never = row(path)
    if never.source.reason:
        pytest.skip("it cannot be compiled")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        code = compile(Path(path).read_bytes(), path, "exec", dont_inherit=True)
    ran = {line for _start, _end, line in code.co_lines() if line}
    imported = row(path, ran)
    assert imported.executable == never.executable
    assert imported.missing == sorted(never.executable - ran)
    assert imported.source.functions() == never.source.functions()


@pytest.mark.skipif(sys.version_info < (3, 12), reason="no type parameters before 3.12")
def test_type_parameters_are_never_missing(tmp_path):
    """The scope of type parameters runs with its statement, whose first line says whether it ran."""
    path = tmp_path / "m.py"
    path.write_text("class C[\n    T: int,\n    *U,\n]:\n    pass\ntype X[\n    T,\n] = tuple[\n    T\n]\n")
    assert row(str(path)).missing == [1, 5, 6]


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


@pytest.mark.parametrize(("source", "excluded"), EXCLUDED)
def test_a_comment_excludes_what_coverage_py_excludes(tmp_path, source, excluded):
    """The comment may be on any line of a statement, a decorator, or a header, also that of `else`."""
    path = tmp_path / "m.py"
    path.write_text(source.replace("#!", "# pragma: no cover"))
    found = row(str(path))
    assert sorted(found.source.excluded) == excluded
    assert not set(found.missing) & set(excluded)
    path.write_text(source)
    assert set(found.missing) == set(row(str(path)).missing) - set(excluded)
