"""Numbers that were packed are the same again, and few bytes while they are close together."""

import itertools
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from instrument.flow.packing import pack_numbers, pack_rows, unpack_numbers, unpack_rows

SMALL = st.integers(-128, 127)
ANY = st.one_of(SMALL, st.integers(-(2**15), 2**15), st.integers(-(2**31), 2**31), st.integers(-(2**62), 2**62 - 1))


@given(st.lists(ANY))
def test_numbers_that_were_packed_are_the_same(numbers):
    """Of whatever size, in their order."""
    assert unpack_numbers(pack_numbers(iter(numbers))) == numbers


@given(st.lists(SMALL, min_size=1))
def test_numbers_that_are_close_take_a_byte_each(settling_order):
    """It is the differences that are kept."""
    assert len(pack_numbers(itertools.accumulate(settling_order))) == len(settling_order) + 1


@given(st.integers(0, 4).flatmap(lambda n: st.lists(st.tuples(*[ANY] * n)) if n else st.just([])))
def test_rows_that_were_packed_are_the_same(rows):
    """None too."""
    assert unpack_rows(pack_rows(rows)) == rows


def test_numbers_that_do_not_fit_are_not_cut_off():
    """No line or instruction has such a number; should one, we hear of it."""
    with pytest.raises(struct.error):
        pack_numbers([2**63])
