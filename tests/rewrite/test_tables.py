"""The tables of rewritten code say of each code unit the same as those of the original."""

import random
from itertools import pairwise

import pytest
from decode.test_instructions import MODULES, code_of
from hypothesis import given
from hypothesis import strategies as st

from instrument.errors import RewriteError
from instrument.rewrite import tables
from instrument.rewrite.output import NO_UNIT
from instrument.rewrite.tables import location_table


def function(things):
    """A body with locations of every form: short, on one line, on several lines, far to the right, and none."""
    with things:
        for thing in things:
            thing.method(
                things[0] + 1,
                [other for other in things if other],
            )
    long_name = (things, things, things, things, things, things, things, things, things, things, things, things, 128)
    return long_name if things else [
        things]  # fmt: skip


POSITIONS = list(function.__code__.co_positions())
N_UNITS = len(POSITIONS)
NOWHERE = (None, None, None, None)


def positions_of(code, sources, offsets):
    """Return the positions that code of pieces with *sources* must have."""
    positions = [*code.co_positions(), NOWHERE]
    expected = []
    for (start, stop), begin, end in zip(sources, offsets, offsets[1:], strict=False):
        expected += positions[start:stop] if start < stop else [positions[start]] * (end - begin)
    return expected


def spliced_positions(code, sources, offsets):
    """Return the positions that the interpreter reads from the spliced table."""
    table = location_table(code, sources, offsets)
    return list(code.replace(co_code=bytes(2 * offsets[-1]), co_linetable=table).co_positions())


def offsets_of(pieces):
    """Return sources and offsets of *pieces*: (start, stop) copies units, (unit, unit, n) adds *n* units."""
    sources, offsets = [], [0]
    for start, stop, *n_units in pieces:
        sources.append((start, stop))
        offsets.append(offsets[-1] + (n_units[0] if n_units else stop - start))
    return sources, offsets


units = st.integers(0, N_UNITS - 1)
copies = st.tuples(units, units).filter(lambda pair: pair[0] < pair[1])
added = st.tuples(st.integers(NO_UNIT, N_UNITS - 1), st.integers(1, 20)).map(lambda pair: (pair[0], pair[0], pair[1]))


@given(st.lists(copies | added, min_size=1, max_size=12))
def test_pieces_in_any_order_keep_their_positions(pieces):
    """Copies may be cut anywhere, and be joined to anything."""
    sources, offsets = offsets_of(pieces)
    code = function.__code__
    assert spliced_positions(code, sources, offsets) == positions_of(code, sources, offsets)


@given(st.sets(units, max_size=10), st.integers(1, 20))
def test_code_that_is_added_between_runs_changes_no_position(stops, n_units):
    """As in rewritten code: all units are copied in order, with code in between."""
    cuts = sorted({0, *stops, N_UNITS})
    pieces = []
    for start, stop in pairwise(cuts):
        pieces += [(start, start, n_units), (start, stop)]
    sources, offsets = offsets_of(pieces)
    code = function.__code__
    assert spliced_positions(code, sources, offsets) == positions_of(code, sources, offsets)


@pytest.mark.parametrize("module", MODULES)
def test_code_of_the_library_that_is_cut_at_random_keeps_its_positions(module):
    """All forms that the compiler writes are met."""
    chance = random.Random(module)
    for code in code_of(module):
        n = len(code.co_code) // 2
        cuts = sorted({0, n, *(chance.randrange(n) for _ in range(n // 9))})
        pieces = []
        for start, stop in pairwise(cuts):
            unit = chance.randrange(NO_UNIT, n)
            pieces += [(unit, unit, chance.randrange(1, 19)), (start, stop)]
        sources, offsets = offsets_of(pieces)
        assert spliced_positions(code, sources, offsets) == positions_of(code, sources, offsets)


def test_a_copy_of_everything_is_the_same_table():
    """Nothing is encoded anew that stays as it is."""
    code = function.__code__
    assert location_table(code, [(0, N_UNITS)], [0, N_UNITS]) == code.co_linetable


def test_a_table_with_units_of_more_code_is_written_anew(monkeypatch):
    """Hand-made code may have a table that is longer than its code. Its positions count as the interpreter reads them."""
    code = function.__code__
    code = code.replace(co_linetable=code.co_linetable + b"\x80\x00")
    written = []
    original = tables._location_table_anew
    monkeypatch.setattr(tables, "_location_table_anew", lambda *arguments: written.append(1) or original(*arguments))
    sources, offsets = offsets_of([(3, 3, 9), (0, 20), (NO_UNIT, NO_UNIT, 3), (20, N_UNITS)])
    assert spliced_positions(code, sources, offsets) == positions_of(code, sources, offsets)
    assert written


def test_a_table_with_numbers_that_cannot_be_encoded_is_refused():
    """The interpreter reads a column below zero from it, which `bytecode` would encode for ever."""
    code = function.__code__
    too_large = bytes((128 | 14 << 3, 0, 0, 5)) + b"\x7f" * 5 + b"\x02"  # the long form (Objects/locations.md)
    code = code.replace(co_linetable=too_large + code.co_linetable)
    assert min(column for *_, column in code.co_positions() if column is not None) < 0
    with pytest.raises(RewriteError, match="a column below zero"):
        location_table(code, *offsets_of([(0, 1)]))


@given(st.lists(st.tuples(st.integers(0, 70000), st.integers(1, 5000), st.integers(0, 70000), st.integers(0, 300))))
def test_an_exception_table_is_read_as_it_was_written(entries):
    """Numbers of every size are encoded as the interpreter reads them."""
    from instrument.decode.instructions import exception_table

    table = tables.ExceptionTable.__new__(tables.ExceptionTable)
    table._entries = [(start, start + size, target, rest) for start, size, target, rest in entries]
    assert exception_table(table.encode()) == table._entries
