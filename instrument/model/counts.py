"""Counts of one code object between two readings: `Counts`, which add.

`flow.conservation` computes them from counters. `FileCounts.add_code` adds them to the counts of a source file.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping


class Counts:
    """How often each line of one code object raised a line event, and how often control entered the code object.

    `lines` maps each line that ran to its count. `entered` counts calls, resumptions, and exceptions thrown in.
    """

    __slots__ = ("entered", "lines")

    def __init__(self, lines: Mapping[int, int] | None = None, entered: int = 0) -> None:
        self.lines: dict[int, int] = dict(lines or {})
        self.entered = entered

    def add(self, line: int, count: int) -> None:
        """Add *count* executions of *line*."""
        if count:
            self.lines[line] = self.lines.get(line, 0) + count

    def __add__(self, other: Counts) -> Counts:
        total = Counts(self.lines, self.entered + other.entered)
        for line, count in other.lines.items():
            total.add(line, count)
        return total

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Counts) and (self.lines, self.entered) == (other.lines, other.entered)

    def __repr__(self) -> str:
        return f"<counts {self.lines}, entered {self.entered}>"
