"""Facts of syntax nodes: names, identifiers, and the variables of a function."""

from __future__ import annotations

import ast

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
#: Displays of containers, which make a new one.
NEW = (ast.List, ast.Dict, ast.Set, ast.ListComp, ast.DictComp, ast.SetComp)
CONSTRUCTORS = frozenset(("__init__", "__new__", "__post_init__"))


def name_of(node: ast.AST) -> str:
    """Return the name of *node*, or of its attribute; an empty text if it is another expression."""
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")


def identifiers(nodes: Iterable[ast.AST]) -> Iterator[str]:
    """Yield the identifiers that *nodes* themselves have; those of attributes begin with a dot.

    Texts are names and attributes, too: `getattr` may find a function by them.
    """
    for node in nodes:
        if isinstance(node, ast.Name):
            yield node.id
        elif isinstance(node, ast.Attribute):
            yield f".{node.attr}"
        elif isinstance(node, ast.alias):
            yield node.name.rpartition(".")[2]
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.isidentifier():
            yield node.value
            yield f".{node.value}"


def local_variables(scope: ast.AST, nodes: Iterable[ast.AST]) -> frozenset[str]:
    """Return the parameters of *scope*, and the names that its *nodes* assign; none if it is no function."""
    if not isinstance(scope, FUNCTIONS):
        return frozenset()
    parameters = {node.arg for node in ast.walk(scope.args) if isinstance(node, ast.arg)}
    return frozenset(
        (*parameters, *(node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)))
    )


def beginning_of(node: ast.expr | None) -> str:
    """Return the constant beginning of the text that *node* computes, or an empty text."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return beginning_of(node.left)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mod):
        return beginning_of(node.left).partition("%")[0]
    if isinstance(node, ast.JoinedStr) and node.values:
        return beginning_of(node.values[0])
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        beginning = beginning_of(node.func.value)
        if node.func.attr == "format":
            return beginning.partition("{")[0]
        if node.func.attr in ("lower", "strip"):
            return beginning
    return ""
