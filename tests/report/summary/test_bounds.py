"""Bounds: shares are rounded and compared as in coverage.py, and messages say by how much a bound failed."""

import pytest
from analysed_files import analysed, flow_of
from coverage.results import should_fail_under
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from reporting import in_own_folder as in_own_folder

from instrument.errors import DataError
from instrument.report.formats import Choices
from instrument.report.summary.bounds import Bound, Bounds, failures
from instrument.report.text import percent


class Shares:
    """A file with *n* of *total* lines that ran: bounds read only these numbers of it."""

    is_complete, n_instructions = True, None

    def __init__(self, n, total):
        self.n_lines, self.n_missing, self.n_arcs, self.n_missing_arcs = total, total - n, 0, 0

    def share(self, *, with_branches):
        return self.n_lines - self.n_missing, self.n_lines

    def hits_in(self, unit):
        return None


def failed(*files, precision=0, unit="events", with_branches=False, **bounds):
    made = {name: Bound(value, f"--{name}") for name, value in bounds.items()}
    choices = Choices(precision=precision, unit=unit, with_branches=with_branches)
    return list(failures(files, Bounds(**made), choices))


@given(st.integers(0, 10**6), st.integers(0, 10**6), st.floats(0, 100) | st.integers(0, 100), st.integers(0, 5))
@example(9999, 10000, 100, 0)
@example(0, 0, 100, 0)
@example(99996, 100000, 99.999, 2)
def test_a_bound_fails_when_it_fails_in_coverage_py(n, more, bound, precision):
    """99.99 % is not 100 %, whatever the precision."""
    total = n + more
    exact = 100 * n / total if total else 100.0

    assert bool(failed(Shares(n, total), share=bound, precision=precision)) is should_fail_under(
        exact, bound, precision
    )


def test_messages_say_by_how_much():
    """They have as many decimals as the bound and the precision ask for, and never name a share of 100 %."""
    assert failed(Shares(8, 11), share=80) == ["72.73% of lines ran, 7.27 points below --share 80"]
    assert failed(Shares(999999, 10**6), share=100) == ["99.99% of lines ran, 0.01 points below --share 100"]
    assert failed(Shares(799, 1000), share=79.9001, precision=1) == [
        "79.9000% of lines ran, 0.0001 points below --share 79.9001"
    ]
    assert failed(Shares(8, 11), share=72.7) == []
    assert failed(Shares(8, 11), share=72.728) == ["72.727% of lines ran, 0.001 points below --share 72.728"]


def test_branches_have_a_bound_of_their_own():
    """With --branch, they also count in the share of lines. Data without branches cannot be checked."""
    file = analysed(3, {1: 1, 2: 1, 3: 1}, flow=flow_of({(1, 2): 1, (1, 3): 0}), source="if x:\n    y = 1\nz = 1\n")

    assert failed(file, share=100, branches=50) == []
    assert failed(file, share=81, branches=51, with_branches=True) == [
        "80.00% of lines and ways of branches ran, 1.00 points below --share 81",
        "50.00% of the ways of branches were taken, 1.00 points below --branches 51",
    ]
    with pytest.raises(DataError, match=r"--branches 51: these data have no counts of branches.*measure again"):
        failed(analysed(1, {1: 1}), branches=51)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.dictionaries(st.integers(1, 20), st.integers(1, 9)), st.integers(1, 9))
def test_rare_lines_are_named_with_their_counts(counts, bound):
    """The first ten are named, and the others are counted."""
    messages = failed(analysed(20, counts), hits=bound)
    rare = [f"m.py:{line} ({counts.get(line, 0)})" for line in range(1, 21) if counts.get(line, 0) < bound]

    more = f" and {len(rare) - 10} more" if len(rare) > 10 else ""
    lines = "1 line" if len(rare) == 1 else f"{len(rare)} lines"
    assert messages == ([f"{lines} ran less often than --hits {bound}: {', '.join(rare[:10])}{more}"] if rare else [])


def test_a_bound_of_hits_can_be_one_of_executions():
    """Lines that ran as parts of a statement that begins above them have no executions of their own."""
    file = analysed(4, {1: 3, 2: 3, 3: 3}, flow=flow_of({}, executions={1: 2, 2: 0, 3: 3}))

    assert failed(file, hits=3, unit="executions") == ["2 lines ran less often than --hits 3: m.py:1 (2), m.py:4 (0)"]
    assert failed(file, hits=3) == ["1 line ran less often than --hits 3: m.py:4 (0)"]


@pytest.mark.parametrize("bound", [{"share": 1}, {"branches": 1}, {"hits": 1}])
def test_bounds_of_unknown_lines_cannot_be_checked(bound):
    """A file that has changed since it ran must not make a share better. One that never ran and is no Python may stay."""
    flow = flow_of({(1, 2): 1, (1, 3): 1})
    known, stale = analysed(4, {1: 3}, flow=flow), analysed(4, {1: 3}, name="stale.py", is_known=False)
    with pytest.raises(DataError, match=r"^--\w+ 1 cannot be checked: the missing lines of 1 file are not known \(stale.py\)"):
        failed(known, stale, **bound)
    no_python = analysed(1, name="no_python.py", source="print 1\n")
    assert not no_python.is_complete
    assert failed(analysed(1, {1: 3}, flow=flow), no_python, **bound) == []
    assert failed(known, stale) == []


def test_percentages_of_none_and_all_are_exact():
    """The number of a percentage has the same limits as its text."""
    assert percent(0, 0) == 100
    assert percent(999_999, 1_000_000, 2) == 99.99
    assert percent(1, 1_000_000, 2) == 0.01
