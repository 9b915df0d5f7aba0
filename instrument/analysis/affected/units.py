"""Compares two versions of a source: which functions, class bodies and module-level code have changed.

The bytes of a source come in, before and after. `Changes` tells for each code object of the version before whether its
code has changed. Code objects are named as in the counts: by qualified name and first line.

The units are functions, class bodies, and the module. Lambdas and comprehensions belong to the unit around them. So do
the parts of inner functions and classes that it executes: name, decorators, defaults, annotations and docstring. The
unit around a function also tells whether the function is a generator.

So a function that is new, gone or renamed changes the unit around it. It may hide an inherited method, or be found by
its name. Comments and positions do not count.
"""

from __future__ import annotations

import ast
import warnings
from typing import NamedTuple

from instrument.analysis.affected.effects import Effects, effects_of
from instrument.analysis.affected.nodes import identifiers, local_variables, name_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import TypeAlias

    from instrument.model.measurement import FunctionKey

    Scope: TypeAlias = ast.Module | ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef

MODULE = "<module>"
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_DEFINITIONS = (*_FUNCTIONS, ast.ClassDef)
#: Fields that say nothing about the meaning of a program.
_LEFT_OUT = frozenset(("ctx", "kind", "type_comment", "type_ignores"))
#: Decorators after which each call still runs the function. Others may keep results.
_TRANSPARENT = frozenset(
    (
        *("staticmethod", "classmethod", "property", "setter", "getter", "deleter", "abstractmethod", "overload"),
        *("override", "final", "wraps", "dataclass", "total_ordering"),
        *("fixture", "given", "settings", "example", "runtime_checkable", "unique", "skip", "skipIf", "skipUnless"),
    )
)


class Unit(NamedTuple):
    """A function, a class body, or the module.

    - name, line: the key of its code object
    - last_line: the last line of its text
    - text: its own code in a form without positions, to be compared
    - effects: the names in its code, and the calls and stores that it may make
    - bases: the identifiers in the bases of a class; None if this is no class
    - decorators: the names of decorators that may answer calls without running it
    - is_descriptor: whether an access of its name may run it, as that of a property
    - aliases: the identifiers in the values that the module or a class body assigns, by the assigned names
    """

    name: str
    line: int
    last_line: int
    text: str
    effects: Effects
    bases: frozenset[str] | None
    decorators: frozenset[str]
    is_descriptor: bool
    aliases: dict[str, frozenset[str]]

    @property
    def base_name(self) -> str:
        """Its name without those of the definitions around it."""
        return self.name.rpartition(".")[2]

    @property
    def class_name(self) -> str:
        """The name of the class that it is a method of; an empty text if it is none."""
        *_, around, _ = ("", *self.name.split("."))
        return "" if around == "<locals>" else around

    @property
    def is_body(self) -> bool:
        """Whether this is the module or a class body, which an import runs."""
        return self.name == MODULE or self.bases is not None


class Units:
    """The units of a source, *data*. Raise ValueError if it cannot be parsed.

    Without *with_texts* the texts of units are empty: they take most of the time.
    """

    def __init__(self, data: bytes, *, with_texts: bool = True) -> None:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                tree = ast.parse(data)
            units = list(_units(tree, with_texts=with_texts))
        except (SyntaxError, RecursionError, MemoryError) as error:
            raise ValueError(f"it cannot be parsed: {error}") from error
        self._by_key: dict[FunctionKey, Unit | None] = {}
        #: The units of each qualified name, in the order of the source.
        self.by_name: dict[str, list[Unit]] = {}
        for unit in sorted(units, key=lambda unit: unit.line):
            # Two units with the same key are not known apart.
            self._by_key[unit.name, unit.line] = None if (unit.name, unit.line) in self._by_key else unit
            self.by_name.setdefault(unit.name, []).append(unit)
        self.features = sorted(
            alias.name
            for node in tree.body
            if isinstance(node, ast.ImportFrom) and node.module == "__future__"
            for alias in node.names
        )

    def find(self, function: FunctionKey) -> Unit | None:
        """Return the unit that the code object *function* belongs to; None if that is not certain."""
        name, line = function
        if name == MODULE:
            return self.by_name[MODULE][0]
        base = _name_of_unit(name)
        if base == name:
            return self._by_key.get(function)
        around = [unit for unit in self.by_name.get(base, ()) if unit.line <= line <= unit.last_line]
        return around[0] if len(around) == 1 else None


class Changes:
    """The changes from the source *before* to the source *after*. None is a source that is not known, or is gone."""

    def __init__(self, before: bytes | None, after: bytes | None) -> None:
        self.before, self._after = _parsed(before), _parsed(after)
        self.are_known = self.before is not None and self._after is not None
        #: Names of changed units; None if all are changed.
        self.changed: frozenset[str] | None = None
        if self.before is not None and self._after is not None and self.before.features == self._after.features:
            earlier, later = self.before.by_name, self._after.by_name
            self.changed = frozenset(
                name for name in {*earlier, *later} if _texts(earlier.get(name)) != _texts(later.get(name))
            )

    @property
    def changes_bodies(self) -> bool:
        """Whether the module or a class body has changed, as far as an import runs it."""
        if self.changed is None or self.before is None:
            return True
        return any(unit.is_body for name in self.changed for unit in self.before.by_name.get(name, ()))

    @property
    def changed_names(self) -> frozenset[str]:
        """The names of the units that have changed, in one version or the other."""
        if self.changed is not None:
            return self.changed
        return frozenset(name for units in (self.before, self._after) if units is not None for name in units.by_name)

    @property
    def patches(self) -> bool:
        """Whether code of the module, in one version or the other, changes an object that it has imported."""
        return any(
            unit.effects.patches
            for units in (self.before, self._after)
            if units is not None
            for unit in units.by_name[MODULE]
        )

    def is_changed(self, function: FunctionKey) -> bool:
        """Return whether the code object *function* of the version before has changed."""
        if self.changed is None or self.before is None:
            return True
        unit = self.before.find(function)
        return bool(self.changed) if unit is None else unit.name in self.changed


def _parsed(data: bytes | None) -> Units | None:
    try:
        return None if data is None else Units(data)
    except ValueError:
        return None


def _texts(units: list[Unit] | None) -> list[str]:
    return [unit.text for unit in units or ()]


def _name_of_unit(name: str) -> str:
    """Return the qualified name of the unit around the code object *name*: that of *name* itself if it is a unit."""
    parts = name.split(".")
    for n, part in enumerate(parts):
        if (part.startswith("<") and part != "<locals>") or part == "__annotate__":
            parts = parts[:n]
            break
    while parts and parts[-1] == "<locals>":
        parts.pop()
    return ".".join(parts) or MODULE


def _units(tree: ast.Module, *, with_texts: bool) -> Iterator[Unit]:
    """Yield the units of *tree*, with or without their texts."""
    pending: list[tuple[Scope, str, str, frozenset[str]]] = [(tree, MODULE, "", frozenset())]
    while pending:
        scope, name, prefix, around = pending.pop()
        inner: list[Scope] = []
        nodes = list(_own_nodes(scope.body, inner))
        header = _header(scope) if with_texts and isinstance(scope, _FUNCTIONS) else type(scope).__name__
        bases = (
            [node for each in (*scope.bases, *scope.keywords) for node in ast.walk(each)]
            if isinstance(scope, ast.ClassDef)
            else []
        )
        names = [each.name for each in inner if not isinstance(each, ast.Module)]
        classes = [each.name for each in inner if isinstance(each, ast.ClassDef)]
        decorators = [
            node
            for each in inner
            if not isinstance(each, ast.Module)
            for decorator in each.decorator_list
            for node in ast.walk(decorator)
        ]
        global_names = {each for node in nodes if isinstance(node, ast.Global) for each in node.names}
        yield Unit(
            name,
            _first_line(scope),
            1 << 30 if isinstance(scope, ast.Module) else scope.end_lineno or scope.lineno,
            header + _text(scope.body) if with_texts else "",
            effects_of(name, scope, nodes, names, classes, decorators, around),
            frozenset(identifiers(bases)) if isinstance(scope, ast.ClassDef) else None,
            frozenset() if isinstance(scope, ast.Module) else frozenset(_decorators(scope.decorator_list)),
            not isinstance(scope, ast.Module) and any(not _is_plain(each) for each in scope.decorator_list),
            {} if isinstance(scope, _FUNCTIONS) else dict(_aliases(scope.body)),
        )
        for each in inner:
            assert not isinstance(each, ast.Module)
            full_name = each.name if each.name in global_names else prefix + each.name
            inner_prefix = f"{full_name}." if isinstance(each, ast.ClassDef) else f"{full_name}.<locals>."
            pending.append((each, full_name, inner_prefix, (around | local_variables(scope, nodes)) - {*names}))


def _first_line(scope: Scope) -> int:
    if isinstance(scope, ast.Module):
        return 1
    return scope.decorator_list[0].lineno if scope.decorator_list else scope.lineno


def _is_plain(decorator: ast.expr) -> bool:
    return name_of(decorator) in ("staticmethod", "classmethod", "abstractmethod", "overload", "override", "final")


def _decorators(nodes: list[ast.expr]) -> Iterator[str]:
    """Yield the names of the decorators *nodes* that may answer calls; an empty text for one without a name."""
    for node in nodes:
        called = node.func if isinstance(node, ast.Call) else node
        is_mark = any(isinstance(each, ast.Attribute) and each.attr == "mark" for each in ast.walk(called))
        if not is_mark and name_of(called) not in _TRANSPARENT:
            yield name_of(called)


def _text(value: object) -> str:
    """Return *value*, a node or a list, as text; functions and classes have only their headers in it."""
    if isinstance(value, list):
        return f"[{','.join(map(_text, value))}]"
    if not isinstance(value, ast.AST):
        return repr(value)
    if isinstance(value, _DEFINITIONS):
        return _header(value)
    fields = (
        f"{name}={_text(getattr(value, name))}"
        for name in value._fields
        if name not in _LEFT_OUT and hasattr(value, name)
    )
    return f"{type(value).__name__}({','.join(fields)})"


def _header(scope: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> str:
    """Return the parts of *scope* that the code around it executes, as text.

    Functions cannot be defined there, but lambdas can: the text has their code.
    """
    parts: list[object] = [scope.name, scope.decorator_list, getattr(scope, "type_params", [])]
    if isinstance(scope, ast.ClassDef):
        parts += [scope.bases, scope.keywords]
    else:
        is_generator = any(isinstance(node, (ast.Yield, ast.YieldFrom)) for node in _own_nodes(scope.body))
        parts += [scope.args, scope.returns, ast.get_docstring(scope, clean=False), is_generator]
    return f"{type(scope).__name__}{_text(parts)}"


def _own_nodes(body: list[ast.stmt], inner: list[Scope] | None = None) -> Iterator[ast.AST]:
    """Yield the nodes of *body* that its unit executes; of inner functions and classes those of their headers.

    Add the inner functions and classes to *inner*.
    """
    pending: list[ast.AST] = [*body]
    while pending:
        node = pending.pop()
        if inner is not None and isinstance(node, _DEFINITIONS):
            inner.append(node)
        if isinstance(node, ast.ClassDef):
            pending += [*node.decorator_list, *node.bases, *node.keywords]
        elif isinstance(node, _FUNCTIONS):
            pending += [*node.decorator_list, node.args, *([node.returns] if node.returns else [])]
        else:
            yield node
            pending += ast.iter_child_nodes(node)


def _aliases(body: list[ast.stmt]) -> Iterator[tuple[str, frozenset[str]]]:
    """Yield each name that *body* assigns, with the identifiers in the value, as in `get = lru_cache(_get)`."""
    for node in _own_nodes(body):
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        if isinstance(node, (ast.Assign, ast.AnnAssign, ast.NamedExpr)) and node.value is not None:
            for target in targets:
                if isinstance(target, ast.Name):
                    yield target.id, frozenset(identifiers(ast.walk(node.value)))
