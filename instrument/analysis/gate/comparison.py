"""Comparison: the growth of the work between two runs, as a whole, of each test, and of each function.

Two RunWorks come in, BASE and HEAD. Growth goes out, and the changes of functions, from which `analysis.gate.causes`
finds the lines that caused it.

All lines are named by their numbers in HEAD. A line that only BASE has gets a negative number, see `gone_line`.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import NamedTuple

from instrument.analysis.gate.pairing import Pairing
from instrument.analysis.gate.work import Work

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Set

    from instrument.analysis.gate.work import FunctionPlace, Lines, RunWork


class Growth(NamedTuple):
    """An amount of work in BASE, and in HEAD."""

    before: int
    after: int

    @property
    def change(self) -> int:
        """The amount in HEAD less that in BASE."""
        return self.after - self.before


def gone_line(line: int) -> int:
    """Return the number that stands for the *line* of BASE, which has no line of HEAD. The function is its own inverse.

    The result is -2 or less, because -1 is the target of arcs that raise.
    """
    return -1 - line


class FunctionChange:
    """The change of one function.

    - `place_before`, `place_after`: the function in BASE, and in HEAD; None if it is not there.
    - `before`, `after`: its Work in BASE and in HEAD, with the lines of HEAD.
    - `new_lines`: the lines of HEAD that have no line of BASE.
    - `changed_lines`: the lines of HEAD whose code is not that of their line of BASE.
    """

    __slots__ = ("after", "before", "changed_lines", "new_lines", "place_after", "place_before")

    def __init__(
        self,
        place_before: FunctionPlace | None,
        place_after: FunctionPlace | None,
        before: Work,
        after: Work,
        new_lines: Collection[int] = (),
        changed_lines: Collection[int] = (),
    ) -> None:
        self.place_before = place_before
        self.place_after = place_after
        self.before = before
        self.after = after
        self.new_lines = frozenset(new_lines)
        self.changed_lines = frozenset(changed_lines)

    @property
    def place(self) -> FunctionPlace:
        """The function in HEAD, or in BASE if HEAD does not have it."""
        place = self.place_after or self.place_before
        assert place is not None
        return place

    def growth(self, unit: str) -> Growth:
        """Return the growth of the work of all lines in *unit*."""
        return Growth(self.before.amount(unit), self.after.amount(unit))

    def line_growth(self, unit: str) -> dict[int, Growth]:
        """Return the growth of each line in *unit*, but for lines whose work is the same."""
        before, after = self.before.by_line(unit), self.after.by_line(unit)
        return {
            line: Growth(before.get(line, 0), after.get(line, 0))
            for line in sorted(before.keys() | after.keys())
            if before.get(line, 0) != after.get(line, 0)
        }


class Comparison:
    """The growth from *before*, the work in BASE, to *after*, the work in HEAD, in *unit*.

    - `total`: the Growth of all work but for the lines that are left out, and `left_out_work`: their work in HEAD.
    - `tests`: the Growth of each test that both runs have.
    - `new_tests`, `gone_tests`: the tests that only HEAD has, and that only BASE has, sorted.
    - `changes`: the FunctionChange of each function whose work or code is not the same, sorted.
    """

    def __init__(
        self,
        before: RunWork,
        after: RunWork,
        unit: str,
        *,
        unstable_before: Lines = MappingProxyType({}),
        unstable_after: Lines = MappingProxyType({}),
        unstable_tests: Collection[str] = (),
    ) -> None:
        """Leave out unstable lines, each in both runs, and unstable tests."""
        self.unit = unit
        self._before, self._after = before, after
        self.pairing = Pairing(before, after)
        self._places_after = {one: other for other, one in self.pairing.functions.items()}
        #: For each function of HEAD, the line of HEAD for each line of BASE that has one. None: all are the same.
        self._lines_after: dict[FunctionPlace, dict[int, int] | None] = {}
        self._left_out_before = {place: {*lines} for place, lines in unstable_before.items()}
        self._left_out_after = {place: {*lines} for place, lines in unstable_after.items()}
        self._leave_out_in_both()
        self.changes = self.changes_between(before.functions, after.functions)
        self.total = Growth(
            _amount(before.functions, unit, self._left_out_before), _amount(after.functions, unit, self._left_out_after)
        )
        self.left_out_work = _amount(after.functions, unit, {}) - self.total.after
        amounts_before = before.amounts_of_tests(unit, self._left_out_before)
        amounts_after = after.amounts_of_tests(unit, self._left_out_after)
        names_before, names_after = amounts_before.keys() - {*unstable_tests}, amounts_after.keys() - {*unstable_tests}
        self.new_tests, self.gone_tests = sorted(names_after - names_before), sorted(names_before - names_after)
        self.tests = {
            name: Growth(amounts_before[name], amounts_after[name]) for name in sorted(names_before & names_after)
        }

    def _leave_out_in_both(self) -> None:
        """Leave out each line whose pair is left out."""
        for place in [*self._left_out_after]:
            earlier = self.pairing.functions.get(place)
            if earlier is not None:
                pairs = self._lines_to_after(place)
                out = self._left_out_after[place]
                self._left_out_before.setdefault(earlier, set()).update(
                    out if pairs is None else (line for line, pair in pairs.items() if pair in out)
                )
        for earlier, out in self._left_out_before.items():
            later = self._places_after.get(earlier)
            if later is not None:
                pairs = self._lines_to_after(later)
                self._left_out_after.setdefault(later, set()).update(
                    out if pairs is None else (pairs[line] for line in out if line in pairs)
                )

    def _lines_to_after(self, place: FunctionPlace) -> dict[int, int] | None:
        """Return the line of HEAD for each line of BASE, in the function *place* of HEAD; None if all are the same."""
        if place not in self._lines_after:
            pairs = self.pairing.lines(place)
            self._lines_after[place] = None if pairs is None else {one: other for other, one in pairs.items()}
        return self._lines_after[place]

    def left_out(self) -> dict[FunctionPlace, list[int]]:
        """Return the lines that are left out, by function: lines of HEAD, and of functions that only BASE has."""
        gone = {place: lines for place, lines in self._left_out_before.items() if place not in self._places_after}
        return {place: sorted(lines) for place, lines in sorted({**gone, **self._left_out_after}.items()) if lines}

    def changes_of_test(self, name: str) -> list[FunctionChange]:
        """Return the changes of the functions that the test *name* runs, sorted; both runs have the test."""
        return self.changes_between(self._before.of_test(name), self._after.of_test(name))

    def changes_between(
        self, before: Mapping[FunctionPlace, Work], after: Mapping[FunctionPlace, Work]
    ) -> list[FunctionChange]:
        """Return the changes of functions from *before*, work of BASE, to *after*, work of HEAD, sorted.

        Functions whose work and code are the same are left out.
        """
        changes = []
        for place, work in after.items():
            earlier = self.pairing.functions.get(place)
            changes.append(self._change(earlier, place, before.get(earlier, Work()) if earlier else Work(), work))
        for earlier, work in before.items():
            later = self._places_after.get(earlier)
            if later is None or later not in after:
                changes.append(self._change(earlier, later, work, Work()))
        changes = [each for each in changes if each.before != each.after or each.changed_lines]
        return sorted(changes, key=lambda each: each.place)

    def _change(
        self, earlier: FunctionPlace | None, later: FunctionPlace | None, before: Work, after: Work
    ) -> FunctionChange:
        if earlier is not None:
            before = _kept(before, self._left_out_before.get(earlier, frozenset()))
        if later is not None:
            after = _kept(after, self._left_out_after.get(later, frozenset()))
        pairs = None if earlier is None or later is None else self._lines_to_after(later)
        if later is None:
            return FunctionChange(earlier, None, _renumbered(before, {}), after)
        if earlier is None:
            return FunctionChange(None, later, before, after, {*after.instructions, *after.executions})
        if pairs is None:
            return FunctionChange(earlier, later, before, after)
        lines = {*after.instructions, *after.executions}
        changed = lines & self.pairing.changed_lines(later, {other: one for one, other in pairs.items()})
        return FunctionChange(earlier, later, _renumbered(before, pairs), after, lines - {*pairs.values()}, changed)


def _amount(functions: Mapping[FunctionPlace, Work], unit: str, left_out: Lines) -> int:
    return sum(work.amount(unit, left_out.get(place, ())) for place, work in functions.items())


def _kept(work: Work, left_out: Set[int]) -> Work:
    """Return *work* without the lines that are *left_out*."""
    if not left_out:
        return work
    return Work(
        work.calls,
        {line: n for line, n in work.instructions.items() if line not in left_out},
        {line: n for line, n in work.executions.items() if line not in left_out},
        {arc: n for arc, n in work.arcs.items() if left_out.isdisjoint(arc)},
    )


def _renumbered(work: Work, lines: Mapping[int, int]) -> Work:
    """Return *work*, of BASE, with the lines of HEAD; *lines* has those of the lines of BASE that have a pair."""

    def number(line: int) -> int:
        return lines.get(line, gone_line(line)) if line > 0 else line

    return Work(
        work.calls,
        {number(line): n for line, n in work.instructions.items()},
        {number(line): n for line, n in work.executions.items()},
        {(number(line), number(target)): n for (line, target), n in work.arcs.items()},
    )
