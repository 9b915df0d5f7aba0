"""What reports say: of data that is left out, of annotations, of excluded lines, and of what never ran."""

import argparse
import importlib
import json
import os
import sys
from pathlib import Path

import pytest
from processes import A, files, write

from instrument.commands._sources import Source
from instrument.data.store import version_of
from instrument.errors import DataError

UNRELATED = "it is no data file of instrument"


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path, monkeypatch):
    """Work in an empty folder."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("INSTRUMENT") and name != "INSTRUMENT_CACHE"]:
        monkeypatch.delenv(name)


def run(command, *arguments):
    """Run *command* as the command line does; return its exit status."""
    room = importlib.import_module(f"instrument.commands.{command}")
    parser = argparse.ArgumentParser()
    room.add_arguments(parser)
    return room.execute(parser.parse_args([str(argument) for argument in arguments]))


def measured(name, source, counts, functions=()):
    """Write *source* to the file *name*, and data that it ran with *counts*; return path and version."""
    path = Path(name).absolute()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(source)
    key = str(path), version_of(source.encode())
    write(".instrument", name.replace("/", "_"), {key: counts}, functions=[(key, dict(functions))])
    return key


def damage():
    """Put files that cannot be read beside the data; return their names with the reasons."""
    [good] = [name for name in files(".instrument") if name.endswith(".sqlite")]
    data = Path(".instrument", good).read_bytes()
    Path(".instrument/cut.sqlite").write_bytes(data[:5000])
    Path(".instrument/empty.sqlite").write_bytes(b"")
    Path(".instrument/foreign.sqlite").write_bytes(b"something else")
    Path(".instrument/page.sqlite").write_bytes(data[:4096] + b"\xff" * 4096 + data[8192:])
    Path(".instrument/reserved.sqlite").write_bytes(data[:20] + b"\xf0" + data[21:])
    return {
        "cut": f"it is damaged: it has 5000 bytes, not {len(data)}",
        "empty": "it is empty",
        "foreign": UNRELATED,
        "page": "it is damaged: ",
        "reserved": "it is damaged: ",
    }


# Data that is left out


@pytest.mark.parametrize(
    "command",
    [
        ["report"],
        ["report", "--missing"],
        ["report", "--unused-for", "1d"],
        ["report", "--json"],
        ["annotate"],
        ["combine", "--keep"],
        ["diff", ".instrument", ".instrument"],
    ],
)
def test_data_that_is_left_out_is_named(command, capsys):
    """Each command names each file that it cannot read, with the reason, on one line of standard error."""
    measured("m.py", "x = 1\n", {1: 1})
    reasons = damage()
    assert run(*command) == 0
    errors = capsys.readouterr().err.splitlines()

    for name, reason in reasons.items():
        [line] = {line for line in errors if f"'.instrument/{name}.sqlite'" in line}
        assert line.startswith(f"Skipping data file '.instrument/{name}.sqlite': {reason}")
        assert "copy.sqlite" not in line
    if command[0] != "diff":
        assert "5 data files left out: these counts are incomplete" in errors


@pytest.mark.parametrize("command", [["report", "--json"], ["diff", "--json", ".instrument", ".instrument"]])
def test_json_lists_data_that_is_left_out(command, capsys):
    """Other programs learn of it, too."""
    measured("m.py", "x = 1\n", {1: 1})
    reasons = damage()
    run(*command)
    skipped = json.loads(capsys.readouterr().out)["skipped"]

    assert {os.path.basename(each["path"]) for each in skipped} == {f"{name}.sqlite" for name in reasons}
    assert all(each["reason"].startswith(reasons[os.path.basename(each["path"])[:-7]]) for each in skipped)
    assert "copy.sqlite" not in json.dumps(skipped)


@pytest.mark.parametrize("command", [["report"], ["report", "--json"], ["annotate"], ["combine"]])
def test_nothing_that_can_be_read_is_an_error(command):
    """Where all data is refused, the reason is the message, and the status is that of an error."""
    Path(".instrument").mkdir()
    Path(".instrument/foreign.sqlite").write_text("something else")
    with pytest.raises(DataError, match=f"'.instrument/foreign.sqlite' was skipped: {UNRELATED}"):
        run(*command)


def test_data_that_is_left_out_is_named_even_if_no_file_is_left(capsys):
    """Patterns that leave nothing to report do not hide it."""
    measured("m.py", "x = 1\n", {1: 1})
    damage()
    with pytest.raises(DataError, match="nothing is left to report"):
        run("report", "--include", "other.py")
    assert "cut.sqlite" in capsys.readouterr().err


def test_a_diff_of_nothing_is_an_error(capsys):
    """Data that cannot be compared is no data of which nothing ran."""
    write("a", "one", {A: {1: 5}})
    write("b", "one", {(A[0], "sha256:other"): {1: 6}})
    assert run("diff", "a", "b") == 1
    output = capsys.readouterr()
    assert output.out == "Nothing can be compared.\n"
    assert output.err.count("Not compared: '/src/a.py'") == 2
    assert run("diff", "a", "b", "--json") == 1

    write("same", "one", {A: {1: 5}})
    capsys.readouterr()
    assert run("diff", "a", "same") == 0
    assert capsys.readouterr().out == "Nothing ran.\n"
    with pytest.raises(DataError, match="nothing is left to compare"):
        run("diff", "a", "same", "--omit", "*")


# Annotations

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
    """What runs only when somebody asks for annotations is neither a function nor a line of the program."""
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
    """Calls of them are kept in JSON, as what they are, and listed nowhere as unused."""
    functions = {("Point.__annotate__", 5): (1, 1e9, 1e9), ("Point.move.__annotate__", 5): (1, 1e9, 1e9)}
    measured("m.py", ANNOTATED, {1: 1, 5: 1, 7: 1, 13: 1, 16: 1, 23: 1}, functions)
    run("report", "--unused-for", "1d")
    assert "__annotate__" not in capsys.readouterr().out
    run("report", "--json")
    [file] = json.loads(capsys.readouterr().out)["files"]
    assert file["lines"]["7"]["count"] == 1
    assert file["missing"] == [10, 20]
    assert {function["kind"] for function in file["functions"]} == {"annotations"}


def test_a_function_of_this_name_is_a_function():
    """Only what the compiler made of annotations is code of annotations."""
    Path("m.py").write_text("x: int\ndef __annotate__(format):\n    return 1\n")
    source = Source("m.py", None)
    assert source.kinds["__annotate__", 2] == "function"
    assert source.functions() == {("__annotate__", 2): {3}}
    assert 3 in source.executable - source.annotations


@pytest.mark.skipif(sys.version_info < (3, 12), reason="no type parameters before 3.12")
def test_type_parameters_and_aliases_are_no_functions():
    """Values of aliases and bounds run only when somebody asks; scopes of type parameters run with their `def`."""
    Path("m.py").write_text(
        "type Pair[T] = tuple[\n    T,\n    T,\n]\n"
        "def f[\n    T: (\n        int,\n        str,\n    ),\n](x: T) -> T:\n    return x\n"
        "class C[T]:\n    pass\n"
    )
    source = Source("m.py", None)
    assert [name for name, _line in source.functions()] == ["f"]
    assert {2, 3} <= source.annotations
    assert {7, 8} <= source.annotations
    assert {1, 5, 11, 12} <= source.executable - source.annotations
    assert {kind for (name, _line), kind in source.kinds.items() if "generic" in name} == {"type parameters"}


# Excluded lines

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
    """`# pragma: no cover` excludes what coverage.py excludes for it; the form of `trace` excludes its own line."""
    counts = dict.fromkeys((1, 4, 5, 10, 11, 12, 15, 41), 1)
    measured("m.py", EXCLUDED, counts | {6: 5})
    run("report", "--missing")
    row = capsys.readouterr().out.splitlines()[2]
    assert row.endswith("  43")
    source = Source("m.py", None)
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
