"""Makes the rows of the summary: files and choices come in; texts of cells, and notes below the table, go out."""

from __future__ import annotations

import math

from instrument.analysis.file_analysis import EXECUTIONS
from instrument.analysis.source_file import CURRENT
from instrument.report.summary.numbers import Numbers
from instrument.report.tables import Cell
from instrument.report.text import number_of, percent, percentage, ranges_text, shown_path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from instrument.analysis.file_analysis import FileAnalysis
    from instrument.report.formats import Choices

#: The styles of shares of lines that ran, each with the percentage from which on it applies.
SHARES = ((90, "high"), (75, "medium"), (0, "low"))
#: The number of styles of hits, `heat0` to the hottest.
N_HEATS = 6


class Summary:
    """The table of files: `head`, `rows` and `total` as `report.tables.table` takes them, and `notes` below it.

    If the missing lines are listed, they are in a last column without a head.
    """

    def __init__(self, files: Sequence[FileAnalysis], choices: Choices, marks: Sequence[str] = ()) -> None:
        """Make the table of *files*, which are in the order of the rows.

        *marks*, one for each of SHARES, are put before shares of lines that ran: colours say nothing to some readers.
        """
        self._choices, self._marks = choices, marks
        self._counts_were_clipped = False
        numbers = Numbers(files, choices.unit)
        kept, self.notes = _kept(files, choices)
        self._hottest = max((hits.total for file in files if (hits := file.hits_in(choices.unit))), default=0)
        self.head = ["File", "Lines", "Missing"]
        self.head += ["Branch", "BrMiss"] * choices.with_branches + ["Ran"] + ["Instructions"] * choices.with_cost
        self.head += ["Hits", "Hottest line"] + [""] * choices.with_missing
        self.rows = [self._row(file) for file in kept]
        self.total = self._total(numbers)
        self.notes += self._more_notes(numbers.n_without_flow)

    def _row(self, file: FileAnalysis) -> list[str]:
        """Return the cells of *file*."""
        choices, is_complete = self._choices, file.is_complete
        row = [
            name_of(file),
            f"{file.n_lines}" if is_complete else "-",
            f"{file.n_missing}" if is_complete else "-",
        ]
        if choices.with_branches:
            is_known = is_complete and file.n_instructions is not None
            row += [f"{file.n_arcs}", f"{file.n_missing_arcs}"] if is_known else ["-", "-"]
        row.append(self._share(*file.share(with_branches=choices.with_branches)) if is_complete else "-")
        if choices.with_cost:
            row.append("-" if file.n_instructions is None else self._count(file.n_instructions))
        row += self._hits(file)
        if choices.with_missing:
            row.append(missing_text(file, with_branches=choices.with_branches))
        return row

    def _hits(self, file: FileAnalysis) -> list[str]:
        """Return the cells for hits and the hottest line of *file*, or why there is no such line."""
        hits = file.hits_in(self._choices.unit)
        total = "-" if hits is None else Cell(self._count(hits.total), _heat(hits.total, self._hottest))
        if not file.measured_at:
            return ["0", "never imported"]
        if hits is None or not hits.hottest_count:
            return [total, "-"]
        return [total, f"{hits.hottest_line}: {self._count(hits.hottest_count)}"]

    def _total(self, numbers: Numbers) -> list[str]:
        """Return the cells of the total."""
        choices = self._choices
        total = ["Total", f"{numbers.n_lines}", f"{numbers.n_missing}"]
        has_flow = numbers.n_without_flow < numbers.n_files
        if choices.with_branches:
            total += [f"{numbers.n_arcs}", f"{numbers.n_missing_arcs}"] if has_flow else ["-", "-"]
        total.append(self._share(*numbers.share(with_branches=choices.with_branches)))
        if choices.with_cost:
            total.append(self._count(numbers.n_instructions) if has_flow else "-")
        return [*total, self._count(numbers.hits), *[""] * (1 + choices.with_missing)]

    def _share(self, n_ran: int, n_all: int) -> str:
        """Return the cell for *n_ran* of *n_all* lines."""
        text = percentage(n_ran, n_all, self._choices.precision)
        if not n_all:
            return text
        exact = percent(n_ran, n_all, self._choices.precision)
        level = next(level for level, (least, _style) in enumerate(SHARES) if exact >= least)
        return Cell(f"{self._marks[level]} {text}" if self._marks else text, SHARES[level][1])

    def _count(self, n: int) -> str:
        """Return the text of the count *n*, clipped and separated as the choices say."""
        most = self._choices.max_count
        if most is not None and n > most:
            self._counts_were_clipped = True
            n = most
        return f"{n:,}" if self._choices.with_thousands else f"{n}"

    def _more_notes(self, n_without_flow: int) -> Iterator[str]:
        """Yield the notes about counts; *n_without_flow* files have no flow of control."""
        choices = self._choices
        if self._counts_were_clipped:
            yield f"(counts above {choices.max_count} are shown as {choices.max_count})"
        if choices.unit == EXECUTIONS:
            yield "(hits are executions: a statement over several lines that ran once counts once)"
        things = ["branches"] * choices.with_branches + ["instructions"] * choices.with_cost
        things += ["executions"] * (choices.unit == EXECUTIONS)
        if things and n_without_flow:
            yield f"(not known for {number_of(n_without_flow, 'file')}: {', '.join(things)})"


def name_of(file: FileAnalysis) -> str:
    """Return the name of *file* in tables, with its state if its source is not the measured version."""
    remark = "" if file.source.state == CURRENT else f" ({file.source.state})"
    return shown_path(file.path) + remark


def missing_text(file: FileAnalysis, *, with_branches: bool) -> str:
    """Return the missing lines of *file*, and the ways never taken if *with_branches*: `3-5, 12->exit, 14->17`.

    As in coverage.py, a way from or to a missing line is left out: that line is in the list.
    """
    parts = [(first, ranges_text([(first, last)])) for first, last in file.missing_ranges]
    if with_branches and file.is_complete:
        parts += [(line, f"{line}->{target or 'exit'}") for line, target in file.missing_ways]
    return ", ".join(text for _line, text in sorted(parts))


def _kept(files: Sequence[FileAnalysis], choices: Choices) -> tuple[list[FileAnalysis], list[str]]:
    """Return those of *files* that *choices* leave in the table, and notes about the others."""
    kept, n_covered, n_empty = [], 0, 0
    for file in files:
        if choices.skip_covered and _is_covered(file, with_branches=choices.with_branches):
            n_covered += 1
        elif choices.skip_empty and file.is_complete and not file.n_lines:
            n_empty += 1
        else:
            kept.append(file)
    notes = []
    if n_covered:
        notes.append(f"({number_of(n_covered, 'file')} not shown: nothing is missing there)")
    if n_empty:
        notes.append(f"({number_of(n_empty, 'file')} not shown: no line there can run)")
    if choices.top is not None and len(kept) > choices.top:
        notes.append(f"({number_of(len(kept) - choices.top, 'more row')} not shown; the total is of all files)")
        del kept[choices.top :]
    return kept, notes


def _is_covered(file: FileAnalysis, *, with_branches: bool) -> bool:
    """Return whether nothing is missing in *file*; with branches, these must be known."""
    is_known = file.is_complete and (not with_branches or file.n_instructions is not None)
    return is_known and not file.n_missing and not (with_branches and file.n_missing_arcs)


def _heat(n: int, most: int) -> str:
    """Return the style of *n* hits, on a logarithmic scale up to *most*; 0 hits have none."""
    return f"heat{min(N_HEATS - 1, int(N_HEATS * math.log1p(n) / math.log1p(most)))}" if n else ""
