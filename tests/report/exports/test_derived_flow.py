"""Exports of programs that ran, with the flow of control that follows from probes: other tools take them."""

import io
import shutil
import subprocess
import trace
from pathlib import Path

import coverage
import oracle
import pytest
import strategies
from exporting import counts_of
from flow.stepping import ProbeCounter
from small_runs import execute

from instrument.analysis.file_analysis import FileAnalysis
from instrument.analysis.source_file import version_of
from instrument.report.exports import cobertura, coverage_data, lcov
from instrument.report.exports.numbers import EXECUTIONS, Exported

# Each program is run several times.
pytestmark = pytest.mark.slow

#: Some of the sample programs, with most of the statements that branch.
PROGRAMS = [
    *("algorithm_queens", "boolean_multiline", "chained_comparison_multiline", "comprehension_nested_filter"),
    *("elif_chain_of_two_hundred", "exception_in_argument", "for_else", "function_on_one_line", "generator_pipeline"),
    *("genexpr_multiline", "if_elif_else", "lambda_multiline", "loop_with_try_finally_break", "match_sequences"),
    *("nested_loops_with_all_exits", "return_in_try_with_finally", "try_except_else_finally", "while_nested_break_else"),
    *("with_break_and_continue", "yield_from_delegation"),
]


def analysed(name, folder):
    """Run the program *name*; return its analysis with the line events of `trace` and the flow by probes."""
    [source] = [Path(path) for path in oracle.programs() if Path(path).stem == name]
    data, path = source.read_bytes(), folder / f"{name}.py"
    path.write_bytes(data)
    counter = ProbeCounter()
    execute(compile(data, strategies.FILE_NAME, "exec", dont_inherit=True), lambda code, names: counter.runctx(code, names, names))
    flow = counter.flow_counts()
    tracer = trace.Trace(count=1, trace=0)
    execute(compile(data, str(path), "exec", dont_inherit=True), lambda code, names: tracer.runctx(code, names, names))
    lines = {line: count for (file, line), count in tracer.results().counts.items() if file == str(path) and line}
    functions = {function: each.calls for function, each in flow.functions.items()}
    return FileAnalysis(str(path), version_of(data), counts_of(lines, functions), measured_at=[str(path)], flow=flow)


def report(data_file, path):
    """Return the missing lines, and the table, of *path* that coverage.py makes of *data_file*."""
    reader = coverage.Coverage(data_file=str(data_file), config_file=False, messages=False)
    reader.load()
    table = io.StringIO()
    reader.report(file=table, show_missing=True, morfs=[path], ignore_errors=True)
    reader.get_data().close(force=True)
    return table.getvalue()


@pytest.mark.parametrize("name", PROGRAMS)
def test_coverage_reports_the_same_as_from_its_own_run(name, tmp_path):
    """Lines and branches, those missing too, are the same as if coverage.py had run the program."""
    file = analysed(name, tmp_path)
    (tmp_path / "ours").write_bytes(coverage_data.content(Exported([file])))
    recorder = coverage.Coverage(data_file=str(tmp_path / "own"), branch=True, config_file=False, messages=False)
    with recorder.collect():
        execute(compile(file.source.data, file.path, "exec", dont_inherit=True), exec)
    recorder.save()
    recorder.get_data().close(force=True)

    own, ours = report(tmp_path / "own", file.path), report(tmp_path / "ours", file.path)
    assert "Branch" in own
    assert ours == own


@pytest.mark.skipif(shutil.which("genhtml") is None, reason="genhtml of lcov is not installed")
@pytest.mark.parametrize("with_ends", [False, True])
def test_genhtml_finds_no_contradiction(tmp_path, monkeypatch, with_ends):
    """lcov 2 compares the counts of lines, functions and branches with each other."""
    monkeypatch.chdir(tmp_path)
    exported = Exported([analysed(name, tmp_path) for name in PROGRAMS])
    (tmp_path / "lcov.info").write_text("".join(f"{line}\n" for line in lcov.write(exported, with_ends=with_ends)))
    done = subprocess.run(["genhtml", "--branch-coverage", "lcov.info", "-o", "html"], capture_output=True, text=True, check=False)

    assert exported.unit == EXECUTIONS
    assert done.returncode == 0, done.stdout + done.stderr


def test_branches_are_in_the_document(tmp_path):
    """Each way on is counted in the totals of Cobertura XML."""
    exported = Exported([analysed("nested_loops_with_all_exits", tmp_path), analysed("match_sequences", tmp_path)])
    [document] = cobertura.write(exported)
    n_ways, n_taken = (sum(getattr(file, name) for file in exported.files) for name in ("n_ways", "n_ways_taken"))

    assert n_ways >= n_taken > 0
    assert f'branches-valid="{n_ways}" branches-covered="{n_taken}"'.encode() in document
