"""Tells the lines of a source file apart: statements, annotations and docstrings. It also finds the definitions.

The syntax tree of a source, and its compiled code, come in; sets of line numbers, and definitions, go out.

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
    from collections.abc import Callable
    from typing import Any

    from instrument.model.measurement import FunctionKey

#: Nodes whose lines the compiler gives to instructions.
_WITH_CODE = (ast.stmt, ast.expr, ast.excepthandler, ast.pattern, ast.alias, ast.keyword)
#: Fields that have no nodes with lines, or whose nodes do not run.
_NOT_FOLLOWED = frozenset(("ctx", "op", "ops", "annotation", "returns", "type_params"))


def code_lines(code: types.CodeType) -> set[int]:
    """Return the lines in the line table of *code*, without those of nested code."""
    return {line for _start, line in dis.findlinestarts(code) if line}


class Definition:
    """A `def` or `class`: whether it is a class, and the line of the keyword."""

    __slots__ = ("is_class", "line")

    def __init__(self, is_class: bool, line: int) -> None:
        self.is_class = is_class
        self.line = line


class Syntax:
    """Facts about the syntax *tree* of a source, found in one walk: a large project has millions of nodes.

    `statements` has the lines on which a statement or an expression begins, outside of annotations. Docstrings are left
    out, and so are annotations of parameters, results and variables. So are type parameters, the values of type
    aliases, and variables with nothing but an annotation (`x: int`). `x: int = 3` is a statement, and so is `type X =
    int`. Defaults of parameters are left out if all are constants, because Python makes one constant of them, on the
    line of the `def`. Of an `assert` only the condition counts: the message runs if the condition is false.

    `docstrings` has the lines that docstrings cover. `definitions` has each `def` and `class`, by its plain name and
    the first line of its code object. That is the line of its first decorator, if there is one. `has_ellipsis` is
    whether there is a statement `...`, and `has_code` whether there is any statement but a docstring.
    """

    def __init__(self, tree: ast.Module) -> None:
        self.statements: set[int] = set()
        self.docstrings: set[int] = set()
        self.definitions: dict[FunctionKey, Definition] = {}
        self.has_ellipsis = False
        self.has_code = len(tree.body) > (_docstring(tree) is not None)
        self._walk(tree)

    def _walk(self, tree: ast.Module) -> None:
        """Fill all attributes but `has_code`."""
        ways: dict[type, _Way] = {}
        remaining: list[Any] = [tree]
        pop, push, extend, add = remaining.pop, remaining.append, remaining.extend, self.statements.add
        while remaining:
            node = pop()
            kind = type(node)
            way = ways.get(kind)
            if way is None:
                way = ways[kind] = _way_of(kind)
            has_line, look, fields = way
            if has_line:
                add(node.lineno)
            if look is not None:
                extend(look(self, node))
            for field in fields:
                value = getattr(node, field)
                if type(value) is list:
                    extend(value)
                else:
                    push(value)

    # Looks at special nodes: each returns the nodes to follow, beside those of the fields in `_way_of`.

    def _look_at_attribute(self, node: ast.Attribute) -> list[ast.AST]:
        if node.end_lineno is not None:
            self.statements.add(node.end_lineno)  # calls of methods have the line of the method's name
        return []

    def _look_at_expression(self, node: ast.Expr) -> list[ast.AST]:
        if isinstance(node.value, ast.Constant) and node.value.value is ...:
            self.has_ellipsis = True
        return []

    def _look_at_definition(self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> list[ast.stmt]:
        first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
        self.definitions[node.name, first] = Definition(isinstance(node, ast.ClassDef), node.lineno)
        return self._look_at_body(node)

    def _look_at_body(self, node: ast.Module | ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> list[ast.stmt]:
        docstring = _docstring(node)
        if docstring is None:
            return node.body
        self.docstrings.update(range(docstring.lineno, (docstring.end_lineno or docstring.lineno) + 1))
        return node.body[1:]

    def _look_at_variable(self, node: ast.AnnAssign) -> list[ast.expr]:
        if node.value is None:
            return []
        self.statements.add(node.lineno)
        return [node.target, node.value]

    def _look_at_arguments(self, node: ast.arguments) -> list[ast.expr]:
        return [] if all(map(_is_constant, node.defaults)) else node.defaults


#: How to walk a node: whether its line counts, the method that looks at it, and its fields to follow.
if TYPE_CHECKING:
    _Way = tuple[bool, Callable[[Syntax, Any], list[Any]] | None, tuple[str, ...]]

#: Nodes that are special: the method that looks at them, and the fields that this method takes care of.
_SPECIAL: dict[str, tuple[Any, tuple[str, ...]]] = {
    "Module": (Syntax._look_at_body, ("body", "type_ignores")),
    "FunctionDef": (Syntax._look_at_definition, ("body",)),
    "AsyncFunctionDef": (Syntax._look_at_definition, ("body",)),
    "ClassDef": (Syntax._look_at_definition, ("body",)),
    "arguments": (Syntax._look_at_arguments, ("defaults",)),
    "Attribute": (Syntax._look_at_attribute, ()),
    "Expr": (Syntax._look_at_expression, ()),
    "AnnAssign": (Syntax._look_at_variable, ("target", "value")),
    "Assert": (None, ("msg",)),
    "Constant": (None, ("value",)),
    "TypeAlias": (None, ("value",)),  # since 3.12
}


def _way_of(kind: type) -> _Way:
    """Return how to walk a node of this *kind*. Other values of fields, such as texts, have no line and no fields."""
    if not issubclass(kind, ast.AST):
        return False, None, ()
    look, left_out = _SPECIAL.get(kind.__name__, (None, ()))
    has_line = issubclass(kind, _WITH_CODE) and kind not in (ast.AnnAssign, ast.Assert)
    fields = [field for field in kind._fields if field not in _NOT_FOLLOWED and field not in left_out]
    return has_line, look, (*fields,)


def _is_constant(node: ast.AST) -> bool:
    """Return whether the compiler turns the expression *node* into a constant."""
    if isinstance(node, (ast.UnaryOp, ast.BinOp, ast.Tuple)):
        operands = [each for each in ast.iter_child_nodes(node) if isinstance(each, ast.expr)]
        return all(map(_is_constant, operands))
    return isinstance(node, ast.Constant)


def _docstring(node: ast.Module | ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> ast.Expr | None:
    """Return the statement that is the docstring of *node*, None if there is none."""
    first = node.body[0] if node.body else None
    if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str):
        return first
    return None
