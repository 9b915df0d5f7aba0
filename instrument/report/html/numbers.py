"""Numbers: the sums that a page shows of a source file, or of many. They add."""

from __future__ import annotations

from typing import NamedTuple

from instrument.analysis.file_analysis import EXECUTIONS
from instrument.report.text import percentage

TYPE_CHECKING = False
if TYPE_CHECKING:
    from instrument.analysis.file_analysis import FileAnalysis


class Numbers(NamedTuple):
    """Sums of one or more source files.

    - lines, missing: how many lines can run, and how many of them never ran
    - ways, missing_ways: how many ways lead on from lines with several, and how many were never taken
    - hits: how often lines ran, all lines added up
    - hottest: how often the hottest line ran
    - cost: how many bytecode instructions were executed
    """

    lines: int = 0
    missing: int = 0
    ways: int = 0
    missing_ways: int = 0
    hits: int = 0
    hottest: int = 0
    cost: int = 0

    @property
    def ran(self) -> str:
        """The part of the lines that ran in percent, as other reports have it; `-` if no line can run."""
        return percentage(self.lines - self.missing, self.lines)

    @property
    def twentieths(self) -> int:
        """The part of the lines that ran, from 0 to 20, rounded down; 20 if no line can run."""
        return 20 * (self.lines - self.missing) // self.lines if self.lines else 20

    def plus(self, other: Numbers) -> Numbers:
        """Return the sums of both; `hottest` is the greater one."""
        sums = Numbers(*(one + another for one, another in zip(self, other)))
        return sums._replace(hottest=max(self.hottest, other.hottest))


def counts_of(file: FileAnalysis, unit: str) -> dict[int, int]:
    """Return how often each line of *file* ran: its line events, or its executions if *unit* says so.

    Executions are known only if the flow of control is known. Otherwise the result is empty. Lines of generator
    expressions have no executions of their own: their events are returned.
    """
    events = file.counts.lines.counts()
    if unit == EXECUTIONS:
        executions = file.flow.executions if file.flow else {}
        return {line: executions.get(line) or count for line, count in events.items()} if file.flow else {}
    return events


def numbers_of(file: FileAnalysis, unit: str) -> Numbers:
    """Return the numbers of *file*, with hits in this *unit*: EVENTS or EXECUTIONS."""
    counts = counts_of(file, unit).values()
    return Numbers(
        file.n_lines,
        file.n_missing,
        file.n_arcs,
        file.n_missing_arcs,
        sum(counts),
        max(counts, default=0),
        file.n_instructions or 0,
    )
