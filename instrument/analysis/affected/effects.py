"""Effects: the names in the code of a unit, the calls that it may make, and the stores of results.

The syntax nodes of a unit come in (`units`). Facts about names go out: `kept` decides with the names of all units.

A call is direct if its callee is a global name or an attribute. It is indirect if the callee is a local variable or
another expression, as in `handlers[key]()`. A function may be called indirectly if its name is used in another place
than that of a callee: the name is then `taken`. A name that `getattr` gets may be computed. Its constant beginning is
known: "visit_" in `getattr(self, "visit_" + kind)`.

A call of foreign code with arguments may store them, or call them. Exceptions are operations of builtin types, and
well-known functions of the standard library.
"""

from __future__ import annotations

import ast
import builtins
from typing import NamedTuple

from instrument.analysis.affected.foreign import protocols_of_syntax
from instrument.analysis.affected.nodes import FUNCTIONS, NEW, beginning_of, identifiers, local_variables, name_of
from instrument.analysis.affected.stores import Stores

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

#: Names by which code finds any attribute or variable.
_FINDERS = frozenset(
    ("globals", "locals", "vars", "eval", "exec", "getmembers", "dir", "attrgetter", "methodcaller", "__dict__")
)
_GETATTR = frozenset(("getattr", "hasattr", "__getattribute__", "__getattr__"))
#: Builtins, and methods of builtin types, that use up a generator or call a function, and keep neither.
_USERS = frozenset(
    ("join", "any", "all", "sum", "set", "list", "tuple", "dict", "frozenset", "sorted", "sort", "max", "min", "extend")
)
_BUILTINS = frozenset(dir(builtins))
_LEAVING = (ast.Return, ast.Raise, ast.Break, ast.Continue)


class Effects(NamedTuple):
    """The effects that the code of a unit may have.

    - mentions: the identifiers in its code, with those of inner lambdas and texts
    - called: the identifiers of callees, and texts
    - skippable: the identifiers that a call of the unit may skip, as behind an `if`
    - taken: the identifiers that it uses in another place than that of a callee
    - calls: the names of functions that it calls with arguments; methods of objects that it has made are left out
    - calls_on_roots: the names in `calls` that are global, or attributes of a root or a module
    - callees: the names of all functions that it calls directly
    - assigned: the names of attributes and global variables that it assigns
    - shared: the names that a class body assigns to objects that can be changed
    - calls_indirectly: whether a callee may be a value: a local variable, or another expression
    - skips_calls: whether a call of the unit may skip another part of its code
    - beginnings: constant beginnings of computed names of attributes, and whether the attributes are those of `self`;
      an empty text stands for any name
    - stores: whether it may store a value in an object that it has not made
    - stores_in_roots: whether this object may be a root (`stores`)
    - stores_in_self: whether this object may be the first argument of a method
    - stores_given: whether the stored value may come from its caller: a parameter, or the mark that something is done
    - stores_in_results_of: the functions in whose results it may store
    - returns_root: whether it may return a root
    - changes: the attributes of the first argument whose objects it may change
    - protocols: the special methods that its syntax may call
    - skippable_protocols: the special methods among them that a call of the unit may skip
    - is_suspended: whether its code runs later than its call: a generator or coroutine
    - makes_own_class: whether it may make an object of its own class by another name
    - patches: whether module-level code changes an object that it has imported
    - has_lambda: whether it has a function without a name, or a generator expression, that may outlive its call
    """

    mentions: frozenset[str]
    called: frozenset[str]
    skippable: frozenset[str]
    taken: frozenset[str]
    calls: frozenset[str]
    calls_on_roots: frozenset[str]
    callees: frozenset[str]
    assigned: frozenset[str]
    shared: frozenset[str]
    calls_indirectly: bool
    skips_calls: bool
    beginnings: frozenset[tuple[str, bool]]
    stores: bool
    stores_in_roots: bool
    stores_in_self: bool
    stores_given: bool
    stores_in_results_of: frozenset[str]
    returns_root: bool
    changes: frozenset[str]
    protocols: frozenset[str]
    skippable_protocols: frozenset[str]
    is_suspended: bool
    makes_own_class: bool
    patches: bool
    has_lambda: bool


def effects_of(
    name: str,
    scope: ast.AST,
    nodes: list[ast.AST],
    inner: Iterable[str],
    classes: Iterable[str],
    decorators: Iterable[ast.AST],
    around: frozenset[str],
) -> Effects:
    """Return the effects of the unit *name* of *scope*, with these own *nodes*.

    *inner* has the names of units in it, *classes* those of classes, and *decorators* the nodes of their decorators.
    *around* has the local variables of the functions around the unit.
    """
    variables = around | local_variables(scope, nodes) - {*inner}
    stores = Stores(name, scope, nodes)
    is_suspended = _is_suspended(scope, nodes)
    skipped = nodes if is_suspended else _skipped(scope, nodes)
    called = [node for node in nodes if isinstance(node, ast.Call)]
    given = [node for node in called if _gives_arguments(node, variables) and not stores.is_own(node.func)]
    callees = {id(node.func) for node in called}
    uses = [node for node in nodes if id(node) not in callees]
    return Effects(
        mentions=frozenset((*identifiers(nodes), *inner)),
        called=frozenset(
            (
                *identifiers(node for node in nodes if id(node) in callees or isinstance(node, ast.Constant)),
                *identifiers(decorators),
                *classes,
            )
        ),
        skippable=frozenset((*identifiers(skipped), *inner)),
        taken=frozenset(
            name_of(node)
            for node in uses
            if isinstance(node, (ast.Name, ast.Attribute)) and isinstance(node.ctx, ast.Load)
        ),
        calls=frozenset(name_of(node.func) for node in given) - {""},
        calls_on_roots=frozenset(name_of(node.func) for node in given if stores.is_of_root(node.func)) - {""},
        callees=frozenset(name_of(node.func) for node in called) - {""},
        assigned=frozenset(_assigned(scope, nodes)),
        shared=frozenset(_shared(scope, nodes)),
        calls_indirectly=any(_is_indirect(node, variables) for node in called),
        skips_calls=bool(skipped),
        beginnings=frozenset(_beginnings(nodes, skipped)),
        stores=not isinstance(scope, FUNCTIONS) or bool(stores.places),
        stores_in_roots=not isinstance(scope, FUNCTIONS) or stores.in_roots,
        stores_in_self=stores.in_self,
        stores_given=stores.has_parameters or any(map(stores.may_be_mark, nodes)),
        stores_in_results_of=frozenset(stores.in_results_of()),
        returns_root=any(map(stores.is_root, nodes)),
        changes=frozenset(stores.changed_attributes()),
        protocols=protocols_of_syntax(nodes),
        skippable_protocols=protocols_of_syntax(skipped),
        is_suspended=is_suspended,
        makes_own_class=any(map(_makes_own_class, called)),
        patches=isinstance(scope, ast.Module) and stores.patch(nodes),
        has_lambda=_has_lambda(nodes, called),
    )


def _gives_arguments(call: ast.Call, variables: frozenset[str]) -> bool:
    """Return whether *call* has arguments. A call of a local variable does not count; *variables* has their names."""
    is_variable = isinstance(call.func, ast.Name) and call.func.id in variables
    return bool(call.args or call.keywords) and not is_variable


def _is_suspended(scope: ast.AST, nodes: list[ast.AST]) -> bool:
    """Return whether *scope* is a generator or a coroutine."""
    has_yield = any(isinstance(node, (ast.Yield, ast.YieldFrom)) for node in nodes)
    return isinstance(scope, ast.AsyncFunctionDef) or has_yield


def _skipped(scope: ast.AST, nodes: list[ast.AST]) -> list[ast.AST]:
    """Return the *nodes* that a call of *scope* may skip; all of a class body or module."""
    if not isinstance(scope, FUNCTIONS):
        return nodes
    ids = {id(node) for node in _skippable(scope.body)}
    return [node for node in nodes if id(node) in ids]


def _skippable(body: Iterable[ast.stmt]) -> Iterator[ast.AST]:
    """Yield the nodes of *body* that its execution may skip."""
    may_have_left = False
    for statement in body:
        if may_have_left:
            yield from ast.walk(statement)
        else:
            yield from _skippable_in(statement)
            may_have_left = any(isinstance(node, _LEAVING) for node in ast.walk(statement))


def _skippable_in(node: ast.AST) -> Iterator[ast.AST]:
    """Yield the nodes in *node* that an execution of *node* may skip."""
    always = _always_in(node)
    for child in ast.iter_child_nodes(node):
        if any(child is each for each in always):
            yield from _skippable_in(child)
        else:
            yield from ast.walk(child)


def _always_in(node: ast.AST) -> list[ast.AST]:
    """Return the children of *node* that an execution of *node* always executes, or begins to execute."""
    match node:
        case ast.If() | ast.While() | ast.IfExp() | ast.Assert():
            return [node.test]
        case ast.For() | ast.AsyncFor() | ast.comprehension():
            return [node.iter]
        case ast.Match():
            return [node.subject]
        case ast.BoolOp():
            return [node.values[0]]
        case ast.ListComp() | ast.SetComp() | ast.DictComp():
            return [node.generators[0]]
        case ast.Try() | ast.TryStar():
            return [*node.body[:1], *node.finalbody]
        case ast.With() | ast.AsyncWith():
            return [*node.items, *node.body[:1]]
        case ast.Compare():
            return [node.left, node.comparators[0]]
        case ast.Lambda() | ast.GeneratorExp():
            return []
        case _:
            return list(ast.iter_child_nodes(node))


def _is_indirect(call: ast.Call, variables: frozenset[str]) -> bool:
    function = call.func
    if isinstance(function, ast.Name):
        return function.id in variables and function.id != "cls"
    if isinstance(function, ast.Call) and name_of(function.func) in (*_GETATTR, "type"):
        return False  # by the name of the attribute, or a class
    return not isinstance(function, ast.Attribute)


def _beginnings(nodes: list[ast.AST], skipped: list[ast.AST]) -> Iterator[tuple[str, bool]]:
    """Yield the constant beginnings of names of functions that *nodes* compute, and whether they are methods."""
    for node in nodes:
        if isinstance(node, (ast.Name, ast.Attribute)) and name_of(node) in _FINDERS:
            yield "", False
        elif isinstance(node, ast.Call) and name_of(node.func) in _GETATTR - {"hasattr"}:
            if node.args and name_of(node.args[0]) in _BUILTINS:
                continue
            named = node.args[1] if len(node.args) > 1 else node.args[0] if node.args else None
            is_method = isinstance(node.func, ast.Name) and bool(node.args) and name_of(node.args[0]) == "self"
            if isinstance(named, ast.Call) and name_of(named.func) in ("lower", "strip"):
                named = getattr(named.func, "value", None)
            if isinstance(named, ast.Name):
                yield from ((beginning_of(each), is_method) for each in _values_of(named, nodes, skipped) or [named])
            elif not isinstance(named, ast.Constant):
                yield beginning_of(named), is_method


def _values_of(variable: ast.Name, nodes: list[ast.AST], skipped: list[ast.AST]) -> list[ast.expr]:
    """Return the values that *nodes* may have assigned to *variable* before its use; those in *skipped* perhaps."""
    values: list[ast.expr] = []
    found = [
        node
        for node in nodes
        if isinstance(node, ast.Assign)
        and node.lineno < variable.lineno
        and any(isinstance(target, ast.Name) and target.id == variable.id for target in node.targets)
    ]
    for node in sorted(found, key=lambda node: node.lineno):
        if not any(node is each for each in skipped):
            values.clear()
        values.append(node.value)
    return values


def _assigned(scope: ast.AST, nodes: Iterable[ast.AST]) -> Iterator[str]:
    """Yield the names of attributes and global variables that may hold another function in each run."""
    is_class, nodes = isinstance(scope, ast.ClassDef), list(nodes)
    global_names = {each for node in nodes if isinstance(node, ast.Global) for each in node.names}
    for node in nodes:
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.attr
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) and (is_class or node.id in global_names):
            yield node.id
        elif isinstance(node, ast.Call):
            for keyword in node.keywords:
                if keyword.arg is not None and isinstance(keyword.value, (ast.Name, ast.Attribute, ast.Lambda)):
                    yield keyword.arg
            if name_of(node.func) in ("setattr", "__setattr__"):
                yield from (
                    each.value for each in node.args if isinstance(each, ast.Constant) and isinstance(each.value, str)
                )


def _has_lambda(nodes: list[ast.AST], called: list[ast.Call]) -> bool:
    """Return whether *nodes* have a lambda, or a generator expression, that is no argument of a function in _USERS."""
    used = {
        id(argument)
        for call in called
        if name_of(call.func) in _USERS
        for argument in (*call.args, *(keyword.value for keyword in call.keywords))
    }
    return any(isinstance(node, (ast.Lambda, ast.GeneratorExp)) and id(node) not in used for node in nodes)


def _makes_own_class(call: ast.Call) -> bool:
    """Return whether *call* may make an object of the class that the method belongs to: `cls()`, `type(self)()`."""
    function = call.func
    if isinstance(function, ast.Call):
        return name_of(function.func) == "type"
    return name_of(function) in ("cls", "__class__", "__new__")


def _shared(scope: ast.AST, nodes: Iterable[ast.AST]) -> Iterator[str]:
    """Yield the names that the class body *scope* assigns to objects that can be changed."""
    if isinstance(scope, ast.ClassDef):
        for node in nodes:
            targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
            if isinstance(getattr(node, "value", None), (*NEW, ast.Call)):
                yield from (target.id for target in targets if isinstance(target, ast.Name))
