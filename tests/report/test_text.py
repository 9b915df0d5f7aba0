"""Texts for people: ranges, percentages and the progress bar."""

import pytest
from coverage.results import display_covered
from hypothesis import given
from hypothesis import strategies as st
from reporting import in_own_folder as in_own_folder

from instrument.report.text import ProgressBar, percentage, ranges


@pytest.mark.parametrize(
    ("n", "total", "words"), [(0, 0, "-"), (0, 9, "0%"), (9, 9, "100%"), (1, 1000, "1%"), (999, 1000, "99%")]
)
def test_percentages_are_0_or_100_only_for_none_and_all(n, total, words):
    """A single missing line is visible."""
    assert percentage(n, total) == words


@given(st.integers(0, 10**6), st.integers(0, 10**6), st.integers(0, 6))
def test_percentages_are_those_of_coverage_py(n, more, precision):
    """None of nothing is a dash."""
    total = n + more
    expected = f"{display_covered(100 * n / total, precision)}%" if total else "-"

    assert percentage(n, total, precision) == expected


def test_the_progress_bar_is_for_terminals(capsys, monkeypatch):
    """On a terminal the bar is drawn, and erased at the end; elsewhere it is not written."""
    progress = ProgressBar("Combining")
    progress(1, 2)
    assert capsys.readouterr().err == ""
    progress.is_on = True
    progress(1, 2)
    progress(2, 2)
    assert capsys.readouterr().err == f"\rCombining [{'#' * 15:30}] 1/2\rCombining [{'#' * 30}] 2/2\r\x1b[K"


@pytest.mark.parametrize(
    ("lines", "among", "words"),
    [
        ([], None, ""),
        ([3], None, "3"),
        ([3, 4, 5, 9], None, "3-5, 9"),
        ([3, 5, 9], [1, 3, 5, 7, 9], "3-5, 9"),
        ([3, 4], [3, 4], "3-4"),
        ([1, 2, 4, 5], [1, 2, 3, 4, 5], "1-2, 4-5"),
    ],
)
def test_ranges(lines, among, words):
    """A range spans the lines in between, unless one of those can run and is not wanted."""
    assert ranges(lines, among) == words

