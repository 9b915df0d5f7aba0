"""Packing loses no number, and takes few bytes for numbers that are close together."""

import itertools
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from instrument.flow.packing import pack_numbers, pack_rows, unpack_numbers, unpack_rows

SMALL = st.integers(-128, 127)
ANY = st.one_of(SMALL, st.integers(-(2**15), 2**15), st.integers(-(2**31), 2**31), st.integers(-(2**62), 2**62 - 1))


@given(st.lists(ANY))
def test_numbers_are_equal_after_packing(numbers):
    """They may have any size, and keep their order."""
    assert unpack_numbers(pack_numbers(iter(numbers))) == numbers


@given(st.lists(SMALL, min_size=1))
def test_numbers_that_are_close_take_a_byte_each(differences):
    """The differences are stored."""
    assert len(pack_numbers(itertools.accumulate(differences))) == len(differences) + 1


@given(st.integers(0, 4).flatmap(lambda n: st.lists(st.tuples(*[ANY] * n)) if n else st.just([])))
def test_rows_are_equal_after_packing(rows):
    """There may also be no rows, or none with a number."""
    assert unpack_rows(pack_rows(rows)) == tuple(rows)


def test_numbers_of_more_than_64_bits_are_refused():
    """They are not cut off."""
    with pytest.raises(struct.error):
        pack_numbers([2**63])
