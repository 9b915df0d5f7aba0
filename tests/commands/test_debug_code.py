"""Tests of `instrument debug --code`: drawings of code, and the flows of a run."""

import re

import pytest
from instrument_command import run_instrument

PROGRAM = """\
import sys

def work(items):
    total = 0
    for item in items:
        if item % 3 == 0:
            total += item
        try:
            total += 1 // item
        except ZeroDivisionError:
            total -= 1
    return total

class Shop:
    def sell(self):
        yield work(range(10))
        yield 2

def never():
    return 1

print(sys.argv, __name__, work([0, 0, 3]), next(Shop().sell()))
raise SystemExit(5)
"""


@pytest.fixture
def folder(tmp_path):
    """A folder with the program."""
    (tmp_path / "program.py").write_text(PROGRAM, encoding="utf-8")
    return tmp_path


def drawing(out):
    """Return a dict from the names of the drawn functions to the lines of their drawings."""
    drawings = {}
    for line in out.splitlines():
        header = re.match(r"(\S+), line \d+: ", line)
        if header:
            lines = drawings[header[1]] = []
        elif drawings:
            lines.append(line)
    return drawings


def test_all_functions_of_a_file_are_drawn_in_their_order_and_nothing_runs(folder):
    """Without --run the file is only compiled."""
    finished = run_instrument(folder, "debug", "--code", "program.py")
    assert (finished.status, finished.err) == (0, "")
    assert list(drawing(finished.out)) == ["<module>", "work", "Shop", "Shop.sell", "never"]
    assert "times" not in finished.out


@pytest.mark.parametrize("name", ["Shop.sell", "sell"])
def test_one_function_is_named_by_its_qualified_name_or_the_end_of_it(folder, name):
    """Only its drawing is printed."""
    finished = run_instrument(folder, "debug", "--code", f"program.py:{name}")
    assert finished.status == 0
    assert list(drawing(finished.out)) == ["Shop.sell"]


def test_a_run_shows_how_often_each_edge_was_taken(folder):
    """The file runs as a main program, and the flow into each block is the flow out of it."""
    finished = run_instrument(folder, "debug", "--code", "program.py", "--run")
    assert (finished.status, finished.err) == (0, "")
    assert finished.out.startswith("['program.py'] __main__ 1 18\n")
    drawings = drawing(finished.out)
    entries = [line for line in drawings["work"] if " enter, " in line]
    assert [int(line.split()[-2]) for line in entries] == [2]
    handler = next(line for line in drawings["work"] if line.startswith("  handler 0"))
    assert handler.split() == ["handler", "0", "3", "times"]  # 1 // 0 three times
    assert drawings["never"][-2:] == ["no flows: this code was not executed", ""]
    for name in ("<module>", "work", "Shop.sell"):
        check_conservation(drawings[name])


def check_conservation(lines):
    """Check for each block of a drawing that control left it as often as it came."""
    inflow, outflow, block = {}, {}, None
    for line in lines:
        if line.startswith(("block ", "no block")):
            header = re.fullmatch(r"block (\d+)   (\d+) times", line)
            block = int(header[1]) if header else None
            if header:
                inflow[block] = int(header[2])
        edge = re.match(r"        [ *] edge \d+ -> .*: (\w+), .* (\d+) times", line)
        # An exception that is thrown in at a yield or a SEND is raised outside of the block, which was left before.
        exit_ = re.match(r" *\d+  (?!YIELD_VALUE|SEND|RESUME)\w+ .*exit stub: \w+ \d+   (\d+) times", line)
        if edge and edge[1] != "enter" and block is not None:
            outflow[block] = outflow.get(block, 0) + int(edge[2])
        elif exit_ and block is not None:
            outflow[block] = outflow.get(block, 0) + int(exit_[1])
    assert inflow
    assert {block: outflow.get(block, 0) for block in inflow} == inflow


def test_an_exception_of_the_run_is_printed_and_the_flows_are_shown(folder):
    """The traceback begins in the program."""
    (folder / "program.py").write_text("def f():\n    return 1 // 0\n\nf()\n", encoding="utf-8")
    finished = run_instrument(folder, "debug", "--code", "program.py:f", "--run")
    assert finished.status == 0
    assert finished.err.startswith('Traceback (most recent call last):\n  File "program.py", line 4, in <module>\n')
    assert finished.err.endswith("ZeroDivisionError: integer division or modulo by zero\n") or "by zero" in finished.err
    assert "   1 times" in finished.out


def test_a_run_saves_nothing(folder):
    """No data folder is made, even if the environment turns the measurement on."""
    run_instrument(folder, "debug", "--code", "program.py", "--run")
    assert sorted(path.name for path in folder.iterdir() if path.name != "cache") == ["program.py"]


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--code", "missing.py"], "the code of missing.py cannot be shown: [Errno 2] No such file or directory"),
        (["--code", "broken.py"], "the code of broken.py cannot be shown: invalid syntax"),
        (["--code", "program.py:nobody"], "program.py has no function nobody; it has: "),
    ],
)
def test_a_target_that_cannot_be_shown_is_refused_with_the_reason(folder, arguments, reason):
    """The exit status is 1."""
    (folder / "broken.py").write_text("x = = 1\n", encoding="utf-8")
    finished = run_instrument(folder, "debug", *arguments)
    assert (finished.status, finished.out) == (1, "")
    assert finished.err.startswith(f"instrument: {reason}")


def test_run_without_code_is_refused(folder):
    """There is no code to run."""
    finished = run_instrument(folder, "debug", "--run")
    assert finished.status == 2
    assert "--run needs --code FILE[:FUNCTION], the code to run" in finished.err
