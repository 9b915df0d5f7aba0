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

from _functools import partial  # type: ignore[import-not-found]
from itertools import islice, repeat

from instrument.guest.own_imports import extension
from instrument.link.code_group import group_of
from instrument.link.counters import FULL
from instrument.link.exit_records import count_of_exit
from instrument.model.probe_counts import ProbeCounts
from instrument.session.deltas import Delta, Span, SpanDelta, recovered
from instrument.session.snapshot import LongSwitchInterval, frames_in_flight, read_around_frames

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
    #: The remaining lengths of the counters of a span; and keys of its exits, with how often each was taken.
    SpanReading: TypeAlias = tuple[array[int], list[tuple[int, int]]]
else:
    array = extension("array").array

_remaining_of = repeat.__length_hint__
#: So many counters are searched for changes in one call, and so many are read at one moment: each takes a fraction of a
#: millisecond.
_N_SEARCHED = 2048
_N_READ = 512
_ALL = 1 << 60
#: How often code objects are read again while their counters move on. No other thread gets a turn meanwhile
#: (`LongSwitchInterval`). So they settle soon, unless a reading itself runs their code: then more readings do not help.
_MOST_READINGS = 50
#: How often work is taken, or the counts of a code object are recovered, if an exception interrupts that each time.
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

        If an exception interrupts the caller, the next `take` yields the same work again.

        If *at_once*, the program waits for it anyway: all is read as one piece, which takes the least time.
        """
        self._session.retirement.begin_reading()
        try:
            self._stand_ins.clear()
            for group in list(self._banked):
                self._untaken.append(_delta_of(group, self._banked[group]))
                del self._banked[group]
            yield from self._take_untaken()
            for spans in _pieces(self._changed_groups(), _ALL if at_once else _N_READ):
                if not self._pause():
                    break
                self._baseline.read(spans, self._untaken)
                yield from self._take_untaken()
        finally:
            self._session.retirement.end_reading()

    def _take_untaken(self) -> Iterator[SpanDelta]:
        """Yield the deltas that were read, and forget each when the caller has it.

        A delta that the caller fails to take again and again is left out, and its file is not measured.
        """
        untaken = self._untaken
        while untaken:
            delta = untaken[-1]
            delta.n_taken += 1
            if delta.n_taken <= _MOST_TRIES:
                yield delta
            else:  # no warning: the exception was reported each time
                _note_lost(self._session, delta)
            del untaken[-1]

    def bank_counts(self, groups: list[CodeGroup]) -> None:
        """Keep the counts of *groups*, which are about to be retired."""
        baseline = self._baseline
        baseline.note_exit_keys()
        for group in groups:
            baseline.read_last(group, self._untaken)
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


def _note_lost(session: Session, delta: SpanDelta) -> None:
    """Note that the counts of *delta* are lost."""
    session.not_measured.setdefault(delta.span.group.file_name, "the counts of some code cannot be recovered")


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
                _note_lost(self._session, span_delta)  # no warning: the exception was reported each time
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
        return any(n != self._exits.get(key, 0) for key, n in self._exits_of(Span(group, 0, len(group))))

    def read(self, spans: list[Span], deltas: list[SpanDelta]) -> None:
        """Read *spans*, each code object at one moment, and make that the new baseline.

        Add to *deltas* those of spans that did anything.

        A reading of all spans is at one moment unless code runs meanwhile. If it runs, then only code objects of which
        the counters moved on are read again: other threads may count all the time. So may an audit hook of the program
        that runs in this thread, because a reading raises events.
        """
        records = self._session.records
        with LongSwitchInterval():
            for n_further in range(_MOST_READINGS, -1, -1):
                before, in_flight, after = read_around_frames(partial(self._readings_of, spans), records)
                frames = _by_group(in_flight)
                moved: list[Span] = []
                for span, earlier, later in zip(spans, before, after):
                    if earlier == later or not n_further:
                        self._commit(span, later, frames.get(span.group.number, {}), deltas)
                    else:
                        moved += span.code_objects()
                if not moved:
                    break
                spans = moved

    def _readings_of(self, spans: list[Span]) -> list[SpanReading]:
        """Return the remaining lengths of the counters of each of *spans*, and how often its exits were taken."""
        remaining = [self._remaining_of(span) for span in spans]
        self.note_exit_keys()
        return [(now, self._exits_of(span)) for span, now in zip(spans, remaining)]

    def read_last(self, group: CodeGroup, deltas: list[SpanDelta]) -> None:
        """Add to *deltas* the work of the short-lived *group*, which no frame runs, since it was read before."""
        span = Span(group, 0, len(group))
        self._commit(span, (_remaining(group.counters), self._exits_of(span)), {}, deltas)

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

    def _exits_of(self, span: Span) -> list[tuple[int, int]]:
        """Return the key of each exit of *span* with how often it was taken until now."""
        records, group = self._session.records, span.group
        keys: Iterable[int] = self._exit_keys.get(group.number, ())
        if span.last - span.first < len(group):
            keys = [key for key in keys if span.first <= group.code_at(key) < span.last]
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

    def _commit(self, span: Span, reading: SpanReading, frames: FramesInFlight, deltas: list[SpanDelta]) -> None:
        """Make the *reading* of *span* the new baseline, and add to *deltas* its work since the one before, if any.

        *frames* are the frames in flight of its group. The baseline changes last: if a hook of the program raises an
        exception before, the next reading finds the same work.
        """
        now, exits = reading
        store, part = self._place_of(span)
        before = store[part]
        exit_changes = [(key, n - self._exits.get(key, 0)) for key, n in exits if n != self._exits.get(key, 0)]
        frame_changes = self._frame_changes(span, frames)
        if now == before and not exit_changes and not frame_changes:
            return
        deltas.append(SpanDelta(span, before, now, exit_changes, frame_changes))
        store[part] = now
        self._exits.update(exits)
        for place, _ in frame_changes:
            self._set_frames(span.group.number, place, frames.get(place, 0))

    def _place_of(self, span: Span) -> tuple[array[int], slice]:
        """Return the lengths in the baseline that those of *span* are among, and their place there."""
        group, starts = span.group, span.group.starts
        if not group.counters:
            return self._permanent, slice(group.first + starts[span.first], group.first + starts[span.last])
        lengths = self._short_lived.get(group.number)
        if lengths is None:
            lengths = self._short_lived[group.number] = _full(starts[-1])
        return lengths, slice(starts[span.first], starts[span.last])

    def _frame_changes(self, span: Span, now: FramesInFlight) -> list[tuple[tuple[int, int], int]]:
        """Return the places in *span* where there are more or fewer frames *now*, with the difference.

        *now* are the frames of the whole group.
        """
        group = span.group
        before = self._in_flight.get(group.number, {})
        changes = ((place, now.get(place, 0) - before.get(place, 0)) for place in now.keys() | before.keys())
        return [(place, n) for place, n in changes if n and span.first <= group.code_at(place[0]) < span.last]

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
