"""Plain values survive as bytes, equal ones have equal bytes, and all other bytes are refused."""

import marshal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from instrument.model import plain_parser
from instrument.model.plain_parser import from_bytes
from instrument.model.plain_values import to_bytes

ATOMS = st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.binary(max_size=9) | st.text(st.characters(codec=None))
KEYS = st.integers(-9, 9) | st.text(max_size=3)
VALUES = st.recursive(
    ATOMS | st.frozensets(st.integers(-9, 9), max_size=3),
    lambda values: st.tuples(values, values) | st.lists(values, max_size=3) | st.dictionaries(KEYS, values, max_size=3),
    max_leaves=12,
)


@given(VALUES)
def test_values_survive_as_bytes(value):
    """The parser returns the same value as `marshal`, with the same types."""
    read = from_bytes(to_bytes(value))

    assert read == value == marshal.loads(to_bytes(value))
    assert repr(read) == repr(marshal.loads(to_bytes(value)))


@given(VALUES)
def test_equal_values_have_equal_bytes(value):
    """It makes no difference whether a part of a value is the same object as another part."""
    copy = from_bytes(to_bytes((value, value)))

    assert to_bytes((value, value)) == to_bytes(copy)


@given(VALUES, st.data())
def test_changed_bytes_are_refused_or_are_plain_values(value, draw):
    """No other error is raised, however the bytes are changed."""
    data = bytearray(to_bytes(value))
    for _ in range(draw.draw(st.integers(1, 3))):
        data[draw.draw(st.integers(0, len(data) - 1))] = draw.draw(st.integers(0, 255))
    if draw.draw(st.booleans()):
        del data[draw.draw(st.integers(0, len(data))) :]
    try:
        from_bytes(bytes(data))
    except ValueError:
        pass


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "longer than its data"),
        (b"NN", "more than one value"),
        (marshal.dumps(compile("1", "f", "eval"), 2), "of another type: 'c'"),
        (marshal.dumps(1.5, 2), "of another type: 'g'"),
        (b"(" + b"\xff\xff\xff\x7f", "longer than its data"),
        (b"(\x01\0\0\0" * 20 + b"N", "nested too deep"),
        (b"l\x09\0\0\0" + b"\x01\0" * 9, "too large"),
        (b"{[\0\0\0\0N0", "no plain value"),
        (b">\x01\0\0\0[\0\0\0\0", "no plain value"),
        (b">\x01\0\0\0(\0\0\0\0", "no plain value"),
        (b"l\x05\0\0\0" + b"\xff\x7f" * 5, "too large"),
        (b"[" + (plain_parser.MOST_VALUES + 1).to_bytes(4, "little") + b"N" * (plain_parser.MOST_VALUES + 1), "too many values"),
    ],
)
def test_the_reason_is_named(data, reason):
    """Code, floating point and wrong lengths are not read."""
    with pytest.raises(ValueError, match=reason):
        from_bytes(data)
