"""Counted runs of pytest: their counts, their reports, and their exit status."""

import json
import re
import sys

import pytest
from instrument_command import ROOT, run_instrument
from pytest_runs import Project

SHOP = """\
def price(items):
    total = 0
    for item in items:
        if item > 100:
            total += item * 0.9
        else:
            total += item
    return total


def refund(item):
    return -item


def never():
    return None
"""

SHOP_PLUGIN = """\
import shop
NUMBERS = [n for n in range(3)]
def pytest_runtest_setup(item):
    note(item)
def note(item):
    shop.price([len(NUMBERS)])
"""

CONFTEST = """\
import pytest
import shop
@pytest.fixture(scope="session")
def item():
    return 150
@pytest.fixture
def items(item):
    yield [item, 1]
    shop.refund(item)
"""

TEST_SHOP = """\
import os
import subprocess
import sys
import pytest
import shop
@pytest.mark.parametrize("n", range(8))
def test_price(n):
    assert shop.price(range(n)) == sum(range(n))
def test_fixture(items):
    assert shop.price(items) == 136
def test_process():
    code = "import sys; sys.path.insert(0, 'src'); import shop; [shop.refund(n) for n in range(10)]"
    subprocess.run([sys.executable, "-c", code], check=True)
"""

#: Each test harms the process in a way that could stop the recorder, and some never undo it.
TEST_HOSTILE = """\
import builtins
import os
import sys
import time
import shop
def test_fork():
    child = os.fork()
    if not child:
        shop.refund(1)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
def test_folder(tmp_path):
    os.chdir(tmp_path)
    shop.refund(1)
def test_environment(tmp_path):
    for name in ("PATH", "HOME", "INSTRUMENT", "INSTRUMENT_DIR"):
        os.environ.pop(name, None)
    sys.executable = "/nowhere"
    shop.refund(1)
def test_open_and_clock():
    builtins.open = time.time = time.monotonic = None
    shop.refund(1)
def test_import_hook():
    class Hook:
        def find_spec(self, name, path=None, target=None):
            if name.partition(".")[0] in ("instrument", "subprocess", "_sqlite3", "bytecode"):
                raise ImportError(name)
    sys.meta_path.insert(0, Hook())
    shop.refund(1)
"""

FILES = {
    "pyproject.toml": '[tool.pytest.ini_options]\npythonpath = ["src"]\ntestpaths = ["tests"]\n',
    "src/shop.py": SHOP,
    "src/shop_plugin.py": SHOP_PLUGIN,
    "tests/conftest.py": CONFTEST,
    "tests/test_shop.py": TEST_SHOP,
}
#: The lines of functions, which run in tests only. The others run once in each process that imports them.
WITHIN_FUNCTIONS = {
    *(("shop.py", line) for line in (2, 3, 4, 5, 7, 8, 12)),
    *(("test_shop.py", line) for line in (8, 10, 12, 13)),
    *(("conftest.py", line) for line in (8, 9)),
    *(("shop_plugin.py", line) for line in (4, 6)),
}


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A project with a `src` folder and a plugin of its own. The tests of this module share it, and its runs."""
    return Project(tmp_path_factory.mktemp("counted"), FILES)


@pytest.fixture(scope="module")
def one_process(project):
    """The output of a run in one process, whose options come from the environment, and its counts."""
    reports = "--instrument-report=term-missing --instrument-report=json:out/counts.json --instrument-fail-under=50"
    output = project.run(
        *("-p", "shop_plugin", "-n", "0", "tests"),
        PYTEST_ADDOPTS=f"{reports} --instrument-branch --instrument",
        PYTHONPATH=f"{project.environment()['PYTHONPATH']}:src",
    )
    return output, project.counts()


def in_functions(counts):
    """Return the *counts* of lines in functions."""
    return {place: count for place, count in counts.items() if place in WITHIN_FUNCTIONS}


def test_the_counts_are_those_of_instrument_run(project, one_process):
    """The modules of plugins, conftest files and test modules are counted from their first line."""
    program = ("-m", "instrument", "run", "--dir", "oracle", "-m", "pytest")
    project.run("-p", "shop_plugin", program=program, PYTHONPATH=f"{project.environment()['PYTHONPATH']}:src")
    counts = one_process[1]

    assert counts == project.counts("oracle")
    assert counts["shop_plugin.py", 2] >= 1
    assert counts["conftest.py", 1] == 1
    assert counts["test_shop.py", 8] == 8
    assert counts["shop.py", 12] == 11  # once in a fixture, ten times in a child process


def test_reports_are_made_at_the_end_and_the_verdict_stays(project, one_process):
    """Files are written to paths from the folder of the run. Nothing is said of the process that still runs."""
    output = one_process[0]
    table = output.partition(" execution counts ")[2]
    document = json.loads((project.folder / "out" / "counts.json").read_text(encoding="utf-8"))

    assert re.search(r"^=+ 10 passed in .*=+$", table, re.MULTILINE)
    assert re.search(r"^src/shop.py +\d+ +1 .* 16$", table, re.MULTILINE)
    assert re.search(r"^tests/test_shop.py +\d+ +0 ", table, re.MULTILINE)
    assert "BrMiss" in table
    assert "running" not in output
    assert "FAIL" not in output
    assert output.count("execution counts") == 1
    assert any(path.endswith("shop.py") for path in json.dumps(document).split('"'))


@pytest.mark.parametrize("mode", ["load", "worksteal", "loadfile", "each"])
def test_workers_of_xdist_count_as_one_process_does(project, one_process, mode):
    """With `each`, each of the two workers runs all tests."""
    workers = ["-n", "2"] if mode != "each" else ["--tx", "2*popen"]
    output = project.run(
        *("-p", "shop_plugin", "--dist", mode, *workers, "--instrument", "-q", "--instrument-report=none"),
        INSTRUMENT_DIR="workers",
        PYTHONPATH=f"{project.environment()['PYTHONPATH']}:src",
    )
    times = 2 if mode == "each" else 1

    assert "execution counts" not in output
    assert in_functions(project.counts("workers")) == {
        place: times * count for place, count in in_functions(one_process[1]).items()
    }


def test_a_run_begins_anew_unless_it_is_to_append(tmp_path):
    """A run without tests removes no data. A bound that is not kept fails the run, which says so."""
    project = Project(tmp_path, FILES)
    project.run("--instrument", "--instrument-report=lcov")
    first = project.counts()
    project.run("--instrument", "--collect-only")
    assert project.counts() == first
    output = project.run("--instrument", "--instrument-append", "--instrument-report=none", "-q")
    assert project.counts() == first + first
    assert "execution counts" not in output
    output = project.run("--instrument", "--instrument-fail-under=100", "--instrument-report=none", "-q", status=1)
    assert project.counts() == first
    assert re.search(r"^FAIL: \d\d\.\d\d% of lines ran, .* points below --instrument-fail-under 100$", output, re.MULTILINE)
    assert "10 passed" in output
    assert (project.folder / "lcov.info").exists()


def test_a_test_that_harms_its_process_loses_no_counts(tmp_path):
    """Some tests change the environment, the working folder, builtins and the import system for good."""
    project = Project(tmp_path, {**FILES, "tests/test_shop.py": TEST_HOSTILE, "tests/conftest.py": ""})
    output = project.run(
        *("-s", "-p", "no:hypothesispytest"),  # at the end of the session that plugin reads a file
        *("--instrument=src/", "--instrument-report=lcov:here/lcov.info"),
    )

    assert "5 passed" in output
    assert project.counts()["shop.py", 12] == 5
    assert (project.folder / "here" / "lcov.info").exists()


def test_a_crashed_worker_is_named(tmp_path):
    """Its latest counts are missing. The verdict is that of a plain run."""
    tests = "import os\nimport shop\ndef test_crash():\n    os.kill(os.getpid(), 9)\ndef test_other():\n    shop.refund(1)\n"
    project = Project(tmp_path, {**FILES, "tests/test_shop.py": tests})
    output = project.run("--instrument", "-n", "1", status=1)

    assert re.search(r"^instrument: worker gw0 crashed; .* is not in these counts$", output, re.MULTILINE)
    assert "1 failed, 1 passed" in output
    assert project.counts()["shop.py", 12] == 1


def test_a_worker_that_no_start_up_file_reaches_is_named(tmp_path):
    """With -E its interpreter ignores the environment, which has the settings. A worker elsewhere lacks them, too."""
    project = Project(tmp_path, FILES)
    worker = f"popen//python={sys.executable} -E"
    output = project.run("--instrument", "--dist", "load", "--tx", worker, "-q", "tests/test_shop.py::test_price")

    assert "instrument: worker gw0 was not counted" in output.splitlines()
    assert "8 passed" in output
    assert project.counts()["shop.py", 2] == 0


def test_reports_that_fail_are_one_line_each_and_the_verdict_stays(tmp_path):
    """There are no counts in the scope, and a file cannot be written."""
    project = Project(tmp_path, {**FILES, "blocked": "a file"})
    output = project.run("--instrument", "--instrument-report=term", "--instrument-report=xml:blocked/x.xml", "-q")
    assert re.search(r"^instrument: '/.*/blocked/x.xml' cannot be written: ", output, re.MULTILINE)
    assert "10 passed" in output
    output = project.run("--instrument=nothing", "-q", "tests/test_shop.py::test_price")
    assert re.search("^instrument: no data in ", output, re.MULTILINE)
    assert "Traceback" not in output
    output = project.run("--instrument=nothing", "-q", "--instrument-fail-under=1", status=1)
    assert re.search("^FAIL: no data in ", output, re.MULTILINE)


PROGRAM = """\
import sys
sys.path.insert(0, "src")
import shop
import pytest
sys.exit(pytest.main(sys.argv[1:]))
"""


def test_modules_that_a_program_imported_before_are_not_fully_measured(tmp_path):
    """The program is not pytest, so it is not executed anew. No line of these modules is called missing."""
    project = Project(tmp_path, {**FILES, "program.py": PROGRAM})
    output = project.run("--instrument", "-q", "tests", program=("program.py",))

    assert re.search("Not measured: '.*src/shop.py': it was imported before pytest began to count", output)
    assert project.counts()["shop.py", 12] == 11


TEST_NESTED = """\
import subprocess
import sys
pytest_plugins = ["pytester"]
def test_in_process_and_in_another(pytester):
    pytester.makepyfile(test_inner="def test_inner():\\n    for n in range(5):\\n        pass\\n    if n == 9:\\n        pass\\n")
    result = pytester.runpytest_inprocess("--instrument")
    result.assert_outcomes(passed=1)
    result.stdout.no_fnmatch_line("*execution counts*")
    command = [sys.executable, "-m", "pytest", "--instrument", "--instrument-fail-under=100"]
    assert "execution counts" not in subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
"""


def test_runs_within_a_counted_run_remove_no_data(tmp_path):
    """They are counted by it: the lines of their tests are in its data. They make no report, and check no bound."""
    project = Project(tmp_path, {"test_nested.py": TEST_NESTED})
    output = project.run("--instrument", "test_nested.py", "--basetemp=temporary")

    assert output.count("execution counts") == 1
    counts = project.counts()
    assert counts["test_nested.py", 5] == 1
    assert counts["test_inner.py", 3] == 10


def test_a_process_that_is_counted_already_goes_on(tmp_path):
    """It keeps its scope and its data, and a report is made."""
    project = Project(tmp_path, FILES)
    environment = {"INSTRUMENT": "tests/", "INSTRUMENT_DIR": "data"}
    project.run(**environment)
    output = project.run("--instrument=src/", "-q", **environment)

    assert "--instrument=src/ has no effect: this process was counted before pytest began, with the scope" in output
    assert re.search(r"^tests/test_shop.py ", output, re.MULTILINE)
    assert project.counts("data")["test_shop.py", 8] == 16
    assert ("shop.py", 12) not in project.counts("data")


def test_the_readme_shows_a_run(tmp_path):
    """Its program, its test and its command print these lines, apart from dates and times."""
    blocks = re.findall(r"^```\w*\n(.*?)^```$", (ROOT / "README.md").read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    shown = next(block for block in blocks if block.startswith("$ pytest"))
    command, _, lines = shown.partition("\n")
    program, test = (next(block for block in blocks if text in block) for text in ("def price", "def test_price"))
    project = Project(tmp_path, {"shop.py": program, "test_shop.py": test})
    printed = project.run(*command.split()[2:], status=1)
    time = re.compile(r"since .*|in \d+\.\d+s")

    assert time.sub("", printed) == time.sub("", lines)


@pytest.mark.skipif(sys.platform == "win32", reason="the command is a script there")
def test_data_can_be_reported_later(tmp_path):
    """The data folder is that of other commands, and has all that ran."""
    project = Project(tmp_path, FILES)
    project.run("--instrument", "--instrument-report=none")
    status, out, err, _ = run_instrument(project.folder, "report", "--only-imported")

    assert (status, err) == (0, "")
    assert re.search(r"^src/shop.py ", out, re.MULTILINE)
    assert "Counts of 2 processes in 1 run" in out
    assert "running" not in out
