"""Counters that are made to be neighbours are new, and lie side by side in a memory full of holes."""

import random
import threading
from itertools import pairwise, repeat

from instrument.link.counters import FULL, read_counters
from instrument.record.neighbouring_counters import NeighbouringCounters


def make_holes():
    """Return objects of the size of a counter, with many holes between them."""
    objects = [repeat(None, 5) for _ in range(6000)]
    random.Random(1).shuffle(objects)
    del objects[::2]
    return objects


def test_counters_are_new_and_side_by_side():
    """In ascending order, so that those of a code object are next to each other."""
    source, others = NeighbouringCounters(), make_holes()
    made = []
    for n in (1, 700, 0, 30, 5000, 64, 300):
        counters = source.make(n)
        assert read_counters(counters) == [FULL] * n
        made += counters
        others += make_holes()
    addresses = [id(counter) for counter in made]
    assert len(set(addresses)) == len(addresses) == 6095
    distances = [after - before for before, after in pairwise(addresses)]
    usual = max(distances, key=distances.count)
    assert distances.count(usual) > 0.9 * len(distances)


def test_a_call_in_the_midst_of_another_makes_counters_all_the_same():
    """A handler of a signal may import a module while counters are made, and another thread, too."""
    source = NeighbouringCounters()
    with source._lock:
        assert read_counters(source.make(10)) == [FULL] * 10
    made, errors = [], []

    def work():
        try:
            made.extend(map(source.make, range(200)))
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert sorted(map(len, made)) == sorted([*range(200)] * 4)
    assert len({id(counter) for counters in made for counter in counters}) == 4 * sum(range(200))
