"""Branches: the lines of a source file behind which control goes one of several ways, with the count of each way.

The FlowCounts of a file come in. A `Branch` goes out for each line with two or more arcs.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
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


def branches_of(flow: FlowCounts) -> list[Branch]:
    """Return the branches of *flow*, sorted by line."""
    targets: dict[tuple[int, FunctionKey], dict[int, int]] = {}
    for (function, line, target), count in flow.arcs.items():
        targets.setdefault((line, function), {})[target] = count
    return [Branch(function, line, arcs) for (line, function), arcs in sorted(targets.items()) if len(arcs) > 1]
