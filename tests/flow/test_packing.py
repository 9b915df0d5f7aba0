"""Packing loses no number, and takes few bytes for numbers that are close together."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from instrument.flow.packing import Table, as_they_are, pack_columns, pack_lists, pack_table

SMALL = st.integers(-128, 127)
ANY = st.one_of(SMALL, st.integers(-(2**15), 2**15), st.integers(-(2**31), 2**31), st.integers(-(2**62), 2**62 - 1))


@given(st.lists(st.lists(ANY)))
def test_the_numbers_of_each_code_object_are_equal_after_packing(owned_numbers):
    """They may have any size, and keep their order. There may be none."""
    table = Table(pack_lists(owned_numbers))
    assert [table.numbers(number) for number in range(len(owned_numbers))] == owned_numbers


@given(st.lists(st.tuples(st.integers(0, 3), ANY, ANY)))
def test_numbers_are_equal_if_they_are_packed_as_they_are(rows):
    """A table may have columns of either form."""
    n_rows, of_differences, others = (list(column) for column in zip(*rows)) if rows else ([], [], [])
    columns = [list(itertools.chain(*zip(column, column, column))) for column in (of_differences, others)]
    columns = [column[: sum(n_rows)] for column in columns]
    table = Table(pack_columns(n_rows, columns[0], as_they_are(columns[1])), n_columns=2)
    unpacked = [table.columns(number) for number in range(len(n_rows))]
    for place, column in enumerate(columns):
        assert [number for each in unpacked for number in each[place]] == column
    assert [len(first) for first, _ in unpacked] == n_rows


@given(st.lists(SMALL, min_size=1))
def test_numbers_that_are_close_take_a_byte_each(differences):
    """The differences are stored."""
    _, column = pack_lists([list(itertools.accumulate(differences))])
    assert len(column) == len(differences) + 1


@given(st.integers(1, 4).flatmap(lambda n: st.tuples(st.just(n), st.lists(st.lists(st.tuples(*[ANY] * n))))))
def test_the_rows_of_each_code_object_are_equal_after_packing(width_and_rows):
    """There may also be no rows."""
    width, owned_rows = width_and_rows
    table = Table(pack_table(owned_rows, width), width)
    assert [list(zip(*table.columns(number))) for number in range(len(owned_rows))] == owned_rows


def test_numbers_of_more_than_64_bits_are_refused():
    """They are not cut off. The package may have a `struct` of its own, whose error is another class."""
    for pack in (pack_lists, lambda numbers: as_they_are(numbers[0])):
        with pytest.raises(Exception) as caught:
            pack([[2**63]])
        assert (type(caught.value).__module__, type(caught.value).__name__) == ("struct", "error")
