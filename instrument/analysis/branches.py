"""Branches: the lines of a source file behind which control goes one of several ways, with the count of each way.

The FlowCounts of a file come in. A `Branch` goes out for each line with two or more arcs.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Set

    from instrument.analysis.code_lines import StatementLines
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
    *complete* lines. With *statements*, a statement has the ways of all its lines, and a way within it does not count.
    Nor does the way by which control leaves the body of a `with` or `except`: it passes the header again.
    """
    first = statements.first if statements else {}
    ends = statements.ends if statements else {}
    targets: dict[tuple[int, FunctionKey], dict[int, int]] = {}
    for (function, line, target), count in flow.arcs.items():
        line, target = first.get(line, line), first.get(target, target)
        is_within = statements is not None and line == target
        leaves_body = line in ends and not line < target <= ends[line]
        if line not in excluded and target not in excluded and not is_within and not leaves_body:
            ways = targets.setdefault((line, function), {})
            ways[target] = ways.get(target, 0) + count
    branches = [Branch(function, line, arcs) for (line, function), arcs in sorted(targets.items()) if len(arcs) > 1]
    for branch in branches:
        if branch.line in complete:
            branch.missing = []
    return branches
