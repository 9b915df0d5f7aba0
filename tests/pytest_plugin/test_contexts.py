"""Counts of each test: its phases, fixtures that tests share, code outside of tests, and child processes."""

import re

import pytest
from pytest_runs import Project

from instrument.analysis.contexts.work import ContextWork
from instrument.data.query import StoredMeasurement

SHOP = """\
def price(x):
    if x > 2:
        return x * 2
    return x
def stream(n):
    for i in range(n):
        yield price(i)
def connect():
    return {"open": True}
def disconnect(db):
    db.clear()
price(1)
"""

CONFTEST = """\
import pytest, shop
@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_teardown(item):
    yield
    if item.name == "test_fork":
        shop.price(4)
@pytest.fixture(scope="session")
def db():
    db = shop.connect()
    yield db
    shop.disconnect(db)
@pytest.fixture(scope="module")
def table(db):
    yield shop.price(5)
    shop.price(6)
@pytest.fixture
def numbers():
    numbers = shop.stream(6)
    next(numbers)
    yield numbers
    list(numbers)
"""

TEST_SHOP = """\
import os, subprocess, sys
import pytest, shop
@pytest.mark.parametrize("n", range(3))
def test_price(n):
    assert shop.price(n) == n
def test_numbers(numbers):
    assert next(numbers) == 1
def test_table(table, request):
    assert table == 10
    request.getfixturevalue("db")
class TestClass:
    def setup_method(self):
        shop.price(1)
    def test_method(self, db):
        assert shop.price(2) == 2
def test_fails():
    assert shop.price(3) == 3
def test_child():
    code = "import sys; sys.path.insert(0, '.'); import shop; shop.price(7)"
    subprocess.run([sys.executable, "-c", code], check=True)
def test_fork():
    if not os.fork():
        shop.price(8)
        os._exit(0)
    os.wait()
"""

FILES = {
    "pyproject.toml": '[tool.pytest.ini_options]\npythonpath = ["."]\ninstrument_contexts = true\n',
    "shop.py": SHOP,
    "tests/conftest.py": CONFTEST,
    "tests/test_shop.py": TEST_SHOP,
}
PLACE = "tests/test_shop.py::"
#: How often each phase of a test, and each shared fixture, enters `price`.
CALLS = {
    **{f"{PLACE}test_price[{n}]|call": 1 for n in range(3)},
    **{f"{PLACE}test_numbers|{phase}": n for phase, n in (("setup", 1), ("call", 1), ("teardown", 4))},
    f"{PLACE}TestClass::test_method|call": 1,
    f"{PLACE}test_fails|call": 1,
    f"{PLACE}test_fork|call": 1,
    f"{PLACE}test_fork|teardown": 1,
}
OF_FIXTURES = {"module fixture table of tests": 1, "teardown of module fixture table of tests": 1}


class Counts:
    """The calls of `price` by context, and the lines of all contexts together and of the run."""

    def __init__(self, project, data):
        with StoredMeasurement([str(project.folder / data)]) as stored:
            work = ContextWork(stored)
            files = {file: stored.counts(file).lines.counts() for file in stored.files()}
            [shop] = [file for file in files if file[0].endswith("shop.py") and "test_" not in file[0]]
            self.calls = work.of_function([shop], ("price", 1))
            self.connections = work.of_function([shop], ("connect", 8)) | work.of_function([shop], ("disconnect", 10))
            self.of_contexts = {
                each.file: {line: n for line, n in each.lines.items() if n} for each in work.of_contexts(work.names())
            }
            self.of_run = files
            self.reasons = work.reasons


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A project whose configuration asks for the counts of each test."""
    return Project(tmp_path_factory.mktemp("counted"), FILES)


def without_setup_method(calls):
    """Return those of *calls* that tests make, without the setup of TestClass."""
    return {name: n for name, n in calls.items() if name.startswith(PLACE) and "TestClass::test_method|setup" not in name}


@pytest.mark.parametrize("workers", ["0", "2"])
def test_each_test_has_its_own_counts(project, workers):
    """Contexts of all processes add up to the counts of the run. Workers of xdist have the same as one process."""
    project.run("--instrument", "-n", workers, "--instrument-report=none", status=1, INSTRUMENT_DIR=f"data{workers}")
    counts = Counts(project, f"data{workers}")

    assert counts.reasons == []
    assert counts.of_contexts == counts.of_run
    calls = without_setup_method(counts.calls)
    # The module of the child process calls `price` once when it is imported.
    assert calls == {**CALLS, f"{PLACE}test_child|call": 2}
    assert {name: n for name, n in counts.calls.items() if "fixture" in name} == OF_FIXTURES
    assert counts.calls[f"{PLACE}TestClass::test_method|setup"] == 1
    n_processes = max(1, int(workers))
    assert set(counts.connections) == {"session fixture db of tests", "teardown of session fixture db of tests"}
    assert all(1 <= n <= n_processes for n in counts.connections.values())
    assert 1 <= counts.calls["start of the run"] <= n_processes + 1


def test_a_run_that_is_counted_already_has_no_contexts(project):
    """The recorder began before, so a line says that there are none. Without the option, none are saved."""
    program = ("-m", "instrument", "run", "--dir", "early", "-m", "pytest")
    output = project.run("--instrument", "-n", "0", program=program, status=1)
    assert "--instrument-contexts has no effect: this process was counted before pytest began" in output

    project.run("--instrument", "-n", "0", "-o", "instrument_contexts=false", status=1, INSTRUMENT_DIR="none")
    with StoredMeasurement([str(project.folder / "none")]) as stored:
        assert stored.contexts().names() == []


FAILING = {
    "conftest.py": """\
import pytest
class File(pytest.File):
    def collect(self):
        yield Item.from_parent(self, name="item")
class Item(pytest.Item):
    def runtest(self):
        raise ValueError("an item without a repr of its own")
def pytest_collect_file(parent, file_path):
    if file_path.suffix == ".item":
        return File.from_parent(parent, path=file_path)
@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item):
    return (yield)
@pytest.fixture
def bad():
    raise ValueError
@pytest.fixture(scope="module")
def bad_module():
    raise ValueError
@pytest.fixture(scope="module")
def late():
    yield
    1 / 0
""",
    "a.item": "",
    "test_tracebacks.py": """\
import pytest
def test_setup(bad): pass
def test_setup_of_module(bad_module): pass
def test_same_setup(bad_module): pass
def test_teardown(late): pass
def test_call(): [][1]
def test_stop(): next(iter(()))
def test_group(): raise ExceptionGroup("several", [ValueError(1), KeyError(2)])
def test_cause(request):
    try:
        request.getfixturevalue("bad_module")
    except ValueError as error:
        raise KeyError from error
def test_deep(n=600):
    test_deep(n - 1) if n else [][1]
""",
}


@pytest.fixture(scope="module")
def failing(tmp_path_factory):
    """A project whose tests and fixtures fail in many ways."""
    return Project(tmp_path_factory.mktemp("failing"), FAILING)


def outputs_of(project, *words, status=1):
    """Return the output of a plain run with *words*, and of a run with contexts, without numbers that always differ."""
    outputs = []
    for options in (), ("--instrument", "--instrument-contexts", "--instrument-report=none"):
        output = project.run("-q", "-n", "0", *words, *options, status=status)
        outputs.append(re.sub(r"0x[0-9a-f]+|oldfd=[0-9]+|in [0-9.]+s", "", output))
    return outputs


@pytest.mark.parametrize("words", ["long", "short", "line", "auto", "native", "no", "short -x"])
def test_tracebacks_are_those_of_plain_pytest(failing, words):
    """Hooks that begin a context are called around fixtures and tests, and exceptions pass there."""
    plain, counted = outputs_of(failing, *f"--tb={words}".split())
    assert counted == plain
    assert " failed" in plain


def test_the_debugger_has_the_same_traceback(failing):
    """It gets the exception after the report. It ends here, because there is no input."""
    plain, counted = outputs_of(failing, "--pdb", "-k", "test_call", status=2)
    assert "entering PDB" in plain
    assert re.sub("=+ execution counts =+\ninstrument: the run was interrupted.*\n", "", counted) == plain


def test_a_run_that_a_test_interrupts_has_no_frame_of_the_hooks(tmp_path):
    """The exception comes to no report of a test, but to a hook for the terminal."""
    project = Project(tmp_path, {"test_end.py": "def test_end(): raise KeyboardInterrupt\n"})
    for output in outputs_of(project, "--full-trace", status=2):
        assert "test_end.py:1: KeyboardInterrupt" in output
        assert "contexts.py:" not in output
