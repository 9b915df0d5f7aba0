"""Finds the lines and tests whose work differs between runs of the same code: they tell nothing about a change.

RunWorks of one version of the code come in; the lines and tests that are unstable go out.
"""

from __future__ import annotations

from instrument.analysis.gate.comparison import Comparison

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from instrument.analysis.gate.work import FunctionPlace, RunWork


class Unstable:
    """The lines and tests of *run* whose work in *unit* is not the same in each of *reruns*, runs of the same code.

    `lines` has the lines by function. `tests` has the tests that differ in other lines, too, or that a run with tests
    lacks.
    """

    def __init__(self, run: RunWork, reruns: Iterable[RunWork], unit: str) -> None:
        reruns = list(reruns)
        self.lines: dict[FunctionPlace, set[int]] = {}
        for rerun in reruns:
            for change in Comparison(rerun, run, unit).changes:
                lines = {line for line in change.line_growth(unit) if line > 0}
                if change.place_after is not None and lines:
                    self.lines.setdefault(change.place_after, set()).update(lines)
        self.tests: set[str] = set()
        for rerun in filter(lambda rerun: rerun.tests, reruns):
            comparison = Comparison(rerun, run, unit, unstable_after=self.lines)
            self.tests.update(name for name, growth in comparison.tests.items() if growth.change)
            self.tests.update(comparison.new_tests)


def is_same_code(run: RunWork, rerun: RunWork) -> bool:
    """Return whether each source file that both runs have is the same version in both, and there is such a file."""
    paths = run.versions.keys() & rerun.versions.keys()
    if not paths:
        return {*run.versions.values()} >= {*rerun.versions.values()}
    return all(run.versions[path] == rerun.versions[path] for path in paths)
