"""Finds tests that ran with several sizes, and the counts of their functions at each size.

Node ids come in, such as "test_shop.py::test_sort[16-list]": a number in the brackets may be a size. A stored
measurement comes in. Counts by size go out, for each function and in all.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import NamedTuple

from instrument.analysis.contexts.names import context_of
from instrument.analysis.gate.work import FunctionPlace
from instrument.analysis.growth.fit import FEWEST_SIZES, growth_of
from instrument.analysis.growth.units import INSTRUCTIONS, work_in
from instrument.analysis.local_paths import local_paths
from instrument.errors import ConservationError, DataError
from instrument.flow.derived.owners import owner_of
from instrument.model.flow_counts import FlowCounts

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from instrument.analysis.growth.fit import Growth
    from instrument.data.contexts.reading import Pattern
    from instrument.data.query import StoredMeasurement
    from instrument.plans.group_plans import GroupPlans

_NUMBER = re.compile(r"([0-9][0-9_]*(?:\.[0-9]+)?)")
_SIZE = "N"
#: So many names are in a message at most.
_MOST_NAMED = 5


class SizedTest(NamedTuple):
    """A test that ran with several sizes: its name, with N for the size, and the node id for each size, ascending."""

    name: str
    node_ids: dict[int, str]


def sized_tests(node_ids: Iterable[str], parameter: int | None = None) -> list[SizedTest]:
    """Return the tests among *node_ids* that ran with at least three sizes, sorted by name.

    The size is the number in the brackets that differs between tests whose names are equal otherwise. If several
    numbers differ, it is the number *parameter*, from 1 on. Raise DataError if no *parameter* is given then.
    """
    shapes: dict[tuple[str, ...], list[list[str]]] = {}
    for node_id in node_ids:
        start = node_id.find("[", node_id.find("::") + 1)
        if start >= 0 and node_id.endswith("]"):
            parts = _NUMBER.split(node_id[start:])
            shapes.setdefault((node_id[:start], *parts[::2]), []).append(parts[1::2])
    found = []
    for (name, *texts), rows in shapes.items():
        column = _column_of_sizes(name, rows, parameter)
        if column is None:
            continue
        by_others: dict[tuple[str, ...], dict[int, str]] = {}
        for numbers in rows:
            text = numbers[column].replace("_", "")
            if text.isdecimal() and int(text):
                others = (*numbers[:column], _SIZE, *numbers[column + 1 :])
                by_others.setdefault(others, {})[int(text)] = _joined(name, texts, numbers)
        found += [
            SizedTest(_joined(name, texts, others), dict(sorted(tests.items())))
            for others, tests in by_others.items()
            if len(tests) >= FEWEST_SIZES
        ]
    return sorted(found)


def _column_of_sizes(name: str, rows: list[list[str]], parameter: int | None) -> int | None:
    """Return which number of each row, from 0 on, is the size of the test *name*; None if no number differs."""
    differing = [column for column in range(len(rows[0])) if len({row[column] for row in rows}) > 1]
    if parameter is not None:
        return parameter - 1 if parameter - 1 in differing else None
    if len(differing) > 1:
        values = [", ".join(sorted({row[each] for row in rows}, key=float)[:_MOST_NAMED]) for each in differing]
        choices = "; ".join(f"--parameter {each + 1} for {text}" for each, text in zip(differing, values))
        raise DataError(f"several numbers of {name} may be the size; name one: {choices}")
    return differing[0] if differing else None


def _joined(name: str, texts: Iterable[str], numbers: Iterable[str]) -> str:
    """Return the node id that *name* begins, and *texts* continue, with *numbers* between them."""
    parts = list(texts)
    return name + parts[0] + "".join(number + text for number, text in zip(numbers, parts[1:], strict=True))


class GrowthsOfTest(NamedTuple):
    """How the work of *test* grows: in all, and by function, the function with the most work at the last size first."""

    test: SizedTest
    total: Growth
    functions: dict[FunctionPlace, Growth]


class SizedWork:
    """The work of tests in *stored* that *phase* of them did, in *unit*; `reasons` says why some is not known.

    *tests* are node ids.
    """

    def __init__(self, stored: StoredMeasurement, tests: Iterable[str], phase: str, unit: str) -> None:
        self._contexts = stored.contexts()
        self._unit = unit
        wanted = {*tests}
        self._patterns: dict[str, Counter[int]] = {}
        for name, numbers in self._contexts.all_numbers():
            context = context_of(name)
            if context.name in wanted and context.phase == phase:
                self._patterns[context.name] = Counter(numbers)
        self._contradictions: dict[str, str] = {}
        #: Function and work of each pattern.
        self._work: dict[int, tuple[FunctionPlace, int]] = {}
        self._read(stored)

    @property
    def reasons(self) -> list[str]:
        """Why some work is not known."""
        return [*self._contexts.reasons.values(), *self._contradictions.values()]

    def _read(self, stored: StoredMeasurement) -> None:
        used = {number for patterns in self._patterns.values() for number in patterns}
        keys = stored.files()
        local = local_paths(keys)
        for key in keys:
            path = local.get(key, key[0])
            owners: dict[int, dict[int, tuple[FunctionPlace, bool]]] = {}
            for pattern in stored.patterns(self._contexts, key):
                if pattern.number not in used:
                    continue
                try:
                    if id(pattern.plans) not in owners:
                        owners[id(pattern.plans)] = _owners(path, pattern.plans)
                    place, is_function = owners[id(pattern.plans)][pattern.code]
                    self._work[pattern.number] = place, self._work_of(pattern, is_function)
                except (ConservationError, DataError) as error:
                    self._contradictions[path] = f"{path}: {error}"

    def _work_of(self, pattern: Pattern, is_function: bool) -> int:
        plans, code, counts = pattern.plans, pattern.code, pattern.counts
        if self._unit == INSTRUCTIONS:
            return sum(plans.instructions_of_code(code, counts).values())
        flow = FlowCounts()
        plans.add_flow_of_code(flow, code, counts)
        return work_in(self._unit, flow, is_function=is_function)

    def growths(self, test: SizedTest) -> GrowthsOfTest:
        """Return how the work of *test* grows, by function and in all."""
        by_function: dict[FunctionPlace, dict[int, int]] = {}
        whole = dict.fromkeys(test.node_ids, 0)
        for size, node_id in test.node_ids.items():
            for number, times in self._patterns.get(node_id, {}).items():
                if number in self._work:
                    place, work = self._work[number]
                    counts = by_function.setdefault(place, dict.fromkeys(test.node_ids, 0))
                    counts[size] += times * work
                    whole[size] += times * work
        last = max(test.node_ids)
        order = sorted(by_function, key=lambda place: (-by_function[place][last], place))
        fits: dict[tuple[int, ...], Growth] = {}
        growths = {place: _growth_of(by_function[place], fits) for place in order if any(by_function[place].values())}
        return GrowthsOfTest(test, growth_of(whole), growths)


def _growth_of(counts: dict[int, int], fits: dict[tuple[int, ...], Growth]) -> Growth:
    """Return the Growth of *counts*; *fits* keeps it for functions with equal counts."""
    key = (*counts.values(),)
    if key not in fits:
        fits[key] = growth_of(counts)
    return fits[key]


def _owners(path: str, plans: GroupPlans) -> dict[int, tuple[FunctionPlace, bool]]:
    """Return the function that each code object of *plans* is part of, and whether the code object is the function."""
    functions = {code: (name, line) for code, name, line in plans.functions()}
    names = {*functions.values()}
    found = {}
    for code, function in functions.items():
        owner = owner_of(function, names)
        found[code] = FunctionPlace(path, *owner), owner == function
    return found


def node_ids_named(text: str, contexts: Iterable[str]) -> Iterator[str]:
    """Yield the node ids among *contexts* of the tests that *text* names, in whole or in part, without parameters."""
    for node_id in dict.fromkeys(each.name for each in map(context_of, contexts) if each.is_test):
        start = node_id.find("[", node_id.find("::") + 1)
        if text in (node_id if start < 0 else node_id[:start]):
            yield node_id
