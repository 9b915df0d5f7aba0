"""Which lines of a source file can run, and for what: statements, annotations, or docstrings.

The syntax tree of a source and its compiled code come in; sets of line numbers go out. Where annotations run differs:
up to 3.13 with the statement that they are in, from 3.14 on when a program asks for them. So the code does not say
which lines are never missing. The syntax tree does, and it says the same for all Pythons.
"""

from __future__ import annotations

import ast
import dis
import types

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_WITH_DOCSTRING = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
# The compiler gives instructions the lines of these.
_WITH_CODE = (ast.stmt, ast.expr, ast.excepthandler, ast.pattern, ast.alias, ast.keyword)


def code_lines(code: types.CodeType) -> set[int]:
    """Return the lines in the line table of *code*, without those of code nested in it."""
    return {line for _start, line in dis.findlinestarts(code) if line}


def statement_lines(tree: ast.AST) -> set[int]:
    """Return the lines of *tree* on which a statement or an expression begins that is not part of an annotation.

    Left out are docstrings; annotations of parameters, results and variables; variables that are only annotated
    (`x: int`); type parameters; and the values of type aliases. `x: int = 3` is a statement, and so is `type X = int`.
    Left out too are defaults of parameters that are all constants: Python makes one constant of them, on the line of
    the `def`. Of an `assert` only the condition is there: the rest runs if it fails.
    """
    found: set[int] = set()
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.AnnAssign) and node.value is None:
            continue
        if isinstance(node, ast.Assert):
            waiting.append(node.test)
            continue
        if isinstance(node, _WITH_CODE):
            found.add(node.lineno)
            if isinstance(node, ast.Attribute) and node.end_lineno is not None:
                found.add(node.end_lineno)  # calls of methods have the line of the method's name
        left_out = {id(each) for each in _not_run(node)}
        waiting.extend(each for each in ast.iter_child_nodes(node) if id(each) not in left_out)
    return found


def docstring_lines(tree: ast.AST) -> set[int]:
    """Return the lines of *tree* that docstrings cover."""
    docstrings = (_docstring(node) for node in ast.walk(tree))
    return {line for each in docstrings if each for line in range(each.lineno, (each.end_lineno or each.lineno) + 1)}


def _not_run(node: ast.AST) -> Iterator[ast.AST]:
    """Yield the children of *node* that are annotations, or are treated as such, and its docstring."""
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
    """Return whether the compiler makes a constant of the expression *node*."""
    if isinstance(node, (ast.UnaryOp, ast.BinOp, ast.Tuple)):
        operands = [each for each in ast.iter_child_nodes(node) if isinstance(each, ast.expr)]
        return all(map(_is_constant, operands))
    return isinstance(node, ast.Constant)


def _docstring(node: ast.AST) -> ast.Expr | None:
    """Return the statement that is the docstring of *node*, if there is one."""
    if isinstance(node, _WITH_DOCSTRING) and node.body:
        first = node.body[0]
        if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str):
            return first
    return None
