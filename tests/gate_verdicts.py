"""Makes Verdicts for tests of their formats, without data files."""

from fractions import Fraction

from run_works import PATH, run_work

from instrument.analysis.gate.bounds import Bounds
from instrument.analysis.gate.comparison import Comparison
from instrument.analysis.gate.verdict import Verdict
from instrument.analysis.gate.work import INSTRUCTIONS, Work

BOUNDS = Bounds(Fraction(2), Fraction(5), Fraction(10))


def verdict(*, name="price", test="t.py::test_price", path=PATH, text="total += item", bounds=BOUNDS, tests=None, unstable=None, **more):
    """Return the Verdict about a run in which a line of the function *name* grew from 30 to 90, within the test *test*."""
    before = run_work(
        {name: [(1, 10, 1), (2, 30, 3)], "refund": [(3, 8, 1)], "old": [(7, 4, 1)]},
        path=path,
        parts={1: (0, Work(1, {2: 10, 3: 30}, {2: 1, 3: 3}))},
        tests=tests or {test: {1: 1}, "gone": {1: 1}},
    )
    after = run_work(
        {name: [(1, 10, 1), (2, 90, 9)], "refund": [(3, 5, 1)], "new": [(8, 6, 1)]},
        path=path,
        version="sha256:2",
        parts={1: (0, Work(1, {2: 10, 3: 90}, {2: 1, 3: 9}))},
        tests=tests or {test: {1: 1}, "added": {1: 1}},
    )
    lines = {place: unstable for place in after.functions if unstable and place.name == name}
    comparison = Comparison(before, after, INSTRUCTIONS, unstable_after=lines)
    return Verdict(comparison, bounds, lambda _place, _line: text, **more)


def verdict_without_growth():
    """Return the Verdict about two equal runs."""
    run = run_work({"price": [(1, 10, 1)]})
    return Verdict(Comparison(run, run, INSTRUCTIONS), BOUNDS, lambda _place, _line: "")
