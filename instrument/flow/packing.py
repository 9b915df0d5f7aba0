"""Packs the Plans of the code objects of a module into few bytes, and unpacks one Plan at a time.

Most data that recovery may need is never read. But all of it is stored, in the cache and in the memory of the running
program. It consists of numbers of instructions, blocks and lines, each close to the one before it. So the differences
are stored, and most take one byte.

Problem: code objects are small. To pack each of them by itself takes dozens of short calls, and as many short values.
Solution: a table holds the rows of all code objects of a module. It is packed column by column, each in a few calls. It
also has the number of rows of each code object, so that its rows can be cut out.
[3.12, 20 modules of the standard library: 4.7 microseconds a line by code object, 1.7 by table; compressed: 400 kB by
code object, 285 kB by table]
"""

from __future__ import annotations

from _operator import attrgetter, itemgetter, sub
from itertools import accumulate, chain, islice, takewhile

from instrument.flow.plan import ExitKind, LineEffects, Plan, Probe, ProbePosition

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence
    from typing import Any

    #: The packed number of rows of each code object, then each packed column; None for a table without rows.
    PackedTable = tuple[bytes, ...] | None

# A packed column begins with a letter of `struct`. A small letter says that the differences of the numbers follow, each
# from the number above; a capital letter says that the numbers themselves follow. The formats are "b", "h", "i" and "q"
# for differences, "B", "h", "i" and "q" for numbers.


def pack_table(
    owned_rows: Iterable[Sequence[tuple[int, ...]]], n_columns: int = 2, are_close: bool = True
) -> PackedTable:
    """Return the table of *owned_rows*, for each code object its rows of *n_columns* numbers, packed.

    *are_close* says whether the numbers of a column are close to those above, so that differences are smaller. Raise
    `struct.error` if a number, or a difference of two, does not fit in 64 bits.
    """
    owned_rows = [*owned_rows]
    rows = [*chain.from_iterable(owned_rows)]
    # `zip(*rows)` would make an iterator for each row, which the garbage collector traverses.
    columns = [[*map(itemgetter(place), rows)] for place in range(n_columns)]
    return pack_columns(map(len, owned_rows), *(columns if are_close else map(as_they_are, columns)))


def pack_lists(owned_numbers: Iterable[Collection[int]], are_close: bool = True) -> PackedTable:
    """Return the table of one column that has *owned_numbers*, those of each code object, packed: see `pack_table`."""
    owned_numbers = [*owned_numbers]
    numbers = [*chain.from_iterable(owned_numbers)]
    return pack_columns(map(len, owned_numbers), numbers if are_close else as_they_are(numbers))


def pack_columns(n_rows: Iterable[int], *columns: Sequence[int] | bytes) -> PackedTable:
    """Return the table with these *columns* packed, of which *n_rows* belong to each code object: see `pack_table`.

    A column that was packed by `as_they_are` is not packed again.
    """
    n_rows = [*n_rows]
    starts = [*accumulate(n_rows, initial=0)]
    if not starts[-1]:
        return None
    return as_they_are(n_rows), *[
        column if isinstance(column, bytes) else _differences(column, starts) for column in columns
    ]


def as_they_are(numbers: Sequence[int]) -> bytes:
    """Return *numbers* packed without differences: these would not be smaller."""
    if not numbers or (min(numbers) >= 0 and max(numbers) <= 255):
        return b"B" + bytes(numbers)
    packed = _packed("hi", numbers)
    return packed[:1].upper() + packed[1:]


def _differences(numbers: Sequence[int], starts: Iterable[int]) -> bytes:
    """Return the differences between *numbers* packed; at each of *starts*, the number itself."""
    above = [0, *numbers]
    for start in starts:
        above[start] = 0
    return _packed("bhi", [*map(sub, numbers, above)])


def _packed(letters: str, numbers: Sequence[int]) -> bytes:
    """Return the first of *letters* whose format fits *numbers*, or "q", and these numbers packed.

    No format is tried that does not fit: on 3.12 a trace function of the program would be called for the exception.
    """
    low, high = min(numbers, default=0), max(numbers, default=0)
    for letter in letters:
        if low >= -_LIMITS[letter] and high < _LIMITS[letter]:
            break
    else:
        letter = "q"
    from _struct import pack

    packed: bytes = pack(f"=c{len(numbers)}{letter}", letter.encode(), *numbers)
    return packed


class Table:
    """A table of *n_columns*, unpacked for one code object at a time. *packed* is the result of `pack_table`."""

    __slots__ = ("_columns", "_starts")

    def __init__(self, packed: PackedTable, n_columns: int = 1) -> None:
        #: The row at which each code object begins; None if there are no rows.
        self._starts: list[int] | None = None
        #: Each column: the numbers, or the differences and True.
        self._columns: list[tuple[Any, bool]] = [((), False)] * n_columns
        if packed is not None:
            (n_rows, _), *self._columns = map(_unpacked, packed)
            self._starts = [*accumulate(n_rows, initial=0)]

    def columns(self, number: int) -> list[Sequence[int]]:
        """Return the columns of the rows of the code object *number*."""
        if self._starts is None:
            return [[] for _ in self._columns]
        first, last = self._starts[number], self._starts[number + 1]
        return [
            [*accumulate(numbers[first:last])] if are_differences else numbers[first:last]
            for numbers, are_differences in self._columns
        ]

    def numbers(self, number: int) -> Sequence[int]:
        """Return the numbers of the code object *number*, in a table of one column."""
        return self.columns(number)[0]


def _unpacked(packed: bytes) -> tuple[Sequence[int], bool]:
    """Return the numbers of the column *packed*, or its differences and True."""
    letter = chr(packed[0])
    if letter == "B":
        return packed[1:], False
    return memoryview(packed)[1:].cast(letter.lower()), letter.islower()  # type: ignore[call-overload]


# Plans ################################################################################################################

#: The absolute value of the lowest number that each format of `struct` holds.
_LIMITS = {"b": 1 << 7, "h": 1 << 15, "i": 1 << 31}
#: The tables that hold the fields of Plans, each with its number of columns.
_TABLES = {
    "probes": 4,
    "exiting": 2,
    "exits": 2,
    "entries": 3,
    "sources_of_entries": 1,
    "outside_block": 1,
    "resumed": 1,
    "blocks": 2,
    "edges": 4,
    "lines_of_edges": 1,
    "events": 2,
    "settling_order": 2,
}
#: Fields that are empty for nearly all code, with the empty value. They are packed as they are, unless they are empty.
_RARE: dict[str, object] = {
    "inlinable": (),
    "eventless_sources": {},
    "raised_again": {},
    "raise_reported_at": {},
    "exec_calls": (),
}
_values_of_rare = attrgetter(*_RARE)
#: Stands for None in a column. No line and no number of an edge is negative.
_NONE = -1


def pack_plans(plans: Sequence[Plan]) -> tuple[object, ...]:
    """Return *plans*, all with one placement, as plain values for PackedPlans.

    `stubs` and `line_effects` are left out.
    """
    tables = {
        **_tables_of_probes(plans),
        **_tables_of_exits(plans),
        **_tables_of_edges(plans),
        "blocks": pack_table([plan.blocks for plan in plans]),
        "events": pack_table([plan.events for plan in plans]),
        "settling_order": pack_table([plan.settling_order for plan in plans], are_close=False),
    }
    return plans[0].placement if plans else "", _rare_fields(plans), *[tables[name] for name in _TABLES]


def _tables_of_probes(plans: Sequence[Plan]) -> dict[str, PackedTable]:
    number_of = {position: number for number, position in enumerate(ProbePosition.ALL)}
    probes = [probe for plan in plans for probe in plan.probes]
    return {
        "probes": pack_columns(
            [len(plan.probes) for plan in plans],
            as_they_are([number_of[probe.position] for probe in probes]),
            as_they_are([probe.index for probe in probes]),
            as_they_are([probe.rollback_at for probe in probes]),
            [each if type(each) is int else _NONE for plan in plans for each in plan.measured_by_probe],
        ),
        "exiting": pack_table([plan.exiting for plan in plans], are_close=False),
    }


def _tables_of_exits(plans: Sequence[Plan]) -> dict[str, PackedTable]:
    exits = [each for plan in plans for each in plan.exits]
    entries = [each for plan in plans for each in plan.entries]
    n_sources = [len(sources) for _, _, sources in entries]
    n_entries = [len(plan.entries) for plan in plans]
    return {
        "exits": pack_columns(
            [len(plan.exits) for plan in plans],
            [entry for entry, _ in exits],
            as_they_are([kind == ExitKind.RESTORED for _, kind in exits]),
        ),
        "entries": pack_columns(
            n_entries,
            [block for block, _, _ in entries],
            [_NONE if line is None else line for _, line, _ in entries],
            as_they_are(n_sources),
        ),
        "sources_of_entries": pack_columns(
            _sums(n_sources, n_entries), [source for _, _, sources in entries for source in sorted(sources)]
        ),
        "outside_block": pack_lists([sorted(plan.outside_block) for plan in plans]),
        "resumed": pack_lists([sorted(plan.resumed) for plan in plans]),
    }


def _tables_of_edges(plans: Sequence[Plan]) -> dict[str, PackedTable]:
    edges = [*chain.from_iterable([plan.edges for plan in plans])]
    sources, targets, lines, are_entries = ([*map(itemgetter(place), edges)] for place in range(4))
    n_lines = [*map(len, lines)]
    n_edges = [len(plan.edges) for plan in plans]
    return {
        "edges": pack_columns(n_edges, *map(as_they_are, (sources, targets, n_lines, are_entries))),
        "lines_of_edges": pack_columns(_sums(n_lines, n_edges), [*chain.from_iterable(lines)]),
    }


def _sums(numbers: Iterable[int], n_rows: Iterable[int]) -> list[int]:
    """Return the sum of *numbers* of each code object, which has *n_rows* of them."""
    sums = [*accumulate(numbers, initial=0)]
    ends = [sums[end] for end in accumulate(n_rows)]
    return [*map(sub, ends, [0, *ends])]


def _rare_fields(plans: Sequence[Plan]) -> dict[int, dict[str, object]]:
    """Return the fields that are packed as they are: for each number of a Plan that has some, by name."""
    rare: dict[int, dict[str, object]] = {}
    for number, values in enumerate(map(_values_of_rare, plans)):
        if any(values):
            rare[number] = {name: value for name, value in zip(_RARE, values) if value}
    for number, plan in enumerate(plans):
        if tuple in map(type, plan.measured_by_probe):
            rare.setdefault(number, {})["measured_by_probe"] = plan.measured_by_probe
    return rare


class PackedPlans:
    """The Plans that `pack_plans` has *packed*: `plan` unpacks one of them."""

    __slots__ = ("_placement", "_rare", "_tables")

    def __init__(self, packed: tuple[Any, ...]) -> None:
        self._placement, self._rare, *tables = packed
        self._tables = [Table(table, n_columns) for table, n_columns in zip(tables, _TABLES.values(), strict=True)]

    def plan(self, number: int) -> Plan:
        """Return the Plan *number*."""
        columns = dict(zip(_TABLES, [table.columns(number) for table in self._tables]))
        positions, kinds = ProbePosition.ALL, (ExitKind.RAISED, ExitKind.RESTORED)
        probe_positions, indices, rollbacks, measures = columns["probes"]
        sources = iter(columns["sources_of_entries"][0])
        lines = iter(columns["lines_of_edges"][0])
        fields = {
            "placement": self._placement,
            "probes": [
                Probe(positions[position], index, at)
                for position, index, at in zip(probe_positions, indices, rollbacks)
            ],
            "measured_by_probe": [None if measure == _NONE else measure for measure in measures],
            "exiting": [*zip(*columns["exiting"])],
            "stubs": {},
            "line_effects": None,
            "exits": [(entry, kinds[is_restored]) for entry, is_restored in zip(*columns["exits"])],
            "entries": [
                (block, None if line == _NONE else line, frozenset(islice(sources, n)))
                for block, line, n in zip(*columns["entries"])
            ],
            "outside_block": frozenset(columns["outside_block"][0]),
            "resumed": frozenset(columns["resumed"][0]),
            "blocks": [*zip(*columns["blocks"])],
            "edges": [
                (source, target, tuple(islice(lines, n)), bool(is_entry))
                for source, target, n, is_entry in zip(*columns["edges"])
            ],
            "events": [*zip(*columns["events"])],
            "settling_order": [*zip(*columns["settling_order"])],
            **_RARE,
            **self._rare.get(number, {}),
        }
        return Plan(**fields)


# LineEffects ##########################################################################################################


def pack_line_effects(plans: Sequence[Plan]) -> tuple[PackedTable, ...]:
    """Return the `line_effects` of *plans* as plain values for PackedLineEffects."""
    # Behind the EXITING probes, which have no effects, there are only the few INLINED probes.
    known = [[*takewhile(bool, plan.line_effects or ())] for plan in plans]
    effects: list[Any] = [*chain.from_iterable(known)]
    lines_and_times = [*chain.from_iterable([effect[1:] for effect in effects])]
    n_effects = [*map(len, known)]
    n_lines = [len(effect) >> 1 for effect in effects]
    return (
        pack_columns(n_effects, as_they_are(n_lines), as_they_are([effect[0] for effect in effects])),
        pack_columns(_sums(n_lines, n_effects), lines_and_times[0::2], as_they_are(lines_and_times[1::2])),
    )


class PackedLineEffects:
    """The LineEffects that `pack_line_effects` has *packed*: `effects` unpacks those of one Plan."""

    __slots__ = ("_lines", "_probes")

    def __init__(self, packed: tuple[PackedTable, ...]) -> None:
        probes, lines = packed
        self._probes = Table(probes, n_columns=2)
        self._lines = Table(lines, n_columns=2)

    def effects(self, number: int) -> LineEffects:
        """Return the LineEffects of the Plan *number*."""
        return LineEffects(*self._probes.columns(number), *self._lines.columns(number))
