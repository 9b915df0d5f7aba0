"""Builtins of our own: a program may replace those of the interpreter, and none of its functions shall be called by us.

A function takes its builtins from the `__builtins__` of its module when it is defined. All modules of this package
have the same dictionary there: a copy of the builtins as they were when the package was imported. Calls cost the same.

The loader of the package's modules gives it to them before it executes them: see own_loader.
"""

# No `from __future__ import annotations`: this is imported before the program, which may be the first to import that.
import _frozen_importlib as _bootstrap
import _frozen_importlib_external as _external
import builtins
import sys
from _imp import get_frozen_object

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

#: The copy, and the name under which the interpreter looks for it.
ours: "dict[str, Any]" = dict(vars(builtins))
__builtins__ = ours  # type: ignore[assignment]


_ModuleType, _FunctionType = type(sys), type(lambda: None)
_importlib: "list[tuple[Any, Any]]" = []


def importlib() -> "tuple[Any, Any]":
    """Return copies of importlib's two frozen modules, `_bootstrap` and `_bootstrap_external`, with our builtins.

    Copies are made even if no builtin was replaced yet: the program may replace some while another thread loads.
    """
    if not _importlib:
        copies = _copy(_bootstrap, "_frozen_importlib"), _copy(_external, "_frozen_importlib_external")
        for copy in copies:
            vars(copy)["_bootstrap"], vars(copy)["_bootstrap_external"] = copies
        _importlib.append(copies)
    return _importlib[0]


def functions_of(module: "ModuleType") -> "dict[str, Any]":
    """Return the names of *module*, with functions that have our builtins in place of its own functions."""
    names = {**vars(module), "__builtins__": ours}
    for name, value in names.items():
        if type(value) is _FunctionType:
            names[name] = copy = _FunctionType(value.__code__, names, value.__name__, value.__defaults__)
            copy.__kwdefaults__ = value.__kwdefaults__
    return names


def _copy(original: "ModuleType", name: str) -> "ModuleType":
    """Return a copy of *original*, frozen as *name*, with builtins of our own and the modules that it has imported."""
    copy = _ModuleType(original.__name__, original.__doc__)
    names = vars(copy)
    names["__builtins__"] = ours
    exec(get_frozen_object(name), names)
    names.update((key, value) for key, value in vars(original).items() if type(value) is _ModuleType)
    return copy
