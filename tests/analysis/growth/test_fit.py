"""Synthetic and real counts get the right law, noise turns no verdict, and too few sizes are called so."""

from math import log2

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from instrument.analysis.growth.fit import Growth, growth_of
from instrument.analysis.growth.laws import LAWS, position
from instrument.errors import InstrumentError

SIZES = [2**power for power in range(4, 13)]
SMALL_SIZES = [2, 4, 6, 8, 10, 12, 14, 16]
TERMS = dict(zip(LAWS, [lambda _: 1, log2, lambda n: n, lambda n: n * log2(n), lambda n: n**2, lambda n: n**3, lambda n: 2**n]))


@st.composite
def synthetic(draw, laws=LAWS[:-1], sizes=SIZES, largest_part=0.5, noise=0.0):
    """Return a law, and counts by size: its term, and others of slower laws.

    The others are at most *largest_part* of the count at the largest size.
    """
    law = draw(st.sampled_from(laws))
    slower = LAWS[: LAWS.index(law)]
    last = draw(st.integers(1000, 5000)) * TERMS[law](sizes[-1]) / TERMS[law](sizes[0])
    parts = {law: last}
    for other in draw(st.lists(st.sampled_from(slower), max_size=2, unique=True)) if slower else ():
        parts[other] = draw(st.floats(0, largest_part / 2)) * last
    errors = draw(st.lists(st.floats(-noise, noise), min_size=len(sizes), max_size=len(sizes)))
    counts = {
        size: round(sum(part * TERMS[each](size) / TERMS[each](sizes[-1]) for each, part in parts.items()) * (1 + error))
        for size, error in zip(sizes, errors)
    }
    return law, counts


@given(synthetic())
def test_exact_counts_have_their_law(case):
    """Terms of slower laws make no difference. The law is a bound, and the next slower one is none."""
    law, counts = case
    growth = growth_of(counts)
    assert (growth.law, growth.certainty) == (law, "sure")
    assert growth.is_at_most(position(law)) is True
    if law != "1":
        assert growth.is_at_most(position(law) - 1) is False


@given(synthetic(laws=("2^n",), sizes=SMALL_SIZES))
def test_exponential_counts_have_their_law(case):
    """No power of n grows so fast."""
    growth = growth_of(case[1])
    assert growth.law == "2^n"
    assert growth.is_at_most(position("n³")) is False
    assert growth.is_at_most(position("2^n")) is True


@given(synthetic(noise=0.05, largest_part=0.2))
def test_noise_turns_no_verdict(case):
    """Counts that vary by 5 % never pass a bound two laws below, and never fail one two laws above.

    The law differs by one at most, and then it is not called sure.
    """
    law, counts = case
    growth = growth_of(counts)
    true = position(law)
    assert growth.certainty == "no law" or abs(growth.position - true) <= (growth.certainty != "sure")
    assert growth.is_at_most(min(true + 2, len(LAWS) - 1)) is True
    if true >= 2:
        assert growth.is_at_most(true - 2) is not True


@given(synthetic(laws=LAWS[:4], noise=0.05), st.integers(1, 1000))
def test_a_multiple_has_the_same_law(case, factor):
    """Only shares count, apart from counts of very few."""
    _, counts = case
    assume(min(counts.values()) > 100)
    growth, other = growth_of(counts), growth_of({size: factor * n for size, n in counts.items()})
    assert growth.law == other.law
    assert growth.error == pytest.approx(other.error, abs=1e-6)


def merge_sort(n):
    """Return the comparisons of merge sort in the worst case."""
    return 0 if n < 2 else n - 1 + merge_sort(n // 2) + merge_sort(n - n // 2)


def fib(n):
    """Return the calls of the naive Fibonacci function."""
    return 1 if n < 2 else 1 + fib(n - 1) + fib(n - 2)


@pytest.mark.parametrize(
    ("count", "law"),
    [
        (lambda n: n.bit_length(), "log n"),
        (lambda n: 3 * n + 5, "n"),
        (merge_sort, "n log n"),
        (lambda n: n * (n - 1) // 2, "n²"),
        (lambda n: n * n // 50 + 100 * n, "n²"),
        (lambda n: 2 * n**3 + 3 * n * n + 9, "n³"),
        (lambda n: 0, "1"),
    ],
)
@pytest.mark.parametrize("sizes", [SIZES, [100, 300, 1000, 3000, 10000], range(100, 2000, 200)])
def test_counts_of_algorithms_have_their_law(count, law, sizes):
    """Sizes need not be powers of two, nor grow by a factor."""
    growth = growth_of({n: count(n) for n in sizes})
    assert growth.law == law
    assert growth.certainty in ("sure", "likely")


def test_a_fibonacci_function_is_exponential():
    """The base is found: each size more takes 1.618 times as many calls."""
    growth = growth_of({n: fib(n) for n in range(6, 21, 2)})
    assert (growth.law, growth.base, growth.certainty) == ("2^n", 1.618, "sure")
    assert str(growth).startswith("1.618^n (sure: it is ")


def test_a_power_between_two_laws_has_no_law():
    """Karatsuba's multiplication grows like n^1.58. It is below n², and above n log n."""
    growth = growth_of({n: int(n**1.58) for n in SIZES})
    assert growth.certainty == "no law"
    assert str(growth) == "no law (about n^1.58)"
    assert growth.is_at_most(position("n²")) is True
    assert growth.is_at_most(position("n log n")) is False


def test_sizes_close_together_tell_nothing():
    """Between 100 and 130, n and n log n differ by 1 %. So neither bound is passed or failed."""
    counts = {100: 1010, 110: 1095, 120: 1212, 130: 1290}
    growth = growth_of(counts)
    assert growth.certainty == "unsure"
    assert growth.is_at_most(position("n")) is None


@example({16: 5, 32: 0, 64: 10**30})
@given(st.dictionaries(st.integers(1, 10**6), st.integers(0, 10**12), min_size=3, max_size=10))
def test_any_counts_have_a_growth(counts):
    """Nothing fails, and errors are numbers."""
    growth = growth_of(counts)
    assert growth.law in LAWS
    assert growth.error >= 0
    assert growth.certainty in ("sure", "likely", "unsure", "no law")
    assert growth.is_at_most(growth.position) is not False or growth.certainty == "no law"
    assert str(growth)


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        ({}, "a growth law needs at least 3 sizes, and there are 0: none"),
        ({10: 1, 20: 2}, "a growth law needs at least 3 sizes, and there are 2: 10, 20"),
        ({0: 1, 10: 2, 20: 3}, "the size 0 has no logarithm; sizes are whole numbers from 1 on"),
        ({5: 1, 10: -2, 20: 3}, "the count -2 is negative; no count is"),
    ],
)
def test_impossible_input_is_named(counts, message):
    """The message has the number."""
    with pytest.raises(InstrumentError, match=message):
        growth_of(counts)


@pytest.mark.parametrize(
    ("n_sizes", "error", "rival", "certainty"),
    [
        (9, 0.012, 0.05, "sure"),
        (7, 0.012, 0.05, "sure"),
        (6, 0.012, 0.05, "likely"),
        (5, 0.012, 0.05, "likely"),
        (5, 0.005, 0.05, "sure"),
        (5, 0.012, 0.2, "sure"),
        (5, 0.06, 0.23, "likely"),
        (5, 0.06, 0.24, "sure"),
        (4, 0.001, 0.9, "likely"),
        (5, 0.012, 0.02, "unsure"),
    ],
)
def test_few_counts_that_are_not_exact_are_not_soon_sure(n_sizes, error, rival, certainty):
    """Five counts that vary by 5 % may fit a wrong law within 1 %, and the right one within 5 %."""
    counts = {2**n: 2**n for n in range(4, 4 + n_sizes)}
    assert Growth(counts, position("n"), 2.0, error, rival, {}).certainty == certainty
