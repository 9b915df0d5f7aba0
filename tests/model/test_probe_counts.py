"""Counts of probes add, and survive as bytes; other bytes are refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from instrument.model.probe_counts import GREATEST, ProbeCounts, array, decoded

COUNTS = st.integers(0, 300) | st.integers(0, GREATEST)
FRAMES = st.integers(-5, 5).filter(bool)


@st.composite
def probe_counts(draw, n_counters=None):
    """Draw ProbeCounts of *n_counters* probes, or of any number of them."""
    n = draw(st.integers(0, 8)) if n_counters is None else n_counters
    counts = ProbeCounts(n)
    fired = array("q", draw(st.lists(COUNTS, min_size=n, max_size=n)))
    exits = draw(st.dictionaries(st.integers(0, 2**40), COUNTS.filter(bool), max_size=3))
    in_flight = draw(st.dictionaries(st.tuples(st.integers(0, 9), st.integers(0, 999)), FRAMES, max_size=3))
    counts.add(0, fired, exits, in_flight)
    return counts


def fields(counts):
    """Return the fields of *counts*, to be compared."""
    return counts.fired.tolist(), counts.exits, counts.in_flight


@given(probe_counts())
def test_counts_survive_as_bytes(counts):
    """Small counts take one byte each."""
    encoded = counts.encoded()

    assert fields(decoded(encoded)) == fields(counts)
    if all(n < 256 for n in counts.fired):
        assert len(encoded) == 13 + len(counts.fired) + 16 * len(counts.exits) + 24 * len(counts.in_flight)


@given(st.integers(0, 5).flatmap(lambda n: st.tuples(probe_counts(n), probe_counts(n))))
def test_sums_are_those_of_each_part(pair):
    """Sums end at the greatest count, and a place without frames has no entry."""
    one, other = pair
    expected = [min(a + b, GREATEST) for a, b in zip(one.fired, other.fired)]
    places = {place: one.in_flight.get(place, 0) + other.in_flight.get(place, 0) for place in one.in_flight | other.in_flight}
    exits = {key: min(one.exits.get(key, 0) + other.exits.get(key, 0), GREATEST) for key in one.exits | other.exits}
    one.add_all(other)

    assert one.fired.tolist() == expected
    assert one.exits == exits
    assert one.in_flight == {place: n for place, n in places.items() if n}


def test_counts_of_other_code_are_not_added():
    """The number of probes tells."""
    with pytest.raises(ValueError, match="2 counters are added to 1"):
        ProbeCounts(1).add_all(ProbeCounts(2))


@given(probe_counts(), st.data())
def test_bytes_that_were_cut_or_changed_are_refused_or_mean_possible_counts(counts, draw):
    """No count is negative, and no other error is raised."""
    data = bytearray(counts.encoded())
    if draw.draw(st.booleans()):
        del data[draw.draw(st.integers(0, len(data))) :]
    for _ in range(draw.draw(st.integers(0, 3))):
        if data:
            data[draw.draw(st.integers(0, len(data) - 1))] = draw.draw(st.integers(0, 255))
    try:
        read = decoded(bytes(data))
    except ValueError:
        return
    assert min(read.fired, default=0) >= 0
    assert min(read.exits.values(), default=0) >= 0


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda data: data[:5], "cut off"),
        (lambda data: b"d" + data[1:], "of no known kind: 'd'"),
        (lambda data: data + b"x", "another length"),
        (lambda data: data[:13] + data[29:] + data[29:], "a place twice"),
        (lambda data: data[:-1] + b"\xff", "a negative number"),
    ],
)
def test_the_reason_is_named(change, reason):
    """Each kind of damage has a message of its own."""
    counts = ProbeCounts(0)
    counts.add(0, array("q"), {3: 1, 5: 1}, {})
    with pytest.raises(ValueError, match=reason):
        decoded(change(counts.encoded()))
