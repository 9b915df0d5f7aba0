"""`instrument growth` finds the laws of the functions of tests that ran with several sizes, or runs them."""

import json
import os
import subprocess
import sys

import pytest
from pytest_runs import Project
from sorting_shop import SHOP

TEST_SHOP = """\
import pytest, shop

@pytest.fixture
def numbers(size):
    return shop.make(size)

def test_sort(numbers):
    assert shop.merge_sort(numbers) == sorted(numbers)

@pytest.mark.parametrize("n", [6, 8, 10, 12, 14, 16, 18])
@pytest.mark.parametrize("k", [1, 2])
def test_fib(n, k):
    for _ in range(k):
        shop.fib(n)

def test_bubble(size):
    shop.bubble(shop.make(size))

def test_other():
    shop.never()
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """Return a project whose tests ran with the usual sizes."""
    project = Project(tmp_path_factory.mktemp("growth"), {"shop.py": SHOP, "test_shop.py": TEST_SHOP})
    project.run("-q", "--instrument", "--instrument-contexts", "--instrument-report=none")
    return project


def growth(project, *arguments, status=0):
    """Return the standard output and the standard error of `instrument growth`, which must end with *status*."""
    finished = subprocess.run(
        [sys.executable, "-m", "instrument", "growth", *arguments],
        cwd=project.folder,
        env=project.environment(),
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert finished.returncode == status, finished.stderr
    return finished.stdout, finished.stderr


def functions_of(document):
    """Return the growth of each function in the only test of *document*, by name."""
    [test] = document["tests"]
    return {each["name"]: each for each in test["functions"]}


def test_each_function_has_its_law(project):
    """The numbers are those of the call: the setup is a phase of its own."""
    rows = [line.split() for line in growth(project, "test_sort")[0].splitlines()]
    assert " ".join(rows[0]) == "test_shop.py::test_sort[N], instructions for each N:"
    assert rows[1] == ["Function", "Growth", "Certainty", "16", "32", "64", "128", "256"]
    assert rows[3][:6] == ["shop.py:13", "merge", "n", "log", "n", "sure"]
    assert rows[4][:4] == ["shop.py:7", "merge_sort", "n", "sure"]
    assert "make" not in str(rows)
    assert rows[-1][:5] == ["Total", "n", "log", "n", "sure"]
    document = json.loads(growth(project, "test_sort", "--phase", "setup", "--format", "json")[0])
    assert functions_of(document)["make"]["law"] == "n"


@pytest.mark.parametrize(("unit", "count"), [("calls", 511), ("executions", 511 + 256 + 255 + 255)])
def test_units_count_exactly(project, unit, count):
    """Merge sort of 256 numbers is called 511 times, 256 of them with one number."""
    document = json.loads(growth(project, "test_sort", "--unit", unit, "--format", "json")[0])
    assert document["unit"] == unit
    assert document["tests"][0]["sizes"] == [16, 32, 64, 128, 256]
    function = functions_of(document)["merge_sort"]
    assert function["law"] == "n"
    assert function["counts"][-1] == count
    assert (function["line"], os.path.basename(function["path"])) == (7, "shop.py")


def test_one_of_several_numbers_is_the_size(project):
    """Each value of the other number makes a test of its own."""
    assert "name one: --parameter 1 for 1, 2; --parameter 2 for 6, 8, 10" in growth(project, "test_fib", status=1)[1]
    document = json.loads(growth(project, "test_fib", "--parameter", "2", "--format", "json")[0])
    assert [test["test"] for test in document["tests"]] == ["test_shop.py::test_fib[1-N]", "test_shop.py::test_fib[2-N]"]
    for test in document["tests"]:
        [fib] = [each for each in test["functions"] if each["name"] == "fib"]
        assert (fib["law"], fib["base"], fib["certainty"]) == ("2^n", 1.618, "sure")


def test_a_test_runs_with_other_sizes(project):
    """The data of earlier runs stay, and those of this run are removed."""
    before = {path: path.stat().st_mtime_ns for path in (project.folder / ".instrument").rglob("*")}
    out, err = growth(project, "test_shop.py::test_bubble", "--sizes", "10,20,40,80,160,320", "--format", "json")
    document = json.loads(out)
    assert err == ""
    assert document["tests"][0]["sizes"] == [10, 20, 40, 80, 160, 320]
    functions = functions_of(document)
    assert (functions["bubble"]["law"], functions["bubble"]["certainty"]) == ("n²", "sure")
    assert functions["make"]["law"] == "n"
    assert {path: path.stat().st_mtime_ns for path in (project.folder / ".instrument").rglob("*")} == before


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["nothing"], 1, "no test is called 'nothing'"),
        (["test_other"], 1, "test_other did not run with 3 sizes, the fewest that show a law (it ran as test_shop.py::test_other). Parametrise it by"),
        (["test_shop.py::test_other", "--sizes", "1,2,3"], 1, "--sizes are values of the fixture `size`: give the test, or its"),
        (["test_shop.py::test_missing", "--sizes", "1,2,3"], 1, "status 4; its output is above; with --sizes, TEST is an argument of pytest"),
        (["test_sort", "--sizes", "1,2"], 2, "'1,2' has fewer than 3 sizes; give more, such as 16,32,64,128,256"),
        (["test_sort", "--sizes", "1,2,x"], 2, "'x' is no whole number from 1 on"),
        (["test_sort", ".instrument", "--sizes", "1,2,3"], 2, "--sizes runs the test, so it takes no data"),
        (["test_fib", "--parameter", "1"], 1, "Number 1 in its brackets is not the size: leave --parameter out"),
        (["test_sort", "--dir", "gone"], 1, "run the tests by `pytest --instrument --instrument-contexts`, or name the folder"),
    ],
)
def test_impossible_arguments_are_named(project, arguments, status, message):
    """The message says the way out."""
    assert message in growth(project, *arguments, status=status)[1]


def test_data_without_contexts_are_named(tmp_path):
    """The message names the option of pytest."""
    project = Project(tmp_path, {"shop.py": SHOP, "test_shop.py": TEST_SHOP})
    project.run("-q", "--instrument", "--instrument-report=none", "-k", "test_other")
    assert "save them by `pytest --instrument --instrument-contexts`" in growth(project, "test_sort", status=1)[1]


def test_a_failing_test_is_no_measurement(tmp_path):
    """The output of pytest is printed."""
    project = Project(tmp_path, {"test_bad.py": "def test_bad(size): assert size < 50\n"})
    _, err = growth(project, "test_bad.py", "--sizes", "10,20,100", status=1)
    assert "FAILED test_bad.py::test_bad[100]" in err
    assert "pytest test_bad.py ended with status 1" in err
