"""Finds the causes of growth: the lines at which control went another way than before, or ran new code.

The changes of functions between two runs come in (`analysis.gate.comparison`). Causes go out, the one that explains the
most growth first.

If a loop turns more often, all lines in it grow, and so do all functions that they call. So each line that grew is
traced back along the arcs that grew. The way ends at a loop or branch that takes another way than before. It also
ends at a new line, and at the start of the function. If the function is called more often, the search goes on at the
line that calls it. No counts say who calls whom. So this line is recognised by the name of the function in its text,
or by the exact number of additional calls.
"""

from __future__ import annotations

from typing import NamedTuple

from instrument.analysis.gate.callers import Callers
from instrument.analysis.gate.comparison import Growth
from instrument.analysis.gate.line_causes import CALLS, START, LineCause, LineCauses
from instrument.analysis.gate.work import FunctionPlace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from instrument.analysis.gate.comparison import FunctionChange


class GrownLine(NamedTuple):
    """A line that grew: its function, the line, its own growth, and that growth with all functions that it called."""

    place: FunctionPlace
    line: int
    growth: Growth
    inclusive: int


class Cause:
    """A cause of growth.

    - `place`, `line`: where it is.
    - `kind`: one of the kinds of `line_causes`.
    - `target`: for a loop or branch, the line to which control went more often.
    - `counts`: how often control took that way, or ran the line, or called the function.
    - `growth`: how much work it explains.
    - `lines`: the lines whose growth it explains: those of its own function first, from most to least.
    """

    __slots__ = ("counts", "growth", "kind", "line", "lines", "place", "target")

    def __init__(self, place: FunctionPlace, found: LineCause) -> None:
        self.place = place
        self.line = found.line
        self.kind = found.kind
        self.target = found.target
        self.counts = found.counts
        self.growth = 0
        self.lines: list[GrownLine] = []


def causes_of(
    changes: Sequence[FunctionChange], unit: str, text_of: Callable[[FunctionPlace, int], str]
) -> list[Cause]:
    """Return the causes of the growth in *changes*, from most to least.

    *text_of* returns the source text of a line of HEAD, an empty text if it is not known.
    """
    return _Search(changes, unit, text_of).causes()


class _Search:
    def __init__(
        self, changes: Sequence[FunctionChange], unit: str, text_of: Callable[[FunctionPlace, int], str]
    ) -> None:
        self._unit = unit
        self._functions = {change.place: LineCauses(change) for change in changes}
        self._callers = Callers(self._functions, text_of)
        self._grown = {
            place: {line: growth for line, growth in function.change.line_growth(unit).items() if growth.change > 0}
            for place, function in self._functions.items()
        }
        #: The growth of the functions that a line calls more often, and all that these call.
        self._called: dict[tuple[FunctionPlace, int], int] = {}

    def causes(self) -> list[Cause]:
        """Return the causes from most to least."""
        causes: dict[tuple[FunctionPlace, LineCause], Cause] = {}
        explained: dict[tuple[FunctionPlace, LineCause], list[tuple[FunctionPlace, int]]] = {}
        for place, grown in self._grown.items():
            for line, growth in grown.items():
                key, call_lines = self._origin(place, line)
                cause = causes.setdefault(key, Cause(*key))
                cause.growth += growth.change
                explained.setdefault(key, []).append((place, line))
                for call_line in call_lines:
                    self._called[call_line] = self._called.get(call_line, 0) + growth.change
                    if call_line not in explained[key]:
                        explained[key].append(call_line)
        for key, cause in causes.items():
            lines = {place_and_line: self._grown_line(*place_and_line) for place_and_line in explained[key]}
            cause.lines = sorted(
                lines.values(),
                key=lambda each: (each.place != cause.place, -each.inclusive, each.place, each.line),
            )
        return sorted(causes.values(), key=lambda cause: (-cause.growth, cause.place, cause.line, cause.kind))

    def _grown_line(self, place: FunctionPlace, line: int) -> GrownLine:
        change = self._functions[place].change
        growth = Growth(change.before.by_line(self._unit).get(line, 0), change.after.by_line(self._unit).get(line, 0))
        return GrownLine(place, line, growth, growth.change + self._called.get((place, line), 0))

    def _origin(
        self, place: FunctionPlace, line: int
    ) -> tuple[tuple[FunctionPlace, LineCause], list[tuple[FunctionPlace, int]]]:
        """Return function and LineCause of the cause of the growth of *line*, and the lines that call on the way."""
        found = self._functions[place].cause_of(line)
        call_lines: list[tuple[FunctionPlace, int]] = []
        visited = {place}
        while found.kind == START:
            call = self._callers.line_that_calls(place, visited)
            if call is None:
                function = self._functions[place].change
                calls = Growth(function.before.calls, function.after.calls)
                return (place, LineCause(CALLS, place.line, 0, calls)), call_lines
            call_lines.append(call)
            place, line = call
            visited.add(place)
            found = self._functions[place].cause_of(line)
        return (place, found), call_lines
