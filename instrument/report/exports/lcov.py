"""Writes LCOV tracefiles (`lcov.info`), with true counts of lines, functions and branches.

An `Exported` comes in; lines of text go out. genhtml of lcov 1.16 and 2.5 and diff-cover read them. The format has no
escapes and no comments that all of these read, so TN, the name of the test, names the unit.

Problem: lcov 1 takes the end of `FN:start,end,name` for the name, and lcov 2 needs the end for its filters.
Solution: the end is written on request only. Then a function starts on the first line of its body. The line of the
`def` runs even if the function never does, and lcov 2 refuses such a function.

Problem: lcov 2 refuses a line that ran if no way on from the line was taken, as each time an exception was raised.
Solution: the ways on from such a line are left out.
"""

from __future__ import annotations

import ast
from bisect import bisect_left, bisect_right
from collections import Counter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from instrument.model.measurement import FunctionKey
    from instrument.report.exports.numbers import Exported, FileNumbers, FunctionNumbers


def write(exported: Exported, *, with_ends: bool = False) -> Iterator[str]:
    """Yield the lines of the tracefile of *exported*; *with_ends* adds the last lines of functions, for lcov 2."""
    for file in exported.files:
        if file.lines:
            yield f"TN:{exported.unit}"
            yield f"SF:{file.path}"
            yield from _functions(file, with_ends)
            if file.ways is not None:
                yield from _branches(file)
            yield from (f"DA:{line},{count}" for line, count in file.lines.items())
            yield f"LF:{len(file.lines)}"
            yield f"LH:{file.n_ran}"
            yield "end_of_record"


def _functions(file: FileNumbers, with_ends: bool) -> Iterator[str]:
    """Yield the records of the functions of *file*."""
    ranges = _ranges(file) if with_ends else {}
    for function in file.functions:
        yield f"FN:{ranges.get(function.key, function.line)},{_name(function)}"
    for function in file.functions:
        yield f"FNDA:{function.calls},{_name(function)}"
    yield f"FNF:{len(file.functions)}"
    yield f"FNH:{sum(1 for function in file.functions if function.calls)}"


def _name(function: FunctionNumbers) -> str:
    return function.name.replace(",", "?")  # a comma separates fields


def _ranges(file: FileNumbers) -> dict[FunctionKey, str]:
    """Return the first line of the body and the last line of functions of *file*, as two fields.

    Left out are functions that lcov 2 would refuse: without a line of their own, or on a line where another begins.
    Left out are functions with calls but no line that ran, too, and with lines that ran but no calls.
    """
    if file.file.source.reason:
        return {}
    ends: dict[tuple[str, int], int] = {}
    for node in ast.walk(ast.parse(file.file.source.data)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
            ends[node.name, first] = node.end_lineno or node.lineno
    starts = {function.key: function.body[0] for function in file.functions if function.body}
    n_on_line = Counter(starts.get(function.key, function.line) for function in file.functions)
    n_on_line.update(function.line for function in file.functions if function.body)
    numbers, counts = list(file.lines), list(file.lines.values())
    ranges = {}
    for function in file.functions:
        start = starts.get(function.key, 0)
        end = ends.get((function.key[0].rpartition(".")[2], function.line), 0)
        ran = any(counts[bisect_left(numbers, start) : bisect_right(numbers, end)])
        if 0 < start <= end and n_on_line[start] == 1 and ran == bool(function.calls):
            ranges[function.key] = f"{start},{end}"
    return ranges


def _branches(file: FileNumbers) -> Iterator[str]:
    """Yield the records of the branches of *file*: a block for each branch, and in it a record for each way.

    A block of which no way was taken has `-` in place of counts.
    """
    reached = {each.line for each in file.ways or () if each.n_taken}
    ways = [each for each in file.ways or () if each.line in reached or not file.lines[each.line]]
    blocks: Counter[int] = Counter()
    for each in ways:
        for n, count in enumerate(each.targets.values()):
            yield f"BRDA:{each.line},{blocks[each.line]},{n},{count if each.n_taken else '-'}"
        blocks[each.line] += 1
    yield f"BRF:{sum(len(each.targets) for each in ways)}"
    yield f"BRH:{sum(each.n_taken for each in ways)}"
