"""`instrument gate --stability-runs`: a command runs again, and numbers that differ from run to run are left out."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from gate_programs import RUNNER, UNSTABLE
from instrument_command import environment_without_settings, run_instrument
from recorded import ROOT, Tree

pytestmark = pytest.mark.skipif(shutil.which("env") is None, reason="the command of the runs begins with env")


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """A Tree with the data of three runs. "base" and "head" have other hash seeds, and the program of "less" does less."""
    tree = Tree(tmp_path_factory.mktemp("runs"))
    for name, seed, source in (("less", "4", UNSTABLE.replace("100", "10")), ("base", "4", UNSTABLE), ("head", "9", UNSTABLE)):
        tree.data = tree.folder / name
        tree.run(source + RUNNER, _INSTRUMENT_CONTEXTS="1", PYTEST_CURRENT_TEST="", PYTHONHASHSEED=seed)
    (tree.folder / "temporary").mkdir()
    return tree


def command(tree):
    """Return the command that runs the program of *tree*, counted."""
    variables = {"INSTRUMENT": tree.folder, "_INSTRUMENT_CONTEXTS": "1", "PYTHONPATH": ROOT / "instrument" / "bootstrap"}
    if "INSTRUMENT_CACHE" in os.environ:
        variables["INSTRUMENT_CACHE"] = os.environ["INSTRUMENT_CACHE"]
    return ["env", *(f"{name}={value}" for name, value in variables.items()), sys.executable, str(tree.path)]


def gate(tree, *words, base="base", n="2"):
    """Return the finished gate, with at most *n* stability runs of the command *words*; nothing is left in its TMPDIR."""
    temporary = tree.folder / "temporary"
    arguments = ["gate", base, "head", "--format", "json", "--stability-runs", n]
    finished = run_instrument(tree.folder, *arguments, "--", *words, TMPDIR=str(temporary))
    assert os.listdir(temporary) == []
    return finished


def test_lines_that_differ_in_the_runs_are_left_out(tree):
    """Without them they are growth. One run is enough here: it is named on standard error, and nothing else is there."""
    assert run_instrument(tree.folder, "gate", "base", "head").status == 2
    finished = gate(tree, *command(tree))
    assert finished.status == 0, finished.err
    document = json.loads(finished.out)
    assert document["passed"]
    [unstable] = document["unstable_lines"]
    assert (unstable["function"]["name"], unstable["lines"]) == ("steps", [3, 4])
    assert [each["test"] for each in document["tests"]] == ["t.py::test_steady", "t.py::test_unstable"]
    [line] = finished.err.splitlines()
    assert line.startswith("instrument: stability run 1 of 2: env INSTRUMENT=")


def test_nothing_runs_if_no_bound_is_passed(tree):
    """The command is not even started."""
    finished = gate(tree, "no-such-command", base="head")
    assert (finished.status, finished.err) == (0, "")
    assert json.loads(finished.out)["unstable_lines"] == []


def test_each_run_has_a_hash_seed_and_a_data_folder_of_its_own(tree):
    """The command finds both in its environment. Growth that is no noise stays, after all of the runs."""
    script = "import os; print(os.environ['PYTHONHASHSEED'], os.environ['INSTRUMENT_DIR'], file=open('seeds', 'a'))"
    script += f"; import subprocess; subprocess.run({command(tree)!r}, check=True)"
    finished = gate(tree, sys.executable, "-c", script, base="less", n="3")
    assert finished.status == 2
    document = json.loads(finished.out)
    assert [each["name"] for each in document["failures"]] == [None, "t.py::test_steady"]
    assert [each["function"]["name"] for each in document["unstable_lines"]] == ["steps"]
    rows = [line.split() for line in (tree.folder / "seeds").read_text().splitlines()]
    assert [seed for seed, _folder in rows] == ["1", "2", "3"]
    assert len({folder for _seed, folder in rows}) == 3


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((sys.executable, "-c", "import sys; print('My words'); sys.exit(3)"), "stability run 1 ended with exit status 3: "),
        ((sys.executable, "-c", "import os; os.kill(os.getpid(), 9)"), "stability run 1 ended by SIGKILL: "),
        ((sys.executable, "-c", ""), "stability run 1 saved no counts: "),
        (("no-such-command",), "'no-such-command' cannot be started: No such file or directory"),
    ],
)
def test_a_command_that_fails_is_an_error(words, message, tree):
    """Its output is printed then. No verdict is."""
    finished = gate(tree, *words)
    assert (finished.status, finished.out) == (1, "")
    assert f"instrument: {message}" in finished.err
    assert ("My words\n" in finished.err) == ("status 3" in message)


def test_a_run_of_other_code_is_an_error(tree):
    """Its numbers say nothing about noise."""
    other = tree.folder / "other.py"
    other.write_text("# Other code.\n" + tree.path.read_text())
    script = f"import pathlib, subprocess; source = pathlib.Path({str(tree.path)!r}); text = source.read_text()\n"
    script += f"source.write_text(pathlib.Path({str(other)!r}).read_text()); subprocess.run({command(tree)!r}); source.write_text(text)"
    finished = gate(tree, sys.executable, "-c", script, n="1")
    assert finished.status == 1
    assert "stability run 1 is a run of other code than BASE and HEAD" in finished.err


@pytest.mark.parametrize("words", [("--stability-runs", "2"), ("--", "pytest")])
def test_the_option_and_the_command_belong_together(words, tree):
    """One of them alone is a mistake."""
    finished = run_instrument(tree.folder, "gate", "base", "head", *words)
    assert finished.status == 2
    assert "--stability-runs N and a command after -- belong together; give both or none" in finished.err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_leaves_nothing_behind(number, tree):
    """The processes of the run end, too, and the folder of its data is removed."""
    pids = tree.folder / "pids"
    script = (
        "import os, subprocess, sys, time; from pathlib import Path\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(100)'])\n"
        f"Path({str(pids)!r} + '.new').write_text(f'{{os.getpid()}} {{child.pid}}'); os.rename({str(pids)!r} + '.new', {str(pids)!r})\n"
        "time.sleep(100)"
    )
    temporary = tree.folder / "temporary"
    words = [sys.executable, "-m", "instrument", "gate", "base", "head", "--stability-runs", "2", "--", sys.executable, "-c", script]
    process = subprocess.Popen(
        words, cwd=tree.folder, env=environment_without_settings(TMPDIR=str(temporary)), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    until = time.monotonic() + 60
    while not pids.exists() and time.monotonic() < until:
        time.sleep(0.05)
    process.send_signal(number)
    out, _err = process.communicate(timeout=60)
    started = [int(pid) for pid in pids.read_text().split()]
    pids.unlink()
    assert process.returncode == (130 if number == signal.SIGINT else -signal.SIGTERM)
    assert out == b""
    assert os.listdir(temporary) == []
    until = time.monotonic() + 30
    while any(is_alive(pid) for pid in started) and time.monotonic() < until:
        time.sleep(0.05)
    assert not any(is_alive(pid) for pid in started)


def is_alive(pid):
    """Return whether the process *pid* runs; one that has ended may still be a zombie, if its parent has ended."""
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False
