"""A reentrant lock that libraries for green threads do not find, and that a signal handler cannot leave half taken.

Problem: gevent and eventlet search all objects for instances of `RLock`, convert them, and warn if they cannot convert
one. And an exception of a signal handler that comes between taking an `RLock` and noting that would leave it locked for
ever.
Solution: a class of our own. One C call takes the lock and notes its owner; one C call undoes both. A signal handler
runs before or after such a call, never within.
"""

# No `from __future__ import annotations`: see instrument.guest.
from _functools import partial  # type: ignore[import-not-found]
from _operator import call
from _thread import allocate_lock, get_ident

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class Gate:
    """A lock that the thread which holds it can acquire again.

    Use it as follows, so that it is released whatever is raised in between:

        depth = gate.depth()
        try:
            gate.acquire()
            ...
        finally:
            gate.release_to(depth)
    """

    __slots__ = ("_lock", "_owners")

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Release the lock, whoever holds it: in a forked child the other threads do not exist."""
        self._lock = allocate_lock()
        #: The identifier of the thread that holds the lock, once for each time that it acquired it.
        self._owners: list[int] = []

    def depth(self) -> int:
        """Return how many times this thread holds the lock."""
        return self._owners.count(get_ident())

    def acquire(self, blocking: bool = True) -> bool:
        """Acquire the lock once more; return whether this thread holds it. If *blocking*, wait for it."""
        this_thread = get_ident()
        owners = self._owners
        if this_thread in owners:
            owners.append(this_thread)
            return True
        # `all` stops at the first false result: at the lock if it cannot be had, else behind `append`.
        steps: list[Any] = [partial(self._lock.acquire, blocking), partial(owners.append, this_thread)]
        all(map(call, steps))
        return this_thread in owners

    def release_to(self, depth: int) -> None:
        """Release the lock until this thread holds it *depth* times; do nothing if it does not hold it more often."""
        owners = self._owners
        held = self.depth()
        if held > depth and depth:
            del owners[depth:]
        elif held > depth:
            # One C call does both steps, so no signal handler runs in between. `any` does not stop at the first step,
            # because both return None.
            any(map(call, (owners.clear, self._lock.release)))
