"""Tests of the benchmark against other tools: a short run, and its arithmetic. No test depends on how fast a tool is."""

import importlib
import json
import runpy
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

BENCHMARKS = Path(__file__).resolve().parent.parent / "benchmarks"


@pytest.fixture
def peers(monkeypatch):
    """The modules of the benchmark, imported as its command imports them."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    names = ("measure", "report", "stand_in", "tools", "workloads")
    return SimpleNamespace(**{name: importlib.import_module(f"peers.{name}") for name in names})


def command(*words, folder):
    done = subprocess.run(
        [sys.executable, str(BENCHMARKS / "peers.py"), *words], cwd=folder, capture_output=True, text=True, timeout=300
    )
    return done.returncode, done.stdout, done.stderr


def record(group, name, notes=(), errors=(), **ratios):
    return {
        "group": group,
        "name": name,
        "loops": 1,
        "seconds": {"plain": {"0": 0.5}},
        "ratios": ratios,
        "errors": dict(errors),
        "notes": dict(notes),
    }


def measurement(python, *workloads, **missing):
    return {
        "python": python,
        "machine": [f"Python {python}"],
        "versions": {"coverage": "7"},
        "missing": missing,
        "options": {},
        "workloads": list(workloads),
    }


def test_the_smoke_run_measures_two_programs_under_all_tools_at_hand(tmp_path):
    """It checks the counts of the tools, prints tables, and writes the measurements to a file."""
    status, output, errors = command("--smoke", "--json", "smoke.json", folder=tmp_path)
    assert status == 0, errors
    assert "geometric mean" in output
    assert "Worst workloads" in output
    assert "calibrate" in errors
    (smoke,) = json.loads((tmp_path / "smoke.json").read_text(encoding="utf-8"))
    expected = {"minimal", "line", "trace"} | ({"monitoring"} if sys.version_info >= (3, 12) else set())
    assert [one["name"] for one in smoke["workloads"]] == ["exceptions_rare", "parser"]
    for one in smoke["workloads"]:
        assert one["errors"] == {}
        assert one["notes"] == {}
        assert one["unsteady"] == 0
        assert one["ratios"].keys() == expected
        assert set(one["seen"].values()) == {one["lines of trace"]}


def test_the_option_merge_prints_earlier_measurements_and_measures_nothing(tmp_path):
    for python, ratio in (("3.13.0", 1.5), ("3.9.1", 1.25)):
        earlier = measurement(python, record("micro", "calls", minimal=[ratio]))
        (tmp_path / f"{python}.json").write_text(json.dumps([earlier]), encoding="utf-8")
    status, output, errors = command("--merge", "3.13.0.json", "3.9.1.json", folder=tmp_path)
    assert status == 0, errors
    means, _ = output.split("Worst workloads")
    assert ["instrument", "counts", "1.25", "1.50"] in [line.split() for line in means.splitlines()]


@pytest.mark.parametrize("words", [("--workloads", "micro/none"), ("--tools", "none"), ("--instrument", "/nowhere")])
def test_unknown_names_are_refused(tmp_path, words):
    status, _, errors = command(*words, folder=tmp_path)
    assert status == 2
    assert words[1] in errors


def test_geometric_mean_and_spread(peers):
    assert peers.report.geometric_mean([1, 4]) == pytest.approx(2)
    assert peers.report.spread([1.0, 3.0, 2.0]) == (1.0, 3.0)
    assert peers.report.spread([1, 2, 3, 4, 5]) == (2, 4)


def test_a_table_shows_and_explains_failures_and_notes(peers):
    """A failure and a note are in their cells, with a text below; tools without measurements have no column."""
    measured = measurement(
        "3.13.0",
        record("micro", "calls", minimal=[1.0, 1.1, 1.3], trace=[20.0]),
        record(
            "micro",
            "loops",
            minimal=[1.2],
            trace=[],
            errors={"trace": "Boom: no"},
            notes={"minimal": "2 of 3 counts differ"},
        ),
        slipcover="no wheel",
    )
    text = peers.report.text([measured])
    table = peers.report.group_table(measured, "micro")
    assert "slipcover" not in table[2]
    calls, loops, mean, worst = table[3:]
    assert calls.split() == ["calls", "0.500", "1.10", "1.00-1.30", "20.0"]
    assert loops.split() == ["loops", "0.500", "1.20*", "failed"]
    assert mean.split() == ["geometric", "mean", "1.15", "20.0"]
    assert worst.split() == ["worst", "1.20", "20.0"]
    assert "failed: micro/loops under trace: Boom: no" in text
    assert "*: micro/loops under instrument: 2 of 3 counts differ" in text
    assert "left out: slipcover: no wheel" in text


def test_merge_puts_workloads_of_one_python_together(peers):
    old = measurement("3.13.0", record("micro", "calls", minimal=[1.0]), record("micro", "loops", minimal=[1.0]))
    new = measurement("3.13.0", record("micro", "calls", minimal=[2.0]))
    merged = peers.report.merge([measurement("3.13.10"), old, measurement("3.9.0"), new])
    assert [one["python"] for one in merged] == ["3.9.0", "3.13.0", "3.13.10"]
    assert peers.report.medians(merged[1], "micro", "minimal") == {"calls": 2.0, "loops": 1.0}


def test_fixed_and_proportional_cost(peers):
    fixed, each = peers.report.line_through([(loops, 0.3 + 0.02 * loops) for loops in (1, 2, 4, 8)])
    assert fixed == pytest.approx(0.3)
    assert each == pytest.approx(0.02)


def test_lines_are_compared_with_those_of_trace(peers):
    compare, steady = peers.measure.compare, set()
    truth = {"lines": {"a.py": {1: 1, 2: 10}}}
    assert compare("minimal", {"lines": {"a.py": {1: 1, 2: 10}}}, truth, steady) is None
    assert compare("minimal", {"lines": {}}, truth, steady) == "saw no line in scope"
    assert "a.py:2, 9 instead of 10" in compare("minimal", {"lines": {"a.py": {1: 1, 2: 9}}}, truth, steady)
    assert compare("minimal", {"lines": {"a.py": {1: 1, 2: 9}}}, truth, {("a.py", 2)}) is None
    assert "ast.py" in compare("minimal", {"lines": {"a.py": {1: 1, 2: 10}, "ast.py": {1: 1}}}, truth, steady)
    assert compare("slipcover", {"lines": {"a.py": {1: 1, 2: 1}}}, truth, steady) is None
    assert "missed 1" in compare("slipcover", {"lines": {"a.py": {1: 1}}}, truth, steady)


def test_the_stand_in_for_pyperf_runs_each_kind_of_benchmark(peers):
    """It runs a benchmark once to warm up, then as many times as the caller says, with arguments of the command line."""
    calls, ready = [], []
    runs = peers.stand_in.Runs(3, lambda: ready.append(True))
    runner = peers.stand_in.make(runs).Runner()
    runner.argparser.add_argument("--size", type=int, default=2)

    async def coroutine():
        calls.append("async")
        return 2

    assert runner.parse_args(["--size", "5"]).size == 5
    runner.bench_time_func("timed", lambda loops, word: calls.append((word, loops)) or 1.5, "word")
    runner.bench_func("called", lambda: calls.append("func") or 1)
    runner.bench_async_func("awaited", coroutine)
    assert calls == [("word", 1), ("word", 3), *["func"] * 4, *["async"] * 4]
    assert runs.seconds >= 1.5
    assert runs.returned == [1, 2]
    assert ready == [True]


@pytest.mark.parametrize("file", sorted((BENCHMARKS / "micro").glob("*.py")), ids=lambda file: file.stem)
def test_micro_programs_return_the_same_each_time(file):
    program = runpy.run_path(str(file))
    assert program["__doc__"]
    assert program["main"](2) == program["main"](2)


def test_short_and_smoke_runs_name_workloads_that_exist(peers):
    names = peers.workloads.names()
    assert {*peers.workloads.SMOKE} <= {*names["micro"]}
    for group, chosen in peers.workloads.SHORT.items():
        assert {*chosen} <= {*names[group]}
