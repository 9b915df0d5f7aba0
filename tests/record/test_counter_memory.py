"""Counters that are read from memory say how often they were moved on."""

import random
import sys
from itertools import repeat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from instrument.link.counters import FULL, make_counters, read_counters
from instrument.record import counter_memory
from instrument.record.counter_memory import CounterMemory


class Counted:
    """Counters with their memory, and the lengths that they had at the last call of `take`."""

    def __init__(self):
        self.counters = []
        self.memory = CounterMemory(self.counters)
        self.lengths = []

    def take(self):
        """Return how often each counter was moved on since the last call, by memory and by calls."""
        self.lengths += [FULL] * (len(self.counters) - len(self.lengths))
        before, self.lengths = self.lengths, read_counters(self.counters)
        by_calls = {number: was - n for number, (was, n) in enumerate(zip(before, self.lengths)) if was != n}
        changes = list(self.memory.changes(self.memory.read(len(self.counters))))
        assert len(dict(changes)) == len(changes)
        return dict(changes), by_calls


@given(
    st.lists(st.tuples(st.integers(0, 600), st.sampled_from([0, 1, 7, 40, 90]), st.booleans()), min_size=1, max_size=5),
    st.data(),
)
def test_changes_are_those_of_the_counters(batches, data):
    """Counters of one batch are near each other, but other objects were made or freed between them."""
    counted, others = Counted(), []
    for n, n_others, is_reversed in batches:
        new = []
        for _ in range(3):
            new += make_counters(n // 3)
            others += [repeat(None, 5) for _ in range(n_others)]
            del others[::2]
        counted.counters += new[::-1] if is_reversed else new
        for _ in range(2):
            for counter in counted.counters[:: data.draw(st.integers(1, 50))]:
                next(counter)
            for other in others:
                next(other, None)
            by_memory, by_calls = counted.take()
            assert by_memory == by_calls


def test_counters_without_neighbours_are_read_by_calls():
    """A view of each would take longer."""
    counted = Counted()
    everywhere = make_counters(3000)
    counted.counters += random.Random(1).sample(everywhere, 60)
    next(counted.counters[3])
    next(counted.counters[40])
    by_memory, by_calls = counted.take()
    assert by_memory == by_calls == {3: 1, 40: 1}
    assert len(counted.memory.read(60)) == 1


def test_without_ctypes_counters_are_read_by_calls(monkeypatch):
    """Then only the time differs."""

    def fail():
        raise ImportError

    monkeypatch.setattr(counter_memory, "ctypes_copy", fail)
    monkeypatch.setattr(counter_memory, "_offset", counter_memory._Offset())
    counted = Counted()
    counted.counters += make_counters(100)
    next(counted.counters[99])
    assert counted.take() == ({99: 1}, {99: 1})
    counted.counters += make_counters(10)
    next(counted.counters[105])
    assert counted.take() == ({105: 1}, {105: 1})


@pytest.mark.skipif(sys.implementation.name != "cpython", reason="reads memory of CPython")
def test_the_place_of_a_length_is_found():
    """Without this, all counters would be read by calls, and nobody would notice."""
    assert counter_memory._offset_of_length() > 0
    memory = CounterMemory(make_counters(100_000))
    assert len(memory.read(100_000)) < 2_000
