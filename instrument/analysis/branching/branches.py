"""Branches: the lines of a source file behind which control goes one of several ways, with the count of each way.

The FlowCounts of a file come in. A `Branch` goes out for each line with two or more arcs.
"""

from __future__ import annotations

from instrument.model.flow_counts import RAISED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Set

    from instrument.analysis.branching.statements import StatementLines
    from instrument.model.flow_counts import FlowCounts
    from instrument.model.measurement import FunctionKey


class Branch:
    """A *line* behind which control goes one of several ways, in the code object *function*.

    `arcs` maps the target of each way to how often it was taken, sorted: a line, or 0 for a return. `missing` has the
    targets of the ways that were never taken.
    """

    __slots__ = ("arcs", "function", "line", "missing")

    def __init__(self, function: FunctionKey, line: int, arcs: dict[int, int]) -> None:
        self.function = function
        self.line = line
        self.arcs = dict(sorted(arcs.items()))
        self.missing = [target for target, count in self.arcs.items() if not count]


def branches_of(
    flow: FlowCounts,
    excluded: Set[int] = frozenset(),
    complete: Set[int] = frozenset(),
    statements: StatementLines | None = None,
) -> list[Branch]:
    """Return the branches of *flow*, sorted by line.

    As in coverage.py, a way from or to one of the *excluded* lines does not count. No way is missing behind one of the
    *complete* lines. With *statements*, only statements that decide are branches, and they have the two ways that the
    source shows. A way that the compiler has left out does not count.
    """
    targets: dict[tuple[int, FunctionKey], dict[int, int]] = {}
    for (line, function), arcs in (_arcs_by_line(flow) if statements is None else _choices(flow, statements)).items():
        ways = {} if line in excluded else {target: n for target, n in arcs.items() if target not in excluded}
        if len(ways) > 1:
            targets[line, function] = ways
    branches = [Branch(function, line, ways) for (line, function), ways in sorted(targets.items())]
    for branch in branches:
        if branch.line in complete:
            branch.missing = []
    return branches


def _arcs_by_line(flow: FlowCounts) -> dict[tuple[int, FunctionKey], dict[int, int]]:
    """Return the arcs of *flow* by line and function: how often each target was reached."""
    arcs: dict[tuple[int, FunctionKey], dict[int, int]] = {}
    for (function, line, target), count in flow.arcs.items():
        if target != RAISED:
            arcs.setdefault((line, function), {})[target] = count
    return arcs


def _choices(flow: FlowCounts, statements: StatementLines) -> dict[tuple[int, FunctionKey], dict[int, int]]:
    """Return the ways of the *statements* that decide, by line and function: how often each was taken."""
    first, choices = statements.first, statements.choices
    owners: dict[int, FunctionKey] = {}
    ways: dict[int, dict[int, int]] = {}
    for (function, line, target), count in flow.arcs.items():
        line, target = first.get(line, line), first.get(target, target)
        choice = choices.get(line)
        if choice is None or line == target:
            continue
        if choice.is_of(function):
            way = choice.inner
        elif _is_part(function):
            continue  # an expression of the statement has code of its own
        elif target == RAISED and choice.reached != RAISED and not choice.body:
            continue  # an exception goes on at the end of a `finally`: behind the body, or past it
        else:
            way = choice.way_to(target) if choice.defined is None else choice.onward
            owners[choice.line] = function
        of_line = ways.setdefault(choice.line, {})
        of_line[way] = of_line.get(way, 0) + count
    return {(line, owners[line]): of_line for line, of_line in ways.items() if line in owners}


def _is_part(function: FunctionKey) -> bool:
    """Return whether *function* is code of an expression, of an annotation or of type parameters."""
    name = function[0].rpartition(".")[2]
    return name == "__annotate__" or (name.startswith("<") and name != "<module>")
