"""ContextCounts: the work of each context of this process, as patterns that contexts share.

A context is a named part of a run, such as the call of a test. The live code of a session comes in, and the names of
contexts as they begin. Out go patterns, and for each context the numbers of its patterns.

A *pattern* is the work of one code object within a context. It has the counts of its probes and exits, and the places
of its frames that have come or gone. Tests that take the same ways through a function
share the pattern. So readers recover the lines of a pattern once, however many contexts have it.

Problem: counters are read whenever a context begins, three times a test. Most tests take a millisecond.
Solution: counters are compared by the hundred, in memory (`record.counter_memory`). Nothing is recovered, and of code
that does the same as in an earlier context, one dict finds the pattern.
Alternatives: a `Reading` for each context. It takes some 10 µs for each code object that ran.
"""

from __future__ import annotations

from _thread import allocate_lock
from itertools import pairwise

from instrument.guest.own_imports import extension
from instrument.link.code_group import group_of, position_of
from instrument.link.counters import FULL, make_counters
from instrument.link.exit_records import exit_lengths
from instrument.model.probe_counts import ProbeCounts
from instrument.record.counter_memory import Batch, CounterMemory
from instrument.record.neighbouring_counters import NeighbouringCounters
from instrument.session.snapshot import frames_in_flight, read_at_one_moment

TYPE_CHECKING = False
if TYPE_CHECKING:
    from array import array
    from collections.abc import Callable, Iterator
    from itertools import repeat
    from typing import NamedTuple, TypeAlias

    from instrument.link.code_group import CodeGroup
    from instrument.record.counter_memory import Pairs, Place, Reading, Segment
    from instrument.session.session import Session
    from instrument.session.snapshot import FramesInFlight

    #: Pairs of probe and count, of exit and count, and of code unit and number of frames.
    _Work: TypeAlias = tuple[Pairs, Pairs, Pairs]
    #: Pairs by place.
    _PairsByPlace: TypeAlias = dict[Place, list[tuple[int, int]]]

    class Pattern(NamedTuple):
        """The work of the code object *code* of *group*; *counts* has its probes only, from number 0 on."""

        number: int
        group: CodeGroup
        code: int
        counts: ProbeCounts
else:
    array = extension("array").array

_NOTHING: Pairs = ()


class ContextCounts:
    """The work of each context of *session*, in the order of `contexts`. The first one is *name*.

    It began before any code was live; with *from_now_on*, it begins now.
    """

    def __init__(self, session: Session, name: str, *, from_now_on: bool = False) -> None:
        self._session = session
        self.name = name
        #: The numbers of the patterns of each context. A number is there as often as the context has the pattern.
        self.contexts: dict[str, array[int]] = {}
        self._numbers: dict[tuple[Place, _Work], int] = {}
        #: By number.
        self._patterns: list[tuple[CodeGroup, int, _Work]] = []
        self._memory = CounterMemory()
        self._permanent = _PermanentCounters(session, self._memory)
        #: The counters of each short-lived group, by its number.
        self._short_lived: dict[int, Batch] = {}
        self._exits: dict[int, int] = {}
        self._in_flight: FramesInFlight = {}
        #: Held while counters are read.
        self._lock = allocate_lock()
        #: The group whose number stands for retired groups of equal text.
        self._stand_ins: dict[tuple[str | None, str, str | None], CodeGroup] = {}
        session.readers.append(self)
        session.make_counters = NeighbouringCounters().make
        if from_now_on:
            self.begin(name)
            self.contexts.clear()

    def close(self) -> None:
        """Count for no context from now on."""
        self._session.readers.remove(self)
        self._session.make_counters = make_counters

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
        session = self._session
        is_alone()
        now, in_flight = self._reading(), frames_in_flight(session.records)
        if not is_alone() and self._reading() != now:
            now, in_flight = read_at_one_moment(self._reading, session.records)
        reading, exits = now
        early = self._permanent.early()
        if early:
            exits = {key: n for key, n in exits.items() if group_of(key) not in early}
            in_flight = {place: n for place, n in in_flight.items() if group_of(place[0]) not in early}
        fired = self._memory.changes(reading)
        exit_changes = self._exit_changes(exits)
        self._exits = exits
        frame_changes = _frame_changes(self._in_flight, in_flight, session.groups)
        self._in_flight = in_flight
        self._add(fired, exit_changes, frame_changes, session.groups)

    def _reading(self) -> tuple[Reading, dict[int, int]]:
        """Return the counters that have moved on, and the lengths of exits by key.

        The counters of new groups are added here: other threads make code live between two readings, and run it.
        """
        self._permanent.add_new_groups()
        for number, group in [*self._session.short_lived.items()]:
            if number not in self._short_lived:
                self._add_short_lived(group)
        return self._memory.read(), exit_lengths(self._session.records)

    def _add_short_lived(self, group: CodeGroup) -> Batch:
        batch = self._short_lived[group.number] = _batch([group], group.counters)
        self._memory.add(batch)
        return batch

    def bank_counts(self, groups: list[CodeGroup]) -> None:
        """Add the work of *groups*, which are about to be retired, to the present context."""
        fired: list[tuple[Segment, int]] = []
        by_number: dict[int, CodeGroup] = {group.number: group for group in groups}
        exits = exit_lengths(self._session.records)
        exit_changes = self._exit_changes({key: n for key, n in exits.items() if group_of(key) in by_number})
        for group in groups:
            batch = self._short_lived.get(group.number) or self._add_short_lived(group)
            fired += self._memory.changes_of(batch)
            self._memory.remove(batch)
            del self._short_lived[group.number]
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
        fired: list[tuple[Segment, int]],
        exits: dict[int, int],
        frames: _PairsByPlace,
        groups: dict[int, CodeGroup],
    ) -> None:
        """Add the patterns of this work to the present context; *groups* are by number."""
        exits_by_place: _PairsByPlace = {}
        for key, n in exits.items():
            number = group_of(key)
            if number in groups:
                place = number, groups[number].code_at(key)
                exits_by_place.setdefault(place, []).append((position_of(key), n))
        others = exits_by_place.keys() | frames.keys()
        found: list[int] = []
        #: Code whose work is in several segments, or in exits and frames, too.
        fired_by_place: _PairsByPlace = {}
        for segment, difference in fired:
            if not segment.is_whole or segment.place in others:
                fired_by_place.setdefault(segment.place, []).extend(segment.pairs(difference))
                continue
            known = segment.known.get(difference)
            if known is None:
                work: _Work = segment.pairs(difference), _NOTHING, _NOTHING
                known = segment.known[difference] = self._number_of(segment.place, work, groups)
            found.append(known)
        for place in others | fired_by_place.keys():
            work = _pairs(fired_by_place, place), _pairs(exits_by_place, place), _pairs(frames, place)
            found.append(self._number_of(place, work, groups))
        if found:
            total = self.contexts.get(self.name)
            if total is None:
                total = self.contexts[self.name] = array("I")
            total.extend(array("I", found))

    def _number_of(self, place: Place, work: _Work, groups: dict[int, CodeGroup]) -> int:
        """Return the number of the pattern of *work* at *place*, or of its stand-in; a new one unless it has one."""
        group = groups[place[0]]
        key = (group.number, place[1]), work
        number = self._numbers.get(key)
        if number is None:
            number = self._numbers[key] = len(self._patterns)
            self._patterns.append((group, place[1], work))
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
            yield self.pattern(number)

    def pattern(self, number: int) -> Pattern:
        """Return the pattern with this *number*."""
        group, index, (fired, exits, frames) = self._patterns[number]
        counts = ProbeCounts(group.starts[index + 1] - group.starts[index])
        for probe, n in fired:
            counts.fired[probe] = n
        counts.exits = dict(exits)
        counts.in_flight = {(index, unit): n for unit, n in frames}
        return _pattern(number, group, index, counts)


if TYPE_CHECKING:
    _pattern = Pattern
else:

    def _pattern(*fields):  # `typing` is no module of a start
        return fields


def _pairs(by_place: _PairsByPlace, place: Place) -> Pairs:
    return tuple(sorted(by_place.get(place, ())))


def _frame_changes(before: FramesInFlight, now: FramesInFlight, groups: dict[int, CodeGroup]) -> _PairsByPlace:
    """Return where the number of frames has changed: by code object, pairs of a code unit and the difference."""
    changes: _PairsByPlace = {}
    if before == now:
        return changes
    for key, unit in before.keys() | now.keys():
        n = now.get((key, unit), 0) - before.get((key, unit), 0)
        group = groups.get(group_of(key))
        if n and group is not None:
            changes.setdefault((group.number, group.code_at(key)), []).append((unit, n))
    return changes


def _batch(groups: list[CodeGroup], counters: list[repeat[None]]) -> Batch:
    """Return the code objects of *groups* that have counters; *counters* are those of all groups, in this order."""
    starts: list[int] = []
    places: list[Place] = []
    base = 0
    for group in groups:
        for index, (first, end) in enumerate(pairwise(group.starts)):
            if end > first:
                starts.append(base + first)
                places.append((group.number, index))
        base += group.starts[-1]
    return Batch(counters, [*starts, base], places)


class _PermanentCounters:
    """The counters of the permanent groups of *session*, which are added to *memory*."""

    def __init__(self, session: Session, memory: CounterMemory) -> None:
        self._session = session
        self._memory = memory
        #: The groups in the memory, the number of their counters, and how many of these the first batch has.
        self._groups: list[CodeGroup] = []
        self._n = self._n_in_first = 0
        self._batches: list[Batch] = []
        #: Groups that were added while other counters before theirs had no group yet, by their first counter.
        self._early: dict[int, CodeGroup] = {}
        self._known: set[int] = set()

    def add_new_groups(self) -> None:
        """Add the groups of counters that were added since the last call."""
        if len(self._session.counters) == self._n:
            return
        for number, group in list(self._session.groups.items()):
            if number not in self._known:
                self._known.add(number)
                if not group.counters and group.starts[-1]:
                    self._early[group.first] = group
        n_before, end = len(self._groups), self._n
        while end in self._early:
            group = self._early.pop(end)
            self._groups.append(group)
            end += group.starts[-1]
        if end > 2 * self._n_in_first:
            self._add_all(end)
        elif end > self._n:
            self._batches.append(_batch(self._groups[n_before:], self._session.counters[self._n : end]))
            self._memory.add(self._batches[-1])
        self._n = end

    def early(self) -> set[int]:
        """Return the numbers of groups whose counters are not in the memory yet: those before them have no group."""
        return {group.number for group in self._early.values()}

    def _add_all(self, n: int) -> None:
        """Put the first *n* counters into one batch: small batches have many short views."""
        lengths: dict[int, int] = {}
        base = 0
        for batch in self._batches:
            lengths |= {base + index: length for index, length in batch.last_lengths().items()}
            base += len(batch.counters)
            self._memory.remove(batch)
        self._batches = [_batch(self._groups, self._session.counters[:n])]
        self._memory.add(self._batches[0], lengths)
        self._n_in_first = n
