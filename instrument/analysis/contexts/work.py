"""ContextWork: the contexts that ran a line or a function, and the lines and functions that a context ran.

A stored measurement comes in. Counts go out, by context, or of one context by file. Each pattern is recovered once,
however many contexts have it.
"""

from __future__ import annotations

from collections import Counter

from instrument.errors import ConservationError, DataError
from instrument.model.flow_counts import FlowCounts
from instrument.model.probe_counts import ProbeCounts

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from instrument.data.contexts.reading import Pattern
    from instrument.data.query import StoredMeasurement
    from instrument.model.counts import Counts
    from instrument.model.measurement import FileKey, FunctionKey
    from instrument.plans.group_plans import GroupPlans


class FileWork:
    """The work of contexts in one version of a source file, *file*.

    - lines: how often each line ran.
    - entered: how often each function was entered, as `trace` counts.
    - flow: how control went.
    """

    def __init__(self, file: FileKey) -> None:
        self.file = file
        self.lines: dict[int, int] = {}
        self.entered: dict[FunctionKey, int] = {}
        self.flow = FlowCounts()

    def add(self, plans: GroupPlans, code: int, counts: ProbeCounts) -> None:
        """Add the work *counts* of the code object *code* of *plans*. Raise ConservationError if it is impossible."""
        name, first_line, recovered = plans.counts_of_code(code, counts)
        for line, n in recovered.lines.items():
            self.lines[line] = self.lines.get(line, 0) + n
        function = name, first_line
        self.entered[function] = self.entered.get(function, 0) + recovered.entered
        plans.add_flow_of_code(self.flow, code, counts)


class ContextWork:
    """The work of all contexts of *stored*. `reasons` says why some of it is not known, one text for each reason."""

    def __init__(self, stored: StoredMeasurement) -> None:
        self._stored = stored
        self._contexts = stored.contexts()
        #: How often each context has each pattern, by name and number.
        self._patterns = {name: Counter(numbers) for name, numbers in self._contexts.all_numbers()}
        self._contradictions: dict[str, str] = {}

    @property
    def reasons(self) -> list[str]:
        """Why some work is not known."""
        return [*self._contexts.reasons.values(), *self._contradictions.values()]

    def names(self) -> list[str]:
        """Return the names of all contexts, sorted."""
        return sorted(self._patterns)

    def of_line(self, files: Iterable[FileKey], line: int) -> dict[str, int]:
        """Return how often contexts ran *line* of *files*, versions of one file. Contexts without it are left out."""
        return self._sums(files, lambda _function, counts: counts.lines.get(line, 0))

    def of_function(self, files: Iterable[FileKey], function: FunctionKey) -> dict[str, int]:
        """Return how often contexts entered *function* of *files*. Contexts without it are left out."""
        return self._sums(files, lambda each, counts: counts.entered if each == function else 0)

    def functions(self, files: Iterable[FileKey]) -> set[FunctionKey]:
        """Return the functions of *files* that any context ran."""
        return {function for _, function, _ in self._recovered(files)}

    def _sums(self, files: Iterable[FileKey], n_in: Callable[[FunctionKey, Counts], int]) -> dict[str, int]:
        """Return the sum of *n_in* over the patterns of each context in *files*."""
        weights = {number: n for number, function, counts in self._recovered(files) if (n := n_in(function, counts))}
        sums: dict[str, int] = {}
        for name, patterns in self._patterns.items():
            n = sum(patterns[number] * weights[number] for number in weights.keys() & patterns.keys())
            if n:
                sums[name] = n
        return sums

    def _recovered(self, files: Iterable[FileKey]) -> Iterator[tuple[int, FunctionKey, Counts]]:
        """Yield number, function and counts of each pattern in *files*."""
        for file in files:
            for pattern in self._stored.patterns(self._contexts, file):
                try:
                    name, first_line, counts = pattern.plans.counts_of_code(pattern.code, pattern.counts)
                except (ConservationError, DataError) as error:
                    self._contradictions[file[0]] = f"{file[0]}: {error}"
                    continue
                yield pattern.number, (name, first_line), counts

    def of_contexts(self, names: Iterable[str]) -> list[FileWork]:
        """Return the work of the contexts *names* together, by file, in the order of the files' paths."""
        patterns: Counter[int] = Counter()
        for name in names:
            patterns.update(self._patterns.get(name, ()))
        files = []
        for file in self._stored.files():
            work = FileWork(file)
            for plans, code, counts in self._added_up(self._stored.patterns(self._contexts, file), patterns):
                try:
                    work.add(plans, code, counts)
                except (ConservationError, DataError) as error:
                    self._contradictions[file[0]] = f"{file[0]}: {error}"
            if work.lines or work.entered:
                files.append(work)
        return files

    def _added_up(
        self, patterns: Iterable[Pattern], times: Counter[int]
    ) -> Iterator[tuple[GroupPlans, int, ProbeCounts]]:
        """Yield the work of each code object in *patterns*, each of which counts so many *times*, by its number."""
        sums: dict[tuple[int, int], tuple[GroupPlans, int, ProbeCounts]] = {}
        for pattern in patterns:
            n = times[pattern.number]
            if n:
                key = id(pattern.plans), pattern.code
                if key not in sums:
                    sums[key] = pattern.plans, pattern.code, ProbeCounts(len(pattern.counts.fired))
                sums[key][2].add_all(pattern.counts.times(n))
        yield from sums.values()
