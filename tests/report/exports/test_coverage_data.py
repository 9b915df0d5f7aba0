"""Data files of coverage.py: coverage.py reports the same lines and branches from them as from its own run."""

import io
import subprocess
import sys

import coverage
import pytest
from exporting import GREAT, LINES, PRICE, analysed, files
from hypothesis import given

from instrument.errors import DataError
from instrument.model.flow_counts import Arc, FlowCounts
from instrument.report.exports import coverage_data
from instrument.report.exports.numbers import Exported

# Many documents are made and read.
pytestmark = pytest.mark.slow

PROGRAM = '''\
"""Goes all ways."""
import functools


def decorated(function):
    @functools.wraps(function)
    def wrapper(*values):
        return function(*values)
    return wrapper


@decorated
def loops(n):
    for i in range(n):
        if i == 3:
            break
        elif i == 1: continue
    else:
        return "all"
    while n:
        n -= 1
    return [
        x
        for x in range(3)
        if x
    ]


def catches(value):
    try:
        with open(value) as file:
            return file.read()
    except (TypeError,
            OSError):
        if value:
            return None
    finally:
        print("done")


def generates(n):
    if n:
        yield 1
    yield 2


class Shop:
    rate = 2
    if rate > 3:
        rate = 3

    def match(self, value):
        match value:
            case 1:
                return "one"
            case [a, b]:
                return "two"
        return "none"


loops(2), loops(9)
catches("/nonexistent")
list(generates(0))
Shop().match(1)
fails = lambda: 1 / 0
try:
    fails()
except ZeroDivisionError:
    pass
if fails is None:
    never = 1
'''


def opened(content, path):
    """Return the CoverageData of a data file with this *content*, written to *path*."""
    path.write_bytes(content)
    data = coverage.CoverageData(str(path))
    data.read()
    return data


@given(files())
def test_the_lines_that_ran_are_read_back(tmp_path_factory, file):
    """All lines that have a count ran, and no others, with arcs and without."""
    data = opened(coverage_data.content(Exported([file])), tmp_path_factory.getbasetemp() / "data")

    assert data.measured_files() == {file.path}
    ran = set(file.counts.lines)
    assert data.has_arcs() == (file.flow is not None and Exported([file]).files[0].n_ran > 0)
    if data.has_arcs():
        taken = {line for arc, count in file.flow.arcs.items() if count for line in (arc.line, arc.target) if line}
        assert set(data.lines(file.path)) == ran | taken
    else:
        assert set(data.lines(file.path) or ()) == ran
    data.close(force=True)


def test_a_return_leaves_by_the_first_line_of_its_code(tmp_path):
    """A line without an arc is entered from there."""
    flow = FlowCounts()
    flow.arcs = {Arc(PRICE, 8, 0): 2, Arc(PRICE, 3, 8): GREAT[-1], Arc(PRICE, 4, 5): 0}
    flow.executions = dict.fromkeys(LINES, 1)
    data = opened(coverage_data.content(Exported([analysed(tmp_path / "a.py", {3: 2, 8: 2, 4: 1, 25: 1}, flow=flow)])), tmp_path / "data")

    assert sorted(data.arcs(str(tmp_path / "a.py"))) == [(-25, 25), (-1, 4), (3, 8), (8, -1)]


def test_one_file_without_a_flow_makes_all_of_them_lines(tmp_path):
    """A data file has either arcs or lines. A file that never ran has neither, and is in the data."""
    flow = FlowCounts()
    flow.arcs = {Arc(PRICE, 8, 0): 2}
    with_flow = analysed(tmp_path / "a.py", {8: 2}, flow=flow)
    without, never = analysed(tmp_path / "b.py", {1: 1}), analysed(tmp_path / "c.py", {})
    data = opened(coverage_data.content(Exported([with_flow, without, never])), tmp_path / "data")

    assert not data.has_arcs()
    assert [data.lines(str(tmp_path / f"{name}.py")) for name in "abc"] == [[8], [1], []]
    assert opened(coverage_data.content(Exported([with_flow, never])), tmp_path / "more").has_arcs()


def reports(data_file, folder):
    """Return the table, the XML and the LCOV that coverage.py makes of *data_file*, without moments and versions."""
    texts = []
    for command in (["report", "-m"], ["xml", "-q", "-o", "-"], ["lcov", "-q", "-o", "-"], ["json", "-q", "-o", "-"]):
        arguments = [sys.executable, "-m", "coverage", *command, f"--data-file={data_file}"]
        done = subprocess.run(arguments, cwd=folder, capture_output=True, text=True, check=True)
        texts.append([line for line in done.stdout.splitlines() if "timestamp" not in line])
    return texts


@pytest.mark.parametrize("branch", [False, True])
def test_coverage_reports_the_same_as_from_its_own_run(tmp_path, branch):
    """The counts are made of the lines and arcs that coverage.py recorded, in this package's terms."""
    (tmp_path / "shop.py").write_text(PROGRAM)
    command = [sys.executable, "-m", "coverage", "run", *(["--branch"] if branch else []), "--data-file=own", "shop.py"]
    subprocess.run(command, cwd=tmp_path, capture_output=True, check=True)
    own = coverage.CoverageData(str(tmp_path / "own"))
    own.read()
    path = str(tmp_path / "shop.py")
    flow = None
    if branch:
        flow = FlowCounts()
        # coverage.py names a code object by its first line only.
        flow.arcs = {
            Arc(("f", -target if target < 0 else 1), line, max(target, 0)): 1 for line, target in own.arcs(path) if line > 0
        }
    file = analysed(path, dict.fromkeys(own.lines(path), 1), flow=flow, source=PROGRAM)
    (tmp_path / "ours").write_bytes(coverage_data.content(Exported([file])))
    expected, found = reports("own", tmp_path), reports("ours", tmp_path)

    assert "shop.py" in "".join(expected[0])
    assert found == expected
    own.close(force=True)


def test_the_report_of_coverage_has_the_numbers_of_the_analysis(tmp_path):
    """The table of coverage.py has the lines that are missing here."""
    file = analysed(tmp_path / "shop.py", {1: 1, 2: 1, 3: 3, 4: 2, 7: 2, 8: 1, 11: 1, 14: 2, 15: 2, 16: 1, 19: 2, 20: 1, 25: 3})
    (tmp_path / "data").write_bytes(coverage_data.content(Exported([file])))
    reader = coverage.Coverage(data_file=str(tmp_path / "data"), config_file=False)
    reader.load()
    _path, statements, _excluded, missing, _text = reader.analysis2(file.path)

    assert (set(statements) - {16, 20}, missing) == (set(LINES) - {16, 20, 15, 19} | {15, 19}, file.missing)
    assert reader.report(file=io.StringIO()) < 100
    reader.get_data().close(force=True)


def test_paths_that_coverage_cannot_store_are_named(tmp_path):
    """A path with bytes that are no UTF-8 is left out."""
    path = tmp_path / "a\udcff.py"
    exported = Exported([analysed(path, {1: 1}), analysed(tmp_path / "b.py", {1: 1})])

    assert coverage_data.unnameable(exported) == [str(path)]
    assert opened(coverage_data.content(exported), tmp_path / "data").measured_files() == {str(tmp_path / "b.py")}


def test_without_coverage_the_error_says_what_to_install(tmp_path, monkeypatch):
    """coverage.py is no dependency of this package."""
    monkeypatch.setitem(sys.modules, "coverage", None)

    with pytest.raises(DataError, match=r"coverage\.py is not installed here.*pip install coverage"):
        coverage_data.content(Exported([analysed(tmp_path / "a.py", {1: 1})]))
