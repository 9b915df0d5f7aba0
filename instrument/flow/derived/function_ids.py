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
    from instrument.model.measurement import FunctionKey

    Scope = ast.Module | ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda

_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
_SCOPES = (*_DEFINITIONS, ast.Lambda)
#: Fields that say nothing about the meaning of a program, or repeat another field.
_LEFT_OUT = frozenset(("ctx", "kind", "type_comment", "type_ignores"))
#: Fields that older versions of Python lack, with the value that means the same as no field.
_ADDED = (("is_lazy", 0),)
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
        inner_scopes, global_names = _scopes_and_globals(scope)
        for inner in inner_scopes:
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


def _scopes_and_globals(scope: Scope) -> tuple[list[Scope], frozenset[str]]:
    """Return the scopes in *scope*, and the names that it declares global: functions of these names have no prefix.

    The scopes are in no particular order. Those within them are left out.
    """
    scopes: list[Scope] = []
    global_names: list[str] = []
    pending = _body(scope)
    while pending:
        node = pending.pop()
        if isinstance(node, _SCOPES):
            scopes.append(node)
            pending += _executed_outside(node)
            continue
        if isinstance(node, ast.Global):
            global_names += node.names
        pending += ast.iter_child_nodes(node)
    return scopes, frozenset(global_names)


def _hash(scope: Scope) -> str:
    """Return the hash of *scope*: its parameters, and its body."""
    words = [type(scope).__name__]
    pending: list[object] = [_body(scope)]
    if not isinstance(scope, (ast.Module, ast.ClassDef)):
        pending.append(scope.args)
    while pending:
        item = pending.pop()
        if isinstance(item, list):
            words.append(f"{len(item)} items")
            pending += item
        elif isinstance(item, ast.AST):
            words.append(type(item).__name__)
            if isinstance(item, _SCOPES):
                words.append(getattr(item, "name", ""))
                pending.append(_executed_outside(item))
                continue
            for name in item._fields:
                value = getattr(item, name, None)
                if isinstance(item, ast.JoinedStr):
                    value = [each for each in item.values if not _is_empty_text(each)]  # 3.12 adds some
                if value is None or value == [] or name in _LEFT_OUT or (name, value) in _ADDED:
                    continue
                if isinstance(value, (list, ast.AST)):
                    words.append(name)
                    pending.append(value)
                else:
                    words.append(f"{name} {_word(value)}")
        else:
            words.append(_word(item))
    return sha256("\n".join(words).encode("utf-8", "surrogatepass")).hexdigest()[:_N_DIGITS]


def _is_empty_text(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value == ""


def _word(value: object) -> str:
    """Return *value*, a constant, as text on one line."""
    # Python refuses to write many decimal digits, and newer versions have more printable characters.
    return hex(value) if type(value) is int else ascii(value)
