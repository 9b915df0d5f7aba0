"""The fit finds coefficients from 0 on that no others beat."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from instrument.analysis.growth.nonnegative_fit import coefficients

NUMBERS = st.floats(-10, 10).map(lambda number: round(number, 3))


def distance(columns, factors, numbers):
    """Return the sum of the squared differences between *numbers* and the sum of *columns* with these *factors*."""
    sums = [sum(factor * column[row] for factor, column in zip(factors, columns)) for row in range(len(numbers))]
    return sum((one - other) ** 2 for one, other in zip(sums, numbers))


@st.composite
def problems(draw):
    """Return columns, numbers, and any coefficients from 0 on."""
    n_rows, n_columns = draw(st.integers(1, 6)), draw(st.integers(1, 5))
    columns = draw(st.lists(st.lists(NUMBERS, min_size=n_rows, max_size=n_rows), min_size=n_columns, max_size=n_columns))
    numbers = draw(st.lists(NUMBERS, min_size=n_rows, max_size=n_rows))
    return columns, numbers, draw(st.lists(st.floats(0, 5), min_size=n_columns, max_size=n_columns))


@given(problems())
def test_no_other_coefficients_are_better(problem):
    """Columns may be equal, or all zero."""
    columns, numbers, others = problem
    found = coefficients(columns, numbers)
    assert min(found) >= 0
    assert distance(columns, found, numbers) <= distance(columns, others, numbers) + 1e-3
    for column in range(len(columns)):
        for step in (-0.01, 0.01):
            moved = [max(0.0, factor + step * (number == column)) for number, factor in enumerate(found)]
            assert distance(columns, found, numbers) <= distance(columns, moved, numbers) + 1e-3


def test_a_sum_is_taken_apart():
    """A column with a negative part gets nothing."""
    assert coefficients([[1, 1, 1], [1, 2, 3]], [5, 7, 9]) == pytest.approx([3, 2])
    assert coefficients([[1, 1, 1], [1, 2, 3]], [9, 7, 5])[1] == 0
