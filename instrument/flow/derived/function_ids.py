"""Gives each function of a source file an id that stays the same while lines move.

The syntax tree of a source comes in; `function_ids` returns the id of each function, class body and lambda, and of the
module. With ids, the counts of two versions of a file can be compared function by function.

An id is the qualified name, and a hash of the text as it is parsed: without positions, comments and docstrings. So only
changes of the function itself change its id. A function within another one has an id of its own. Of it,
only that part is in the hash of the outer one which the outer one executes: name, decorators, defaults, bases.

Problem: bytecode of the same text differs between versions of Python, and between paths of a branch that was optimised.
Solution: the syntax tree. It is at hand wherever counts are shown with their source.
Alternatives: a hash of the bytecode is at hand without the source, but a new version of Python changes all ids.
"""

from __future__ import annotations

import ast
from hashlib import sha256

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from instrument.model.measurement import FunctionKey

    Scope = ast.Module | ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda

_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
_SCOPES = (*_DEFINITIONS, ast.Lambda)
#: Fields that say nothing about the meaning of a program, or repeat another field.
_LEFT_OUT = frozenset(("ctx", "kind", "type_comment", "type_ignores"))
_N_DIGITS = 16


def function_ids(tree: ast.Module) -> dict[FunctionKey, str]:
    """Return the id of each code object of *tree* that has a name in the source, and of lambdas and the module.

    The keys are those of the counts: the qualified name, and the first line. Lambdas within comprehensions have other
    names there, and are left without counts. Functions with equal names and equal texts
    have equal ids. If two functions have the same key, as lambdas on one line, their id has the hashes of both.
    """
    hashes: dict[FunctionKey, list[str]] = {}
    pending: list[tuple[Scope, str, str]] = [(tree, "<module>", "")]
    while pending:
        scope, name, prefix = pending.pop()
        hashes.setdefault((name, _first_line(scope)), []).append(_hash(scope))
        global_names = _global_names(scope)
        for inner in _scopes_within(scope):
            inner_name = "<lambda>" if isinstance(inner, ast.Lambda) else inner.name  # type: ignore[union-attr]
            full_name = inner_name if inner_name in global_names else prefix + inner_name
            is_class = isinstance(inner, ast.ClassDef)
            pending.append((inner, full_name, f"{full_name}." if is_class else f"{full_name}.<locals>."))
    return {key: f"{key[0]}@{'+'.join(sorted(each))}" for key, each in hashes.items()}


def _first_line(scope: Scope) -> int:
    if isinstance(scope, ast.Module):
        return 1
    decorators = scope.decorator_list if isinstance(scope, _DEFINITIONS) else []
    return decorators[0].lineno if decorators else scope.lineno


def _global_names(scope: Scope) -> frozenset[str]:
    """Return the names that *scope* declares global: their functions have no prefix in their qualified name."""
    declared: list[str] = []
    for node in _nodes_within(scope):
        if isinstance(node, ast.Global):
            declared += node.names
    return frozenset(declared)


def _body(scope: Scope) -> list[ast.AST]:
    """Return the statements of *scope* without its docstring, or the expression of a lambda."""
    if isinstance(scope, ast.Lambda):
        return [scope.body]
    first = scope.body[0] if scope.body else None
    is_documented = (
        isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str)
    )
    return [*scope.body[is_documented:]]


def _executed_outside(scope: Scope) -> list[ast.AST]:
    """Return the parts of *scope*, a function, class or lambda, that the code around it executes."""
    if isinstance(scope, ast.ClassDef):
        return [*scope.decorator_list, *scope.bases, *scope.keywords]
    if isinstance(scope, ast.Lambda):
        return [scope.args]
    assert not isinstance(scope, ast.Module)
    return [*scope.decorator_list, scope.args, *([scope.returns] if scope.returns else [])]


def _nodes_within(scope: Scope) -> Iterator[ast.AST]:
    """Yield the nodes that the code of *scope* executes itself, and the scopes in it; in no particular order."""
    pending = _body(scope)
    while pending:
        node = pending.pop()
        yield node
        pending += _executed_outside(node) if isinstance(node, _SCOPES) else ast.iter_child_nodes(node)


def _scopes_within(scope: Scope) -> Iterator[Scope]:
    return (node for node in _nodes_within(scope) if isinstance(node, _SCOPES))


def _hash(scope: Scope) -> str:
    """Return the hash of *scope*: its parameters, and its body."""
    hash_ = sha256(type(scope).__name__.encode())
    pending: list[object] = [_body(scope)]
    if not isinstance(scope, (ast.Module, ast.ClassDef)):
        pending.append(scope.args)
    while pending:
        item = pending.pop()
        if isinstance(item, list):
            pending += [f"{len(item)} items", *item]
        elif isinstance(item, ast.AST):
            hash_.update(f"{type(item).__name__} ".encode())
            if isinstance(item, _SCOPES):
                pending += [getattr(item, "name", ""), _executed_outside(item)]
                continue
            # A version may have a field that others lack. Then its value is empty in sources for all of them.
            pending += [(name, value) for name, value in ast.iter_fields(item) if value not in (None, [])]
        elif isinstance(item, tuple) and len(item) == 2 and isinstance(item[0], str):
            name, value = item
            if name not in _LEFT_OUT:
                hash_.update(f"{name} ".encode())
                pending.append(value if isinstance(value, (list, ast.AST)) else repr(value))
        else:
            hash_.update(f"{item!r} ".encode("utf-8", "surrogatepass"))
    return hash_.hexdigest()[:_N_DIGITS]
