"""Writes the table of `instrument report`, for terminals and as Markdown, and the percentage alone.

The table has a row for each file: its lines, missing lines, hits and hottest line. The choices add columns.
"""

from __future__ import annotations

from instrument.errors import DataError
from instrument.report.formats import Format
from instrument.report.summary.colours import console_of, marks_for, print_lines
from instrument.report.summary.markdown import markdown_table
from instrument.report.summary.numbers import Numbers
from instrument.report.summary.rows import Summary
from instrument.report.summary.rows import name_of as name_of
from instrument.report.tables import styled_table, table
from instrument.report.text import date, number_of, percent, say, terminal_width

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import TextIO

    from instrument.analysis.analysis import Analysis
    from instrument.report.formats import Choices


def write_analysis(analysis: Analysis, out: TextIO, choices: Choices) -> None:
    """Write the table of *analysis* to *out*, with the numbers of processes and runs.

    On terminals the table has colours if the library rich is installed. Other output does not depend on rich.
    """
    console = console_of(out)
    summary = _summary(analysis, choices, marks_for(out) if console else ())
    arguments = summary.head, summary.rows, summary.total, terminal_width()
    if console is None:
        say(table(*arguments), out)
    else:
        print_lines(console, styled_table(*arguments), out)
    say(summary.notes, out)
    say(_measured(analysis), out)
    say(_incomplete(analysis), out)


def write_markdown(analysis: Analysis, out: TextIO, choices: Choices) -> None:
    """Write the table of *analysis* to *out* as Markdown, with its notes and numbers in a paragraph below."""
    summary = _summary(analysis, choices)
    say(markdown_table(summary), out)
    say(["", *summary.notes, *_measured(analysis), *_incomplete(analysis)], out)


def write_total(analysis: Analysis, out: TextIO, choices: Choices) -> None:
    """Write to *out* how many lines ran, in percent, without a sign: 100 if no line can run, as coverage.py does.

    Raise DataError if the lines of no file are known.
    """
    if analysis.files and not any(file.is_complete for file in analysis.files):
        raise DataError("--format total: the lines of no file are known, because the sources have changed or are gone")
    share = Numbers(analysis.files, choices.unit).share(with_branches=choices.with_branches)
    say([f"{percent(*share, choices.precision):.{choices.precision}f}"], out)


def _summary(analysis: Analysis, choices: Choices, marks: Sequence[str] = ()) -> Summary:
    files = analysis.sorted_files(choices.sort, choices.unit, with_branches=choices.with_branches)
    return Summary(files, choices, marks)


def _measured(analysis: Analysis) -> Iterator[str]:
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


_OPTIONS_OF_ROWS = ("sort", "missing", "cost", "top", "skip-covered", "skip-empty", "max-count", "thousands")
_OPTIONS_OF_SHARES = ("branch", "precision")

FORMATS = (
    Format(
        "table",
        write_analysis,
        help="a row for each file, the default",
        takes=(*_OPTIONS_OF_ROWS, *_OPTIONS_OF_SHARES, "unit"),
        needs_lines=False,
    ),
    Format(
        "markdown",
        write_markdown,
        help="the table for GitHub and others",
        takes=(*_OPTIONS_OF_ROWS, *_OPTIONS_OF_SHARES, "unit"),
        needs_lines=False,
    ),
    Format(
        "total",
        write_total,
        help="only the percentage of lines that ran",
        takes=_OPTIONS_OF_SHARES,
        needs_lines=False,
    ),
)
