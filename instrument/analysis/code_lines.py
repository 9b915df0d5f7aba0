"""Tells the lines of a source file apart: statements, annotations and docstrings.

The syntax tree of a source, and its compiled code, come in; sets of line numbers go out.

Problem: annotations run with the statement that they are in up to 3.13, and only on request from 3.14 on. So the lines
of compiled code would make annotations missing on some versions of Python.
Solution: the syntax tree tells which lines are statements, in the same way for all versions.
"""

from __future__ import annotations

import ast
import dis
import types

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_WITH_DOCSTRING = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
# Nodes whose lines the compiler gives to instructions.
_WITH_CODE = (ast.stmt, ast.expr, ast.excepthandler, ast.pattern, ast.alias, ast.keyword)


def code_lines(code: types.CodeType) -> set[int]:
    """Return the lines in the line table of *code*, without those of nested code."""
    return {line for _start, line in dis.findlinestarts(code) if line}


def statement_lines(tree: ast.AST) -> set[int]:
    """Return the lines of *tree* on which a statement or an expression begins, outside of annotations.

    Docstrings are left out, and so are annotations of parameters, results and variables. So are type parameters, the
    values of type aliases, and variables with nothing but an annotation (`x: int`). `x: int = 3` is a statement, and so
    is `type X = int`. Defaults of parameters are left out if all are constants, because Python makes one constant of
    them, on the line of the `def`. Of an `assert` only the condition counts: the message runs if the condition is
    false.
    """
    lines: set[int] = set()
    remaining = [tree]
    while remaining:
        node = remaining.pop()
        if isinstance(node, ast.AnnAssign) and node.value is None:
            continue
        if isinstance(node, ast.Assert):
            remaining.append(node.test)
            continue
        if isinstance(node, _WITH_CODE):
            lines.add(node.lineno)
            if isinstance(node, ast.Attribute) and node.end_lineno is not None:
                lines.add(node.end_lineno)  # calls of methods have the line of the method's name
        skipped = {id(each) for each in _children_that_do_not_run(node)}
        remaining.extend(each for each in ast.iter_child_nodes(node) if id(each) not in skipped)
    return lines


def docstring_lines(tree: ast.AST) -> set[int]:
    """Return the lines of *tree* that docstrings cover."""
    docstrings = (_docstring(node) for node in ast.walk(tree))
    return {line for each in docstrings if each for line in range(each.lineno, (each.end_lineno or each.lineno) + 1)}


def _children_that_do_not_run(node: ast.AST) -> Iterator[ast.AST]:
    """Yield the docstring of *node*, its annotations, and other children that `statement_lines` leaves out."""
    docstring = _docstring(node)
    if docstring:
        yield docstring
    for name in ("annotation", "returns"):
        annotation = getattr(node, name, None)
        if annotation is not None:
            yield annotation
    if isinstance(node, ast.arguments) and all(map(_is_constant, node.defaults)):
        yield from node.defaults
    yield from getattr(node, "type_params", ())
    if type(node).__name__ == "TypeAlias":  # since 3.12
        yield node.value  # type: ignore[attr-defined]


def _is_constant(node: ast.AST) -> bool:
    """Return whether the compiler turns the expression *node* into a constant."""
    if isinstance(node, (ast.UnaryOp, ast.BinOp, ast.Tuple)):
        operands = [each for each in ast.iter_child_nodes(node) if isinstance(each, ast.expr)]
        return all(map(_is_constant, operands))
    return isinstance(node, ast.Constant)


def _docstring(node: ast.AST) -> ast.Expr | None:
    """Return the statement that is the docstring of *node*, None if there is none."""
    if isinstance(node, _WITH_DOCSTRING) and node.body:
        first = node.body[0]
        if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str):
            return first
    return None
