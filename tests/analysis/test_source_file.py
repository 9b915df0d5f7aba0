"""Source files: kinds of code, lines that can be missing, and lines that are excluded."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from processes import files, write
from reporting import in_own_folder as in_own_folder
from reporting import measured, run

from instrument.analysis.source_file import SourceFile, version_of

ROOT = Path(__file__).parents[2]


ANNOTATED = """\
class Point:
    x: int
    y: "int"

    def move(
        self,
        dx: int,
        dy: float,
    ) -> None:
        self.x += dx


unit: int = 1


def unused(
    first: int,
    second: str,
) -> list[int]:
    return [first]


p = Point()
"""


def test_annotations_are_never_missing(capsys):
    """Code that runs only if the program requests annotations is neither a function nor a missing line."""
    source = ANNOTATED
    eager = {2: 1, 3: 1, 7: 1, 8: 1, 9: 1, 17: 1, 18: 1, 19: 1} if sys.version_info < (3, 14) else {}
    measured("m.py", source, {1: 1, 5: 1, 13: 1, 16: 1, 23: 1} | eager, {("Point", 1): (1, 1e9, 1e9)})
    run("report", "--missing")
    assert capsys.readouterr().out.splitlines()[2].endswith("  10, 20")
    run("report", "--unused-for", "1d")
    output = capsys.readouterr().out
    assert "__annotate__" not in output
    assert [line.split("  last")[0].strip() for line in output.splitlines() if "(line" in line] == [
        "class Point (line 1)",
        "function Point.move (line 5)  never",
        "function unused (line 16)  never",
    ]
    run("annotate")
    listing = Path("m.cover").read_text().splitlines()
    assert [n for n, line in enumerate(listing, 1) if line.startswith(">>>>>>")] == [10, 20]


@pytest.mark.skipif(sys.version_info < (3, 14), reason="annotations ran with their functions before")
def test_annotations_that_ran_are_no_function(capsys):
    """Their calls are in JSON with their kind, and they are never listed as unused."""
    functions = {("Point.__annotate__", 5): (1, 1e9, 1e9), ("Point.move.__annotate__", 5): (1, 1e9, 1e9)}
    measured("m.py", ANNOTATED, {1: 1, 5: 1, 7: 1, 13: 1, 16: 1, 23: 1}, functions)
    run("report", "--unused-for", "1d")
    assert "__annotate__" not in capsys.readouterr().out
    run("report", "--json")
    [file] = json.loads(capsys.readouterr().out)["files"]
    assert file["lines"]["7"]["count"] == 1
    assert file["missing"] == [10, 20]
    assert {function["kind"] for function in file["functions"] if function["calls"]} == {"annotations"}


def test_a_function_called_annotate_is_a_function():
    """Only code that the compiler made of annotations has the kind of annotations."""
    Path("m.py").write_text("x: int\ndef __annotate__(format):\n    return 1\n")
    source = SourceFile("m.py", None)
    assert source.kinds["__annotate__", 2] == "function"
    assert source.functions() == {("__annotate__", 2): {3}}
    assert 3 in source.executable - source.annotations


@pytest.mark.skipif(sys.version_info < (3, 12), reason="no type parameters before 3.12")
def test_type_parameters_and_aliases_are_no_functions():
    """Values of aliases and bounds run on request only; scopes of type parameters run with their `def`."""
    Path("m.py").write_text(
        "type Pair[T] = tuple[\n    T,\n    T,\n]\n"
        "def f[\n    T: (\n        int,\n        str,\n    ),\n](x: T) -> T:\n    return x\n"
        "class C[T]:\n    pass\n"
    )
    source = SourceFile("m.py", None)
    assert [name for name, _line in source.functions()] == ["f"]
    assert {2, 3} <= source.annotations
    assert {7, 8} <= source.annotations
    assert {1, 5, 11, 12} <= source.executable - source.annotations
    assert {kind for (name, _line), kind in source.kinds.items() if "generic" in name} == {"type parameters"}


EXCLUDED = """\
import functools


def f(debug):
    if debug:  # pragma: no cover
        x = 1
        for y in range(3):
            x += y
    else:
        x = 2
    try:
        x += 1
    except ValueError:  # pragma: no cover
        x = 3
    return x


@functools.lru_cache
def g(
    a,  # pragma:nocover
    b=2,
):
    return a


@functools.lru_cache  # PRAGMA NO COVER: by hand
@functools.wraps(f)
def h():
    return 3


class C:  # pragma: no cover
    def m(self):
        return 1


big = (
    1,
    f(0),
)  # pragma: no cover
text = "# pragma: no cover"
if text:  #pragma NO COVER
    text = 1
"""


def test_lines_that_a_comment_excludes_are_never_missing(capsys):
    """`# pragma: no cover` excludes the lines that coverage.py excludes; the form of `trace` excludes its own line."""
    counts = dict.fromkeys((1, 4, 5, 10, 11, 12, 15, 41), 1)
    measured("m.py", EXCLUDED, counts | {6: 5})
    run("report", "--missing")
    row = capsys.readouterr().out.splitlines()[2]
    assert row.endswith("  43")
    source = SourceFile("m.py", None)
    excluded = {5, 6, 7, 8, 13, 14, *range(18, 24), *range(26, 30), *range(32, 35), *range(37, 41), 42}
    assert source.excluded == excluded
    run("report", "--json")
    [file] = json.loads(capsys.readouterr().out)["files"]
    assert file["lines"]["6"]["count"] == 5
    assert file["missing"] == [43]
    assert set(file["excluded"]) == excluded & source.executable
    assert file["executable"] == len(source.executable - excluded)
    run("report", "--unused-for", "1d")
    output = capsys.readouterr().out
    assert not [line for line in output.splitlines() if "never" in line and "(line" in line]
    run("annotate")
    listing = Path("m.cover").read_text().splitlines()
    assert [n for n, line in enumerate(listing, 1) if line.startswith(">>>>>>")] == [43]
    assert listing[5] == "    5:         x = 1"


def test_a_source_in_an_archive_has_a_reason_of_its_own(tmp_path, capsys):
    """The remark names the archive and a way out, and does not say that the version is unknown."""
    Path("app.pyz").write_bytes(b"PK")
    write(".instrument", "one", {(f"{tmp_path}/app.pyz/pkg/m.py", "compiled:0"): {1: 1}, ("/no/m.py", "compiled:0"): {1: 1}})
    run("report")
    errors = capsys.readouterr().err
    assert f"m.py': it is in the archive '{tmp_path}/app.pyz', and sources in archives are not read: run the" in errors
    assert "'/no/m.py': it is not known which version was measured (compiled:0)" in errors


ASSERTS = '''\
def f(n):
    """Docstring."""
    if n:
        return n
    assert (
        n == 0
    )
    if __debug__:
        n += 1
    return n
f(1)
'''


def ran_with(*options):
    """Run the program in `prog.py` with these *options* of the interpreter."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONOPTIMIZE": ""}
    command = [sys.executable, *options, "-m", "instrument", "run", "prog.py"]
    subprocess.run(command, env=environment, check=True, timeout=100)


def missing_of_prog(capsys):
    """Return the missing lines of `prog.py`, and the remarks."""
    capsys.readouterr()
    assert run("report", "--json") == 0
    document = json.loads(capsys.readouterr().out)
    [file] = document["files"]
    return file["missing"], " ".join(document["remarks"])


def test_code_that_an_optimised_process_leaves_out_is_not_missing(capsys):
    """-O and -OO leave out `assert` and `if __debug__:`; a remark gives the number of such processes."""
    Path("prog.py").write_text(ASSERTS)
    ran_with()
    assert missing_of_prog(capsys) == ([6, 8, 9, 10], "")
    ran_with("-O")
    assert missing_of_prog(capsys)[0] == [8, 10]
    assert "1 of 2 processes ran with -O" in missing_of_prog(capsys)[1]
    for name in files(".instrument"):
        Path(".instrument", name).unlink()
    ran_with("-OO")
    missing, remarks = missing_of_prog(capsys)
    assert missing == [8, 10]
    assert "where they did not run: 1 process ran with -O" in remarks


def test_a_report_by_an_optimised_python_is_the_same(capsys):
    """The options of the measured process decide, not those of the report."""
    Path("prog.py").write_text(ASSERTS)
    ran_with()
    command = [sys.executable, "-O", "-m", "instrument", "report", "--json"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    finished = subprocess.run(command, env=environment, capture_output=True, check=True, timeout=100)
    assert json.loads(finished.stdout)["files"][0]["missing"] == missing_of_prog(capsys)[0]


def test_sources_that_are_no_files_are_only_named(tmp_path, capsys):
    """A data file may name any path as a source: a pipe does not block the report, and a folder does not end it."""
    os.mkfifo("pipe")
    paths = [
        "/dev/zero",
        str(tmp_path / "pipe"),
        str(tmp_path),
        "nul\0byte",
        "",
        str(tmp_path / "deep.py"),
        "relative.py",
    ]
    deep = ("(" * 100_000).encode()
    Path("deep.py").write_bytes(deep)
    write(".instrument", "one", {(path, version_of(deep)): {1: 1} for path in paths})
    assert run("report", "-m") == 0
    output = capsys.readouterr()
    assert len(output.out.splitlines()) == 5 + len(paths)
    assert "cannot be compiled" in output.err


def test_lines_with_the_pragma_of_trace_are_never_missing(capsys, tmp_path):
    """As in listings."""
    source = b"if 0:\n    x = 1\nif []:\n    y = 1  #pragma NO COVER\n    z = 1\n"
    Path("m.py").write_bytes(source)
    write(".instrument", "one", {(str(tmp_path / "m.py"), version_of(source)): {1: 1, 3: 1}})
    run("report", "-m")
    assert capsys.readouterr().out.splitlines()[2].split() == ["m.py", "3", "1", "67%", "2", "1:", "1", "5"]

