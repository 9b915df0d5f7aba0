"""Branches of the sample programs: their lines, their ways, and which ways were taken are those of coverage.py."""

import ast
import collections
import contextlib
import json
import re
import sys
from pathlib import Path

import coverage
import oracle
import pytest
import strategies
from flow.stepping import ProbeCounter
from small_runs import execute

from instrument.analysis.file_analysis import FileAnalysis
from instrument.analysis.source_file import version_of
from instrument.flow.derived.derivation import static_flow

#: Lines at which coverage.py and this package differ, by program, each with the reason.
KNOWN = {
    ("for_over_generator_raises_in_turn", 39): "an exception leads to the `finally`, the line of a way never taken",
}
if sys.version_info < (3, 12):
    KNOWN |= {
        ("async_with_two_on_one_line_waiting", line): "coverage.py misses the end of the loops"
        for line in (40, 41, 42)
    }

#: A program with one of these names may end the process, start another one, or depend on earlier programs.
NOT_ALONE = re.compile(
    r"\b(asyncio|atexit|eval|exec|faulthandler|gc|importlib|multiprocessing|os|profile|recursion|settrace|signal|"
    r"setrecursionlimit|subprocess|sys|thread|threading|time|trace|weakref)\b"
)


def document_of(recorder, paths, folder):
    """Return the ways of each line with branches in the files *paths*, and whether each was taken, as coverage.py reports them."""
    out = folder / "coverage.json"
    recorder.json_report(morfs=paths, outfile=str(out))
    recorder.get_data().close(force=True)
    found = {path: collections.defaultdict(dict) for path in paths}
    for path, file in json.loads(out.read_text())["files"].items():
        for key, is_taken in (("executed_branches", True), ("missing_branches", False)):
            for line, target in file[key]:
                found[str(Path(path).absolute())][line][max(target, 0)] = is_taken
    return {path: without_single_ways(ways) for path, ways in found.items()}


def without_single_ways(ways):
    """Return *ways* without lines that have one way.

    Behind a `def` on one line that ends a module, coverage.py has two ways out: of the function, and of the module.
    Both have the target 0 here. So this `def` is no branch.
    """
    return {line: targets for line, targets in ways.items() if len(targets) > 1}


def ways_of(file):
    """Return the same of the FileAnalysis *file*."""
    found = collections.defaultdict(dict)
    for branch in file.branches:
        found[branch.line].update({target: count > 0 for target, count in branch.arcs.items() if count or target in branch.missing})
    return without_single_ways(found)


def recorder_with(data):
    """Return a Coverage without a data file, to which *data*, a dict from path to arcs, are added."""
    recorder = coverage.Coverage(data_file=None, branch=True, config_file=False, messages=False)
    recorder.get_data().add_arcs(data)
    return recorder


def readable_programs():
    """Return the paths of the programs that this Python can compile."""
    paths = []
    for path in oracle.programs():
        with contextlib.suppress(SyntaxError):
            ast.parse(Path(path).read_bytes())
            paths.append(path)
    return paths


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::SyntaxWarning")
def test_lines_and_ways_are_those_of_coverage(tmp_path):
    """All sample programs: each line with branches, and the targets of its ways."""
    paths = readable_programs()
    expected = document_of(recorder_with({path: [] for path in paths}), paths, tmp_path)
    n_lines = 0
    for path in paths:
        file = FileAnalysis(path, None, needs_flow=True)
        assert ways_of(file) == expected[path], path
        n_lines += len(expected[path])

    assert n_lines > 800


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::SyntaxWarning")
def test_the_ways_that_were_taken_are_those_of_coverage(tmp_path, monkeypatch):
    """The programs that can run in one process: each way was taken for both, or for none."""
    monkeypatch.setenv("COVERAGE_CORE", "ctrace")
    paths = [path for path in readable_programs() if not NOT_ALONE.search(Path(path).read_text(errors="replace"))]
    recorder = coverage.Coverage(data_file=None, branch=True, config_file=False, messages=False)
    for path in paths:
        with recorder.collect():
            execute(compile(Path(path).read_bytes(), path, "exec", dont_inherit=True), exec)
    expected = document_of(recorder, paths, tmp_path)
    n_taken, differences = 0, {}
    for path in filter(expected.get, paths):
        data = Path(path).read_bytes()
        counter = ProbeCounter()
        code = compile(data, strategies.FILE_NAME, "exec", dont_inherit=True)
        execute(code, lambda code, names, counter=counter: counter.runctx(code, names, names))
        flow = static_flow(code)
        flow += counter.flow_counts()
        found = ways_of(FileAnalysis(path, version_of(data), measured_at=[path], flow=flow))
        n_taken += sum(sum(ways.values()) for ways in found.values())
        for line in expected[path].keys() | found.keys():
            if expected[path].get(line) != found.get(line):
                differences[oracle.program_name(path), line] = expected[path].get(line), found.get(line)

    assert differences.keys() == KNOWN.keys(), differences
    assert n_taken > 500
