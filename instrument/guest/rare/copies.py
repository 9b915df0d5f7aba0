"""Copies of modules that only this package has: see `guest.isolation`.

The names of modules come in, and copies of these modules go out. They are loaded without the import system.
"""

from __future__ import annotations

import os
import sys
from _frozen_importlib import _find_spec  # type: ignore[attr-defined]
from _thread import RLock as _RLock
from types import ModuleType

from instrument.guest import own_builtins
from instrument.guest.own_builtins import functions_of_sys, search_path
from instrument.guest.own_builtins import system as _system
from instrument.guest.own_imports import own_modules

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from importlib.machinery import FileFinder, ModuleSpec
    from typing import Any


#: Modules that are copied, because `bytecode` executes their Python code, or because the program could see their state
#: change. Such state is the cache of `re`, the registry of `copyreg`, the subclasses of abstract base classes. C
#: extensions cannot be copied and need not be. `ast`, which `inspect` imports and we do not call, would add to the
#: subclasses of `_ast.AST`.
FRESH = (
    *("_collections_abc", "_weakrefset", "abc", "annotationlib", "collections", "contextlib", "copy", "copyreg"),
    *("dataclasses", "dis", "enum", "functools", "inspect", "keyword", "linecache", "opcode", "operator", "re"),
    *("reprlib", "token", "tokenize", "types", "weakref"),
)
#: Further modules that are copied, by the name of the module for which they are: it calls them when it is imported.
FRESH_FOR = {
    "ctypes": ("genericpath", "ntpath", "os", "posixpath", "stat", "sysconfig"),
    "opcode": ("_opcode", "_opcode_metadata"),
}


class _Finder:
    """Finds modules of the standard library in its folders, and `bytecode` where it is installed.

    A module that is in neither is looked for by the finders of the import system.
    """

    def __init__(self) -> None:
        self._finders: dict[str, FileFinder] = {}
        self._bootstrap, self._external = own_builtins.importlib()

    def find_spec(self, name: str, path: Iterable[str] | None) -> ModuleSpec | None:
        """Return the spec of the module *name*, None if there is none; *path* is the `__path__` of its package."""
        for importer in (self._bootstrap.BuiltinImporter, self._bootstrap.FrozenImporter):
            spec: ModuleSpec | None = importer.find_spec(name)
            if spec is not None:
                return spec
        folders = folder_of_bytecode() if name == "bytecode" else [*_standard_folders, *folder_of_bytecode()]
        for folder in folders if path is None else path:
            if folder not in self._finders:
                loaders = self._external._get_supported_file_loaders()
                self._finders[folder] = self._external.FileFinder(folder, *loaders)
            spec = self._finders[folder].find_spec(name)
            if spec is not None and spec.loader is not None:
                return spec
        if name == "org":  # `copy` tries Jython's up to 3.12, and would get a module of the program of that name
            return None
        other: ModuleSpec | None = _find_spec(name, path)
        return other

    def module_from_spec(self, spec: ModuleSpec) -> ModuleType:
        """Return an empty module with *spec*."""
        module: ModuleType = self._bootstrap.module_from_spec(spec)
        return module


#: The folder that this package is in.
_own_folder = own_builtins.__file__.rpartition(os.sep)[0].rpartition(os.sep)[0].rpartition(os.sep)[0]
#: The folders of the standard library: its modules in Python, its extensions.
_standard_folders = [os.__file__.rpartition(os.sep)[0]]
_standard_folders.append(f"{_standard_folders[0]}{os.sep}lib-dynload")
#: The names of folders of installed packages.
_INSTALLED = ("site-packages", "dist-packages")


def folder_of_bytecode() -> list[str]:
    """Return a list with the folder that the package `bytecode` is in; an empty list if it is in an archive.

    The program may have a module of the same name, so folders of installed packages come first.
    """
    folders = [folder or os.curdir for folder in (_own_folder, *search_path, *sys.path) if type(folder) is str]
    folders.sort(key=lambda folder: folder != _own_folder and not folder.endswith(_INSTALLED))
    for folder in folders:
        try:
            _system.stat(f"{folder}{os.sep}bytecode{os.sep}concrete.py")
        except (OSError, ValueError):
            continue
        return [folder]
    return []


class _Generic:
    """Stands for `typing.Generic` among the bases of a class."""

    __slots__ = ()

    def __class_getitem__(cls, item: object) -> type:
        return cls


class _Hint:
    """Stands for any other object of `typing`."""

    def __getitem__(self, item: object) -> _Hint:
        return _Hint()

    def __call__(self, *arguments: object, **more: object) -> _Hint:
        return _Hint()

    def __or__(self, other: object) -> _Hint:
        return _Hint()

    __ror__ = __or__

    def __mro_entries__(self, bases: tuple[object, ...]) -> tuple[type, ...]:
        return (_Generic,)


class _TupleMaker(type):
    """The type of the class that stands for `NamedTuple`: a class with that base becomes a named tuple."""

    def __new__(cls, name: str, bases: tuple[type, ...], namespace: dict[str, Any]) -> Any:
        if not bases:
            return super().__new__(cls, name, bases, namespace)
        return bases[0].make(name, namespace["__annotations__"])  # type: ignore[attr-defined]


class _Threading:
    """Stands for `threading`, of which `sysconfig` uses only a lock. A copy would register handlers of forks."""

    RLock = _RLock


class _Typing:
    """Stands for `typing`. Hints have no effect at run time, so stand-ins do.

    A copy is impossible: the part of `typing` in C looks the rest up in the program's `sys.modules`. This is no module,
    because 3.15 looks for missing attributes of a module among the lazy imports of the program.
    """

    TYPE_CHECKING = False

    def __init__(self, copies: Copies) -> None:
        def make(name: str, fields: Iterable[str]) -> Any:
            return copies.module("collections").namedtuple(name, fields)

        self.NamedTuple = _TupleMaker("NamedTuple", (), {"make": make})

    @staticmethod
    def cast(hint: object, value: object) -> object:
        return value

    @staticmethod
    def overload(function: object) -> object:
        return function

    def __getattr__(self, name: str) -> _Hint:
        if name.startswith("__"):
            raise AttributeError(name)
        hint = _Hint()
        setattr(self, name, hint)
        return hint


#: A copy of `sys` has no streams, because it may outlive `sys`. The interpreter writes the last output of the program
#: when it frees the stream.
_NO_STREAMS = dict.fromkeys(("stdin", "stdout", "stderr", "__stdin__", "__stdout__", "__stderr__"))


class Copies:
    """Copies of the modules named in *fresh*, of their submodules, and of modules that nobody has imported yet.

    They are executed with an `__import__` and a `sys.modules` of their own. So the program's never change, not for a
    moment: its threads may be importing the same modules. Any other module that they import is the program's.
    """

    def __init__(self, fresh: Iterable[str]) -> None:
        self._fresh = set(fresh)
        self._finder = _Finder()
        self.modules: dict[str, Any] = {}
        copy = ModuleType("sys", sys.__doc__)
        vars(copy).update({**vars(sys), **functions_of_sys, **_NO_STREAMS, "modules": self.modules})
        self.modules.update(sys=copy, threading=_Threading, typing=_Typing(self))
        self._builtins = {
            **own_builtins.ours,
            **own_builtins.interpreters_lazy_import,
            "__import__": self.imported,
        }
        self.modules["builtins"] = ModuleType("builtins")
        vars(self.modules["builtins"]).update(self._builtins)

    def imported(
        self,
        name: str,
        names: dict[str, Any] | None = None,
        _: object = None,
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> Any:
        """Stand in for `__import__`, with the copies; raise ImportError if there is no such module."""
        if level:
            package = (names or {})["__spec__"].parent.rsplit(".", level - 1)[0]
            name = f"{package}.{name}" if name else package
        module = self.module(name)
        if not fromlist:
            return self.module(name.partition(".")[0])
        if hasattr(module, "__path__"):
            for item in fromlist:
                if item != "*" and not hasattr(module, item):
                    self.module(f"{name}.{item}")
        return self.module(name)

    def module(self, name: str) -> Any:
        """Return the copy of the module *name*, or the program's module; raise ImportError if there is none."""
        if name in self.modules:
            return self.modules[name]
        top = name.partition(".")[0]
        if top not in self._fresh:
            theirs = sys.modules.get(name)
            if theirs is not None and not _is_being_imported(theirs):
                copy = own_builtins.as_noted(theirs)
                if copy is not theirs:
                    self.modules[name] = copy
                return copy
            self._fresh.add(top)  # its submodules are copied, too: the program's package must not get them
        package, _, child = name.rpartition(".")
        parent = self.module(package) if package else None
        if name in self.modules:  # the package imports this submodule
            return self.modules[name]
        spec = self._finder.find_spec(name, getattr(parent, "__path__", None))
        if spec is None or spec.loader is None:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        was_there = name in sys.modules
        module = self.modules[name] = self._finder.module_from_spec(spec)
        own_modules.append(module)
        from instrument.guest.hiding import hide

        if hasattr(spec.loader, "get_code") and (code := spec.loader.get_code(name)) is not None:
            vars(module)["__builtins__"] = self._builtins
            exec(hide(code), vars(module))
        else:
            spec.loader.exec_module(module)
            if not was_there and sys.modules.get(name) is module:  # some extensions put themselves there
                del sys.modules[name]
        module = self.modules[name]  # a module may replace itself
        if parent is not None:
            setattr(parent, child, module)
        return module


def _is_being_imported(module: object) -> bool:
    """Return whether *module* is being executed by an import right now. A lazy module stays lazy."""
    try:
        spec = object.__getattribute__(module, "__dict__").get("__spec__")
        return bool(object.__getattribute__(spec, "_initializing"))
    except AttributeError:  # the program may put any object there
        return False
