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

    Sums, comparisons and the truth value cover all fields that `__slots__` names. A field is a number, or a dict from
    keys to numbers.
    """

    __slots__ = ("entered", "lines")

    def __init__(self, lines: Mapping[int, int] | None = None, entered: int = 0) -> None:
        self.lines: dict[int, int] = dict(lines or {})
        self.entered = entered

    def add(self, line: int, count: int) -> None:
        """Add *count* executions of *line*."""
        if count:
            self.lines[line] = self.lines.get(line, 0) + count

    def __bool__(self) -> bool:
        """Return whether anything was counted."""
        for field in Counts.__slots__:  # noqa: SIM110  # each reading asks each code object: a generator costs more
            if getattr(self, field):
                return True
        return False

    def __add__(self, other: Counts) -> Counts:
        total = Counts()
        for field in Counts.__slots__:
            count, more = getattr(self, field), getattr(other, field)
            setattr(total, field, _sum_by_key(count, more) if isinstance(count, dict) else count + more)
        return total

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Counts):
            return False
        return all(getattr(self, field) == getattr(other, field) for field in Counts.__slots__)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"<counts {', '.join(f'{field} {getattr(self, field)}' for field in Counts.__slots__)}>"


def _sum_by_key(counts: Mapping[int, int], more: Mapping[int, int]) -> dict[int, int]:
    """Return the sum of two mappings from keys to numbers, by key. A number of *more* that is 0 adds no key."""
    total = dict(counts)
    for key, count in more.items():
        if count:
            total[key] = total.get(key, 0) + count
    return total
