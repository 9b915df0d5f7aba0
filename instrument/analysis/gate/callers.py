"""Callers: finds the line that calls a function more often than before.

The LineCauses of functions come in, and the texts of their lines. No counts say who calls whom. A line is recognised by
the name of the function in its text. If no text fits, exact counts help: the line ran as many more times as the
function was called more.
"""

from __future__ import annotations

import re

from instrument.analysis.gate.line_causes import START

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping
    from typing import TypeAlias

    from instrument.analysis.gate.line_causes import LineCauses
    from instrument.analysis.gate.work import FunctionPlace

    _CallLine: TypeAlias = tuple[FunctionPlace, int]

_WORDS = re.compile(r"\w+")
#: A call of the class runs these.
_OF_CLASSES = ("__init__", "__new__", "__post_init__")
#: Fewer additional calls are no evidence: many lines run one more time.
_FEWEST_CALLS = 3


class Callers:
    """The lines of *functions* that grew or changed, by the words in their text; *text_of* returns that of a line."""

    def __init__(
        self,
        functions: Mapping[FunctionPlace, LineCauses],
        text_of: Callable[[FunctionPlace, int], str],
    ) -> None:
        self._functions = functions
        #: The lines with each word in their text, and the lines that ran one number of times more.
        self._by_word: dict[str, list[_CallLine]] = {}
        self._by_growth: dict[int, list[_CallLine]] = {}
        self._found: dict[FunctionPlace, list[_CallLine]] = {}
        for place, line in self._lines():
            for word in {*_WORDS.findall(text_of(place, line))}:
                self._by_word.setdefault(word, []).append((place, line))
            growth = functions[place].executions(line).change
            self._by_growth.setdefault(growth, []).append((place, line))

    def _lines(self) -> Iterator[_CallLine]:
        """Yield each line of HEAD that grew or changed."""
        for place, function in self._functions.items():
            for line in sorted({*function.change.after.instructions, *function.change.after.executions}):
                has_grown = function.executions(line).change > 0 or function.costs_more(line)
                if has_grown or line in function.change.changed_lines:
                    yield place, line

    def line_that_calls(self, place: FunctionPlace, visited: Collection[FunctionPlace]) -> _CallLine | None:
        """Return the line that calls the function at *place* more often; None if none is known.

        Lines of the functions *visited* are left out.
        """
        if place not in self._found:
            self._found[place] = self._named(place) or self._counted(place)
        return next((call for call in self._found[place] if call[0] not in visited), None)

    def _named(self, place: FunctionPlace) -> list[_CallLine]:
        """Return the lines that name the function at *place*, from most to least, if they explain half of the calls."""
        n_calls = self._functions[place].calls().change
        parts = [part for part in place.name.split(".") if part != "<locals>"]
        name = parts[-2] if parts[-1] in _OF_CLASSES and len(parts) > 1 else parts[-1]
        weights: dict[_CallLine, int] = {}
        for call in self._by_word.get(name, ()):
            function = self._functions[call[0]]
            n = function.executions(call[1]).change
            if n <= 0 and call[1] in function.change.changed_lines:
                n = function.executions(call[1]).after
            if function.costs_more(call[1]):
                n = max(n, function.instructions(call[1]).change)
            if call[0] != place and n > 0:
                weights[call] = min(n, n_calls)
        if 2 * sum(weights.values()) < n_calls:
            return []
        return sorted(weights, key=lambda call: (-weights[call], call))

    def _counted(self, place: FunctionPlace) -> list[_CallLine]:
        """Return the lines that ran as many more times as the function at *place* was called more.

        A line that grew because its own function was called more is no evidence: the function may call that one. Only
        in closures, which decorators make, such a line is likely to be the call. It comes last.
        """
        n_calls = self._functions[place].calls().change
        if n_calls < _FEWEST_CALLS:
            return []
        decided, passed_on = [], []
        for call in self._by_growth.get(n_calls, ()):
            if call[0] == place:
                continue
            if self._functions[call[0]].cause_of(call[1]).kind != START:
                decided.append(call)
            elif "<locals>" in call[0].name:
                passed_on.append(call)
        return decided + passed_on
