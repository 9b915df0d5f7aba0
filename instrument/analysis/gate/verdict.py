"""Verdict: all that the gate says about two runs. The writers of `instrument.report.gate` take it.

A Comparison, Bounds, and the unstable lines and tests come in.
"""

from __future__ import annotations

from typing import NamedTuple

from instrument.analysis.gate.bounds import FUNCTION, TEST, TOTAL, Bounds, Failure, failures
from instrument.analysis.gate.causes import causes_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from instrument.analysis.gate.causes import Cause
    from instrument.analysis.gate.comparison import Comparison, FunctionChange, Growth
    from instrument.analysis.gate.work import FunctionPlace

#: The most tests whose causes are searched: a change that makes all tests slower has the same causes in each.
MOST_EXPLAINED = 50


class Explained(NamedTuple):
    """A Failure with its *causes*, from the most growth down; empty if they were not searched."""

    failure: Failure
    causes: Sequence[Cause]


class Verdict:
    """The verdict about a Comparison.

    - `comparison`, `bounds`: as given.
    - `causes`: the causes of all growth of the run, from most to least.
    - `failures`: each growth that passes a bound, with its causes.
    - `grown_tests`: the tests that grew, each with its Growth: those above the bound first, each from most to least.
    - `grown`: the functions that grew, in the same order. `shrunk`: the functions that did less, from most to least.
    - `unstable_lines`, `unstable_tests`: the lines and tests that were left out, as they differ between runs.
    - `n_reruns`: the number of further runs that were read to find these.
    - `notes`: sentences about the data that a reader of the numbers needs.
    """

    def __init__(
        self,
        comparison: Comparison,
        bounds: Bounds,
        text_of: Callable[[FunctionPlace, int], str],
        *,
        unstable_tests: Collection[str] = (),
        n_reruns: int = 0,
        notes: Sequence[str] = (),
    ) -> None:
        """*text_of* returns the source text of a line of HEAD, an empty text if it is not known."""
        self.comparison = comparison
        self.bounds = bounds
        self.text_of = text_of
        self.unstable_lines = comparison.left_out()
        self.unstable_tests = sorted(unstable_tests)
        self.n_reruns = n_reruns
        self.notes = list(notes)
        unit = comparison.unit
        self.causes = causes_of(comparison.changes, unit, text_of)
        self.failures = [
            Explained(failure, self._causes_of(failure) if number < MOST_EXPLAINED else [])
            for number, failure in enumerate(failures(comparison, bounds))
        ]
        self.grown_tests: list[tuple[str, Growth]] = sorted(
            ((name, growth) for name, growth in comparison.tests.items() if growth.change > 0),
            key=lambda item: (not bounds.passed(item[1], TEST), -item[1].change, item[0]),
        )
        by_change: list[FunctionChange] = sorted(
            comparison.changes, key=lambda change: (-change.growth(unit).change, change.place)
        )
        self.grown = sorted(
            (change for change in by_change if change.growth(unit).change > 0),
            key=lambda change: not self.is_above_bound(change),
        )
        self.shrunk = [change for change in reversed(by_change) if change.growth(unit).change < 0]

    def is_above_bound(self, change: FunctionChange) -> bool:
        """Return whether the growth of a function passes the bound. New functions have none: see `failures`."""
        return change.place_before is not None and self.bounds.passed(change.growth(self.comparison.unit), FUNCTION)

    def explained_total(self) -> Explained:
        """Return the growth of the total with its causes, whether it passes the bound or not."""
        return Explained(Failure(TOTAL, "", self.comparison.total), self.causes)

    def _causes_of(self, failure: Failure) -> Sequence[Cause]:
        comparison = self.comparison
        if failure.subject == TEST:
            return causes_of(comparison.changes_of_test(failure.name), comparison.unit, self.text_of)
        if failure.subject == FUNCTION:
            place = comparison.changes[failure.number].place
            return [cause for cause in self.causes if any(each.place == place for each in cause.lines)]
        return self.causes
