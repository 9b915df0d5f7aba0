"""Windows: the counts between two snapshots of a session.

Counters only ever grow, so a measurement is the difference between two snapshots. Nested and concurrent windows each
get their own counts.
"""

from __future__ import annotations

from instrument.link.code_group import group_of
from instrument.link.counters import FULL, read_counters
from instrument.link.exit_records import exit_counts
from instrument.model.counts import Counts
from instrument.session.deltas import Span, SpanDelta, recovered
from instrument.session.snapshot import Snapshot, take_snapshot

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import TypeAlias

    from instrument.link.code_group import CodeGroup
    from instrument.session.session import Session

    #: The `__file__` of the module, or None; the name of the source file; counts of code from there.
    FileCounts: TypeAlias = tuple[str | None, str, Counts]

#: The counts of so many retired groups are kept one by one; those of more are added up by file.
_MOST_BANKED = 512


class Window:
    """The counts of *session* from the opening of this window on."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._last = self._at_opening = take_snapshot(session)
        #: Counts of retired groups, by number.
        self._banked: dict[int, list[FileCounts]] = {}
        session.readers.append(self)

    def close(self) -> None:
        """Stop counting. Counts until now can still be taken."""
        self._session.readers.remove(self)

    def take(self) -> Iterator[FileCounts]:
        """Yield the counts since the opening, or since the last `take`: for each code object, or added up by file.

        A handler of a signal may call this in the middle of retiring. The groups that are being retired are then left
        for the next `take`.
        """
        session, retirement = self._session, self._session.retirement
        retirement.begin_reading()
        try:
            while True:
                before = self._last
                now = take_snapshot(session)
                excluded = retirement.retiring if retirement.is_retiring() else {}
                if excluded:
                    now.exclude_groups(excluded, before)
                if self._last is before:  # else another thread has called `take`
                    self._last = now
                    break
            banked: dict[int, list[FileCounts]] = {}
            if not excluded:
                banked, self._banked = self._banked, {}
            for counted in banked.values():
                yield from counted
            groups = list(session.groups.values())
            yield from self._counts_between(
                before, now, [group for group in groups if group.number not in banked and group.number not in excluded]
            )
        finally:
            retirement.end_reading()

    def bank_counts(self, groups: list[CodeGroup]) -> None:
        """Keep the counts of *groups*, which are about to be retired.

        If an exception interrupts this, the next call with the same groups replaces the counts.
        """
        exits: dict[int, dict[int, int]] = {group.number: {} for group in groups}
        for key, n in exit_counts(self._session.records).items():
            if group_of(key) in exits:
                exits[group_of(key)][key] = n
        for group in groups:
            now = Snapshot([], {group.number: read_counters(group.counters)}, exits[group.number], {})
            self._banked[group.number] = list(self._counts_between(self._last, now, [group]))
        if len(self._banked) - len(groups) > _MOST_BANKED:
            sums: dict[tuple[str | None, str], Counts] = {}
            for number, counted in self._banked.items():
                for file, name, counts in counted if number not in exits else ():
                    sums[file, name] = sums.get((file, name), Counts()) + counts
            merged = [(*source, counts) for source, counts in sums.items()]
            self._banked = {0: merged, **{group.number: self._banked[group.number] for group in groups}}

    def entered_files(self, name: str) -> Iterator[str]:
        """Yield the `__file__` of each module with the bare name *name* whose code ran since the opening."""
        session, opening = self._session, self._at_opening
        groups = session.groups_named(name)
        exits = exit_counts(session.records) if groups else {}
        raised = {group_of(key) for key, n in exits.items() if n != opening.exits.get(key, 0)}
        for group in groups:
            if group.file:
                counters = group.counters or session.counters[group.first : group.first + group.starts[-1]]
                remaining = read_counters(counters)
                has_counted = remaining != opening.remaining_of(group) and any(n != FULL for n in remaining)
                if has_counted or group.number in raised:
                    yield group.file

    def _counts_between(self, before: Snapshot, now: Snapshot, groups: Iterable[CodeGroup]) -> Iterator[FileCounts]:
        """Yield the counts of *groups* between two snapshots, for each code object that ran."""
        exits: dict[int, list[tuple[int, int]]] = {}
        for key, n in now.exits.items():
            n -= before.exits.get(key, 0)
            if n:
                exits.setdefault(group_of(key), []).append((key, n))
        in_flight: dict[int, list[tuple[tuple[int, int], int]]] = {}
        for place in now.in_flight.keys() | before.in_flight.keys():
            n = now.in_flight.get(place, 0) - before.in_flight.get(place, 0)
            if n:
                in_flight.setdefault(group_of(place[0]), []).append((place, n))
        for group in groups:
            number, remaining, was = group.number, now.remaining_of(group), before.remaining_of(group)
            if remaining == was and number not in exits and number not in in_flight:
                continue
            packed = group.packed()
            span = Span(group, 0, len(group))
            span_delta = SpanDelta(span, was, remaining, exits.get(number, ()), in_flight.get(number, ()))
            for delta in span_delta.split():
                counted = recovered(delta, packed, self._session)
                if counted is not None:
                    yield group.file, counted.file_name, counted.counts
