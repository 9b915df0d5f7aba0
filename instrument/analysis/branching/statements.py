"""Statements: the lines of each statement of a source file, and the ways behind the statements that decide.

The syntax tree of a source, its lines, and the numbers of those with code come in; `StatementLines` goes out. Branches
are those of coverage.py. An `if`, `elif`, `while`, `for` or `case` decides: control goes to its body, or to the
statement that follows.

Problem: the compiler copies the body of `finally` for each way out, and leaves the body of `with` through its header.
So the bytecode has more ways than the source, and other targets.
Solution: the source tells which two ways a statement has; the bytecode tells how often control took them.
"""

from __future__ import annotations

import ast
from typing import NamedTuple

from instrument.model.flow_counts import RAISED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence, Set

    from instrument.model.measurement import FunctionKey

    _Node = ast.stmt | ast.excepthandler | ast.match_case
    #: The parts of a statement that hold further statements, handlers or cases.
    _Suite = Sequence[_Node]


class Choice(NamedTuple):
    """The two ways on from a statement that decides. Reports show them at `line`.

    `inner` is the line of the first statement of the body. If the body is on the line of the statement, `inner` is the
    line to which the last statement of the body leads. `onward` is the line that follows if the body is passed by.
    Either is 0 if control leaves the function or class.

    `reached` is the target of the arc that takes the way `inner`. It is another line than `inner` if control passes a
    `finally` or a `with` first, and RAISED behind a `raise`. `body` has the lines of the body, none if the body is on
    the line of the statement. `defined` is the name and first line of a `def` or `class` on one line: it runs the body
    later. It is None for all other statements.
    """

    line: int
    inner: int
    onward: int
    reached: int
    body: range = range(0)
    defined: FunctionKey | None = None

    def way_to(self, target: int) -> int:
        """Return the way, `inner` or `onward`, by which control gets to the line *target*."""
        return self.inner if target == self.reached or target in self.body else self.onward

    def is_of(self, function: FunctionKey) -> bool:
        """Return whether *function* is the `def` or `class` on one line."""
        return self.defined is not None and (function[0].rpartition(".")[2], function[1]) == self.defined


class _Place(NamedTuple):
    """The lines to which control goes from a suite: at its end (`onward`), and by `continue`, `break` and `raise`.

    `end` is the line that control meets at the end, and `end_of_break` the one that it meets behind a `break`. Control
    that leaves a `with` meets its header before the line that follows.

    A `raise` leads to the handlers of its `try`, or to 0, out of the function. It leads to None where coverage.py sees
    no way: in the code of modules and classes, and from a `try` with a `finally` alone. `passed` is the header of
    `with`, or the `finally`, that a `return` passes first, and `passed_in_loop` the same for `continue` and `break`.
    Both are 0 if there is none.
    """

    onward: int = 0
    end: int = 0
    continues: int = 0
    breaks: int = 0
    end_of_break: int = 0
    raises: int | None = None
    passed: int = 0
    passed_in_loop: int = 0

    def left_through(self, line: int) -> _Place:
        """Return this place inside of a statement whose *line* control passes when it leaves the suite."""
        return self._replace(end=line, passed=line, passed_in_loop=line)


class StatementLines:
    """The statements of a syntax *tree*: `first` and `choices`.

    `first` maps each further line of a statement, or of a header, to its first line; decorators are part of a header.
    `choices` maps the first line of each statement that decides to its Choice.

    *lines* are the lines of the source, and *with_code* has the numbers of the lines with code. Control never goes to a
    statement without code, such as `global x` or `x: int`, or a statement behind a `return`.
    """

    def __init__(self, tree: ast.Module, lines: Sequence[bytes], with_code: Set[int]) -> None:
        self.first: dict[int, int] = {}
        self.choices: dict[int, Choice] = {}
        self._lines = lines
        self._with_code = with_code
        remaining: list[tuple[_Suite, _Place]] = [(tree.body, _Place())]
        while remaining:
            suite, place = remaining.pop()
            onward, end = place.onward, place.end
            for node in reversed(suite):
                first = self._first_line(node)
                self._add_lines(node, first)
                # The end of a case leads behind all cases; only a pattern that does not match leads to the next one.
                after = place if isinstance(node, ast.match_case) else place._replace(onward=onward, end=end)
                suites = [*self._suites(node, first, after)]
                if suites:
                    self._add_choice(node, first, onward, *suites[0])
                remaining += suites
                if not isinstance(node, ast.excepthandler) and self._has_code(node):
                    onward = end = first

    def _first_line(self, node: _Node) -> int:
        """Return the first line of *node*. That of a case is searched: its pattern may begin on a further line."""
        if isinstance(node, ast.match_case):
            line = node.pattern.lineno
            while line > 1 and not self._lines[line - 1].lstrip().startswith(b"case"):
                line -= 1
            return line
        decorators: list[ast.expr] = getattr(node, "decorator_list", [])
        return min([node.lineno, *(decorator.lineno for decorator in decorators)])

    def _first_line_of(self, suite: _Suite, otherwise: int) -> int:
        """Return the first line of the code of *suite*; *otherwise* if there is no code."""
        return next((self._first_line(node) for node in suite if self._has_code(node)), otherwise)

    def _has_code(self, node: _Node) -> bool:
        """Return whether the compiler makes code of the statement or case *node*."""
        last = node.body[-1] if isinstance(node, ast.match_case) else node
        return any(line in self._with_code for line in range(self._first_line(node), (last.end_lineno or 0) + 1))

    def _begins_line(self, node: ast.stmt) -> bool:
        """Return whether nothing but white space stands before the statement *node* on its line."""
        first = self._first_line(node)
        return first < node.lineno or not self._lines[first - 1][: node.col_offset].strip()

    def _add_lines(self, node: _Node, first: int) -> None:
        """Add the lines of the statement *node*, or of its header; a suite on one line is part of the header."""
        body: list[ast.stmt] = getattr(node, "body", [])
        if isinstance(node, ast.Match):
            last = self._first_line(node.cases[0]) - 1
        elif body and self._begins_line(body[0]):
            last = self._first_line(body[0]) - 1
        else:
            end: ast.stmt = body[-1] if body else node  # type: ignore[assignment]  # handlers and cases have a body
            last = end.end_lineno or first
        for line in range(first + 1, last + 1):
            self.first.setdefault(line, first)

    def _suites(self, node: _Node, first: int, place: _Place) -> Iterator[tuple[_Suite, _Place]]:
        """Yield each suite of the statement *node*, which begins on the line *first*, and where the suite leads to."""
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                yield node.body, _Place(raises=0)
            case ast.ClassDef():
                yield node.body, _Place()
            case ast.While() | ast.For() | ast.AsyncFor():
                yield (
                    node.body,
                    _Place(first, first, first, place.onward, place.end, place.raises, place.passed),
                )
                yield node.orelse, place
            case ast.Try() | ast.TryStar():
                final = place
                if node.finalbody:
                    line = self._first_line_of(node.finalbody, place.onward)
                    final = place.left_through(line)._replace(onward=line, raises=None)
                body = final._replace(raises=node.handlers[0].lineno if node.handlers else None)
                if node.orelse:
                    line = self._first_line_of(node.orelse, final.onward)
                    body = body._replace(onward=line, end=line)
                yield node.body, body
                yield node.orelse, final
                yield node.handlers, final
                yield node.finalbody, place
            case ast.Match():
                yield node.cases, place
            case ast.With() | ast.AsyncWith():
                yield node.body, place.left_through(first)
            case ast.ExceptHandler() | ast.match_case():
                yield node.body, place
            case ast.If():
                yield node.body, place
                yield node.orelse, place

    def _add_choice(self, node: _Node, first: int, onward: int, suite: _Suite, place: _Place) -> None:
        """Add the Choice of the statement *node* if it decides. Its body, *suite*, leads to *place*."""
        match node:
            case ast.If() | ast.While() | ast.For() | ast.AsyncFor():
                onward = self._first_line_of(node.orelse, onward)
            case ast.match_case():
                pass
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                if not self._begins_line(node.body[0]):
                    self.choices[first] = Choice(node.lineno, 0, onward, 0, defined=(node.name, first))
                return
            case _:
                return
        inner, last = self._first_line_of(suite, 0), node.body[-1]
        if inner and self._begins_line(node.body[0]):
            self.choices[first] = Choice(first, inner, onward, inner, range(inner, (last.end_lineno or inner) + 1))
            return
        match last:
            case ast.Return():
                self.choices[first] = Choice(first, 0, onward, place.passed)
            case ast.Continue():
                self.choices[first] = Choice(first, place.continues, onward, place.passed_in_loop or place.continues)
            case ast.Break():
                self.choices[first] = Choice(first, place.breaks, onward, place.passed_in_loop or place.end_of_break)
            case ast.Raise():
                if place.raises is not None:
                    self.choices[first] = Choice(first, place.raises, onward, RAISED)
            case _:
                self.choices[first] = Choice(first, place.onward, onward, place.end)
