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

#: What modules contained before the program could replace it, by their names.
_before: "dict[str, dict[str, Any]]" = {}
#: Those in C that are not part of every interpreter, and what imports all of one of them.
_EXTENSIONS = ("_opcode", "_struct", "struct")
_NOT_COPIED = ("builtins", "sys")  # `sys` would keep the streams alive


def note_modules() -> None:
    """Note what is in modules that are written in C and loaded by now, unless that was noted before."""
    for name in (*sys.builtin_module_names, *_EXTENSIONS):
        if name in sys.modules and name not in _before and name not in _NOT_COPIED:
            _before[name] = dict(vars(sys.modules[name]))


def as_found(module: "Any") -> "Any":
    """Return a copy of *module* as it was when `note_modules` was called; *module* itself if it was not noted."""
    if type(module) is not _ModuleType:
        return module
    name = getattr(vars(module).get("__spec__"), "name", None)  # up to 3.11 `_io` calls itself `io`
    return _noted(name) if name in _before else module


def _noted(name: str) -> "Any":
    """Return a copy of the module *name* as it was noted."""
    module = _ModuleType(name)
    vars(module).update(_before[name])
    return module


note_modules()
_ModuleType, _FunctionType = type(sys), type(lambda: None)
#: What Python has of the system's functions: the module `posix`, or `nt`.
system: "Any" = as_found(sys.modules["nt" if "nt" in sys.builtin_module_names else "posix"])


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
        if type(value) is _ModuleType:
            names[name] = as_found(value)
        elif type(value) is _FunctionType:
            names[name] = copy = _FunctionType(value.__code__, names, value.__name__, value.__defaults__)
            copy.__kwdefaults__ = value.__kwdefaults__
    return names


def _import(name: str, *arguments: "Any") -> "Any":
    """Return what `__import__` does, as it was found."""
    return _noted(name) if name in _before else ours["__import__"](name, *arguments)


def _copy(original: "ModuleType", name: str) -> "ModuleType":
    """Return a copy of *original*, frozen as *name*, with builtins of our own and the modules that it has imported."""
    copy = _ModuleType(original.__name__, original.__doc__)
    names = vars(copy)
    # What it imports as it is executed, and later, is as it was found.
    names["__builtins__"] = {**ours, "__import__": _import}
    exec(get_frozen_object(name), names)
    names.update((key, as_found(value)) for key, value in vars(original).items() if type(value) is _ModuleType)
    if "_io" in names and names["_io"] is not vars(original)["_io"]:
        names["_io"].open_code = names["_io"].FileIO  # its own one calls what `_io.open` is then
    return copy
