"""Sums of files."""

from html_pages import analysed, flow_of_source
from hypothesis import given
from hypothesis import strategies as st

from instrument.report.html.numbers import Numbers, counts_of, numbers_of

NUMBERS = st.builds(
    lambda lines, missing, more: Numbers(lines, min(lines, missing), *more),
    st.integers(0, 1000),
    st.integers(0, 1000),
    st.tuples(*[st.integers(0, 2**63)] * 5),
)


@given(NUMBERS, NUMBERS, NUMBERS)
def test_numbers_add(one, two, three):
    """The order of additions makes no difference, and no numbers are the neutral ones."""
    assert one.plus(two) == two.plus(one)
    assert one.plus(two).plus(three) == one.plus(two.plus(three))
    assert one.plus(Numbers()) == one


@given(NUMBERS)
def test_all_means_all(numbers):
    """100% and a full bar mean that no line is missing."""
    assert (numbers.ran == "100%") == (numbers.lines > 0 and not numbers.missing)
    assert (numbers.twentieths == 20) == (not numbers.missing)
    assert 0 <= numbers.twentieths <= 20


def test_numbers_of_a_file(tmp_path):
    """They are those of the analysis, in either unit."""
    file = analysed(tmp_path / "a.py", flow=flow_of_source())
    assert numbers_of(file, "events") == (9, 2, 4, 1, 12_345_689, 12_345_678, 1_234_607)
    assert numbers_of(file, "executions") == (9, 2, 4, 1, 12, 4, 1_234_607)
    assert 5 not in counts_of(file, "executions")
    assert counts_of(analysed(tmp_path / "b.py"), "executions") == {}
