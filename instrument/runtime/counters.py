"""Counters as C-level iterators: make them, link them into code, read them.

A counter is `itertools.repeat(None, sys.maxsize)`; what is left of it says how often it was moved on. Moving on and
reading are single C calls, so with the interpreter's lock no count is lost between threads and a snapshot of all
counters is atomic.

`Unlinked` code comes in, a `Live` code object with its counters goes out. Linking is needed because code that holds a
live iterator cannot be marshalled: what is stored has placeholders.
"""

from __future__ import annotations

import sys
from _bisect import bisect_right
from collections import defaultdict
from functools import partial
from itertools import repeat

from instrument.flow.conservation import Observation
from instrument.flow.lines import INLINED_CALL_LOSES_LINE
from instrument.flow.placement import Plan
from instrument.rewrite.probes import UNITS_TO_KEYS, TracebackOf, WasInlined
from instrument.rewrite.rewriter import Unlinked

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from types import CodeType


FULL = sys.maxsize
make_counter = partial(repeat, None, FULL)
_left_of = repeat.__length_hint__
_traceback_of = TracebackOf()


#: The original of every code object that was made live, by identity, in whatever session.
pristine: dict[int, CodeType] = {}


class ExitRecords(defaultdict):  # type: ignore[type-arg]
    """Counters of exceptional exits by place, each made when it is first needed.

    Code objects are hashed with their constants, so these are hashable, by identity.
    """

    __slots__ = ()
    __hash__ = object.__hash__  # type: ignore[assignment]
    __eq__ = object.__eq__
    __ne__ = object.__ne__


class Live:
    """A code object that counts: *code*, rewritten from *original* by *plan*, with its counters in place.

    *file* is the `__file__` of the module that it runs in, or None. Its counters are those of the session from *first*
    to *last*, or *counters* of its own.
    """

    __slots__ = (
        *("_plan", "_units", "code", "counters", "exits", "file", "first", "last", "n_instructions", "original"),
        "places",
    )

    def __init__(self, original: CodeType, unlinked: Unlinked, file: str | None) -> None:
        self.original = original
        self._plan = unlinked.plan
        self._units = unlinked.units
        self.n_instructions = unlinked.n_instructions
        self.places = unlinked.instructions
        self.file = file
        self.code = original
        self.exits: list[ExitRecords] = []
        self.first = self.last = 0
        self.counters: list[repeat[None]] = []

    @property
    def plan(self) -> Plan:
        """The Plan that the code was rewritten by."""
        return Plan.unpack(self._plan)

    def link(
        self,
        unlinked: Unlinked,
        constants: tuple[object, ...],
        probes: Iterable[object],
        exits: Iterable[object],
        prepare: object,
    ) -> None:
        """Make `code` live: *constants* are its own, *probes*, *exits* and *prepare* what stands in for the
        placeholders.
        """
        self.code = unlinked.code.replace(
            co_consts=(*constants, *probes, *exits, _traceback_of, *map(WasInlined, unlinked.inlinable), prepare)
        )

    def place_at(self, unit: int) -> tuple[int, bool]:
        """Return the place of code unit *unit* in terms of the Plan: instruction, and whether its line is lost on
        *unit*.
        """
        units = self._units
        number = bisect_right(units, unit) - 1
        if number < 0:
            return 0, False
        n = self.n_instructions
        return number if number < n else self.places[number - n], INLINED_CALL_LOSES_LINE and unit != units[number]

    def observe(
        self,
        counters: Sequence[int],
        exits: Sequence[dict[int, int]],
        in_flight: dict[int, int],
    ) -> Observation:
        """Return what was seen of this code, with keys and code units turned into places."""
        place_at = self.place_at
        by_place = []
        for record in exits:
            places: dict[tuple[int, bool], int] = {}
            for key, count in record.items():
                place = place_at(key // UNITS_TO_KEYS)
                places[place] = places.get(place, 0) + count
            by_place.append(places)
        flying: dict[tuple[int, bool], int] = {}
        for unit, count in in_flight.items():
            place = place_at(unit)
            flying[place] = flying.get(place, 0) + count
        return Observation(counters, by_place, flying, self.n_instructions)


def read(counters: Sequence[repeat[None]]) -> list[int]:
    """Return what is left of each of *counters*: a snapshot, atomic under the interpreter's lock."""
    return list(map(_left_of, counters))


def counts_of(records: ExitRecords) -> dict[int, int]:
    """Return how often each exit of *records* was taken."""
    return {key: FULL - _left_of(counter) for key, counter in list(records.items())}
