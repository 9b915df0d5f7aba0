"""Finds the class of a function as the standard library's `trace` finds it: by the references between objects.

The code object of a function comes in. The name of the class goes out, or None if that is not certain. It is certain if
one function has the code, one dict the function, and one class the dict.

Problem: `trace` asks the garbage collector for each of the three in turn, which traverses all objects each time. Its
lists of functions spend nearly all time there. The objects of this package make that longer.
Solution: the names of a function lead to the candidates. Ask for the referrers of all three at once, and tell them
apart then. The answer is the same. If the names lead elsewhere, ask as `trace` does.
"""

from __future__ import annotations

from _operator import is_
from gc import get_referents, get_referrers
from itertools import repeat
from sys import modules
from types import FunctionType, ModuleType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import CodeType
    from typing import Any

_CO_OPTIMIZED = 1


def class_name_of(code: CodeType, namespace: dict[str, object]) -> str | None:
    """Return the name of the class of the function with *code*, whose globals are *namespace*; None if not certain."""
    if _is_in_no_class(code):
        return None
    candidates = _candidates(code, namespace)
    if candidates is None:
        classes = _found_in_turn(code)
    elif candidates[1] is namespace and _is_of_plain_module(namespace):
        return None
    else:
        classes = _found_at_once(code, *candidates)
    return str(classes[0].__name__) if len(classes) == 1 else None


def _is_in_no_class(code: CodeType) -> bool:
    """Return whether *code* is that of a module, a class body or a comprehension: no class has a function with it."""
    return not code.co_flags & _CO_OPTIMIZED or code.co_varnames[:1] == (".0",)


def _is_of_plain_module(namespace: dict[str, object]) -> bool:
    """Return whether *namespace* is that of a module without `__bases__`: then no class has it.

    A module with a class of its own, or with `__getattr__`, may have all attributes.
    """
    name = dict.get(namespace, "__name__")
    module = dict.get(modules, name) if type(name) is str else None
    return (
        type(module) is ModuleType
        and module.__dict__ is namespace
        and "__bases__" not in namespace
        and "__getattr__" not in namespace
    )


def _candidates(code: CodeType, namespace: dict[str, object]) -> tuple[FunctionType, dict[str, object]] | None:
    """Return the function that the qualified name of *code* leads to, and the dict that has it; None if there is none.

    *namespace* is the module's. No code of the program runs.
    """
    *outer_names, _ = code.co_qualname.split(".")
    for name in outer_names:
        outer = dict.get(namespace, name)
        if not issubclass(type(outer), type):
            return None
        namespace = next((each for each in get_referents(outer) if type(each) is dict), {})
    for value in list(dict.values(namespace)):
        if type(value) is FunctionType and value.__code__ is code:
            return value, namespace
    return None


def _found_at_once(code: CodeType, function: FunctionType, namespace: dict[str, object]) -> list[Any]:
    """Return the classes that `_found_in_turn` returns, given that *function* has *code*, and *namespace* has it."""
    functions, dicts, classes = [], [], []
    for thing in get_referrers(code, function, namespace):
        refers_to_code, refers_to_function, refers_to_namespace = (
            any(map(is_, get_referents(thing), repeat(each))) for each in (code, function, namespace)
        )
        if refers_to_code and isinstance(thing, FunctionType):
            functions.append(thing)
        if refers_to_function and isinstance(thing, dict):
            dicts.append(thing)
        if refers_to_namespace and hasattr(thing, "__bases__"):
            classes.append(thing)
    return classes if len(functions) == len(dicts) == 1 else []


def _found_in_turn(code: CodeType) -> list[Any]:
    """Return the classes whose namespaces have the one function with *code*; none if there are several functions."""
    functions = [thing for thing in get_referrers(code) if isinstance(thing, FunctionType)]
    if len(functions) == 1:
        namespaces = [thing for thing in get_referrers(functions[0]) if isinstance(thing, dict)]
        if len(namespaces) == 1:
            return [thing for thing in get_referrers(namespaces[0]) if hasattr(thing, "__bases__")]
    return []
