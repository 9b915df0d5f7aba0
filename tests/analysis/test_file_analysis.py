"""Analysis of a file: versions, uncounted code, functions that were given out, and uses of functions."""

import json
import time
from pathlib import Path

import pytest
from processes import process, write
from reporting import LISTING, measured, run, table_rows
from reporting import in_own_folder as in_own_folder
from reporting import shop as shop

from instrument.analysis.analysis import Analysis
from instrument.analysis.patterns import FilePatterns
from instrument.analysis.source_file import version_of
from instrument.data.query import StoredMeasurement
from instrument.data.writer import Writer
from instrument.model.measurement import FACTS


def test_an_empty_file_has_no_line_0(tmp_path, capsys):
    """Its code runs on line 0, which the drop-in reports as `trace` does; a table does not have that line."""
    measured("pkg/__init__.py", "", {0: 3})
    run("report")
    assert table_rows(capsys.readouterr().out) == [["pkg/__init__.py", "0", "0", "-", "0", "-"]]
    run("report", "--json")
    [file] = json.loads(capsys.readouterr().out)["files"]
    assert (file["lines"], file["hits"], file["executable"], file["imported"]) == ({}, 0, 0, True)
    run("annotate")
    assert Path("pkg/__init__.cover").read_text() == ""


def test_a_changed_source_has_no_unused_functions(capsys):
    """For another text it is unknown which functions did not run."""
    measured("m.py", "def f():\n    pass\n", {1: 1})
    Path("m.py").write_text("# new\ndef f():\n    pass\n")

    assert run("report", "--unused-for", "1d") == 0
    output = capsys.readouterr().out
    assert "all that was measured was used" not in output
    assert "1 file is left out: the present source" in output


def test_versions_are_never_mixed(shop, capsys):
    """Each version has a row of its own."""
    write(".instrument", "two", {(shop[0], "sha256:" + "0" * 64): {1: 1000}})
    run("report")
    rows = [line.split() for line in capsys.readouterr().out.splitlines()[2:4]]
    assert sorted(rows) == [
        ["shop.py", "(stale)", "-", "-", "-", "1000", "1:", "1000"],
        ["shop.py", "11", "3", "73%", "15", "3:", "4"],
    ]


def test_uncounted_files_are_never_shown_at_zero(shop, capsys):
    """They are listed with the reason; a file that was measured in part has no missing lines."""
    write(".instrument", "two", {}, not_measured={shop[0]: "f cannot be rewritten", "/x.py": "it\x1b is frozen"})
    run("report", "-m")
    output = capsys.readouterr()
    assert output.out.splitlines()[2].split() == ["shop.py", "-", "-", "-", "15", "3:", "4"]
    assert f"Not measured: {shop[0]!r}: f cannot be rewritten" in output.err
    assert "Not measured: '/x.py': it\\x1b is frozen" in output.err


def test_functions_that_may_have_run_elsewhere_are_never_missing(shop, capsys):
    """Their lines are uncertain, all others are known, and one remark names these functions."""
    write(".instrument", "two", {}, given_out=[(shop, "refund", 11, "cloudpickle"), (shop, "refund", 11, "dill")])
    note = (
        "cloudpickle, dill got the code of 1 function, which may have run elsewhere, uncounted. "
        "No line of it is called missing: refund (shop.py, line 11)"
    )
    for data in (".instrument", "sum.sqlite"):
        run("report", "-m", "--only-imported", data)
        output = capsys.readouterr()
        assert output.out.splitlines()[2].split() == ["shop.py", "9", "1", "89%", "15", "3:", "4", "5"]
        assert output.err.splitlines() == [note]
        run("combine", "--keep", "-o", "sum.sqlite")
        capsys.readouterr()
    run("report", "--unused-for", "50d", "--only-imported")
    output = capsys.readouterr()
    assert "refund" not in output.out
    assert "line 5  never" in output.out
    assert "13" not in output.out
    assert output.err.splitlines() == [note]
    run("report", "--json", "--unused-for", "50d")
    data = json.loads(capsys.readouterr().out)
    [file] = data["files"]
    assert (file["missing"], file["executable"], file["uncertain"]) == ([5], 9, [11, 13, 14])
    assert file["given_out"] == [{"name": "refund", "line": 11, "to": ["cloudpickle", "dill"]}]
    assert [one["calls"] for one in file["functions"]] == [1, None]
    assert file["unused"]["lines"].keys().isdisjoint({"11", "13", "14"})
    assert [one["name"] for one in file["unused"]["functions"]] == ["price"]
    assert note in data["remarks"]
    run("annotate", "-d", "covers", "--only-imported")
    assert capsys.readouterr().err.splitlines() == [note, "1 listing written in covers"]
    listing = Path("covers/shop.cover").read_text()
    assert listing == LISTING.replace(">>>>>>     y", "           y").replace(">>>>>>     return y", "           return y")


@pytest.mark.parametrize("name", ["gone", "refund.<locals>.gone"])
def test_nothing_is_missing_if_a_function_that_ran_elsewhere_is_not_found(shop, capsys, name):
    """If the source lacks that function, any line may be one of its lines."""
    write(".instrument", "two", {}, given_out=[(shop, name, 11, "cloudpickle")])
    run("report", "-m")
    output = capsys.readouterr()
    assert output.out.splitlines()[2].split() == ["shop.py", "-", "-", "-", "15", "3:", "4"]
    assert f"{name} (shop.py, line 11)" in output.err
    run("report", "--json")
    [file] = json.loads(capsys.readouterr().out)["files"]
    assert (file["missing"], file["uncertain"]) == (None, None)


def test_functions_whose_calls_were_not_recorded_are_known_by_their_lines(capsys, tmp_path):
    """A function was used if a line of its body was; about a function on one line nothing is known."""
    source = b"def f():\n    return 1\n\ndef g():\n    return 2\n\ndef h(): return 3\n"
    Path("m.py").write_bytes(source)
    now = time.time()
    lines = dict.fromkeys((1, 2, 4, 7), (1, now, now))
    Writer(".instrument", process("one")).write({"lines": [((str(tmp_path / "m.py"), version_of(source)), lines)]}, {}, "exit")
    run("report", "--unused-for", "1d")
    output = capsys.readouterr().out

    assert [line.strip() for line in output.splitlines() if "function" in line] == ["function g (line 4)  never"]



def test_forgotten_lines_are_never_read_as_zeros(shop):
    """The numbers and the missing ranges remain; counts of single lines raise an error."""
    with StoredMeasurement([".instrument"]) as stored:
        [kept] = Analysis(stored, FilePatterns()).files
        [file] = Analysis(stored, FilePatterns(), keeps_lines=False).files

    assert (file.n_lines, file.n_missing, file.hits) == (kept.n_lines, kept.n_missing, kept.hits) == (11, 3, 15)
    assert file.missing_ranges == [(5, 5), (13, 14)]
    for owner, name in [(file, "missing"), (file, "executable"), *((file.counts, fact.field) for fact in FACTS)]:
        with pytest.raises(AttributeError, match=name):
            getattr(owner, name)
