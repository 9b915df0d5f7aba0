"""Readings: the work of a session since the last reading, read piece by piece.

The counters of a session come in. A `SpanDelta` goes out for each span of code that did anything. `Recovery` recovers
the counts of lines and functions from these.

Problem: a snapshot of all counters holds up the program for as long as it takes.
Solution: conservation only ties together the counters, exits and frames in flight of one code object. So a reading
searches for code groups that changed, a piece of the counters at a time, and then reads those, again in pieces. Between
two pieces the program runs. The counts of each code object are exact as of the moment at which it was read. Later
counts are in the next reading.
"""

from __future__ import annotations

from itertools import islice, repeat

from instrument.guest.own_imports import extension
from instrument.link.code_group import group_of
from instrument.link.counters import FULL
from instrument.link.exit_records import count_of_exit
from instrument.model.probe_counts import ProbeCounts
from instrument.session.deltas import Delta, Span, SpanDelta, recovered
from instrument.session.snapshot import frames_in_flight, read_at_one_moment

TYPE_CHECKING = False
if TYPE_CHECKING:
    from array import array
    from collections.abc import Callable, Iterable, Iterator
    from typing import TypeAlias

    from instrument.link.code_group import CodeGroup
    from instrument.link.recovery_info import PackedInfos
    from instrument.model.counts import Counts
    from instrument.session.session import Session
    from instrument.session.snapshot import FramesInFlight

    #: A code group, the number of a code object in it, its qualified name, and its counts.
    CodeCounts: TypeAlias = tuple[CodeGroup, int, str, Counts]
    #: Keys of exits and how often each was taken, by the number of their group.
    ExitsByGroup: TypeAlias = dict[int, list[tuple[int, int]]]
else:
    array = extension("array").array

_remaining_of = repeat.__length_hint__
#: So many counters are searched for changes in one call, and so many are read at one moment: each takes a fraction of a
#: millisecond.
_N_SEARCHED = 2048
_N_READ = 512
_ALL = 1 << 60
#: So often the counts of one code object are to be recovered, if an exception interrupts it each time.
_MOST_TRIES = 3


#: So many numbers are converted sooner than `_struct` is loaded. [3.12: 0.2 ms, as long as for 1,500 numbers]
_FEW = 1_000


def _remaining(counters: Iterable[repeat[None]]) -> array[int]:
    """Return the remaining length of each of *counters*, in one call that no other thread interrupts."""
    lengths = tuple(map(_remaining_of, counters))
    if len(lengths) < _FEW:
        return array("q", lengths)
    # `array` converts an iterable more slowly. [3.12, instructions for each counter: 900 so, 490 packed first]
    from _struct import pack

    return array("q", pack(f"{len(lengths)}q", *lengths))


def _full(n: int) -> array[int]:
    """Return the remaining lengths of *n* new counters."""
    return array("q", [FULL]) * n


class Reading:
    """The work of *session* from now on, to be taken again and again, piece by piece.

    With *from_first_code*, it is all work of *session*.

    *pause* is called between pieces. It lets other threads run if that is due, and returns whether to go on. If not,
    the remaining work is part of the next `take`.
    """

    def __init__(self, session: Session, pause: Callable[[], bool], from_first_code: bool = False) -> None:
        self._session = session
        self._pause = pause
        #: The counts of groups that were retired since the last `take`, by the group or its stand-in.
        self._banked: dict[CodeGroup, ProbeCounts] = {}
        #: The group under which like groups are banked (`_stand_in_for`), by module file, source file and module name.
        self._stand_ins: dict[tuple[str | None, str, str | None], CodeGroup] = {}
        self._baseline = _Baseline(session, from_first_code)
        #: Deltas that were read, and are neither taken nor banked yet. If an exception interrupts that, the next `take`
        #: yields them.
        self._untaken: list[SpanDelta] = []
        # From now on the session calls `bank_counts` before it retires code.
        session.readers.append(self)

    def close(self) -> None:
        """Bank no more counts of retired code."""
        self._session.readers.remove(self)

    def take(self, at_once: bool = False) -> Iterator[SpanDelta]:
        """Yield the work of each span of code since it was read before. The caller must exhaust the iterator.

        If *at_once*, the program waits for it anyway: all is read as one piece, which takes the least time.
        """
        self._session.retirement.begin_reading()
        try:
            self._stand_ins.clear()
            while self._banked:
                group, counts = self._banked.popitem()
                yield _delta_of(group, counts)
            untaken = self._untaken
            while untaken:
                yield untaken.pop()
            for spans in _pieces(self._changed_groups(), _ALL if at_once else _N_READ):
                if not self._pause():
                    break
                untaken.extend(self._baseline.read(spans))
                while untaken:
                    yield untaken.pop()
        finally:
            self._session.retirement.end_reading()

    def bank_counts(self, groups: list[CodeGroup]) -> None:
        """Keep the counts of *groups*, which are about to be retired."""
        baseline = self._baseline
        baseline.note_exit_keys()
        for group in groups:
            self._untaken.extend(baseline.read_last(group))
            # Not before the counts are kept: if a handler raises, the next call must find them read.
            baseline.forget(group)
        untaken, banked = self._untaken, self._banked
        while untaken:
            delta = untaken[-1]
            stand_in = self._stand_in_for(delta.span.group)
            total = ProbeCounts(stand_in.starts[-1])
            total.add(stand_in.starts[delta.span.first], delta.fired, delta.exits, delta.in_flight)
            if stand_in in banked:
                total.add_all(banked[stand_in])
            # The interpreter calls no handler between these two: there is neither a call nor a jump.
            banked[stand_in] = total
            del untaken[-1]

    def _stand_in_for(self, group: CodeGroup) -> CodeGroup:
        """Return the retired group under which the counts of *group* are banked: one of the same text, or *group*.

        So text that is executed again and again takes no more memory each time.
        """
        key = group.file, group.file_name, group.module
        stand_in = self._stand_ins.get(key)
        if stand_in is None or not stand_in.is_like(group):
            stand_in = self._stand_ins[key] = group
        return stand_in

    def _changed_groups(self) -> list[CodeGroup]:
        """Return the groups that may have counted something since they were read."""
        # Groups that are new are not searched: their modules have run.
        counters = self._session.counters[: self._baseline.note_new_counters()]
        now: array[int] = array("q")
        while len(now) < len(counters):
            now.extend(_remaining(counters[len(now) : len(now) + _N_SEARCHED]))
            self._pause()
        in_flight = {group_of(key) for key, _ in frames_in_flight(self._session.records)}
        return self._baseline.changed_groups(now, in_flight, self._pause)


def _delta_of(group: CodeGroup, counts: ProbeCounts) -> SpanDelta:
    """Return *counts* as the work of *group*, which was retired."""
    delta = SpanDelta(Span(group, 0, len(group)), [], [], (), ())
    delta.fired, delta.exits, delta.in_flight = counts.fired, counts.exits, counts.in_flight
    return delta


class Recovery:
    """Recovers counts of lines and functions from deltas of *session*; *pause* is as in Reading."""

    def __init__(self, session: Session, pause: Callable[[], bool]) -> None:
        self._session = session
        self._pause = pause

    def take_counts(self, deltas: list[SpanDelta]) -> Iterator[CodeCounts]:
        """Yield the counts of *deltas*, from the last one on, and remove each from the list.

        If an exception interrupts this, the next call with the same list goes on. A delta whose recovery is interrupted
        again and again is left out, and its file is not measured.

        Stop early if *pause* returns False.
        """
        # Infos of the last group only. Unpacked infos of all groups would be many times as large as the counters, and
        # the garbage collector would traverse them while the program waits.
        packed: dict[CodeGroup, PackedInfos] = {}
        while deltas:
            if not self._pause():
                return
            span_delta = deltas[-1]
            group = span_delta.span.group
            span_delta.n_tried += 1
            if span_delta.n_tried > _MOST_TRIES:
                # No warning: the exception was reported each time.
                reason = "the counts of some code cannot be recovered"
                self._session.not_measured.setdefault(group.file_name, reason)
                deltas.pop()
                continue
            if group not in packed:
                packed.clear()
                packed[group] = group.packed()
            counted = [self._recovered(delta, packed[group]) for delta in span_delta.split()]
            deltas.pop()
            for each in counted:
                if each is not None:
                    yield each

    def _recovered(self, delta: Delta, packed: PackedInfos) -> CodeCounts | None:
        """Return the counts of *delta*, None if there are none; *packed* are the infos of its group."""
        self._pause()
        counted = recovered(delta, packed, self._session)
        return None if counted is None else (delta.group, delta.index, counted.name, counted.counts)


class _Baseline:
    """The counters, exits and frames in flight of *session*, each as of the moment at which it was last read.

    At first, the moment is now; with *from_first_code*, it is that before any code was live.
    """

    def __init__(self, session: Session, from_first_code: bool) -> None:
        self._session = session
        #: The remaining lengths of the counters of permanent groups, and of each short-lived group by number.
        self._permanent = _full(0) if from_first_code else _remaining(session.counters)
        self._short_lived: dict[int, array[int]] = {}
        #: Keys of exits by the number of their group, and how many of the session's records are in there.
        self._exit_keys: dict[int, list[int]] = {}
        self._n_exit_keys = 0
        self.note_exit_keys()
        #: How often each exit was taken, by key.
        self._exits: dict[int, int] = {}
        #: Frames at each place, by the number of the group.
        self._in_flight: dict[int, FramesInFlight] = {}
        if not from_first_code:
            for number, group in list(session.short_lived.items()):
                self._short_lived[number] = _remaining(group.counters)
            for key, counter in list(session.records.items()):
                self._exits[key] = count_of_exit(counter)
            self._in_flight = _by_group(frames_in_flight(session.records))

    def note_new_counters(self) -> int:
        """Note the counters of permanent groups that are new, and return how many others there are."""
        n_before = len(self._permanent)
        self._permanent.extend(_full(len(self._session.counters) - n_before))
        return n_before

    def changed_groups(self, now: array[int], in_flight: set[int], pause: Callable[[], bool]) -> list[CodeGroup]:
        """Return the groups that may have counted something since they were read.

        *now* are the remaining lengths of the counters of permanent groups, but for new ones. *in_flight* has the
        numbers of groups with frames in flight. Call *pause* for each group.
        """
        permanent, short_lived = self._permanent, self._short_lived
        self.note_exit_keys()
        moved = in_flight.union(self._in_flight)
        changed = []
        for group in list(self._session.groups.values()):
            pause()
            number, n = group.number, group.starts[-1]
            if group.counters:
                if number in moved or _remaining(group.counters) != short_lived.get(number, _full(n)):
                    changed.append(group)
                    continue
            elif group.first + n > len(now):
                if group.first + n <= len(permanent):  # else it was linked after the new counters were noted
                    changed.append(group)
                continue
            elif number in moved or now[group.first : group.first + n] != permanent[group.first : group.first + n]:
                changed.append(group)
                continue
            if number in self._exit_keys and self._has_new_exits(group):
                changed.append(group)
        return changed

    def _has_new_exits(self, group: CodeGroup) -> bool:
        """Return whether an exit of *group* was taken since it was read."""
        return any(n != self._exits.get(key, 0) for key, n in self._exits_of(group))

    def read(self, spans: list[Span]) -> list[SpanDelta]:
        """Read *spans* at one moment, make that the new baseline, and return the deltas of spans that did anything."""

        def read() -> tuple[list[array[int]], ExitsByGroup]:
            remaining = [self._remaining_of(span) for span in spans]
            self.note_exit_keys()
            exits = {span.group.number: self._exits_of(span.group) for span in spans}
            return remaining, {number: taken for number, taken in exits.items() if taken}

        (remaining, exits), in_flight = read_at_one_moment(read, self._session.records)
        return self._commit(spans, remaining, exits, _by_group(in_flight))

    def read_last(self, group: CodeGroup) -> list[SpanDelta]:
        """Return the delta of the short-lived *group*, which no frame runs, since it was read before.

        The list is empty if the group did nothing.
        """
        span = Span(group, 0, len(group))
        return self._commit([span], [_remaining(group.counters)], {group.number: self._exits_of(group)}, {})

    def forget(self, group: CodeGroup) -> None:
        """Forget *group*, which is about to be retired."""
        self._short_lived.pop(group.number, None)
        for key in self._exit_keys.pop(group.number, ()):
            self._exits.pop(key, None)
        self._in_flight.pop(group.number, None)
        self._n_exit_keys = -1  # the session's records are about to lose some keys, so note all anew

    def _remaining_of(self, span: Span) -> array[int]:
        """Return the remaining lengths of the counters of *span*."""
        group, starts = span.group, span.group.starts
        if group.counters:
            return _remaining(group.counters[starts[span.first] : starts[span.last]])
        first = group.first
        return _remaining(self._session.counters[first + starts[span.first] : first + starts[span.last]])

    def _exits_of(self, group: CodeGroup) -> list[tuple[int, int]]:
        """Return the key of each exit of *group* with how often it was taken until now."""
        records = self._session.records
        keys = self._exit_keys.get(group.number, ())
        return [(key, count_of_exit(records[key])) for key in keys if key in records]

    def note_exit_keys(self) -> None:
        """Note the keys of exits that were taken for the first time."""
        records = self._session.records
        records.count_late()
        if self._n_exit_keys < 0:
            self._exit_keys, self._n_exit_keys = {}, 0
        new_keys = list(islice(records, self._n_exit_keys, None))
        for key in new_keys:
            self._exit_keys.setdefault(group_of(key), []).append(key)
        self._n_exit_keys += len(new_keys)

    def _commit(
        self,
        spans: list[Span],
        remaining: list[array[int]],
        exits: ExitsByGroup,
        in_flight: dict[int, FramesInFlight],
    ) -> list[SpanDelta]:
        """Make this reading the new baseline, and return the deltas of spans that did anything."""
        deltas: list[SpanDelta] = []
        for span, now in zip(spans, remaining):
            group, number = span.group, span.group.number
            before = self._exchange_counters(span, now)
            exit_changes = [
                (key, n - self._exits.get(key, 0))
                for key, n in exits.get(number, ())
                if n != self._exits.get(key, 0) and span.first <= group.code_at(key) < span.last
            ]
            self._exits.update((key, self._exits.get(key, 0) + n) for key, n in exit_changes)
            frame_changes = self._exchange_frames(span, in_flight.get(number, {}))
            if now != before or exit_changes or frame_changes:
                deltas.append(SpanDelta(span, before, now, exit_changes, frame_changes))
        return deltas

    def _exchange_counters(self, span: Span, now: array[int]) -> array[int]:
        """Make *now* the remaining lengths of the counters of *span*, and return those of the baseline before."""
        group, starts = span.group, span.group.starts
        if group.counters:
            store, base = self._short_lived.setdefault(group.number, _full(starts[-1])), 0
        else:
            store, base = self._permanent, group.first
        part = slice(base + starts[span.first], base + starts[span.last])
        before = store[part]
        if now != before:
            store[part] = now
        return before

    def _exchange_frames(self, span: Span, now: FramesInFlight) -> list[tuple[tuple[int, int], int]]:
        """Make *now* the frames in flight of *span*; return the places where the number changed, with the difference.

        *now* are the frames of the whole group; those outside of *span* are left alone.
        """
        group, number = span.group, span.group.number
        before = self._in_flight.get(number, {})
        changes = []
        for place in now.keys() | before.keys():
            n = now.get(place, 0) - before.get(place, 0)
            if n and span.first <= group.code_at(place[0]) < span.last:
                changes.append((place, n))
        for place, _ in changes:
            self._set_frames(number, place, now.get(place, 0))
        return changes

    def _set_frames(self, number: int, place: tuple[int, int], n: int) -> None:
        """Note that *n* frames of the group with this *number* are at *place*."""
        places = self._in_flight.setdefault(number, {})
        if n:
            places[place] = n
        else:
            places.pop(place, None)
            if not places:
                del self._in_flight[number]


def _by_group(in_flight: FramesInFlight) -> dict[int, FramesInFlight]:
    """Return the frames *in_flight* by the number of their group."""
    by_group: dict[int, FramesInFlight] = {}
    for place, n in in_flight.items():
        by_group.setdefault(group_of(place[0]), {})[place] = n
    return by_group


def _pieces(groups: list[CodeGroup], size: int) -> Iterator[list[Span]]:
    """Yield the code of *groups* in pieces of about *size* counters, each to be read at one moment."""
    piece: list[Span] = []
    n = 0
    for group in groups:
        starts, first, n_codes = group.starts, 0, len(group)
        while first < n_codes:
            last = first + 1
            while last < n_codes and n + starts[last + 1] - starts[first] <= size:
                last += 1
            if piece and n + starts[last] - starts[first] > size:
                yield piece
                piece, n = [], 0
                continue
            piece.append(Span(group, first, last))
            n += starts[last] - starts[first]
            first = last
    if piece:
        yield piece
