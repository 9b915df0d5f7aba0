"""Counters that are read from memory say how often they were moved on."""

import collections
import itertools
import random
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from instrument.link.counters import FULL, make_counters, read_counters
from instrument.record import counter_memory
from instrument.record.counter_memory import Batch, CounterMemory


class Counted:
    """Counters with their memory, and the lengths that they had at the last call of `take`."""

    def __init__(self):
        self.memory = CounterMemory()
        self.batches = []
        #: By batch.
        self.lengths = []

    def add(self, counters, n_each=7, lengths=None):
        """Add a batch of *counters*: code objects with *n_each* counters, but for the last."""
        starts = [*range(0, len(counters), n_each), len(counters)]
        batch = Batch(counters, starts, [(len(self.batches), code) for code in range(len(starts) - 1)])
        self.batches.append(batch)
        self.lengths.append([FULL] * len(counters))
        self.memory.add(batch, lengths)

    def remove(self, number):
        """Remove the batch *number*."""
        self.memory.remove(self.batches[number])
        self.batches[number].counters.clear()
        self.lengths[number].clear()

    def take(self):
        """Return how often each counter was moved on since the last call, by memory and by calls."""
        return self.from_memory(self.memory.changes(self.memory.read())), self.from_calls()

    def from_calls(self):
        """Return a dict from batch and counter to the number of moves since the last call."""
        changes = {}
        for number, batch in enumerate(self.batches):
            before, self.lengths[number] = self.lengths[number], read_counters(batch.counters)
            for index, (was, n) in enumerate(zip(before, self.lengths[number])):
                if was != n:
                    changes[number, index] = was - n
        return changes

    def from_memory(self, segments):
        """Return the same of the changes *segments*."""
        changes = {}
        for segment, difference in segments:
            number, code = segment.place
            pairs = segment.pairs(difference)
            assert pairs, "a segment without a change"
            assert [*pairs] == sorted(pairs)
            starts = self.batches[number].starts
            assert not segment.is_whole or all(other is segment or other.place != segment.place for other, _ in segments)
            for position, n in pairs:
                assert 0 <= position < starts[code + 1] - starts[code]
                assert (number, starts[code] + position) not in changes
                changes[number, starts[code] + position] = n
        return changes


@given(
    st.lists(
        st.tuples(
            st.integers(0, 600), st.sampled_from([0, 1, 7, 40, 90]), st.booleans(), st.sampled_from([1, 2, 7, 100, 400])
        ),
        min_size=1,
        max_size=5,
    ),
    st.data(),
)
def test_changes_are_those_of_the_counters(batches, data):
    """Counters of one batch are near each other, but other objects were made or freed between them."""
    counted, others = Counted(), []
    for n, n_others, is_reversed, n_each in batches:
        new = []
        for _ in range(3):
            new += make_counters(n // 3)
            others += [itertools.repeat(None, 5) for _ in range(n_others)]
            del others[::2]
        counted.add(new[::-1] if is_reversed else new, n_each)
        for _ in range(2):
            step, n_moves = data.draw(st.integers(1, 50)), data.draw(st.sampled_from([1, 2, 256]))
            for batch in counted.batches:
                for counter in batch.counters[::step]:
                    collections.deque(itertools.islice(counter, n_moves), maxlen=0)
            for other in others:
                next(other, None)
            by_memory, by_calls = counted.take()
            assert by_memory == by_calls
        if data.draw(st.booleans()):
            counted.remove(data.draw(st.integers(0, len(counted.batches) - 1)))


def test_changes_of_one_batch_are_its_own():
    """The counters of a batch can be taken before it is removed; those of others are left."""
    counted = Counted()
    counted.add(make_counters(300))
    counted.add(make_counters(20))
    for batch in counted.batches:
        next(batch.counters[3])
        next(batch.counters[19])
    for number in (1, 0):
        segments = counted.memory.changes_of(counted.batches[number])
        assert counted.from_memory(segments) == {(number, 3): 1, (number, 19): 1}
    assert counted.memory.read() == []


def test_counters_that_have_moved_can_be_added_again():
    """Then the last lengths are those of the batch before."""
    counted = Counted()
    counters = make_counters(100)
    counted.add(counters[:50])
    next(counters[30])
    counted.take()
    lengths = counted.batches[0].last_lengths()
    assert lengths == {30: FULL - 1}
    next(counters[30])
    counted.remove(0)
    counted.add(counters, lengths=lengths)
    assert counted.from_memory(counted.memory.changes(counted.memory.read())) == {(1, 30): 1}


def test_parts_of_code_are_whole_only_if_they_have_all_counters():
    """Code objects with more counters than a part has are in several."""
    counted = Counted()
    counted.add(make_counters(1000), n_each=500)
    for counter in counted.batches[0].counters:
        next(counter)
    segments = counted.memory.changes(counted.memory.read())
    assert len(segments) > 2
    assert not any(segment.is_whole for segment, _ in segments)


def test_counters_without_neighbours_are_read_by_calls():
    """A view of each would take longer."""
    counted = Counted()
    everywhere = make_counters(3000)
    counted.add(random.Random(1).sample(everywhere, 60))
    next(counted.batches[0].counters[3])
    next(counted.batches[0].counters[40])
    by_memory, by_calls = counted.take()
    assert by_memory == by_calls == {(0, 3): 1, (0, 40): 1}
    assert not counted.memory._viewed


def test_without_ctypes_counters_are_read_by_calls(monkeypatch):
    """Then only the time differs."""

    def fail():
        raise ImportError

    monkeypatch.setattr(counter_memory, "ctypes_copy", fail)
    monkeypatch.setattr(counter_memory, "_offset", counter_memory._Offset())
    counted = Counted()
    counted.add(make_counters(100))
    next(counted.batches[0].counters[99])
    assert counted.take() == ({(0, 99): 1}, {(0, 99): 1})
    counted.add(make_counters(10))
    next(counted.batches[1].counters[5])
    assert counted.take() == ({(1, 5): 1}, {(1, 5): 1})
    assert not counted.memory._viewed


@pytest.mark.skipif(sys.implementation.name != "cpython", reason="reads memory of CPython")
def test_the_place_of_a_length_is_found():
    """Without this, all counters would be read by calls, and nobody would notice."""
    assert counter_memory._offset_of_length() > 0
    counted = Counted()
    counted.add(make_counters(100_000))
    assert len(counted.memory._viewed) < 2_000
    assert len(counted.memory._called) < 200, "each has 128 counters, and a process of many tests has many holes"
