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
