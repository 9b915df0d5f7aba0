"""ContextCounts: the work of each context of this process, as patterns that contexts share.

A context is a named part of a run, such as the call of a test. The live code of a session comes in, and the names of
contexts as they begin. Out go patterns, and for each context the numbers of its patterns.

A *pattern* is the work of one code object within a context. It has the counts of its probes and exits, and the places
of its frames that have come or gone. Tests that take the same ways through a function
share the pattern. So readers recover the lines of a pattern once, however many contexts have it.

Problem: counters are read whenever a context begins, three times a test. Most tests take a millisecond.
Solution: counters are read and compared by the hundred, in memory (`record.counter_memory`). Nothing is recovered, and
code that did nothing costs nothing.
Alternatives: a `Reading` for each context. It takes some 10 µs for each code object that ran.
"""

from __future__ import annotations

from _bisect import bisect_right
from _thread import allocate_lock
from itertools import pairwise

from instrument.guest.own_imports import extension
from instrument.link.code_group import group_of, position_of
from instrument.link.counters import FULL
from instrument.link.exit_records import exit_lengths
from instrument.model.probe_counts import ProbeCounts
from instrument.record.counter_memory import CounterMemory
from instrument.session.snapshot import frames_in_flight, read_at_one_moment

TYPE_CHECKING = False
if TYPE_CHECKING:
    from array import array
    from collections.abc import Callable, Iterator
    from itertools import repeat
    from typing import NamedTuple, TypeAlias

    from instrument.link.code_group import CodeGroup
    from instrument.record.counter_memory import Reading
    from instrument.session.session import Session
    from instrument.session.snapshot import FramesInFlight

    #: The number of a code group, and of a code object in it.
    _Place: TypeAlias = tuple[int, int]
    _Pairs: TypeAlias = tuple[tuple[int, int], ...]
    #: Pairs of probe and count, of exit and count, and of code unit and number of frames.
    _Work: TypeAlias = tuple[_Pairs, _Pairs, _Pairs]

    class Pattern(NamedTuple):
        """The work of the code object *code* of *group*; *counts* has its probes only, from number 0 on."""

        number: int
        group: CodeGroup
        code: int
        counts: ProbeCounts
else:
    array = extension("array").array

_NOTHING: _Pairs = ()


class ContextCounts:
    """The work of each context of *session*, in the order of `contexts`. The first one is *name*.

    It began before any code was live; with *from_now_on*, it begins now.
    """

    def __init__(self, session: Session, name: str, *, from_now_on: bool = False) -> None:
        self._session = session
        self.name = name
        #: The numbers of the patterns of each context. A number is there as often as the context has the pattern.
        self.contexts: dict[str, array[int]] = {}
        self._numbers: dict[tuple[_Place, _Work], int] = {}
        #: By number.
        self._patterns: list[tuple[CodeGroup, int, _Work]] = []
        self._permanent = _PermanentCounters(session)
        #: The counters of each short-lived group, by its number.
        self._short_lived: dict[int, _GroupCounters] = {}
        self._exits: dict[int, int] = {}
        self._in_flight: FramesInFlight = {}
        #: Held while counters are read.
        self._lock = allocate_lock()
        #: The group whose number stands for retired groups of equal text.
        self._stand_ins: dict[tuple[str | None, str, str | None], CodeGroup] = {}
        session.readers.append(self)
        if from_now_on:
            self.begin(name)
            self.contexts.clear()

    def close(self) -> None:
        """Count for no context from now on."""
        self._session.readers.remove(self)

    def begin(self, name: str, is_alone: Callable[[], bool] = lambda: False) -> None:
        """Begin the context *name*. The work until now is that of the context before.

        *is_alone* returns whether no other thread has run code since its last call. If so, one reading is enough.
        """
        with self._lock:
            self._read_between_retirements(is_alone)
            self.name = name

    def read(self) -> None:
        """Add the work until now to the present context, unless another thread does that at the moment."""
        if self._lock.acquire(False):
            try:
                self._read_between_retirements(lambda: False)
            finally:
                self._lock.release()

    def _read_between_retirements(self, is_alone: Callable[[], bool]) -> None:
        """Read all counters while no code is retired."""
        retirement = self._session.retirement
        retirement.begin_reading()
        try:
            self._read(is_alone)
        finally:
            retirement.end_reading()

    def _read(self, is_alone: Callable[[], bool]) -> None:
        """Add the work since the last call to the present context."""
        session, short_lived = self._session, self._short_lived
        self._permanent.note_new_groups()
        for number, group in [*session.short_lived.items()]:
            if number not in short_lived:
                short_lived[number] = _GroupCounters(group)
        is_alone()
        (lengths, exits), in_flight = self._reading(), frames_in_flight(session.records)
        if not is_alone():
            (lengths, exits), in_flight = read_at_one_moment(self._reading, session.records)
        fired: dict[_Place, _Pairs] = {}
        for counters, now in lengths:
            if now != counters.last:
                fired.update(counters.changes(now))
        exit_changes = self._exit_changes(exits)
        self._exits = exits
        frame_changes = _frame_changes(self._in_flight, in_flight, session.groups)
        self._in_flight = in_flight
        self._add(fired, exit_changes, frame_changes, session.groups)

    def _reading(self) -> tuple[list[tuple[_Counters, Reading]], dict[int, int]]:
        """Return the lengths of all counters now, and those of exits by key."""
        lengths = [(counters, counters.read()) for counters in (self._permanent, *self._short_lived.values())]
        return lengths, exit_lengths(self._session.records)

    def bank_counts(self, groups: list[CodeGroup]) -> None:
        """Add the work of *groups*, which are about to be retired, to the present context."""
        fired: dict[_Place, _Pairs] = {}
        by_number: dict[int, CodeGroup] = {group.number: group for group in groups}
        exits = exit_lengths(self._session.records)
        exit_changes = self._exit_changes({key: n for key, n in exits.items() if group_of(key) in by_number})
        for group in groups:
            counters = self._short_lived.pop(group.number, None) or _GroupCounters(group)
            fired.update(counters.changes(counters.read()))
        # No frame runs this code.
        left = {place: n for place, n in self._in_flight.items() if group_of(place[0]) in by_number}
        frame_changes = _frame_changes(left, {}, by_number)
        for place in left:
            del self._in_flight[place]
        for key in [key for key in self._exits if group_of(key) in by_number]:
            del self._exits[key]
        self._add(fired, exit_changes, frame_changes, {each.number: self._stand_in_for(each) for each in groups})

    def _exit_changes(self, exits: dict[int, int]) -> dict[int, int]:
        """Return how often each exit was taken since the last reading, by key; *exits* has the lengths now."""
        before = self._exits
        return {} if exits == before else {key: n for key in exits if (n := before.get(key, FULL) - exits[key])}

    def _add(
        self,
        fired: dict[_Place, _Pairs],
        exits: dict[int, int],
        frames: dict[_Place, list[tuple[int, int]]],
        groups: dict[int, CodeGroup],
    ) -> None:
        """Add the patterns of this work to the present context; *groups* are by number."""
        exits_by_place: dict[_Place, list[tuple[int, int]]] = {}
        for key, n in exits.items():
            number = group_of(key)
            if number in groups:
                place = number, groups[number].code_at(key)
                exits_by_place.setdefault(place, []).append((position_of(key), n))
        numbers = self._numbers
        found: list[int] = []
        for place, pairs in fired.items():
            work: _Work = pairs, _NOTHING, _NOTHING
            if place in exits_by_place or place in frames:
                work = pairs, tuple(exits_by_place.pop(place, ())), tuple(frames.pop(place, ()))
            number = numbers.get((place, work), -1)
            found.append(number if number >= 0 else self._new_number(place, work, groups))
        for place in exits_by_place.keys() | frames.keys():
            work = _NOTHING, tuple(exits_by_place.get(place, ())), tuple(frames.get(place, ()))
            number = numbers.get((place, work), -1)
            found.append(number if number >= 0 else self._new_number(place, work, groups))
        if found:
            total = self.contexts.get(self.name)
            if total is None:
                total = self.contexts[self.name] = array("I")
            total.extend(array("I", found))

    def _new_number(self, place: _Place, work: _Work, groups: dict[int, CodeGroup]) -> int:
        """Return the number of the pattern of *work* at *place*, a new one unless a stand-in has it already."""
        group = groups[place[0]]
        key = (group.number, place[1]), work
        number = self._numbers.get(key)
        if number is None:
            number = len(self._patterns)
            self._patterns.append((group, place[1], work))
            self._numbers[key] = number
        return number

    def _stand_in_for(self, group: CodeGroup) -> CodeGroup:
        """Return the group under which the work of *group* is kept: a retired one of equal text, or *group*."""
        key = group.file, group.file_name, group.module
        stand_in = self._stand_ins.get(key)
        if stand_in is None or not stand_in.is_like(group):
            stand_in = self._stand_ins[key] = group
        return stand_in

    def patterns(self, first: int = 0) -> Iterator[Pattern]:
        """Yield the patterns from the number *first* on."""
        for number in range(first, len(self._patterns)):
            group, index, (fired, exits, frames) = self._patterns[number]
            counts = ProbeCounts(group.starts[index + 1] - group.starts[index])
            for probe, n in fired:
                counts.fired[probe] = n
            counts.exits = dict(exits)
            counts.in_flight = {(index, unit): n for unit, n in frames}
            yield _pattern(number, group, index, counts)


if TYPE_CHECKING:
    _pattern = Pattern
else:

    def _pattern(*fields):  # `typing` is no module of a start
        return fields


def _frame_changes(
    before: FramesInFlight, now: FramesInFlight, groups: dict[int, CodeGroup]
) -> dict[_Place, list[tuple[int, int]]]:
    """Return where the number of frames has changed: by code object, pairs of a code unit and the difference."""
    changes: dict[_Place, list[tuple[int, int]]] = {}
    if before == now:
        return changes
    for key, unit in before.keys() | now.keys():
        n = now.get((key, unit), 0) - before.get((key, unit), 0)
        group = groups.get(group_of(key))
        if n and group is not None:
            changes.setdefault((group.number, group.code_at(key)), []).append((unit, n))
    return changes


class _Counters:
    """Counters in a list of a session, with the code object that each belongs to.

    `last` is the reading at the last call of `changes`.
    """

    def __init__(self, counters: list[repeat[None]]) -> None:
        self._memory = CounterMemory(counters)
        #: The number of the first counters whose code is known.
        self._n = 0
        #: The first counter of each code object that has any, in ascending order, and the code object.
        self._starts: list[int] = []
        self._codes: list[_Place] = []

    @property
    def last(self) -> Reading:
        return self._memory.last

    def _add_group(self, group: CodeGroup) -> None:
        """Add the counters of *group*, which are next."""
        base = self._n
        for index, (first, end) in enumerate(pairwise(group.starts)):
            if end > first:
                self._starts.append(base + first)
                self._codes.append((group.number, index))
        self._n += group.starts[-1]

    def read(self) -> Reading:
        """Return a reading of the counters whose code is known."""
        return self._memory.read(self._n)

    def changes(self, now: Reading) -> dict[_Place, _Pairs]:
        """Return which probes fired since the last call, by code object; *now* is the result of the last `read`."""
        fired: dict[int, list[tuple[int, int]]] = {}
        starts = self._starts
        for counter, n in self._memory.changes(now):
            place = bisect_right(starts, counter) - 1
            pair = counter - starts[place], n
            if place in fired:
                fired[place].append(pair)
            else:
                fired[place] = [pair]
        codes = self._codes
        return {codes[place]: tuple(sorted(pairs)) for place, pairs in fired.items()}


class _GroupCounters(_Counters):
    """The counters of the short-lived *group*."""

    def __init__(self, group: CodeGroup) -> None:
        super().__init__(group.counters)
        self._add_group(group)


class _PermanentCounters(_Counters):
    """The counters of the permanent groups of *session*."""

    def __init__(self, session: Session) -> None:
        super().__init__(session.counters)
        self._session = session
        #: Groups that were added while other counters before theirs had no group yet, by their first counter.
        self._early: dict[int, CodeGroup] = {}
        self._known: set[int] = set()

    def note_new_groups(self) -> None:
        """Find the groups of counters that were added since the last call."""
        if len(self._session.counters) == self._n:
            return
        for number, group in list(self._session.groups.items()):
            if number not in self._known:
                self._known.add(number)
                if not group.counters and group.starts[-1]:
                    self._early[group.first] = group
        while self._n in self._early:
            self._add_group(self._early.pop(self._n))
