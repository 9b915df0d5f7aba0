"""RunWork: the work of a run, by function and line, as a whole and for each test. Plain values.

`analysis.gate.reading` makes a RunWork of data files, and `analysis.gate.comparison` compares two of them.
"""

from __future__ import annotations

from typing import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Hashable, Mapping
    from typing import TypeAlias, TypeVar

    _Key = TypeVar("_Key")
    #: Left-out lines, by function.
    Lines: TypeAlias = Mapping["FunctionPlace", Collection[int]]

#: The units of work: bytecode instructions, and how often lines began.
INSTRUCTIONS, EXECUTIONS = "instructions", "executions"
UNITS = (INSTRUCTIONS, EXECUTIONS)


class FunctionPlace(NamedTuple):
    """A function: the path of its file on this machine, its qualified name, and its first line."""

    path: str
    name: str
    line: int


class Work:
    """The work of one function.

    - `calls`: how often it was called.
    - `instructions`, `executions`: how many instructions of each line were executed, and how often the line began.
    - `arcs`: how often control went from a line to another one, by (line, target). The targets are those of
      `flow_counts.Arc`.

    Numbers that are 0 are left out.
    """

    __slots__ = ("arcs", "calls", "executions", "instructions")

    def __init__(
        self,
        calls: int = 0,
        instructions: Mapping[int, int] | None = None,
        executions: Mapping[int, int] | None = None,
        arcs: Mapping[tuple[int, int], int] | None = None,
    ) -> None:
        self.calls = calls
        self.instructions = _without_zeros(instructions or {})
        self.executions = _without_zeros(executions or {})
        self.arcs = _without_zeros(arcs or {})

    def add(self, other: Work, times: int = 1) -> None:
        """Add *other*, so many *times*."""
        self.calls += times * other.calls
        _add_by_key(self.instructions, other.instructions, times)
        _add_by_key(self.executions, other.executions, times)
        _add_by_key(self.arcs, other.arcs, times)

    def by_line(self, unit: str) -> dict[int, int]:
        """Return the work of each line in *unit*, one of UNITS."""
        return self.instructions if unit == INSTRUCTIONS else self.executions

    def amount(self, unit: str, left_out: Collection[int] = ()) -> int:
        """Return the work of all lines in *unit*, without the lines *left_out*."""
        by_line = self.by_line(unit)
        total = sum(by_line.values())
        return total - sum(by_line.get(line, 0) for line in left_out) if left_out else total

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Work) and all(getattr(self, each) == getattr(other, each) for each in Work.__slots__)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"<work {', '.join(f'{each} {getattr(self, each)}' for each in Work.__slots__)}>"


def _without_zeros(counts: Mapping[_Key, int]) -> dict[_Key, int]:
    return {key: n for key, n in counts.items() if n}


def _add_by_key(total: dict[_Key, int], counts: Mapping[_Key, int], times: int) -> None:
    for key, n in counts.items():
        new = total.get(key, 0) + times * n
        if new:
            total[key] = new
        else:
            total.pop(key, None)


class Part:
    """A part of the work of tests: that of one function, at *place*. Tests share parts.

    *instructions* says how many instructions of each line were executed. *derive* returns the whole Work, which takes
    longer.
    """

    __slots__ = ("_derive", "_instructions", "place")

    def __init__(self, place: FunctionPlace, instructions: Mapping[int, int], derive: Callable[[], Work]) -> None:
        self.place = place
        self._instructions = instructions
        self._derive = derive

    def work(self) -> Work:
        """Return the whole Work."""
        return self._derive()

    def amount(self, unit: str, left_out: Collection[int] = ()) -> int:
        """Return the work of all lines in *unit*, without the lines *left_out*."""
        if unit == EXECUTIONS:
            return self.work().amount(unit, left_out)
        return sum(n for line, n in self._instructions.items() if line not in left_out)


class RunWork:
    """The work of a run.

    - `functions`: the Work of each function in the whole run, also of functions that never ran.
    - `versions`: the version of each source file, by its path on this machine.
    - `shapes`: for each function its lines that have instructions, in order, each with a value. Two lines have equal
      values if they compile alike, so a line that moves keeps its value. Files that did not change need none.
    - `ids`: the stable ids of functions (`flow.derived.function_ids`), as far as the sources are known.
    - `parts`: each Part of the work of tests, by number.
    - `tests`: for each test, by its node id, how often it has each part.
    """

    def __init__(
        self,
        functions: dict[FunctionPlace, Work],
        *,
        versions: dict[str, str],
        shapes: dict[FunctionPlace, dict[int, Hashable]],
        ids: dict[FunctionPlace, str],
        parts: dict[int, Part],
        tests: Mapping[str, Mapping[int, int]],
    ) -> None:
        self.functions = functions
        self.versions = versions
        self.shapes = shapes
        self.ids = ids
        self.parts = parts
        self.tests = tests

    def of_test(self, name: str) -> dict[FunctionPlace, Work]:
        """Return the Work of each function in the test *name*: its setup, call and teardown together."""
        functions: dict[FunctionPlace, Work] = {}
        for number, times in self.tests[name].items():
            if number in self.parts:
                part = self.parts[number]
                functions.setdefault(part.place, Work()).add(part.work(), times)
        return functions

    def amounts_of_tests(self, unit: str, left_out: Lines) -> dict[str, int]:
        """Return the work of each test in *unit*, without the lines that are *left_out*."""
        amounts = {number: part.amount(unit, left_out.get(part.place, ())) for number, part in self.parts.items()}
        return {
            name: sum(times * amounts.get(number, 0) for number, times in parts.items())
            for name, parts in self.tests.items()
        }
