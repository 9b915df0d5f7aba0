"""FileAnalysis: one version of a source file, with the lines that can run, that ran, and that are missing.

Counts and the source file come in. `UnusedCode` has the functions and lines that were not used since a moment.
"""

from __future__ import annotations

import math

from instrument.analysis.branching.branches import branches_of
from instrument.analysis.source_file import (
    ANNOTATIONS,
    CURRENT,
    TYPE_PARAMETERS,
    SourceFile,
    kind_by_name,
    version_of,
)
from instrument.model.measurement import FACTS, FileCounts, Series

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Set
    from typing import Any, TypeAlias

    from instrument.analysis.branching.branches import Branch
    from instrument.analysis.exclusions import Exclusions
    from instrument.model.flow_counts import FlowCounts
    from instrument.model.measurement import FunctionKey

    #: The first and the last line of a range.
    LineRange: TypeAlias = tuple[int, int]

#: The orders of files; numbers are sorted from the top. With `-` in front, an order is reversed.
SORTS = ("file", "lines", "missing", "ran", "hits", "hottest", "branches", "cost")
#: The units of hits. A line has an event, as `trace` counts, each time that control arrives at it from another line. It
#: has an execution each time that it begins: a statement over several lines that ran once counts once.
EVENTS, EXECUTIONS = "events", "executions"


class Hits:
    """The sum of the counts of all lines, and the line that ran most often; zeros if nothing ran."""

    __slots__ = ("hottest_count", "hottest_line", "total")

    def __init__(self, total: int, hottest_line: int, hottest_count: int) -> None:
        self.total = total
        self.hottest_line = hottest_line
        self.hottest_count = hottest_count


class FileAnalysis:
    """One version of a source file, with the lines that can run, that ran, and that are missing.

    `path` is where the file is on this machine. `measured_at` has the paths at which it was measured, none if it was
    never imported. `counts` lacks line 0, on which the code of an empty file runs.

    `is_complete` is False if lines are not known, or not all was measured: then nothing is called missing.
    `executable` has the lines that can run and count as such; `missing` has those of them that did not run, sorted.
    `hits` is the sum of the counts of all lines. `hottest_line` ran most often, `hottest_count` times; both are 0 if
    nothing ran.

    `flow` says how control went through the file; None if that is not known. `branches` has the lines with several ways
    on, sorted, without excluded and uncertain lines; it is empty if `flow` is None. `n_arcs` and `n_missing_arcs` count
    these ways, and those never taken. `missing_ways` has those never taken, without ways from and to missing lines:
    pairs of line and target, sorted; target 0 is a return. `n_instructions` is how many instructions were executed, and
    `executions` has the Hits in this unit; both are None if `flow` is.

    `uncertain_functions` has the functions that were given out, and those nested in them. `uncertain` has their lines,
    which may have run uncounted.
    """

    def __init__(
        self,
        path: str,
        version: str | None,
        counts: FileCounts | None = None,
        *,
        measured_at: Iterable[str] = (),
        partly_measured: frozenset[str] = frozenset(),
        is_optimized: bool = False,
        flow: FlowCounts | None = None,
        exclusions: Exclusions | None = None,
        needs_flow: bool = False,
    ) -> None:
        """Analyse the file at *path*; without a *version* it was never imported, and any content is analysed.

        *partly_measured* has the paths of files that ran uncounted, at least in part. With *is_optimized*, the file ran
        with -O, which leaves out assert statements. *exclusions* say which lines are excluded, see `SourceFile`.
        With *needs_flow*, find the flow of a file that was never imported by its source: zeros.
        """
        self.path, self.measured_at = path, sorted(measured_at)
        self.counts = _without_line_0(counts or FileCounts())
        self.source = SourceFile(
            path,
            version,
            is_optimized=is_optimized,
            exclusions=exclusions,
            needs_flow=needs_flow or flow is not None,
        )
        self.version = version or version_of(self.source.data)
        self.is_complete = self._has_lines() and partly_measured.isdisjoint(self.measured_at)
        hits = _hits(self.counts.lines.counts())
        self.hits, self.hottest_line, self.hottest_count = hits.total, hits.hottest_line, hits.hottest_count
        self.uncertain: Set[int] = frozenset()
        self.uncertain_functions: Set[FunctionKey] = frozenset()
        self._find_uncertain()
        self.executable = frozenset[int]()
        if self.is_complete:
            lines = self.source.executable - self.uncertain
            self.executable = lines.union(self.counts.lines) - self.source.never_missing - {0}
        self.missing = sorted(self.executable.difference(self.counts.lines))
        self.n_lines, self.n_missing = len(self.executable), len(self.missing)
        self.missing_ranges = line_ranges(self.missing, self.executable)
        self.flow = flow = flow or self.source.flow
        excluded = self.source.excluded | self.uncertain
        self.branches: list[Branch] = []
        if flow:
            self.branches = branches_of(flow, excluded, self.source.complete, self.source.statements)
        self.n_arcs = sum(len(branch.arcs) for branch in self.branches)
        self.n_missing_arcs = sum(len(branch.missing) for branch in self.branches)
        missing = set(self.missing)
        ways = {(each.line, target) for each in self.branches for target in each.missing}
        self.missing_ways = sorted(way for way in ways if missing.isdisjoint(way))
        self.n_instructions = sum(flow.instructions.values()) if flow else None
        self.executions = _hits(flow.executions) if flow else None

    def _has_lines(self) -> bool:
        """Return whether the source is the measured version, and its lines are known."""
        return self.source.state == CURRENT and not self.source.reason

    def _find_uncertain(self) -> None:
        """Find the lines of the functions that were given out.

        The source may have no function of that name, if another Python compiled it. Then any line may be one of its
        lines, so the file is not complete.
        """
        given_out = self.counts.given_out
        if given_out and self._has_lines():
            self.uncertain, self.uncertain_functions = self.source.lines_within(given_out)
            if not given_out.keys() <= self.uncertain_functions:
                self.is_complete = False

    def forget_lines(self) -> FileAnalysis:
        """Free the memory for single lines, and return this analysis. The numbers and `missing_ranges` remain.

        Reading the counts of lines or functions, `missing`, `executable`, `flow` or `branches` raises AttributeError
        from now on: they would read as zeros.
        """
        for fact in FACTS:
            delattr(self.counts, fact.field)
        del self.missing, self.executable, self.flow, self.branches
        self.source.data, self.source.executable, self.source.kinds = b"", frozenset(), {}
        self.source.flow = self.source.statements = None
        return self

    def kind(self, function: FunctionKey) -> str:
        """Return the kind of the code object *function*: see `SourceFile.kinds`."""
        return self.source.kinds.get(function) or kind_by_name(function[0])

    def uncalled(self) -> dict[FunctionKey, int | None]:
        """Return the functions without counts, and how often they ran: 0, or None if they may have run.

        A function may have run if lines of it ran, or if it was given out.
        """
        if not self.is_complete:
            return {}
        functions, lines = self.counts.functions, self.counts.lines
        return {
            function: None if body & lines.keys() or function in self.uncertain_functions else 0
            for function, body in self.source.functions().items()
            if function not in functions and (body or functions or not self.measured_at)
        }

    def hits_in(self, unit: str) -> Hits | None:
        """Return the Hits in this *unit*, EVENTS or EXECUTIONS; None if they are not known."""
        if unit == EXECUTIONS:
            return self.executions
        return Hits(self.hits, self.hottest_line, self.hottest_count)

    def share(self, *, with_branches: bool = False) -> tuple[int, int]:
        """Return how many lines ran, and how many can run.

        As in coverage.py, each way of a branch counts as one more line *with_branches*, if the ways are known.
        """
        n_lines, n_all = self.n_lines - self.n_missing, self.n_lines
        if with_branches and self.is_complete:
            return n_lines + self.n_arcs - self.n_missing_arcs, n_all + self.n_arcs
        return n_lines, n_all

    def sort_key(self, sort: str, unit: str = EVENTS, *, with_branches: bool = False) -> tuple[Any, ...]:
        """Return the key to sort by, for *sort*, one of SORTS, also with `-` in front.

        Numbers come from the top, and unknown numbers last in any case. *unit* is that of hits. *with_branches* has the
        meaning that it has for `share`.
        """
        n_ran, n_all = self.share(with_branches=with_branches)
        hits = self.hits_in(unit)
        number = {
            "lines": self.n_lines if self.is_complete else None,
            "missing": self.n_missing if self.is_complete else None,
            "ran": n_ran / n_all if n_all else None,
            "hits": hits.total if hits else None,
            "hottest": hits.hottest_count if hits else None,
            "branches": None if self.n_instructions is None else self.n_arcs,
            "cost": self.n_instructions,
        }.get(sort.removeprefix("-"))
        order = 0 if number is None else number if sort[:1] == "-" else -number
        return number is None, order, self.path, self.version


def _without_line_0(counts: FileCounts) -> FileCounts:
    if 0 in counts.lines:
        lines = Series()
        for line, tally in counts.lines.items():
            if line:
                lines.add(line, *tally)
        counts.lines = lines
    return counts


def _hits(counts: Mapping[int, int]) -> Hits:
    """Return the Hits of the *counts* of lines; of several hottest lines the first."""
    line = min(counts, key=lambda line: (-counts[line], line), default=0)
    return Hits(sum(counts.values()), line, counts[line]) if line and counts[line] else Hits(0, 0, 0)


def line_ranges(lines: Iterable[int], among: Iterable[int] | None = None) -> list[LineRange]:
    """Return *lines* as ranges of consecutive lines; with *among*, all lines there are, other lines do not separate."""
    wanted = set(lines)
    ranges: list[list[int]] = []
    previous: int | None = None  # the line before, of those in *among*
    for line in sorted(wanted if among is None else wanted.union(among)):
        if line in wanted:
            if ranges and previous == ranges[-1][1] and (among is not None or previous == line - 1):
                ranges[-1][1] = line
            else:
                ranges.append([line, line])
        previous = line
    return [(first, last) for first, last in ranges]


class UnusedFunction:
    """A code object that was not used: its kind, qualified name, first line, and last use, -inf if never used."""

    __slots__ = ("kind", "last", "line", "name")

    def __init__(self, kind: str, name: str, line: int, last: float) -> None:
        self.kind = kind
        self.name = name
        self.line = line
        self.last = last


class UnusedCode:
    """The code of a file that was not used after *since*.

    `functions` are sorted by line. `lines` maps lines to their last use, -inf if never used.
    """

    def __init__(self, file: FileAnalysis, since: float) -> None:
        self.functions = list(_unused_functions(file, since))
        self.lines = dict.fromkeys(file.missing, -math.inf)
        for line, tally in file.counts.lines.items():
            if tally.last < since and line not in file.source.never_missing and line not in file.uncertain:
                self.lines[line] = tally.last


def _unused_functions(file: FileAnalysis, since: float) -> Iterator[UnusedFunction]:
    """Yield the functions and classes of *file* that were not used after *since*, sorted by line."""
    last_uses = {function: tally.last for function, tally in file.counts.functions.items()}
    if not file.measured_at:  # nothing ran, not even the code of the module
        last_uses["<module>", 1] = -math.inf
    lines = file.counts.lines
    for function, body in file.source.functions().items() if file.is_complete else ():
        # The lines of a body tell about calls, too. A function on one line has no such lines. If
        # the file has no count of any call, nothing is known about such a function.
        if function not in last_uses and (body or last_uses):
            last_uses[function] = max((lines[line].last for line in body & lines.keys()), default=-math.inf)
    for function, last in sorted(last_uses.items(), key=lambda item: (item[0][1], item[0][0])):
        name, line = function
        kind = file.kind(function)
        if function in file.counts.given_out or function in file.uncertain_functions:
            continue
        if last < since and kind not in (ANNOTATIONS, TYPE_PARAMETERS) and line not in file.source.excluded:
            yield UnusedFunction(kind, name, line, last)
