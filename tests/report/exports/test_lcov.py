"""LCOV tracefiles: numbers are read back, by a small reader and by genhtml and diff-cover; texts forge no record."""

import re
import shutil
import subprocess

import pytest
from diff_cover.git_path import GitPathTool
from diff_cover.violationsreporters.violations_reporter import LcovCoverageReporter
from exporting import BODIES, FUNCTIONS, HOSTILE, LINES, PRICE, SETTER, WAYS, analysed, files
from hypothesis import given
from hypothesis import strategies as st

from instrument.model.flow_counts import FlowCounts, FunctionFlow
from instrument.report.exports import lcov
from instrument.report.exports.numbers import UNITS, Exported

# Many files are analysed.
pytestmark = pytest.mark.slow


def read(lines):
    """Return a dict from path to the dict of the records of each file: by kind, a list of lists of fields."""
    found, records = {}, None
    for line in lines:
        kind, _, fields = line.partition(":")
        if kind == "SF":
            records = found[fields] = {}
        elif kind == "end_of_record":
            records = None
        elif kind != "TN":
            records.setdefault(kind, []).append(fields.split(","))
    return found


@given(files(), st.sampled_from([None, *UNITS]))
def test_all_numbers_are_read_back(file, unit):
    """Lines, functions and branches have their counts, and the sums are those of the records."""
    unit = unit if file.flow else None
    exported = Exported([file], unit)
    [numbers] = exported.files
    [(path, records)] = read(lcov.write(exported)).items()
    reached = {each.line for each in numbers.ways or () if each.n_taken}
    written = [each for each in numbers.ways or () if each.line in reached or not numbers.lines[each.line]]

    assert path == file.path
    assert {int(line): int(count) for line, count in records["DA"]} == numbers.lines
    assert records["LF"] == [[str(len(LINES))]]
    assert records["LH"] == [[str(sum(map(bool, numbers.lines.values())))]]
    assert [(int(line), name) for line, name in records.get("FN", [])] == [(each.line, each.name) for each in numbers.functions]
    assert {name: int(calls) for calls, name in records.get("FNDA", [])} == {each.name: each.calls for each in numbers.functions}
    assert records["FNF"] == [[str(len(numbers.functions))]]
    assert records["FNH"] == [[str(sum(1 for each in numbers.functions if each.calls))]]
    assert [(int(line), count) for line, _, _, count in records.get("BRDA", [])] == [
        (each.line, str(count) if each.n_taken else "-") for each in written for count in each.targets.values()
    ]
    assert ("BRF" in records) == (file.flow is not None)
    if file.flow:
        assert records["BRF"] == [[str(len(records.get("BRDA", [])))]]
        assert records["BRH"] == [[str(sum(count not in ("-", "0") for *_, count in records.get("BRDA", [])))]]


def test_the_name_of_the_test_is_the_unit(tmp_path):
    """The format has no comments that all readers skip."""
    flow = FlowCounts()

    assert next(lcov.write(Exported([analysed(tmp_path / "a.py", {1: 1})]))) == "TN:events"
    assert next(lcov.write(Exported([analysed(tmp_path / "a.py", {1: 1}, flow=flow)]))) == "TN:executions"


def consistent(path, scale):
    """Return the analysis of a run in which `price` was called *scale* times, and no other function."""
    flow = FlowCounts()
    flow.arcs = dict.fromkeys(WAYS, 0) | {WAYS[0]: 3 * scale, WAYS[1]: scale, WAYS[2]: scale, WAYS[3]: 2 * scale}
    lines = {1: 1, 2: scale, 3: 4 * scale, 4: 3 * scale, 5: scale, 7: 2 * scale, 8: scale, 11: 1, 14: 2, 15: 2, 16: 1, 19: 2, 20: 1, 25: 3}
    flow.executions = lines
    flow.functions = {PRICE: FunctionFlow(scale)}
    return analysed(path, lines, {PRICE: scale}, flow)


def test_ends_of_functions_are_those_of_the_source(tmp_path):
    """A function starts on the first line of its body; a function without such a line has no end."""
    [records] = read(lcov.write(Exported([consistent(tmp_path / "a.py", 5)]), with_ends=True)).values()

    assert records["FN"] == [["2", "8", "price"], ["11", "refund"], ["17", "17", "Shop.name"], ["21", "22", "Shop.name@19"]]
    assert set(FUNCTIONS.values()) == BODIES.keys()


def test_a_function_that_contradicts_its_lines_has_no_end(tmp_path):
    """After a reset, a function can run on without a call. lcov 2 refuses such a range."""
    file = analysed(tmp_path / "a.py", {3: 1, 4: 1}, {SETTER: 1, PRICE: 0})
    file.counts.functions.add(("Shop.name", 15), 1, 1.0, 1.0)
    [records] = read(lcov.write(Exported([file]), with_ends=True)).values()

    assert [fields for fields in records["FN"] if len(fields) == 3] == []


def test_a_line_that_ran_and_went_nowhere_has_no_branches(tmp_path):
    """lcov 2 refuses its branches. A line that never ran has them, without counts."""
    flow = FlowCounts()
    flow.arcs = dict.fromkeys(WAYS, 0)
    flow.executions = {3: 1}
    [records] = read(lcov.write(Exported([analysed(tmp_path / "a.py", {3: 1}, flow=flow)]))).values()

    assert records["BRDA"] == [["4", "0", "0", "-"], ["4", "0", "1", "-"], ["21", "0", "0", "-"], ["21", "0", "1", "-"]]


@pytest.mark.parametrize("text", HOSTILE)
def test_texts_forge_no_record(tmp_path, text):
    """A function and a file of such a name make records of the same kinds and numbers as others."""
    path = tmp_path / ("x" + re.sub("[/\0\ud800]", "", text)[:80] + ".py")
    file = analysed(path, {1: 1}, {(text, 1): 3})
    file.is_complete = False
    lines = list(lcov.write(Exported([file])))

    assert [line.partition(":")[0] for line in lines] == ["TN", "SF", "FN", "FNDA", "FNF", "FNH", "DA", "LF", "LH", "end_of_record"]
    assert all(line.isprintable() and (line.startswith("SF:") or line.count(",") <= 1) for line in lines)
    assert lines[3].startswith("FNDA:3,")


@pytest.mark.parametrize("scale", [1, 2**29, 2**51 + 1])
def test_diff_cover_reads_the_lines(tmp_path, scale, monkeypatch):
    """diff-cover refuses records that it does not know. It counts the ways on, too, where a line did not run."""
    monkeypatch.chdir(tmp_path)
    subprocess.run(["git", "init", "-q"], check=True)
    GitPathTool.set_cwd(str(tmp_path))
    file = consistent(tmp_path / "a.py", scale)
    for with_ends in (False, True):
        (tmp_path / "lcov.info").write_text("".join(f"{line}\n" for line in lcov.write(Exported([file]), with_ends=with_ends)))
        [(path, lines)] = LcovCoverageReporter.parse("lcov.info").items()

        assert path == "a.py"
        assert dict(lines) == Exported([file]).files[0].lines


@pytest.mark.skipif(shutil.which("genhtml") is None, reason="genhtml of lcov is not installed")
@pytest.mark.parametrize("with_ends", [False, True])
@pytest.mark.parametrize("scale", [0, 1, 2**29, 2**51 + 1, 2**61 - 1])
def test_genhtml_reads_all(tmp_path, scale, with_ends, monkeypatch):
    """genhtml ends without an error, and finds the lines, functions and branches that were written."""
    monkeypatch.chdir(tmp_path)
    exported = Exported([consistent(tmp_path / "a.py", scale)])
    [numbers] = exported.files
    (tmp_path / "lcov.info").write_text("".join(f"{line}\n" for line in lcov.write(exported, with_ends=with_ends)))
    done = subprocess.run(
        ["genhtml", "--branch-coverage", "--function-coverage", "lcov.info", "-o", "html"], capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert "ERROR" not in done.stderr
    assert f"({numbers.n_ran} of {len(numbers.lines)} lines)" in done.stdout
    assert f"({numbers.n_ways_taken} of {numbers.n_ways} branches)" in done.stdout
    version = subprocess.run(["genhtml", "--version"], capture_output=True, text=True, check=True).stdout
    if not with_ends or "LCOV version 2" in version:
        assert f"({int(scale > 0)} of {len(numbers.functions)} functions)" in done.stdout
    [page] = (tmp_path / "html").rglob("a.py.gcov.html")
    assert re.search(rf"\b{3 * scale}\b", page.read_text())
