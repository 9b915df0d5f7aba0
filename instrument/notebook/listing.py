"""Lists the lines that ran, with their counts: of the measured cell all lines, of other files those of functions.

Texts and counts come in, and Sections of lines go out. All values are plain, and nothing here depends on IPython.
"""

from __future__ import annotations

import ast
import re
import tokenize
import warnings
from types import CodeType
from typing import NamedTuple

from instrument.analysis.code_lines import Syntax, code_lines
from instrument.analysis.exclusions import Exclusions

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_NOT_COMPILED = (SyntaxError, ValueError, tokenize.TokenError, RecursionError, MemoryError)
#: The ends of lines for the compiler; `str.splitlines` knows more.
_END_OF_LINE = re.compile(r"\r\n|\r|\n")
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


class ListedLine(NamedTuple):
    """A line: its *number* from 1, its *text*, and how many *times* it ran.

    That is 0 if the line can run and did not, and None if it cannot run.
    """

    number: int
    text: str
    times: int | None


class Section(NamedTuple):
    """The listed lines of one file, under a *title*, with the names of the *functions* among them."""

    title: str
    functions: tuple[str, ...]
    lines: tuple[ListedLine, ...]

    def n_ran(self) -> int:
        """Return how many lines ran."""
        return sum(bool(line.times) for line in self.lines)

    def n_lines(self) -> int:
        """Return how many lines can run."""
        return sum(line.times is not None for line in self.lines)

    def hits(self) -> int:
        """Return the sum of all counts."""
        return sum(line.times or 0 for line in self.lines)

    def runs_of_lines(self) -> Iterator[list[ListedLine]]:
        """Yield lists of lines that follow each other in the file."""
        run: list[ListedLine] = []
        for line in self.lines:
            if run and line.number != run[-1].number + 1:
                yield run
                run = []
            run.append(line)
        if run:
            yield run


class Function(NamedTuple):
    """A function that is in no other: its qualified *name*, its *first* line, that of its *body*, and its *last*."""

    name: str
    first: int
    body: int
    last: int


class Source:
    """The *text* of a file, with its `lines`, and its outermost `functions`.

    `can_run` has the numbers of the lines that can run, and `compiled` those of all lines with code. Of a text that
    Python cannot compile, neither functions nor such lines are known.
    """

    def __init__(self, text: str) -> None:
        self.lines = lines_of(text)
        self.can_run: frozenset[int] = frozenset()
        self.compiled: frozenset[int] = frozenset()
        self.functions: list[Function] = []
        self._statements: list[tuple[int, int]] = []
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                tree = ast.parse(text)
                # Cells may await, and run in a namespace without the future statements of this module.
                code = compile(text, "<cell>", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
            syntax = Syntax(tree)
            excluded, _ = Exclusions().find(text.encode(), has_ellipsis=syntax.has_ellipsis)
        except _NOT_COMPILED:
            return
        self.compiled = frozenset(_lines_of(code))
        self.can_run = (self.compiled & syntax.statements) - (syntax.docstrings - syntax.statements) - excluded
        self._walk(tree, "")

    def _walk(self, node: ast.AST, prefix: str) -> None:
        """Find functions and statements in *node*, whose names begin with *prefix*."""
        for child in ast.iter_child_nodes(node):
            if isinstance(child, _FUNCTIONS):
                first = min([child.lineno, *(decorator.lineno for decorator in child.decorator_list)])
                last = child.end_lineno or child.lineno
                self.functions.append(Function(prefix + child.name, first, child.body[0].lineno, last))
            elif isinstance(child, ast.ClassDef):
                self._walk(child, f"{prefix}{child.name}.")
            elif isinstance(child, ast.stmt):
                if not any(isinstance(each, ast.stmt) for each in ast.iter_child_nodes(child)):
                    self._statements.append((child.lineno, child.end_lineno or child.lineno))
                self._walk(child, prefix)
            elif isinstance(child, (ast.excepthandler, ast.match_case)):
                self._walk(child, prefix)

    def whole(self, counts: Mapping[int, int]) -> list[ListedLine]:
        """Return all lines."""
        return [self._line(number, counts, True) for number in range(1, len(self.lines) + 1)]

    def parts(self, title: str, counts: Mapping[int, int]) -> Section:
        """Return a section with the functions that ran, and with the statements that ran outside of functions."""
        ran = [each for each in self.functions if any(each.body <= line <= each.last for line in counts)]
        listed: dict[int, bool] = {}  # whether the line is one of a function that ran
        for function in ran:
            listed.update((line, line >= function.body) for line in range(function.first, function.last + 1))
        for line in counts:
            if line not in listed:
                ranges = [(first, last) for first, last in self._statements if first <= line <= last]
                first, last = ranges[0] if ranges else (line, line)
                listed.update((each, False) for each in range(first, last + 1) if each not in listed)
        lines = (self._line(number, counts, listed[number]) for number in sorted(listed))
        return Section(title, tuple(function.name for function in ran), tuple(lines))

    def _line(self, number: int, counts: Mapping[int, int], may_be_missing: bool) -> ListedLine:
        """Return line *number*; it can only have the count 0 if it *may_be_missing*."""
        text = self.lines[number - 1] if number <= len(self.lines) else ""
        zero = 0 if may_be_missing and number in self.can_run else None
        return ListedLine(number, text, counts.get(number, zero))


def lines_of(text: str) -> list[str]:
    """Return the lines of *text*, without their ends, as the compiler counts them."""
    lines = _END_OF_LINE.split(text)
    return lines[:-1] if lines[-1] == "" else lines


def _lines_of(code: CodeType) -> set[int]:
    """Return the lines of *code*, and of all code in it."""
    lines = code_lines(code)
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            lines |= _lines_of(constant)
    return lines
