"""The interpreter reads the same entries from location tables."""

import pytest
from decode.test_instructions import MODULES, code_of

from instrument.decode.locations import LocationTable


@pytest.mark.parametrize("module", MODULES)
def test_each_code_unit_has_the_line_of_its_entry(module):
    """Entries cover all code units. An entry without a location keeps the line of the one before."""
    for code in code_of(module):
        original = LocationTable(code)
        positions = list(code.co_positions())
        line, start = code.co_firstlineno, 0
        for entry, end in enumerate(original.ends):
            for position in positions[start:end]:
                assert (position[0] is None) == (entry in original.nowhere)
                line = line if position[0] is None else position[0]
                assert original.lines[entry] == line
            start = end
        assert start == len(positions)


def test_entries_are_joined_to_the_whole_table():
    """The offsets cut the table, and leave nothing out."""
    code = test_entries_are_joined_to_the_whole_table.__code__
    original = LocationTable(code)
    pieces = [original.table[start:end] for start, end in zip(original.offsets, original.offsets[1:])]
    assert b"".join(pieces) == code.co_linetable
    assert all(piece[0] >= 128 for piece in pieces)


@pytest.mark.parametrize("table", [b"", b"\x80\x00", b"\x00\x80\x00"])
def test_a_table_that_is_not_one_of_the_code_is_refused(table):
    """A table may be empty, too short, or begin in the middle of an entry."""
    code = test_entries_are_joined_to_the_whole_table.__code__
    with pytest.raises(ValueError, match="not one of this code"):
        LocationTable(code.replace(co_linetable=table))
