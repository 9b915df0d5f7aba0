"""The numbers of source files, in one unit, as the writers of this folder need them.

A FileAnalysis comes in for each file; an `Exported` goes out. No text in it has a character that ends a line or
controls a terminal: names and paths have escapes instead (`report.text.shown`).

Problem: readers match the lines of an export with the source on their disk, and most formats have no version of it.
Solution: only the present source counts. A file that has changed since it ran is left out, and is in `left_out`.
"""

from __future__ import annotations

import os
from typing import NamedTuple

from instrument.analysis.file_analysis import EVENTS, EXECUTIONS
from instrument.analysis.source_file import CURRENT, FUNCTION
from instrument.errors import DataError
from instrument.model.measurement import GREATEST_COUNT
from instrument.report.text import shown, shown_path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from instrument.analysis.branching.branches import Branch
    from instrument.analysis.file_analysis import FileAnalysis
    from instrument.analysis.source_file import SourceFile
    from instrument.model.measurement import FunctionKey

#: The units that a user can choose.
UNITS = (EVENTS, EXECUTIONS)

#: A description of each unit, without a word that ends a comment in any format.
IN_WORDS = {
    EVENTS: "events (a line counts each time that control arrives at the line, as the trace module counts)",
    EXECUTIONS: "executions (a statement over several lines that ran once counts once on each of its lines)",
}


class FunctionNumbers(NamedTuple):
    """A function: its name, different from all others of the file, its first line, and its calls.

    *body* has those lines of the function, without its first line, that FileNumbers has counts of, sorted.
    """

    key: FunctionKey
    name: str
    line: int
    calls: int
    body: list[int]


class Ways(NamedTuple):
    """The ways that lead on from a *line*: the lines they lead to, 0 for a return, each with how often it was taken."""

    line: int
    targets: dict[int, int]

    @property
    def n_taken(self) -> int:
        """How many of the ways were taken."""
        return sum(map(bool, self.targets.values()))


class FileNumbers:
    """The numbers of one source *file*, in one unit.

    - `path`: the path relative to the working directory if the file is in there, otherwise absolute, with escapes
    - `lines`: the count of each line that can run, sorted by line. Excluded lines and annotations are left out.
    - `functions`: the functions that a `def` defines, sorted by line
    - `ways`: the branches on the lines of `lines`, sorted by line; None if the flow of control is not known
    - `instructions`: how many instructions of each line were executed; None if the flow of control is not known
    """

    def __init__(self, file: FileAnalysis, unit: str, greatest: int = GREATEST_COUNT) -> None:
        """Take the numbers of *file*; counts above *greatest* become *greatest*."""
        self.file = file
        self.path = shown_path(os.path.normpath(file.path))
        self._greatest = min(greatest, GREATEST_COUNT)
        self._is_executions = unit == EXECUTIONS
        self.lines = self._lines()
        self.functions = self._functions()
        self.ways: list[Ways] | None = None
        self.instructions: dict[int, int] | None = None
        if file.flow is not None:
            self.ways = [
                Ways(branch.line, self._targets(branch)) for branch in file.branches if branch.line in self.lines
            ]
            counts = file.flow.instructions
            self.instructions = {line: self._clipped(counts[line]) for line in sorted(counts) if line in self.lines}

    def _clipped(self, count: int) -> int:
        return min(count, self._greatest)

    def _lines(self) -> dict[int, int]:
        file = self.file
        events = file.counts.lines.counts()
        lines = file.executable if file.is_complete else events.keys() - file.source.never_missing
        executions = file.flow.executions if file.flow is not None and self._is_executions else {}
        # A line that ran never has 0, which readers take for a missing line. Lines of a generator expression have no
        # executions of their own. A data file may name lines that no source has, and readers stop at these.
        last = len(file.source.data.splitlines())
        return {
            line: self._clipped(executions.get(line) or events.get(line, 0))
            for line in sorted(lines)
            if 0 < line <= last
        }

    def _targets(self, branch: Branch) -> dict[int, int]:
        """Return the targets of *branch*. A target that was never taken, and is not missing, is left out."""
        missing = frozenset(branch.missing)
        return {target: self._clipped(count) for target, count in branch.arcs.items() if count or target in missing}

    def _functions(self) -> list[FunctionNumbers]:
        file = self.file
        entries = file.counts.functions.counts()
        bodies = file.source.functions()
        calls: dict[FunctionKey, int | None] = {**file.uncalled(), **entries}
        if file.flow is not None and self._is_executions:
            calls.update({key: flow.calls for key, flow in file.flow.functions.items()})
        keys = sorted(filter(self._is_exported, calls), key=lambda key: (key[1], key[0]))
        return [
            FunctionNumbers(key, name, key[1], self._clipped(count), sorted(bodies.get(key, set()) & self.lines.keys()))
            for key, name in zip(keys, unique_names(keys), strict=True)
            if (count := calls[key]) is not None
        ]

    def _is_exported(self, key: FunctionKey) -> bool:
        """Return whether *key* is a function with a name, on a line that can be missing."""
        name, line = key
        if self.file.is_complete:
            return key in self.file.source.functions()
        return self.file.kind(key) == FUNCTION and not name.endswith(">") and line not in self.file.source.never_missing

    @property
    def n_ran(self) -> int:
        """How many lines ran."""
        return sum(map(bool, self.lines.values()))

    @property
    def n_ways(self) -> int:
        """How many ways lead on from the branches."""
        return sum(len(each.targets) for each in self.ways or ())

    @property
    def n_ways_taken(self) -> int:
        """How many ways lead on from the branches and were taken."""
        return sum(each.n_taken for each in self.ways or ())


class Exported:
    """The numbers of the source files of an analysis, in the order of their paths.

    `unit` is one of UNITS. `left_out` has the sources that are not the measured version, or cannot be read.
    """

    def __init__(self, files: Iterable[FileAnalysis], unit: str | None = None, greatest: int = GREATEST_COUNT) -> None:
        """Take the numbers of *files* in *unit*; None is executions if these are known, and otherwise events.

        Raise DataError if the unit is executions, and these are not known of each file that ran.
        """
        chosen = [file for file in files if file.source.state == CURRENT]
        self.left_out: list[SourceFile] = [file.source for file in files if file.source.state != CURRENT]
        unknown = [file.path for file in chosen if file.flow is None and file.counts.lines]
        if unit == EXECUTIONS and unknown:
            raise DataError(
                f"executions are not known of {shown_path(unknown[0])!r}: the data have line events only; "
                "leave out --unit, or say --unit events"
            )
        self.unit = unit or (EVENTS if unknown or not chosen else EXECUTIONS)
        self.files = sorted((FileNumbers(file, self.unit, greatest) for file in chosen), key=lambda each: each.path)


def unique_names(keys: Iterable[FunctionKey]) -> list[str]:
    """Return a name for each of *keys*: the qualified name, with `@` and the line if another has the same name."""
    taken: set[str] = set()
    names = []
    for qualified_name, line in keys:
        name = first = shown(qualified_name)
        n = 0
        while name in taken:
            name = f"{first}@{line}" if not n else f"{first}@{line}.{n}"
            n += 1
        taken.add(name)
        names.append(name)
    return names
