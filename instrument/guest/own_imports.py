"""Import modules of this package, and extension modules, so that the program does not notice.

The program's own import of a module that only this package has imported must be executed, and counted, as in a plain
run. So such modules leave `sys.modules` again.

`import_own` stands in for `__import__` in all import statements of this package, those in functions included. Modules
of this package are executed without the import system. During a start, that holds for all of them, and later for late
ones. own_loader says why, and finds their code.
"""

# No `from __future__ import annotations`: see instrument.guest.
import _collections_abc
import os
import sys
from _frozen_importlib import BuiltinImporter, ModuleSpec
from _frozen_importlib_external import ExtensionFileLoader
from _imp import create_builtin, create_dynamic, exec_builtin, exec_dynamic, extension_suffixes
from _thread import _count
from builtins import exec as _run

from instrument.guest import own_builtins, own_loader
from instrument.guest.own_builtins import ours

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from types import CodeType, ModuleType
    from typing import Any

_get_lazy_imports: "Any" = getattr(sys, "get_lazy_imports", str)  # from 3.15 on
_set_lazy_imports: "Any" = getattr(sys, "set_lazy_imports", None)
#: Extension modules that this package loads from their files, without the import system (`_own_extension`): executing
#: them imports no other module.
_OWN_EXTENSIONS = frozenset(("_bisect", "_sha2" if sys.version_info >= (3, 12) else "_sha256", "_struct", "zlib"))
#: Extension modules that this package imports, and the standard library's `trace` does not.
_EXTENSIONS = ("array",)

#: All modules that only this package has. Their code is never measured.
own_modules: "list[object]" = []


class OwnImports:
    """A context in which modules of this package are imported.

    Top-level imports are not lazy in it, even with `-X lazy_imports=all` (PEP 810, since 3.15). They run within imports
    of the program, where a lazy import that is resolved would be a circular one. The mode belongs to the whole
    interpreter, so it is changed for as short a time as possible.

    At its end, extension modules that it has imported leave `sys.modules`, so that the program's finders are asked for
    them. With *forget* false they stay: other threads may be importing the same modules.
    """

    def __init__(self, forget: bool = True) -> None:
        self._forgets = forget

    def __enter__(self) -> None:
        self._absent = [name for name in _EXTENSIONS if name not in sys.modules and self._forgets]
        self._is_lazy = _get_lazy_imports() == "all"
        if self._is_lazy:
            _set_lazy_imports("normal")

    def __exit__(self, *exception: object) -> None:
        for name in self._absent:
            sys.modules.pop(name, None)
        if self._is_lazy:
            _set_lazy_imports("all")


def forget_imports_since(names: "set[str]", lazy_names: "Iterable[str]") -> None:
    """Move modules that are not in *names* from `sys.modules` to `own_modules`, except those of this package.

    *names* and *lazy_names* are the content of `sys.modules` and `sys.lazy_modules` at an earlier time. A module that
    no import system would find again stays: one without a file in Python and without a spec of importlib's.
    """
    modules = sys.modules
    for name in [name for name in modules if name not in names]:
        if name.partition(".")[0] == "instrument":
            continue
        attributes = getattr(modules[name], "__dict__", {})  # `getattr` on the module could call its `__getattr__`
        file = attributes.get("__file__")
        if (isinstance(file, str) and file.endswith(".py")) or type(attributes.get("__spec__")) is ModuleSpec:
            own_modules.append(modules.pop(name))
    if hasattr(sys, "lazy_modules"):  # since 3.15, for diagnosis: the modules that the program imports lazily
        sys.lazy_modules.intersection_update(lazy_names)


def extension(name: str) -> "Any":
    """Return the extension module *name*, imported with stand-ins for the modules in Python that it imports.

    This package uses no function of the modules that `_pickle` and `array` import. [3.12, callgrind: 20 and 14 million
    instructions for these imports; a whole start of Python takes 33 million] A module that is loaded already has no
    stand-in. If there is another thread, which may be importing the same modules, no module has one.
    """
    if name in _extensions:
        return _extensions[name]
    import _functools  # type: ignore[import-not-found]

    modules = sys.modules
    stand_ins = {**_STAND_INS, "functools": _functools}
    absent = [stand_in for stand_in in stand_ins if stand_in not in modules and not _count()]
    modules.update((stand_in, stand_ins[stand_in]) for stand_in in absent)
    try:
        _extensions[name] = module = __import__(name)
    finally:
        for stand_in in absent:
            modules.pop(stand_in, None)
    return module


#: The beginnings of paths of extension modules, up to the name, and their ends.
_FOLDER_OF_EXTENSIONS = (
    f"{os.__file__.rpartition(os.sep)[0]}{os.sep}lib-dynload{os.sep}" if hasattr(os, "__file__") else ""
)
_SUFFIXES = extension_suffixes()


def _own_extension(name: str) -> "Any":
    """Return a copy of the extension module *name* that only this package has; None if its file is not found.

    Problem: a start does not need these modules, and loading each takes 0.1 to 0.3 ms. Later the program may have
    replaced finders, or put another module in `sys.modules`.
    Solution: call the functions that the import system calls, and keep the module out of `sys.modules`.
    """
    if name in _BUILT_IN:
        module = create_builtin(ModuleSpec(name, BuiltinImporter, origin="built-in"))  # type: ignore[arg-type]
        exec_builtin(module)
        return _extensions.setdefault(name, module)
    for suffix in _SUFFIXES:
        path = f"{_FOLDER_OF_EXTENSIONS}{name}{suffix}"
        try:
            own_builtins.system.stat(path)
        except OSError:
            continue
        module = create_dynamic(ModuleSpec(name, ExtensionFileLoader(name, path), origin=path))
        exec_dynamic(module)
        return _extensions.setdefault(name, module)
    return None


def load_extensions() -> None:
    """Load the extension modules that late modules import: the process is about to change its files or rights."""
    for name in _OWN_EXTENSIONS:
        try:
            import_own(name)
        except ImportError:  # an interpreter that was built without it
            pass


#: The modules that `extension` has returned.
_extensions: "dict[str, Any]" = {}

_compat_pickle: "Any" = type(sys)("_compat_pickle")
_compat_pickle.NAME_MAPPING, _compat_pickle.IMPORT_MAPPING = {}, {}
_compat_pickle.REVERSE_NAME_MAPPING, _compat_pickle.REVERSE_IMPORT_MAPPING = {}, {}
_STAND_INS = {"_compat_pickle": _compat_pickle, "collections": _collections_abc, "collections.abc": _collections_abc}


# Import statements of this package ####################################################################################

_Module = type(sys)
#: The interpreter's own function, in C.
import_in_c = _import = ours["__import__"]
_modules = own_loader.modules
_PACKAGE = "instrument"
_BUILT_IN = sys.builtin_module_names
#: Copies of modules from outside of this package, as they were when this package first imported them. Built-in modules
#: have none.
_others: "dict[str, Any]" = {}
#: Not empty while a measured process starts.
starting: "list[bool]" = []


class _Future:
    """Stands for `__future__`, whose import would be the program's first one."""

    annotations = None


#: The types that this package takes from the module `types`, which is in Python: its execution takes 1.5 million
#: instructions. [3.12, callgrind]
_TYPES: "dict[str, type]" = {
    "BuiltinFunctionType": type(len),
    "CodeType": type(extension.__code__),
    "FunctionType": type(extension),
    "MethodDescriptorType": type(str.join),
    "MethodType": type(OwnImports().__enter__),
    "ModuleType": _Module,
    "NoneType": type(None),
}
_types = _Module("types")
_types.__dict__.update(_TYPES)


def import_own(
    name: str, names: "Any" = None, _: object = None, fromlist: "Sequence[str] | None" = (), level: int = 0
) -> "Any":
    """Return the module *name*, or the package if there is no *fromlist*; raise ImportError if there is none."""
    module = _modules.get(name)
    if module is None:
        if name == "__future__" and fromlist == ("annotations",):
            return _Future
        if name == "types" and _TYPES.keys() >= {*(fromlist or ("",))}:
            return _types
        if name in _extensions or (name in _OWN_EXTENSIONS and _own_extension(name)):
            return _extensions[name]
        if name.partition(".")[0] != _PACKAGE:
            return _other_module(name, names, fromlist, level)
        module = _load(name)
    if not fromlist:
        return _modules.get(_PACKAGE) or sys.modules[_PACKAGE]
    if "__path__" in module.__dict__:
        for item in fromlist:
            if item not in module.__dict__:
                _load(f"{name}.{item}")
    return module


def _other_module(name: str, names: "Any", fromlist: "Sequence[str] | None", level: int) -> "Any":
    """Return the module *name*, which is not one of this package.

    A late module gets the module as this package first saw it: the program may have replaced functions.
    """
    if names is not None and own_loader.is_late(names.get("__name__", "")):
        module = own_builtins.noted(name) or _others.get(name)
        if module is not None:
            return module
    module = _import(name, names, None, fromlist, level)
    if fromlist and name not in _others and name not in _BUILT_IN and "." not in name:
        _others[name] = copy = _Module(name)
        copy.__dict__.update(module.__dict__)
    return module


def _load(name: str) -> "Any":
    """Return the module *name* of this package, which was not loaded before; raise ImportError if there is none."""
    is_late = own_loader.is_late(name)
    if not is_late and (not starting or name in sys.modules):
        _import(name, None, None, ("",))
        return sys.modules[name]
    module = _executed(name, is_late)
    if module is None:  # the package is in an archive
        _import(name, None, None, ("",))
        return sys.modules[name]
    return module


def _executed(name: str, is_late: bool) -> "ModuleType | None":
    """Execute the module *name* of this package without the import system, and return it; None if it has no file.

    A late module goes into `own_loader.modules` when it is complete, and never into `sys.modules`. Other modules go
    into both. If another thread has executed the late module meanwhile, return the module of that thread.
    """
    path, is_package = own_loader.locate(name)
    if not path:
        return None
    parent, _, child = name.rpartition(".")
    outer: Any = _modules.get(parent) or _load(parent)
    module = _Module(name)
    namespace = module.__dict__
    namespace["__builtins__"] = ours
    namespace["__file__"] = path
    namespace["__package__"] = name if is_package else parent
    namespace["__spec__"] = spec = own_loader.spec_of(name, path, is_package)
    namespace["__loader__"] = spec.loader
    if is_package:
        namespace["__path__"] = spec.submodule_search_locations
        if not is_late:  # else the program's import system does so, if it ever imports the package
            own_loader.use_for_folders(namespace["__path__"], is_folder=True)
    code = own_loader.code_of(name, path, is_package, spec.loader)
    if is_late:
        _run(code, namespace)
        module = _modules.setdefault(name, module)
    else:
        sys.modules[name] = module
        try:
            _run(code, namespace)
        except BaseException:
            del sys.modules[name]
            raise
        _modules[name] = module
    setattr(outer, child, module)
    return module


ours["__import__"] = import_own
# Since 3.15. The interpreter's own function adds names to `sys.lazy_modules`, which shows the program's lazy imports.
# They cannot be taken out again, because other threads may be adding theirs.
if "__lazy_import__" in ours:
    ours["__lazy_import__"] = import_own


def _with_first_attribute(name: str) -> "Any":
    """Return an object with the attributes of the late module *name*, which is loaded when the first one is used."""

    def get(attribute: str) -> "Any":
        return getattr(import_own(name, None, None, ("",)), attribute)

    module: Any = _Module(name)
    module.__getattr__ = get
    return module


if TYPE_CHECKING:
    from instrument import errors as errors
else:
    #: The exceptions. Each class takes 0.1 million instructions, and most processes need none. [3.12, callgrind]
    errors = _with_first_attribute("instrument.errors")


def hide_functions() -> None:
    """Hide the functions that import statements in the midst of the program's code call."""
    functions: Any = (
        *(import_own, _own_extension, _other_module, _load, _executed),
        *(own_builtins.noted, own_builtins._copy_of_noted),
        *(own_loader.is_late, own_loader.locate, own_loader.path_of, own_loader.path_if_stored, own_loader.code_of),
        *(own_loader.spec_of, own_loader._stamp_of, own_loader._first_stamp_of, own_loader._read_late),
    )

    def find() -> "list[CodeType]":
        from instrument.guest.hiding import hide

        return [hide(function.__code__) for function in functions]

    if own_loader.hides:
        paths = (__file__, own_builtins.__file__, own_loader.__file__)
        for function, code in zip(functions, own_loader.fact_about(paths, "hidden functions", find)):
            function.__code__ = code
