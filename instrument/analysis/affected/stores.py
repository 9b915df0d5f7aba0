"""Stores: the nodes of a unit that may store, and the objects in which they may store.

A root is an object that outlives all tests. Roots are global variables, variables of functions around,
classes, mutable default arguments, files and databases. An object that a root has is a root, too.
"""

from __future__ import annotations

import ast

from instrument.analysis.affected.foreign import OUTSIDE, SETTERS, STORING, TAKING
from instrument.analysis.affected.nodes import CONSTRUCTORS, FUNCTIONS, NEW, local_variables, name_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_MAKERS = frozenset(("list", "dict", "set", "deque", "defaultdict", "OrderedDict", "bytearray", "Counter"))


class Stores:
    """Finds the *nodes* of the unit *name* of *scope* that may store, and the objects that they may store in."""

    def __init__(self, name: str, scope: ast.AST, nodes: list[ast.AST]) -> None:
        self._own = _containers_made_in(nodes)
        self._self, self._roots, self._variables = "", {"cls"}, local_variables(scope, nodes)
        self._parameters: set[str] = set()
        self._made_by: dict[str, str] = {}
        #: Variables for objects that the first argument of a method has, with the attributes by which it has them.
        self._of_self: dict[str, str] = {}
        self._find_variables(name, scope, nodes)
        #: The objects in which the unit may store; None for one without an expression.
        self.places = [place for node in nodes for place in self._places_of(node)]

    def _find_variables(self, name: str, scope: ast.AST, nodes: list[ast.AST]) -> None:
        """Find the variables for roots, for objects that calls return, and for the object of a method."""
        if not isinstance(scope, FUNCTIONS):
            return
        arguments = scope.args
        self._parameters = {node.arg for node in ast.walk(arguments) if isinstance(node, ast.arg)}
        names = [each.arg for each in (*arguments.posonlyargs, *arguments.args)]
        parts = name.split(".")
        if names and len(parts) > 1 and parts[-2] != "<locals>":
            if any(name_of(each) == "classmethod" for each in scope.decorator_list):
                self._roots.add(names[0])
                self._parameters.discard(names[0])
            else:
                self._self = names[0]
            if parts[-1] in CONSTRUCTORS:
                self._own.add(names[0])
        with_defaults = zip(reversed(names), reversed(arguments.defaults), strict=False)
        keywords = zip((each.arg for each in arguments.kwonlyargs), arguments.kw_defaults, strict=True)
        self._roots |= {each for each, value in (*with_defaults, *keywords) if isinstance(value, (*NEW, ast.Call))}
        for node in (*nodes, *nodes):  # variables for objects that others hold, twice for variables of variables
            if isinstance(node, ast.Assign):
                made_by = name_of(node.value.func) if isinstance(node.value, ast.Call) else ""
                names = [target.id for target in node.targets if isinstance(target, ast.Name)]
                if made_by in self._variables:
                    continue  # most often a class
                if made_by and made_by not in TAKING:
                    self._made_by.update((each, made_by) for each in names)
                elif not isinstance(node.value, NEW) and self._is_root(node.value):
                    self._roots.update(names)
                elif self._is_of_self(node.value):
                    self._of_self.update((each, self._attribute_of_self(node.value)) for each in names)

    @property
    def in_roots(self) -> bool:
        """Whether the unit may store in an object that outlives all tests."""
        return any(place is None or self._is_root(place) for place in self.places)

    @property
    def has_parameters(self) -> bool:
        """Whether the unit gets values from its caller, the class of a class method left out."""
        return bool(self._parameters)

    def patch(self, nodes: list[ast.AST]) -> bool:
        """Return whether *nodes* of a module may store in an object that they have imported."""
        imported = {
            (each.asname or each.name).partition(".")[0]
            for node in nodes
            if isinstance(node, (ast.Import, ast.ImportFrom))
            for each in node.names
        }
        return any(place is not None and self._base(place) in imported for place in self.places)

    def may_be_mark(self, node: ast.AST) -> bool:
        """Return whether *node* stores a constant."""
        return (
            isinstance(node, (ast.Assign, ast.AugAssign, ast.AnnAssign))
            and isinstance(node.value, ast.Constant)
            and node.value.value is not None
        )

    @property
    def in_self(self) -> bool:
        """Whether the unit may store in the first argument of the method, or in an object that it has."""
        return any(place is not None and self._is_of_self(place) for place in self.places)

    def changed_attributes(self) -> Iterator[str]:
        """Yield the attributes of the first argument in whose objects the unit may store."""
        for place in self.places:
            if place is not None and (attribute := self._attribute_of_self(place)):
                yield attribute

    def _is_of_self(self, place: ast.expr) -> bool:
        """Return whether the first argument of the method may have the object *place*, or be it."""
        base = self._base(place)
        return base in self._of_self or base == self._self != ""

    def _attribute_of_self(self, place: ast.expr) -> str:
        """Return the attribute by which the first argument has the object *place*; an empty text if there is none."""
        chain: ast.AST = place
        while isinstance(chain, (ast.Attribute, ast.Subscript, ast.Call)):
            if isinstance(chain, ast.Attribute) and getattr(chain.value, "id", "") == self._self != "":
                return chain.attr
            chain = chain.func if isinstance(chain, ast.Call) else chain.value
        return self._of_self.get(name_of(chain), "")

    def in_results_of(self) -> Iterator[str]:
        """Yield the functions that returned objects in which the unit may store."""
        for place in self.places:
            if place is not None and (base := self._base(place)) in self._made_by:
                yield self._made_by[base]

    def is_root(self, node: ast.AST) -> bool:
        """Return whether *node* returns a root."""
        return (
            isinstance(node, ast.Return)
            and not isinstance(node.value, (ast.Call, type(None)))
            and self._is_root(node.value)
        )

    def is_own(self, function: ast.expr) -> bool:
        """Return whether *function* is a method of a container that the unit has made."""
        return isinstance(function, ast.Attribute) and self._base(function.value) in self._own

    def is_of_root(self, function: ast.expr) -> bool:
        """Return whether *function* is global, or a method of a root or a module."""
        return self._is_root(function)

    def _places_of(self, node: ast.AST) -> Iterator[ast.expr | None]:
        """Yield the objects in which *node* may store; None for one without an expression."""
        if isinstance(node, (ast.Global, ast.Nonlocal)):
            yield None
        elif isinstance(node, (ast.Attribute, ast.Subscript)):
            if not isinstance(node.ctx, ast.Load) and self._base(node.value) not in self._own:
                yield node.value
        elif isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name):
            # `x += [1]` changes a list that may be another's; a number or a text makes a new object.
            if node.target.id not in self._own and isinstance(node.value, (*NEW, ast.Name, ast.Attribute, ast.Call)):
                yield node.target
        elif isinstance(node, ast.Call):
            yield from self._places_of_call(node)

    def _places_of_call(self, call: ast.Call) -> Iterator[ast.expr | None]:
        name = name_of(call.func)
        if name in ("setattr", "delattr", "__setattr__", "__delattr__", "next", "anext") and call.args:
            yield call.args[0]
        elif (isinstance(call.func, ast.Name) and name in SETTERS) or name in OUTSIDE:
            yield None
        elif name == "print":
            if any(keyword.arg == "file" for keyword in call.keywords):
                yield None
        elif name in STORING and not self.is_own(call.func):
            if isinstance(call.func, ast.Attribute):
                yield call.func.value
            elif call.args:
                yield call.args[0]

    def _is_root(self, place: ast.expr) -> bool:
        """Return whether the object *place* may outlive all tests: it is no local variable, or one for a root."""
        if isinstance(place, ast.Constant) or name_of(place) in ("stdout", "stderr"):
            return False
        if any(isinstance(node, ast.Attribute) and node.attr in ("__class__", "__dict__") for node in ast.walk(place)):
            return self._base(place) != self._self or "__class__" in ast.unparse(place)
        base = self._base(place)
        return base in self._roots or (base != "" and base not in self._variables)

    def _base(self, place: ast.expr) -> str:
        """Return the variable that the expression *place* begins with; an empty text if there is none."""
        while isinstance(place, (ast.Attribute, ast.Subscript, ast.Call)):
            if isinstance(place, ast.Call):
                if isinstance(place.func, ast.Name):
                    named = name_of(place.func)
                    return self._base(place.args[0]) if named in ("type", "vars", "getattr") and place.args else ""
                place = place.func
            else:
                place = place.value
        return name_of(place)


def _containers_made_in(nodes: list[ast.AST]) -> set[str]:
    """Return the names to which *nodes* assign nothing but new containers."""
    own: set[str] = set()
    others: set[str] = set()
    assigned_to: set[int] = set()
    for node in nodes:
        if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
            is_call = isinstance(node.value, ast.Call) and getattr(node.value.func, "id", "") in _MAKERS
            if is_call or isinstance(node.value, NEW):
                own.add(node.targets[0].id)
                assigned_to.add(id(node.targets[0]))
    for node in nodes:
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) and id(node) not in assigned_to:
            others.add(node.id)
    return own - others
