"""What a process counted since it began: read piece by piece, kept as totals.

Counters of a session come in; out goes, for each source, how often each line and each function ran until now, and when
it was first and last seen running.

Whoever reads all counters at one moment holds up the program for as long as that takes. It need not be one moment:
conservation ties together the counters, the exceptional exits and the frames in flight of one code object, not those of
different ones. So a `Reading` looks for what has changed, a handful of counters at a time, and then reads just that,
again in pieces; in between the program runs. Each code object is exact as of the moment at which it was read, and what
it counts later is in the next reading.
"""

from __future__ import annotations

from itertools import islice, repeat

from instrument.errors import InstrumentError
from instrument.guest.interpreters import is_single_threaded
from instrument.guest.own_imports import extension
from instrument.link.counters import FULL, count_of_exit, group_of
from instrument.model.counts import Counts
from instrument.session.session import LongSwitchInterval

TYPE_CHECKING = False
if TYPE_CHECKING:
    from array import array
    from collections.abc import Callable, Iterable, Iterator

    from instrument.link.counters import CodeGroup, PackedInfos
    from instrument.session.session import Session

    #: A part of a group: numbers of its first code object, and of the first behind it.
    Span = tuple[CodeGroup, int, int]
    #: What is known of one source: its absolute path, and which text it was.
    FileKey = tuple[str, str]
    Total = tuple[int, float, float]
else:
    array = extension("array").array

_left_of = repeat.__length_hint__
#: So many counters are looked at in one go, and so many are read at one moment: each a fraction of a millisecond.
_N_LOOKED_AT = 2048
_N_READ = 512
#: So often the counts of one code object are tried to be recovered.
_N_TRIED = 3


def _left(counters: Iterable[repeat[None]]) -> array[int]:
    """Return what is left of each of *counters*, atomic under the interpreter's lock."""
    return array("q", map(_left_of, counters))


class Reading:
    """What *session* counts from now on, taken now and then, piece by piece.

    *pause* is called between pieces: it lets others run if that is due, and says whether to go on. What was not read
    by then is in what is taken next.
    """

    def __init__(self, session: Session, pause: Callable[[], bool]) -> None:
        self.session = session
        self._pause = pause
        self._banked: dict[tuple[CodeGroup, int], tuple[str, Counts]] = {}
        self._banked_as: dict[tuple[str | None, str, str | None], CodeGroup] = {}
        self._lasting = _left(session.counters)
        self._short_lived = {number: _left(group.counters) for number, group in list(session.short_lived.items())}
        #: Keys of the exits of each group, and how many of the session's exits are in there.
        self._exits_of: dict[int, list[int]] = {}
        self._n_exits = 0
        self._exits: dict[int, int] = {}
        self._flying: dict[int, dict[tuple[int, int], int]] = {}
        self._note_exits()
        for key, counter in list(session.records.items()):
            self._exits[key] = count_of_exit(counter)
        for place, n in session.in_flight().items():
            self._flying.setdefault(group_of(place[0]), {})[place] = n
        #: What was seen of code objects, but could not be turned into counts: an exception came in between.
        self._unread: list[_Seen] = []
        session.windows.append(self)

    def close(self) -> None:
        """Count no more."""
        self.session.windows.remove(self)

    def take(self) -> Iterator[tuple[CodeGroup, int, str, Counts]]:
        """Yield what each code object counted since it was read before: its group, its number there, its name, and the
        counts.

        To be taken to its end.
        """
        self.session.begin_reading()
        try:
            self._banked_as.clear()
            while self._banked:
                (group, index), (name, counts) = self._banked.popitem()
                yield group, index, name, counts
            packed: dict[CodeGroup, PackedInfos] = {}
            unread, self._unread = self._unread, []
            yield from self._recovered(unread, packed)
            for chunk in _chunks(self._changed()):
                if not self._pause():
                    break
                yield from self._recovered(self._read(chunk), packed)
        finally:
            self.session.end_reading()

    def bank_counts(self, groups: list[CodeGroup]) -> None:
        """Note what *groups*, which are about to be forgotten and run no more, have counted."""
        self._note_exits()
        for group in groups:
            spans: list[Span] = [(group, 0, len(group))]
            exits = self._exits_now(spans)
            kept = self._kept_as(group)
            for _, index, name, counts in self._recovered(
                self._commit(spans, [_left(group.counters)], exits, {}), {}, pausing=False
            ):
                _, before = self._banked.get((kept, index), (name, None))
                self._banked[kept, index] = name, counts if before is None else before + counts
            self._short_lived.pop(group.number, None)
            for key in self._exits_of.pop(group.number, ()):
                self._exits.pop(key, None)
            self._flying.pop(group.number, None)
            self._n_exits = -1  # they are about to go: count them anew

    def _kept_as(self, group: CodeGroup) -> CodeGroup:
        """Return what stands for *group* when it is gone: itself, or one of the same text that is gone already. What is
        loaded or handed over again and again takes no more memory each time until the counts are taken.
        """
        kind = group.file, group.file_name, group.module
        known = self._banked_as.get(kind)
        if known is None or not known.is_like(group):
            known = self._banked_as[kind] = group
        return known

    # What changed

    def _changed(self) -> list[CodeGroup]:
        """Return the groups that may have counted something since they were read."""
        session = self.session
        counters = session.counters
        now: array[int] = array("q")
        while len(now) < len(counters):
            now.extend(_left(counters[len(now) : len(now) + _N_LOOKED_AT]))
            self._pause()
        if len(now) > len(self._lasting):
            self._lasting.extend(array("q", [FULL]) * (len(now) - len(self._lasting)))
        was = self._lasting
        self._note_exits()
        moved = {group_of(place[0]) for place in session.in_flight()}
        moved.update(self._flying)
        changed = []
        for group in list(session.groups.values()):
            self._pause()
            number, n = group.number, group.starts[-1]
            if group.counters:
                if number in moved or _left(group.counters) != self._short_lived.get(number, _full(n)):
                    changed.append(group)
                    continue
            elif number in moved or now[group.first : group.first + n] != was[group.first : group.first + n]:
                if group.first + n <= len(now):  # it was there when the counters were read
                    changed.append(group)
                continue
            if number in self._exits_of:
                exits = self._exits_now([(group, 0, 0)])[number]
                if any(n != self._exits.get(key, 0) for key, n in exits):
                    changed.append(group)
        return changed

    def _note_exits(self) -> None:
        """Note the exits that are new."""
        records = self.session.records
        records.count_late()
        if self._n_exits < 0:
            self._exits_of, self._n_exits = {}, 0
        new = list(islice(records, self._n_exits, None))
        for key in new:
            self._exits_of.setdefault(group_of(key), []).append(key)
        self._n_exits += len(new)

    # Reading

    def _read(self, spans: list[Span]) -> list[_Seen]:
        """Return what the code of *spans* counted since it was read before, as of one moment."""
        session = self.session
        alone = is_single_threaded()
        with LongSwitchInterval():
            now = self._now(spans)
            for _ in range(1000):
                before, in_flight = now, session.in_flight()
                if alone:
                    break
                now = self._now(spans)
                if now == before:  # nobody passed a counter or took an exit while frames were looked at
                    break
            left, exits = now
        return self._commit(spans, left, exits, in_flight)

    def _now(self, spans: list[Span]) -> tuple[list[array[int]], dict[int, list[tuple[int, int]]]]:
        """Return what is left of the counters of *spans*, and the exits of their groups."""
        left = [self._left_of(span) for span in spans]
        self._note_exits()
        return left, self._exits_now(spans)

    def _left_of(self, span: Span) -> array[int]:
        group, first, last = span
        if group.counters:
            return _left(group.counters[group.starts[first] : group.starts[last]])
        return _left(self.session.counters[group.first + group.starts[first] : group.first + group.starts[last]])

    def _exits_now(self, spans: list[Span]) -> dict[int, list[tuple[int, int]]]:
        """Return the exits of the groups of *spans*, by number: keys, and how often they were taken."""
        records, exits_of = self.session.records, self._exits_of
        return {
            group.number: [(key, count_of_exit(records[key])) for key in exits_of[group.number] if key in records]
            for group, _, _ in spans
            if group.number in exits_of
        }

    def _commit(
        self,
        spans: list[Span],
        left: list[array[int]],
        exits: dict[int, list[tuple[int, int]]],
        in_flight: dict[tuple[int, int], int],
    ) -> list[_Seen]:
        """Make what was read what was read before, and return the differences."""
        flying: dict[int, dict[tuple[int, int], int]] = {}
        for place, n in in_flight.items():
            flying.setdefault(group_of(place[0]), {})[place] = n
        seen: list[_Seen] = []
        for (group, first, last), now in zip(spans, left):
            number, starts = group.number, group.starts
            start, stop = starts[first], starts[last]
            if group.counters:
                store, base = self._short_lived.setdefault(number, _full(starts[-1])), 0
            else:
                store, base = self._lasting, group.first
            was = store[base + start : base + stop]
            ran: dict[int, _Seen] = {}
            if now != was:
                for index in range(first, last):
                    part = slice(starts[index] - start, starts[index + 1] - start)
                    if now[part] != was[part]:
                        ran[index] = _Seen(group, index)
                store[base + start : base + stop] = now
            for key, n in exits.get(number, ()):
                index = group.code_at(key)
                if first <= index < last and n != self._exits.get(key, 0):
                    ran.setdefault(index, _Seen(group, index)).exits[key] = n - self._exits.get(key, 0)
                    self._exits[key] = n
            flying_now, flying_was = flying.get(number, {}), self._flying.get(number, {})
            for where in flying_now.keys() | flying_was.keys():
                index = group.code_at(where[0])
                n = flying_now.get(where, 0) - flying_was.get(where, 0)
                if n and first <= index < last:
                    ran.setdefault(index, _Seen(group, index)).in_flight[where[1]] = n
                    self._fly(number, where, flying_now.get(where, 0))
            for index, one in ran.items():
                part = slice(starts[index] - start, starts[index + 1] - start)
                one.fired = [old - new for old, new in zip(was[part], now[part])]
            seen.extend(ran.values())
        return seen

    def _fly(self, number: int, where: tuple[int, int], n: int) -> None:
        """Note that *n* frames of the group *number* were *where* when it was read."""
        places = self._flying.setdefault(number, {})
        if n:
            places[where] = n
        else:
            places.pop(where, None)
            if not places:
                del self._flying[number]

    def _recovered(
        self, seen: list[_Seen], packed: dict[CodeGroup, PackedInfos], pausing: bool = True
    ) -> Iterator[tuple[CodeGroup, int, str, Counts]]:
        """Yield the counts that follow from what was *seen*; what that takes of the last group is left in *packed*.

        What that takes is unpacked for as long as it is needed: kept, it would be many times as large as the counters,
        and give the garbage collector much to look at, which holds up the program.
        """
        seen.reverse()
        try:
            while seen:
                one = seen[-1]
                group, index = one.group, one.index
                if pausing:
                    self._pause()
                one.n_tried += 1
                if one.n_tried > _N_TRIED:
                    # No warning: what was raised three times was said, and one line is enough.
                    self.session.not_measured.setdefault(group.file_name, "the counts of some code cannot be recovered")
                    seen.pop()
                    continue
                if group not in packed:
                    packed.clear()
                    packed[group] = group.packed()
                fast_path_info = packed[group].fast_path_info(index)
                try:
                    counts = packed[group].recover(
                        index, fast_path_info, one.fired, list(one.exits.items()), one.in_flight
                    )
                except InstrumentError as error:
                    self.session.refuse(fast_path_info.file_name, fast_path_info.name, error)
                    seen.pop()
                    continue
                seen.pop()
                if counts.lines or counts.entered:
                    yield group, index, fast_path_info.name, counts
        finally:
            self._unread.extend(seen)


class _Seen:
    """What one code object of *group* counted between two readings."""

    __slots__ = ("exits", "fired", "group", "in_flight", "index", "n_tried")

    def __init__(self, group: CodeGroup, index: int) -> None:
        self.n_tried = 0
        self.group = group
        self.index = index
        self.fired: list[int] = []
        self.exits: dict[int, int] = {}
        self.in_flight: dict[int, int] = {}


def _full(n: int) -> array[int]:
    return array("q", [FULL]) * n


def _chunks(groups: list[CodeGroup]) -> Iterator[list[Span]]:
    """Yield the code of *groups* in pieces that can be read at one moment without holding up the program for long."""
    chunk: list[Span] = []
    n = 0
    for group in groups:
        first = 0
        while first < len(group):
            last = first + 1
            while last < len(group) and n + group.starts[last + 1] - group.starts[first] <= _N_READ:
                last += 1
            if chunk and n + group.starts[last] - group.starts[first] > _N_READ:
                yield chunk
                chunk, n = [], 0
                continue
            chunk.append((group, first, last))
            n += group.starts[last] - group.starts[first]
            first = last
    if chunk:
        yield chunk


class Totals:
    """How often each line and each function of each source ran, and when it was first and last seen running."""

    def __init__(self) -> None:
        self.lines: dict[FileKey, Series] = {}
        self.functions: dict[FileKey, Series] = {}

    def add(self, source: FileKey, function: tuple[str, int], counts: Counts, now: float) -> None:
        """Add the *counts* of one code object of *source*, which were read *now*."""
        if counts.lines:
            lines = self.lines.get(source)
            if lines is None:
                lines = self.lines[source] = Series()
            for line, n in counts.lines.items():
                lines.add(line, n, now)
        if counts.entered:
            functions = self.functions.get(source)
            if functions is None:
                functions = self.functions[source] = Series()
            functions.add(function, counts.entered, now)

    def mark_all(self) -> None:
        """Let all count as changed."""
        for kind in (self.lines, self.functions):
            for series in kind.values():
                series.mark_all()


class Series:
    """Totals by line, or by function: plain numbers in arrays, which cost the garbage collector nothing."""

    __slots__ = ("_first", "_last", "_n", "_places", "changed")

    def __init__(self) -> None:
        self._places: dict[object, int] = {}
        self._n: array[int] = array("q")
        self._first: array[float] = array("d")
        self._last: array[float] = array("d")
        #: What has changed since it was last written.
        self.changed: set[object] = set()

    def add(self, key: object, n: int, now: float) -> None:
        """Add *n* to the total of *key*."""
        place = self._places.get(key)
        if place is None:
            self._places[key] = len(self._n)
            self._n.append(n)
            self._first.append(now)
            self._last.append(now)
        else:
            self._n[place] += n
            self._last[place] = now
        self.changed.add(key)

    def mark_all(self) -> None:
        """Let all count as changed."""
        self.changed.update(self._places)

    def totals(self, keys: Iterable[object]) -> dict[object, Total]:
        """Return the totals of *keys*."""
        places, n, first, last = self._places, self._n, self._first, self._last
        return {key: (n[place], first[place], last[place]) for key in keys for place in (places[key],)}

    def counts(self) -> list[tuple[object, int]]:
        """Return the total number of each key."""
        return list(zip(self._places, self._n))
