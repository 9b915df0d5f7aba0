"""Bounds: how much the work may grow. A Comparison comes in; each growth that passes a bound goes out."""

from __future__ import annotations

from fractions import Fraction
from typing import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from instrument.analysis.gate.comparison import Comparison, Growth

#: The subjects that have bounds.
TOTAL, TEST, FUNCTION = "total", "test", "function"


class Bounds(NamedTuple):
    """How much the work may grow, in percent of BASE; None is no bound. Growth by less than *floor* passes none."""

    total: Fraction | None = None
    test: Fraction | None = None
    function: Fraction | None = None
    floor: int = 0

    def passed(self, growth: Growth, subject: str) -> bool:
        """Return whether *growth* passes the bound of *subject*, one of TOTAL, TEST and FUNCTION."""
        percent = {TOTAL: self.total, TEST: self.test, FUNCTION: self.function}[subject]
        if percent is None or growth.change <= 0 or growth.change < self.floor:
            return False
        return 100 * growth.change > percent * growth.before


class Failure(NamedTuple):
    """A Growth that passes a bound: its *subject*, its *name* (of a test or a function), and the *growth*.

    *number* is that of the function in `Comparison.changes`, from 0 on, and 0 for other subjects.
    """

    subject: str
    name: str
    growth: Growth
    number: int = 0


def failures(comparison: Comparison, bounds: Bounds) -> Iterator[Failure]:
    """Yield each growth in *comparison* above *bounds*: the total, and then tests and functions from the most."""
    if bounds.passed(comparison.total, TOTAL):
        yield Failure(TOTAL, "", comparison.total)
    tests = [Failure(TEST, name, growth) for name, growth in comparison.tests.items() if bounds.passed(growth, TEST)]
    functions = [
        Failure(FUNCTION, change.place.name, growth, number)
        for number, change in enumerate(comparison.changes)
        # New functions have no bound: their growth is no share of anything.
        if change.place_before is not None and bounds.passed(growth := change.growth(comparison.unit), FUNCTION)
    ]
    for of_subject in (tests, functions):
        yield from sorted(of_subject, key=lambda failure: (-failure.growth.change, failure.name, failure.number))
