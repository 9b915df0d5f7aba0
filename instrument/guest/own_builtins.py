"""Copies of the builtins, of C modules and of importlib, as they were before the program could replace anything.

PYTEST_DONT_REWRITE: see `own_loader._Loader`.

A function takes its builtins from the `__builtins__` of its module when the function is defined. All modules of this
package have the same dictionary there, `ours`, which own_loader gives them. Calls of builtins cost as much as ever.
"""

# No `from __future__ import annotations`: see instrument.guest.
import _frozen_importlib as _bootstrap
import _frozen_importlib_external as _external
import builtins
import sys
from _imp import get_frozen_object

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

#: The copy of the builtins.
ours: "dict[str, Any]" = dict(vars(builtins))
#: The interpreter's own function for lazy imports, which are new in 3.15: own_imports replaces the one in `ours`.
interpreters_lazy_import = {name: value for name, value in ours.items() if name == "__lazy_import__"}
__builtins__ = ours  # type: ignore[assignment]  # this module is loaded before there is our loader

#: The names and values in C modules as they were first seen, by the name of the module.
_noted: "dict[str, dict[str, Any]]" = {}
#: C modules that are not built into every interpreter, and `struct`, which imports its content from one of them.
_EXTENSIONS = ("_opcode", "_struct", "struct")
#: A copy of `sys` would keep the standard streams alive.
_NOT_COPIED = ("builtins", "sys")


def note_modules() -> None:
    """Note the content of all C modules that are loaded by now and were not noted before."""
    for name in (*sys.builtin_module_names, *_EXTENSIONS):
        if name in sys.modules and name not in _noted and name not in _NOT_COPIED:
            _noted[name] = dict(vars(sys.modules[name]))


def as_noted(module: "Any") -> "Any":
    """Return a copy of *module* with the content that `note_modules` noted; *module* itself if it was not noted."""
    if type(module) is not _ModuleType:
        return module
    name = getattr(vars(module).get("__spec__"), "name", None)  # up to 3.11 the `__name__` of `_io` is `io`
    return _copy_of_noted(name) if name in _noted else module


def noted(name: str) -> "ModuleType | None":
    """Return a copy of the C module *name* with the content that `note_modules` noted; None if it was not noted."""
    return _copy_of_noted(name) if name in _noted else None


def _copy_of_noted(name: str) -> "Any":
    """Return a new module *name* with the content that was noted."""
    module = _ModuleType(name)
    vars(module).update(_noted[name])
    return module


note_modules()
_ModuleType, _FunctionType = type(sys), type(lambda: None)
#: The system's functions: a copy of the module `posix`, or `nt`.
system: "Any" = as_noted(sys.modules["nt" if "nt" in sys.builtin_module_names else "posix"])


#: The functions of `sys`.
functions_of_sys: "dict[str, Any]" = {name: value for name, value in vars(sys).items() if type(value) is type(len)}
#: The search path.
search_path = list(sys.path)

#: The result of `importlib`, once it was called.
_importlib: "list[tuple[Any, Any]]" = []


def importlib() -> "tuple[Any, Any]":
    """Return copies of importlib's two frozen modules, `_bootstrap` and `_bootstrap_external`, with our builtins.

    They are copied even if the program has replaced no builtin yet: it may do so while another thread imports.
    """
    if not _importlib:
        copies = (
            _copy_of_frozen(_bootstrap, "_frozen_importlib"),
            _copy_of_frozen(_external, "_frozen_importlib_external"),
        )
        for copy in copies:
            vars(copy)["_bootstrap"], vars(copy)["_bootstrap_external"] = copies
        _importlib.append(copies)
    return _importlib[0]


def functions_of(module: "ModuleType") -> "dict[str, Any]":
    """Return the names and values of *module*, with copies of its functions that have our builtins.

    The copies share one dictionary of globals, the one that is returned. C modules in it are replaced by copies of the
    noted ones.
    """
    names = {**vars(module), "__builtins__": ours}
    for name, value in names.items():
        if type(value) is _ModuleType:
            names[name] = as_noted(value)
        elif type(value) is _FunctionType:
            names[name] = copy = _FunctionType(value.__code__, names, value.__name__, value.__defaults__)
            copy.__kwdefaults__ = value.__kwdefaults__
    return names


def _import(name: str, *arguments: "Any") -> "Any":
    """Stand in for `__import__` in the copies of importlib: a C module comes as it was noted."""
    return _copy_of_noted(name) if name in _noted else ours["__import__"](name, *arguments)


def _copy_of_frozen(original: "ModuleType", name: str) -> "ModuleType":
    """Return a copy of *original*, the frozen module *name*, with our builtins and the C modules that were noted."""
    copy = _ModuleType(original.__name__, original.__doc__)
    names = vars(copy)
    # Imports that its functions execute later get noted modules, too.
    names["__builtins__"] = {**ours, **interpreters_lazy_import, "__import__": _import}
    exec(get_frozen_object(name), names)
    names.update((key, as_noted(value)) for key, value in vars(original).items() if type(value) is _ModuleType)
    if "_io" in names and names["_io"] is not vars(original)["_io"]:
        names["_io"].open_code = names["_io"].FileIO  # `open_code` itself calls whatever `_io.open` is by then
    return copy
