"""Writes the table of `instrument report`: for each file its lines, missing lines, hits and hottest line."""

from __future__ import annotations

from instrument.analysis.source_file import CURRENT
from instrument.report.formats import Format
from instrument.report.tables import table
from instrument.report.text import date, number_of, percentage, ranges_text, say, shown_path, terminal_width

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import TextIO

    from instrument.analysis.analysis import Analysis
    from instrument.analysis.file_analysis import FileAnalysis
    from instrument.report.formats import Choices


def write_analysis(analysis: Analysis, out: TextIO, choices: Choices) -> None:
    """Write the table of *analysis* to *out*, with the numbers of processes and runs.

    The files must have their `missing_ranges`: see `FileAnalysis.forget_lines`.
    """
    say(_table(analysis.sorted_files(choices.sort), with_missing=choices.with_missing), out)
    say(_summary(analysis), out)
    say(_incomplete(analysis), out)


def name_of(file: FileAnalysis) -> str:
    """Return the name of *file* in tables, with its state if its source is not the measured version."""
    remark = "" if file.source.state == CURRENT else f" ({file.source.state})"
    return shown_path(file.path) + remark


def _table(files: list[FileAnalysis], *, with_missing: bool) -> Iterator[str]:
    """Yield the lines of the table of *files*."""
    head = ["File", "Lines", "Missing", "Ran", "Hits", "Hottest line"]
    rows = [
        [
            name_of(file),
            f"{file.n_lines}" if file.is_complete else "-",
            f"{file.n_missing}" if file.is_complete else "-",
            percentage(file.n_lines - file.n_missing, file.n_lines) if file.is_complete else "-",
            f"{file.hits}",
            _hottest_line(file),
        ]
        for file in files
    ]
    n_lines, n_missing = sum(file.n_lines for file in files), sum(file.n_missing for file in files)
    total = [
        "Total",
        f"{n_lines}",
        f"{n_missing}",
        percentage(n_lines - n_missing, n_lines),
        f"{sum(file.hits for file in files)}",
        "",
    ]
    if with_missing:
        head, total = [*head, ""], [*total, ""]
        for file, row in zip(files, rows, strict=True):
            row.append(ranges_text(file.missing_ranges))
    yield from table(head, rows, total, terminal_width())


def _hottest_line(file: FileAnalysis) -> str:
    """Return number and count of the line that ran most often, or why there is none."""
    if not file.measured_at:
        return "never imported"
    return f"{file.hottest_line}: {file.hottest_count}" if file.hottest_count else "-"


def _summary(analysis: Analysis) -> Iterator[str]:
    """Yield how many processes and runs were counted, and since when."""
    n_processes, n_runs = len(analysis.processes), analysis.n_runs
    since = date(analysis.processes[0].started, with_time=True)
    yield f"Counts of {number_of(n_processes, 'process')} in {number_of(n_runs, 'run')}, since {since}"
    if n_runs > 1:
        yield "(counts of all runs are added up; `instrument erase` or `instrument run --fresh` begins anew)"


def _incomplete(analysis: Analysis) -> Iterator[str]:
    """Yield how many processes have counts that are not in the data, and why."""
    for processes, one, more in (
        (analysis.running, "may still be running", "may still be running"),
        (analysis.cut_off, "ended, and its last counts are missing", "ended, and their last counts are missing"),
    ):
        if len(processes) == 1:
            when = date(processes[0].updated, with_time=True)
            yield f"(1 process {one}: what it ran after {when} is not in these counts)"
        elif processes:
            yield f"({len(processes)} processes {more}: what they ran after their latest writes is not in these counts)"


FORMAT = Format(
    "table", write_analysis, help="a row for each file, the default", takes=("sort", "missing"), needs_lines=False
)
