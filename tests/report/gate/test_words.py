"""The words for growth and causes."""

import pytest
from gate_verdicts import BOUNDS, verdict
from hypothesis import given
from hypothesis import strategies as st
from run_works import run_work

from instrument.analysis.gate.causes import Cause
from instrument.analysis.gate.comparison import Comparison, Growth
from instrument.analysis.gate.line_causes import BRANCH, CALLS, CHANGED_LINE, COST, LOOP, MORE, NEW_LINE, LineCause
from instrument.analysis.gate.verdict import Verdict
from instrument.analysis.gate.work import INSTRUCTIONS, FunctionPlace
from instrument.model.flow_counts import RAISED
from instrument.report.gate import words


@pytest.mark.parametrize(
    ("growth", "text"),
    [
        ((100, 112), "+12.0%"), ((100, 88), "-12.0%"), ((100, 100), "0%"), ((0, 5), "new"), ((0, 0), "0%"),
        ((10**6, 10**6 + 1), "+0.0001%"), ((10**9, 10**9 + 1), "+1e-07%"), ((3, 10), "+233.3%"), ((5, 0), "-100.0%"),
    ],
)
def test_growth_is_said_in_percent(growth, text):
    """A small growth is never rounded to none."""
    assert words.percent_text(Growth(*growth)) == text


@given(st.integers(1, 10**18), st.integers(0, 10**18))
def test_the_percentage_is_zero_only_without_growth(before, after):
    """It has the sign of the change."""
    text = words.percent_text(Growth(before, after))
    value = float(text.removesuffix("%"))
    assert (value > 0) == (after > before)
    assert (value < 0) == (after < before)


@pytest.mark.parametrize(
    ("kind", "target", "text"),
    [
        (NEW_LINE, 0, "a new line, which ran 9 times"),
        (CHANGED_LINE, 0, "a changed line, which ran 9 times"),
        (LOOP, 4, "the loop turned 3 → 9 times"),
        (BRANCH, 4, "control went to line 4 more often, 3 → 9 times"),
        (BRANCH, 0, "control went out of the function more often, 3 → 9 times"),
        (BRANCH, RAISED, "control went on by an exception more often, 3 → 9 times"),
        (COST, 0, "the line executed 3 → 9 instructions"),
        (CALLS, 0, "the function was called 3 → 9 times, by no line that is known to have run more often"),
        (MORE, 0, "the line ran 3 → 9 times"),
    ],
)
def test_each_kind_of_cause_has_its_words(kind, target, text):
    """They say how the run in HEAD differs."""
    cause = Cause(FunctionPlace("/src/shop.py", "f", 1), LineCause(kind, 3, target, Growth(3, 9)))
    assert words.cause_text(cause) == text


def test_failures_with_the_same_causes_are_a_group():
    """In the order of the first ones."""
    groups = words.grouped(verdict().failures, 3)
    assert [[each.failure.subject for each in group] for group in groups] == [["total"], ["test", "function"]]
    assert [len(group) for group in words.grouped(verdict().failures, 1)] == [3]


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)), min_size=1, max_size=8))
def test_the_causes_add_up_to_the_growth(lines):
    """A decrease is stated, unless there is none."""
    before, after = ({"f": [(n, pair[run], 1) for n, pair in enumerate(lines)]} for run in (0, 1))
    comparison = Comparison(run_work(before), run_work(after, version="sha256:2"), INSTRUCTIONS)
    a_verdict = Verdict(comparison, BOUNDS, lambda _place, _line: "")
    text = words.sum_text(a_verdict.explained_total(), "the total", a_verdict)
    more, less = (sum(max(0, sign * (pair[1] - pair[0])) for pair in lines) for sign in (1, -1))
    if more and less:
        assert text.startswith(f"{more} more in lines that grew, and {less} less in other lines: the total grew by {more - less} ")
    else:
        assert text == ""
