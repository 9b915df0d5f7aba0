"""Bounds in percent, with a floor."""

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st
from run_works import run_work

from instrument.analysis.gate.bounds import FUNCTION, TEST, TOTAL, Bounds, failures
from instrument.analysis.gate.comparison import Comparison, Growth
from instrument.analysis.gate.work import INSTRUCTIONS

AMOUNTS = st.integers(0, 10**20)


@given(AMOUNTS, AMOUNTS, st.fractions(0, 300), st.integers(0, 10**6), st.sampled_from([TOTAL, TEST, FUNCTION]))
def test_a_bound_is_passed_by_growth_above_its_share_and_its_floor(before, after, percent, floor, subject):
    """The arithmetic is exact, also for large amounts."""
    bounds = Bounds(percent, percent, percent, floor)
    expected = after > before + Fraction(before) * percent / 100 and after - before >= floor
    assert bounds.passed(Growth(before, after), subject) == expected


@given(AMOUNTS, AMOUNTS)
def test_without_a_bound_nothing_passes(before, after):
    """None is no bound, and 0 is the strictest one."""
    assert not Bounds().passed(Growth(before, after), TOTAL)
    assert Bounds(Fraction(0)).passed(Growth(before, after), TOTAL) == (after > before)


def test_failures_come_from_the_most_growth_down():
    """The total first, then tests, then functions; a new function has no bound of its own."""
    parts = {1: (0, run_work({"f": [(1, 10, 1)]}).functions.popitem()[1])}
    one = run_work({"f": [(1, 10, 1)], "g": [(2, 10, 1)]}, parts=parts, tests={"a": {1: 1}, "b": {1: 1}, "c": {1: 5}})
    other = run_work(
        {"f": [(1, 20, 1)], "g": [(2, 30, 1)], "h": [(3, 5, 1)]},
        version="sha256:2",
        parts=parts,
        tests={"a": {1: 2}, "b": {1: 3}, "c": {1: 5}, "d": {1: 9}},
    )
    found = [*failures(Comparison(one, other, INSTRUCTIONS), Bounds(Fraction(5), Fraction(5), Fraction(5)))]
    assert [(each.subject, each.name) for each in found] == [
        (TOTAL, ""), (TEST, "b"), (TEST, "a"), (FUNCTION, "g"), (FUNCTION, "f"),
    ]
    assert [each.growth for each in found][:3] == [(20, 55), (10, 30), (10, 20)]
    only_floor = Bounds(Fraction(5), Fraction(5), Fraction(5), floor=20)
    assert [each.name for each in failures(Comparison(one, other, INSTRUCTIONS), only_floor)] == ["", "b", "g"]
