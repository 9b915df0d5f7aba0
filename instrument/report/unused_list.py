"""Writes the list of `instrument report --unused-for`: functions and lines that were not used since a moment."""

from __future__ import annotations

import math
import time

from instrument.analysis.file_analysis import UnusedCode
from instrument.analysis.source_file import CURRENT, MODULE
from instrument.report.file_table import name_of
from instrument.report.formats import Format
from instrument.report.remarks import uncertain_uses
from instrument.report.text import date, ranges, say, shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import TextIO

    from instrument.analysis.analysis import Analysis
    from instrument.analysis.file_analysis import FileAnalysis
    from instrument.report.formats import Choices

# Seconds. If the period is shorter, dates have the time of day.
_WITH_TIME = 2 * 86400.0


def write_analysis(analysis: Analysis, out: TextIO, choices: Choices) -> None:
    """Write to *out* the code of *analysis* that was not used after the moment of *choices*, or never without one."""
    say(_unused(analysis, choices.since or 0.0, choices.sort), out)


def _unused(analysis: Analysis, since: float, sort: str) -> Iterator[str]:
    """Yield the lines of the list."""
    with_time = time.time() - since < _WITH_TIME
    yield f"Not used since {date(since, with_time=with_time)}:"
    if analysis.began > since:
        first = date(analysis.began, with_time=with_time)
        yield f"(The first process was started on {first}: what is older than that is not known.)"
    yield from uncertain_uses(analysis, since)
    has_unused = False
    n_unknown = 0
    for file in analysis.sorted_files(sort):
        if file.source.state != CURRENT:
            n_unknown += 1
            continue
        unused = UnusedCode(file, since)
        if unused.functions or unused.lines:
            has_unused = True
            yield from _unused_in_file(file, unused, with_time=with_time)
    if n_unknown:
        subject = "1 file is" if n_unknown == 1 else f"{n_unknown} files are"
        yield f"    {subject} left out: the present source is not the one that ran, or is not known"
    elif not has_unused:
        yield "    nothing: all that was measured was used"


def _unused_in_file(file: FileAnalysis, unused: UnusedCode, *, with_time: bool) -> Iterator[str]:
    """Yield the lines about *file*: its functions, and its lines by the time of their last use."""
    yield name_of(file) + ("" if file.measured_at else " (never imported)")
    for function in unused.functions:
        is_module = function.kind == MODULE
        name = "module level" if is_module else f"{function.kind} {shown(function.name)} (line {function.line})"
        yield f"    {name}  {_last_use(function.last, with_time=with_time)}"
    by_last_use: dict[str, list[int]] = {}
    for line, last in unused.lines.items():
        by_last_use.setdefault(_last_use(last, with_time=with_time), []).append(line)
    for last_use, lines in sorted(by_last_use.items(), key=lambda item: (item[0] != "never", item[0])):
        noun = "line" if len(lines) == 1 else "lines"
        yield f"    {noun} {ranges(lines, file.executable or file.counts.lines)}  {last_use}"


def _last_use(moment: float, *, with_time: bool) -> str:
    return "never" if moment == -math.inf else f"last {date(moment, with_time=with_time)}"


FORMAT = Format(
    "unused",
    write_analysis,
    help="the code that was not used, see --unused-for",
    takes=("sort", "missing", "unused-for"),  # missing lines are in the list in any case
    needs=("unused-for",),
)
