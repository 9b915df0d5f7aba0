"""Short numbers, and the scale of heat."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from instrument.report.html.short_numbers import N_LEVELS, exact, heat, least_counts, short

COUNTS = st.one_of(st.integers(0, 10**5), st.integers(0, 2**63), st.integers(0, 10**26))
FACTORS = {"": 1, **{unit: 1000 ** (n + 1) for n, unit in enumerate("kMGTPEZY")}}


@pytest.mark.parametrize(
    ("count", "text"),
    [
        *[(0, "0"), (9999, "9999"), (10_000, "10 k"), (73_000, "73 k"), (999_499, "999 k"), (999_500, "1.0 M")],
        *[(1_234_567, "1.2 M"), (9_950_000, "10 M"), (2**63 - 1, "9.2 E")],
    ],
)
def test_examples(count, text):
    """Numbers up to 9999 are exact, and others have a unit."""
    assert short(count) == text.replace(" ", "\N{NO-BREAK SPACE}")


@given(COUNTS)
def test_a_short_number_is_short_and_close(count):
    """It has five characters at most, and differs by 5 % at most."""
    text = short(count)
    number, _, unit = text.partition("\N{NO-BREAK SPACE}")

    assert len(text) <= 5
    assert abs(float(number) * FACTORS[unit] - count) <= 0.05 * count


@given(COUNTS)
def test_exact_has_all_digits(count):
    """The digits are those of the number, in groups of three."""
    groups = exact(count).split(",")

    assert int("".join(groups)) == count
    assert all(len(group) == 3 for group in groups[1:])


@given(st.lists(st.integers(0, 2**63), min_size=1), st.data())
def test_heat_grows_with_the_count(counts, data):
    """The level is 0 for 0 only, never sinks, and is the highest for the hottest line."""
    hottest = max(counts)
    levels = [heat(count, hottest) for count in sorted(counts)]

    assert levels == sorted(levels)
    assert all((level == 0) == (count == 0) for level, count in zip(levels, sorted(counts)))
    assert levels[-1] == (N_LEVELS if hottest > 1 else hottest)


@given(st.one_of(st.integers(1, 10**6), st.integers(1, 2**40)))
def test_the_scale_has_the_least_count_of_each_level(hottest):
    """Counts from there on have at least this level, and a smaller count has a lower level."""
    for level, least in enumerate(least_counts(hottest), 1):
        assert heat(least, hottest) >= level or least == hottest
        assert least == 1 or heat(least - 1, hottest) < level
