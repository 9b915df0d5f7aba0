"""A lock that its thread can take again, and that no library takes for one of the program's.

Libraries for green threads look through all objects for instances of `RLock`, convert them, and count those that they
could not convert. This one is none. It is taken and given back by one call in C each: what a handler of a signal raises
comes before or after, never between the lock and the note of its owner.
"""

from _functools import partial  # type: ignore[import-not-found]
from _operator import call
from _thread import allocate_lock, get_ident

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class Gate:
    """Open, or shut by one thread, once or more often.

    To be used so that nothing raised in between leaves it shut:

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
        """Be open: in a child, threads that had shut it are not there."""
        self._lock = allocate_lock()
        self._owners: list[int] = []

    def depth(self) -> int:
        """Return how often this thread has shut it."""
        return self._owners.count(get_ident())

    def acquire(self, blocking: bool = True) -> bool:
        """Shut it, and return whether that was done; if it is *blocking*, wait until it can be."""
        me = get_ident()
        owners = self._owners
        if me in owners:
            owners.append(me)
            return True
        # The second returns None: `all` ends there, or before if the lock was not to be had.
        steps: list[Any] = [partial(self._lock.acquire, blocking), partial(owners.append, me)]
        all(map(call, steps))
        return me in owners

    def release_to(self, depth: int) -> None:
        """Open it, if this thread has shut it more often than *depth* times."""
        owners = self._owners
        n = self.depth()
        if n > depth and depth:
            del owners[depth:]
        elif n > depth:
            any(map(call, (owners.clear, self._lock.release)))  # both return None
