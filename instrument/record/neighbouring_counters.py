"""NeighbouringCounters: makes counters that lie side by side in memory, and have views there (`record.counter_memory`).

Numbers of counters come in, counters go out, in the order of their addresses.

Problem: the allocator puts new objects into holes that freed ones have left. In the tests of sqlparse, one counter in
six had no view. Such counters, and code objects in several parts, took half of the time of a context [3.12].
Solution: make many at once, hand out counters that have neighbours, and free the others.
"""

from __future__ import annotations

from _thread import allocate_lock

from instrument.link.counters import make_counters
from instrument.record.counter_memory import clusters

TYPE_CHECKING = False
if TYPE_CHECKING:
    from itertools import repeat

#: Counters that are made at once, and how often, at most, until enough have neighbours.
_BATCH, _MOST_BATCHES = 2048, 16
#: The fewest counters side by side that are handed out.
_FEWEST = 32


class NeighbouringCounters:
    """Makes counters, most of which lie side by side."""

    def __init__(self) -> None:
        #: By descending address: the last ones are handed out first.
        self._store: list[repeat[None]] = []
        #: Held while the store changes. Nobody waits for it: a signal may interrupt its holder, and call this.
        self._lock = allocate_lock()

    def make(self, n: int) -> list[repeat[None]]:
        """Return *n* new counters."""
        if n and self._lock.acquire(False):
            try:
                if n > len(self._store):
                    self._fill(n)
                if n <= len(self._store):
                    made = self._store[: -n - 1 : -1]
                    del self._store[-n:]
                    return made
            finally:
                self._lock.release()
        return make_counters(n)

    def _fill(self, n: int) -> None:
        """Add counters to the store until it has *n*, unless the memory is full of holes."""
        others: list[repeat[None]] = []  # they fill the holes meanwhile
        for _ in range(_MOST_BATCHES):
            made = {id(counter): counter for counter in make_counters(_BATCH)}
            found: list[repeat[None]] = []
            for cluster, _stride in clusters(sorted(made)):
                (found if len(cluster) >= _FEWEST else others).extend(made[address] for address in cluster)
            self._store[:0] = found[::-1]
            if len(self._store) >= n:
                return
