"""Which short-lived code is kept for another execution, and when it is retired.

Code groups of exec'd code, and of modules that were loaded before, come in. They leave the registry once the program
has dropped their code. The registry's readers have banked their counts by then. A group is in one of three states:

- recent: exec'd code that is kept, up to a size in total, as it may be executed again;
- queued: evicted from there, or never in there. It is retired together with others, when the queue is long;
- retiring: its counts are being banked.

Problem: handlers of signals, and finalizers, run at any line of this. They may read all counts, execute code, or raise.
Solution: the gate ensures that no thread retires code while any thread reads. `retiring` holds the groups until all is
done. A reading of the same thread leaves these groups out. The next `retire` starts over with the same groups.
"""

from __future__ import annotations

from _operator import attrgetter, ge
from _thread import get_ident
from itertools import chain, repeat
from sys import getrefcount
from types import CodeType

from instrument.guest.gate import Gate
from instrument.link.code_group import group_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from instrument.link.code_group import CodeGroup
    from instrument.session.registry import Registry

#: The size in total (`_size_of`) up to which exec'd code is kept, with the code that is nested in it.
_EXEC_CODE_KEPT = 32_768


class Retirement:
    """Keeps the recent exec'd code of *registry*, and retires short-lived code that the program has dropped."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        #: By the identity of the original and the module's `__file__`; the least recently executed code comes first.
        self.recent: dict[tuple[int, str | None], CodeGroup] = {}
        self._size_of_recent = 0
        self._queue: list[CodeGroup] = []
        self.size_of_queue = 0
        self.longest_queue = _EXEC_CODE_KEPT // 8
        #: By number.
        self.retiring: dict[int, CodeGroup] = {}
        #: Held while code is retired, and for a moment when a reading begins.
        self._gate = Gate()
        self._n_readings = 0
        self._retiring_thread = 0
        #: Whether a thread calls `retire` now and then. If not, the program's threads do.
        self.has_background_thread = False

    def track(self, group: CodeGroup, codes: list[CodeType]) -> None:
        """Treat *group*, with the live *codes*, as short-lived: once it is queued it can be retired."""
        group.codes = codes
        self._registry.short_lived[group.number] = group

    def make_room_for(self, group: CodeGroup) -> None:
        """Account for *group*, new exec'd code, and evict the least recently executed code if too much is kept."""
        self._make_room(_size_of(group))

    def _make_room(self, size: int) -> None:
        """Account for exec'd code of *size*; if too much is kept, evict about as much.

        Do not evict until the total is small enough: code that is still in use returns to the recent code.
        """
        self._size_of_recent += size
        while size > 0 and self._size_of_recent > _EXEC_CODE_KEPT:
            # One call in C finds the first key: another thread must not change the dictionary in between.
            key = next(chain.from_iterable((self.recent,)), (0, None))
            oldest = self.recent.pop(key, None)
            if oldest is None:  # another thread has evicted it
                break
            size -= _size_of(oldest)
            self._size_of_recent -= _size_of(oldest)
            self.queue(oldest)

    def queue(self, group: CodeGroup) -> None:
        """Queue *group* for retirement. Without a background thread, `retire` if the queue is long."""
        self._queue.append(group)
        self.size_of_queue += _size_of(group)
        if not self.has_background_thread and self.size_of_queue >= self.longest_queue:
            self.retire()

    def is_due(self) -> Callable[[], bool]:
        """Return a function in C that returns whether the queue is long enough for `retire`."""
        size, longest = attrgetter("size_of_queue"), attrgetter("longest_queue")
        return map(ge, map(size, repeat(self)), map(longest, repeat(self))).__next__

    def begin_reading(self) -> None:
        """Retire no code until `end_reading`; if another thread is retiring code, return after that."""
        gate = self._gate
        depth = gate.depth()
        try:
            gate.acquire()
            self._n_readings += 1
        finally:
            gate.release_to(depth)

    def end_reading(self) -> None:
        """Undo one `begin_reading`."""
        self._n_readings -= 1

    def forked(self) -> None:
        """Reset locks after a fork: no other thread survives in the child."""
        self._gate = Gate()
        self._n_readings = 0
        if not self.is_retiring():
            self._retiring_thread = 0

    def is_retiring(self) -> bool:
        """Return whether this thread is retiring code: then a handler or a finalizer asks."""
        return self._retiring_thread == get_ident()

    def retire(self) -> None:
        """If the queue is long, retire the code in it that the program has dropped.

        Do nothing if any thread reads, or retires code, at the moment.
        """
        gate = self._gate  # a handler may fork, and the child has another gate
        if self.size_of_queue < self.longest_queue:
            return
        depth = gate.depth()
        try:
            if not gate.acquire(blocking=False):
                return
            # The gate lets this thread pass: a finalizer may call this in the middle of a reading or of retiring.
            if not self._n_readings and not self.is_retiring():
                self._retiring_thread = get_ident()
                try:
                    self._retire()
                finally:
                    self._retiring_thread = 0
        finally:
            gate.release_to(depth)

    def _retire(self) -> None:
        """Retire the unused groups of the queue. Groups that are in use become recent code again."""
        if not self.retiring:
            self._take_unused()
        registry = self._registry
        retired = [group for group in self.retiring.values() if group.number in registry.short_lived]
        for reader in list(registry.readers) if retired else ():
            reader.bank_counts(retired)
        for group in retired:
            registry.remove(group)
        numbers = self.retiring.keys()
        for key in list(registry.records):
            if group_of(key) in numbers:
                registry.records.pop(key, None)
        self.retiring = {}
        self._requeue()

    def _take_unused(self) -> None:
        """Move the queue's unused groups to `retiring`."""
        queued, self._queue = self._queue, []
        unused: dict[int, CodeGroup] = {}
        for group in queued:
            if _is_unused(group):
                unused[group.number] = group
            else:
                self._queue.append(group)
        self.retiring = unused

    def _requeue(self) -> None:
        """Return exec'd code that is in use to the recent code, and leave modules in the queue.

        The queue may then become twice as long before `retire` looks at it again.
        """
        in_use, self._queue = self._queue, []
        self.recent.update(((id(group.originals[-1]), group.file), group) for group in in_use if group.originals)
        self._queue.extend(group for group in in_use if not group.originals)
        self._size_of_recent = sum(map(_size_of, list(self.recent.values())))
        self.size_of_queue = sum(map(_size_of, list(self._queue)))
        self.longest_queue = max(_EXEC_CODE_KEPT // 8, 2 * self.size_of_queue)


def _size_of(group: CodeGroup) -> int:
    """Return about how much memory *group* takes, in units of 200 bytes."""
    return 64 + 4 * len(group) + group.starts[-1]


def _references_to_an_item() -> int:
    """Return the reference count of a loop's variable, if beside it only the list holds the item."""
    for item in [object()]:
        return getrefcount(item)
    raise AssertionError


_N_REFERENCES_TO_AN_ITEM = _references_to_an_item()


def _is_unused(group: CodeGroup) -> bool:
    """Return whether the program has dropped all code of *group*: no function, frame or variable holds any."""
    codes = group.codes or []
    n_held_by_code: dict[int, int] = {}  # by identity of the nested code
    for code in codes:
        for constant in code.co_consts:
            if type(constant) is CodeType:
                n_held_by_code[id(constant)] = n_held_by_code.get(id(constant), 0) + 1
    for code in codes:  # noqa: SIM110 - a generator would hold one more reference
        if getrefcount(code) > _N_REFERENCES_TO_AN_ITEM + n_held_by_code.get(id(code), 0):
            return False
    return True
