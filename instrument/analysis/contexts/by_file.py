"""PatternsByFile: the work of all contexts, one source file at a time.

A stored measurement comes in. The patterns of a file go out, recovered to lines, each with the contexts that have it.

Problem: 5,000 tests that run 300 functions each have 1.5 million patterns. Dictionaries of them take 90 MB.
Solution: one array of 6 MB has the contexts of all patterns. Patterns are recovered for one file only.
"""

from __future__ import annotations

from array import array
from itertools import accumulate
from typing import NamedTuple

from instrument.analysis.contexts.names import PHASES, context_of
from instrument.errors import ConservationError, DataError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from instrument.data.query import StoredMeasurement
    from instrument.model.measurement import FileKey, FunctionKey


class PatternWork(NamedTuple):
    """The work of one code object that contexts have in common.

    - function: its name and first line
    - entered: how often it was entered, as `trace` counts
    - lines: how often each of its lines ran, without lines that did not
    - contexts: the numbers of the contexts with this work, sorted; a context may have it several times
    """

    function: FunctionKey
    entered: int
    lines: dict[int, int]
    contexts: array[int]


class PatternsByFile:
    """The work of the contexts of *stored*, which must stay open.

    `tests` has the names of the tests, and `others` those of contexts outside of tests, both sorted. The phase number
    p of the test number t is the context number p * len(tests) + t. The contexts of `others` have the numbers after
    those. So tests that are neighbours have neighbouring numbers.

    `reasons` says why some work is not known.
    """

    def __init__(self, stored: StoredMeasurement) -> None:
        self._stored = stored
        self._stored_contexts = stored.contexts()
        contexts = {name: context_of(name) for name in self._stored_contexts.names()}
        self.tests = sorted({each.name for each in contexts.values() if each.is_test})
        self.others = sorted(each.name for each in contexts.values() if not each.is_test)
        places = {name: n for n, name in enumerate(self.tests)}
        self._numbers = {
            name: PHASES.index(each.phase) * len(self.tests) + places[each.name]
            for name, each in contexts.items()
            if each.is_test
        }
        self._numbers |= {name: len(PHASES) * len(self.tests) + n for n, name in enumerate(self.others)}
        self._starts, self._contexts = self._by_pattern()
        self._contradictions: dict[str, str] = {}

    @property
    def has_contexts(self) -> bool:
        """Whether the data have any context."""
        return bool(self._numbers)

    @property
    def reasons(self) -> list[str]:
        """Why some work is not known, as far as files were asked for."""
        return [*self._stored_contexts.reasons.values(), *self._contradictions.values()]

    def _by_pattern(self) -> tuple[array[int], array[int]]:
        """Return where the contexts of each pattern start, by its number, and the contexts of all patterns."""
        n_contexts = array("I")
        for _, patterns in self._stored_contexts.all_numbers():
            if patterns:
                n_contexts.extend([0] * (patterns[-1] + 1 - len(n_contexts)))
            for pattern in patterns:
                n_contexts[pattern] += 1
        starts = array("I", accumulate(n_contexts, initial=0))
        free = starts[:]
        contexts = array("I", [0]) * starts[-1]
        for name, patterns in self._stored_contexts.all_numbers():
            number = self._numbers[name]
            for pattern in patterns:
                contexts[free[pattern]] = number
                free[pattern] += 1
        return starts, contexts

    def _contexts_of(self, pattern: int) -> array[int]:
        """Return the contexts of *pattern*, sorted."""
        if pattern + 1 >= len(self._starts):
            return array("I")
        return array("I", sorted(self._contexts[self._starts[pattern] : self._starts[pattern + 1]]))

    def of_file(self, files: Iterable[FileKey]) -> Iterator[PatternWork]:
        """Yield the work of each pattern in *files*, versions of one file, that any context has."""
        for file in files:
            for pattern in self._stored.patterns(self._stored_contexts, file):
                contexts = self._contexts_of(pattern.number)
                if not contexts:
                    continue
                try:
                    name, first_line, counts = pattern.plans.counts_of_code(pattern.code, pattern.counts)
                except (ConservationError, DataError) as error:
                    self._contradictions[file[0]] = f"{file[0]}: {error}"
                    continue
                lines = {line: n for line, n in counts.lines.items() if n > 0}
                yield PatternWork((name, first_line), counts.entered, lines, contexts)
