"""Checks the bounds of `--fail-under` and the like: the files of a report come in; a line for each failure goes out.

Shares are rounded and compared as in coverage.py: 99.99 % is not 100 %, and the decimals of a bound count.
"""

from __future__ import annotations

from decimal import Decimal

from instrument.analysis.file_analysis import EXECUTIONS
from instrument.errors import DataError
from instrument.report.summary.numbers import Numbers
from instrument.report.text import number_of, percent, percentage, shown_path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from instrument.analysis.file_analysis import FileAnalysis
    from instrument.report.formats import Choices

#: The number of lines that are named if they ran too rarely.
MOST_NAMED = 10
#: The least number of decimals of the share in a message. A bound may have more of them.
_DECIMALS = 2


class Bound:
    """A lower bound: its *value*, and the `origin` with the value for messages, such as `--fail-under 80`."""

    __slots__ = ("origin", "value")

    def __init__(self, value: float, origin: str) -> None:
        """Make the bound of an *origin* that lacks the value."""
        self.value = value
        self.origin = f"{origin} {value:g}" if float(f"{value:g}") == value else f"{origin} {value}"


class Bounds:
    """The bounds of a report, None for each that is not set.

    - share: of the lines that ran, in percent; branches are included if the report has them
    - branches: of the ways of branches that were taken, in percent
    - hits: how often each line that can run must run
    """

    __slots__ = ("branches", "hits", "share")

    def __init__(self, share: Bound | None = None, branches: Bound | None = None, hits: Bound | None = None) -> None:
        self.share = share
        self.branches = branches
        self.hits = hits

    def __bool__(self) -> bool:
        """Return whether a bound is set."""
        return bool(self.share or self.branches or self.hits)


def failures(files: Sequence[FileAnalysis], bounds: Bounds, choices: Choices) -> Iterator[str]:
    """Yield a line for each of *bounds* that *files* fail: by how much, and which lines.

    Raise DataError if there is a bound for branches, and branches are known of no file. Raise it, too, if the lines of
    any file are not known: without that file the share would be another one.
    """
    unknown = [file for file in files if not file.is_complete and file.measured_at]
    if bounds and unknown:
        origin = next(bound.origin for bound in (bounds.share, bounds.branches, bounds.hits) if bound)
        raise DataError(
            f"{origin} cannot be checked: the missing lines of {number_of(len(unknown), 'file')} are not known "
            f"({_some([shown_path(file.path) for file in unknown])}), because the source has changed, is gone, or was "
            "not measured from the start; measure again, or leave such files out by --omit"
        )
    numbers = Numbers(files, choices.unit)
    if bounds.share:
        things = "lines and ways of branches" if choices.with_branches and numbers.n_arcs else "lines"
        n_ran, n_all = numbers.share(with_branches=choices.with_branches)
        yield from _share_below(n_ran, n_all, bounds.share, choices.precision, f"of {things} ran")
    if bounds.branches:
        if numbers.n_without_flow == numbers.n_files:
            raise DataError(
                f"{bounds.branches.origin}: these data have no counts of branches, so the bound cannot be checked; "
                "measure again with this release, or remove the bound"
            )
        n_taken = numbers.n_arcs - numbers.n_missing_arcs
        words = "of the ways of branches were taken"
        yield from _share_below(n_taken, numbers.n_arcs, bounds.branches, choices.precision, words)
    if bounds.hits:
        yield from _hits_below(files, bounds.hits, choices.unit)


def _share_below(n: int, n_all: int, bound: Bound, precision: int, words: str) -> Iterator[str]:
    """Yield a line if the share of *n* in *n_all* is below *bound*; *words* say which share it is."""
    decimals = max(precision, -int(Decimal(str(bound.value)).as_tuple().exponent) if bound.value % 1 else 0)
    if n_all and (round(100 * n / n_all, decimals) < bound.value or (bound.value == 100 and n < n_all)):
        decimals = max(decimals, _DECIMALS)
        points = bound.value - percent(n, n_all, decimals)
        yield f"{percentage(n, n_all, decimals)} {words}, {points:.{decimals}f} points below {bound.origin}"


def _hits_below(files: Sequence[FileAnalysis], bound: Bound, unit: str) -> Iterator[str]:
    """Yield a line if lines of *files* ran less often than *bound*, with the first of them and their counts."""
    rare = [
        f"{shown_path(file.path)}:{line} ({count})"
        for file in files
        if file.is_complete
        for line, count in sorted(_counts(file, unit).items())
        if count < bound.value
    ]
    if rare:
        yield f"{number_of(len(rare), 'line')} ran less often than {bound.origin}: {_some(rare)}"


def _some(names: Sequence[str]) -> str:
    """Return the first MOST_NAMED of *names* in one text, and how many more there are."""
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return f"{', '.join(names[:MOST_NAMED])}{more}"


def _counts(file: FileAnalysis, unit: str) -> dict[int, int]:
    """Return how often each line of *file* ran that can run.

    In executions, a line is left out if it ran and has none of its own: its statement begins above it.
    """
    events = file.counts.lines.counts()
    if unit != EXECUTIONS or file.flow is None:
        return {line: events.get(line, 0) for line in file.executable}
    executions = file.flow.executions
    counts = {line: executions.get(line, 0) for line in file.executable}
    return {line: count for line, count in counts.items() if count or not events.get(line, 0)}
