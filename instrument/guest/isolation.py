"""The `bytecode` package, in a copy of our own.

Nothing comes in, the package goes out. The measured program must not notice us, and we must not count ourselves:
`bytecode` lives in `enum`, `dis` and others of the standard library, whose functions the program may use too, and which
are then rewritten and counted. So the package is imported with fresh copies of what it executes, and leaves no trace in
`sys.modules`: a program that imports `typing`, or `bytecode` itself, gets its own, and has it counted. All of it is
looked for where it belongs, whatever the search path is: the program may have modules of these names.

The import is put off until a measurement begins, or where all that is rewritten may be in the cache until something is
not. Then other threads may be importing, the same modules for all we know: so it is none of the import system's.
"""

from __future__ import annotations

import os
import sys
from _frozen_importlib import _find_spec  # type: ignore[attr-defined]
from _thread import RLock as _RLock
from _thread import get_ident
from types import BuiltinFunctionType, ModuleType

from instrument.guest import own_builtins
from instrument.guest.gate import Gate
from instrument.guest.hiding import hide
from instrument.guest.own_builtins import system as _system
from instrument.guest.own_imports import OwnImports
from instrument.guest.process_state import ProcessState

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from importlib.machinery import FileFinder, ModuleSpec
    from typing import Any


#: Modules of which the copy gets a fresh one: what it executes, and what keeps state that the program could see, such
#: as the cache of `re`, the registry of `copyreg`, and the subclasses of abstract base classes. C extensions cannot be
#: copied and need not be; `ast`, which `inspect` imports and we do not call, would add to the subclasses of `_ast.AST`.
_FRESH = (
    *("_collections_abc", "_weakrefset", "abc", "annotationlib", "collections", "contextlib", "copy", "copyreg"),
    *("dataclasses", "dis", "enum", "functools", "inspect", "keyword", "linecache", "opcode", "operator", "re"),
    *("reprlib", "token", "tokenize", "types", "weakref"),
)
#: Further ones, by the name of the module that calls what they define while it is imported.
_FRESH_FOR = {"ctypes": ("genericpath", "ntpath", "os", "posixpath", "stat", "sysconfig")}

#: The modules of our copy, once there is one. What is in them is never measured.
own: list[object] = []


class _Isolated:
    """Stands for the package until one of its attributes is asked for."""

    def __getattr__(self, name: str) -> object:
        if name.startswith("__") or self.__dict__:
            raise AttributeError(name)
        load()
        if name not in self.__dict__:
            raise AttributeError(f"the package `bytecode` in {_home_of_bytecode()} has no {name}")
        return self.__dict__[name]


class _Finder:
    """Finds modules for us where they belong: those of the standard library in its folder, `bytecode` where it was
    installed. For what it does not find the import system's own finders are asked.
    """

    def __init__(self) -> None:
        self._finders: dict[str, FileFinder] = {}
        self._bootstrap, self._external = own_builtins.importlib()

    def find_spec(self, name: str, path: Iterable[str] | None) -> ModuleSpec | None:
        """Return the spec of the module *name*, which is in a package if there is a *path*."""
        for importer in (self._bootstrap.BuiltinImporter, self._bootstrap.FrozenImporter):
            spec: ModuleSpec | None = importer.find_spec(name)
            if spec is not None:
                return spec
        home = _home_of_bytecode() if name == "bytecode" else [*_standard, *_home_of_bytecode()]
        for folder in home if path is None else path:
            if folder not in self._finders:
                loaders = self._external._get_supported_file_loaders()
                self._finders[folder] = self._external.FileFinder(folder, *loaders)
            spec = self._finders[folder].find_spec(name)
            if spec is not None and spec.loader is not None:
                return spec
        if name == "org":  # Jython's, which `copy` tries up to 3.12: the program's own is none of ours
            return None
        found: ModuleSpec | None = _find_spec(name, path)
        return found

    def module_from_spec(self, spec: ModuleSpec) -> ModuleType:
        """Return an empty module with *spec*."""
        module: ModuleType = self._bootstrap.module_from_spec(spec)
        return module


#: The search path as it was when this module was imported; of its folders, that with the standard library and that with
#: its extensions; and the one that this package is in.
_path = list(sys.path)
_own = __file__.rpartition(os.sep)[0].rpartition(os.sep)[0].rpartition(os.sep)[0]
_standard = [os.__file__.rpartition(os.sep)[0]]
_standard.append(f"{_standard[0]}{os.sep}lib-dynload")
#: What the folders of installed packages are called.
_INSTALLED = ("site-packages", "dist-packages")


def _home_of_bytecode() -> list[str]:
    """Return the folder that our `bytecode` is in, and not a module of the program's that happens to be called so;
    none, if it is not in a folder.
    """
    places = [place or os.curdir for place in (_own, *_path, *sys.path) if type(place) is str]
    places.sort(key=lambda place: place != _own and not place.endswith(_INSTALLED))
    for place in places:
        try:
            _system.stat(f"{place}{os.sep}bytecode{os.sep}concrete.py")
        except (OSError, ValueError):
            continue
        return [place]
    return []


class _Generic:
    """Stands for `Generic[…]` among the bases of a class."""

    __slots__ = ()

    def __class_getitem__(cls, item: object) -> type:
        return cls


class _Hint:
    """Stands for anything else in `typing`."""

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
    """The type of what stands for `NamedTuple`: makes one of a class that has it among its bases."""

    def __new__(cls, name: str, bases: tuple[type, ...], namespace: dict[str, Any]) -> Any:
        if not bases:
            return super().__new__(cls, name, bases, namespace)
        return bases[0].make(name, namespace["__annotations__"])  # type: ignore[attr-defined]


class _Threading:
    """Stands for `threading`, of which `sysconfig` only wants a lock; a copy would add to the handlers of forks."""

    RLock = _RLock


class _Typing:
    """Stands for `typing`, half of which is written in C and looks the other half up among the program's modules. Hints
    say nothing at run time.

    No module: what a module has not, 3.15 looks for among the lazy imports that the program has put off.
    """

    TYPE_CHECKING = False

    def __init__(self, copies: _Copies) -> None:
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


#: Held: the program may replace some.
_functions_of_sys = {name: value for name, value in vars(sys).items() if type(value) is BuiltinFunctionType}


class _Copies:
    """Modules that are nobody else's: those with names in *fresh*, what is in them, and what nobody has imported yet.

    They are executed with an `__import__` and a `sys.modules` of their own, so that the program's never change, not for
    a moment: its threads may be importing the same. What else they need is the program's if that is there.
    """

    def __init__(self, fresh: Iterable[str]) -> None:
        self._fresh = set(fresh)
        self._finder = _Finder()
        self.modules: dict[str, Any] = {}
        copy = ModuleType("sys", sys.__doc__)
        vars(copy).update({**vars(sys), **_functions_of_sys, "modules": self.modules})
        self.modules.update(sys=copy, threading=_Threading, typing=_Typing(self))
        self._builtins = {**own_builtins.ours, "__import__": self.imported}
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
        """Return what an `import` statement asks for; raise ImportError if it cannot be had."""
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
        """Return the module *name*; raise ImportError if it cannot be had."""
        if name in self.modules:
            return self.modules[name]
        top = name.partition(".")[0]
        if top not in self._fresh:
            found = sys.modules.get(name)
            if found is not None and not _is_being_imported(found):
                copy = own_builtins.as_found(found)
                if copy is not found:
                    self.modules[name] = copy
                return copy
            self._fresh.add(top)  # with all that is in it: the program's package shall not have it either
        package, _, child = name.rpartition(".")
        parent = self.module(package) if package else None
        if name in self.modules:  # the package has imported it
            return self.modules[name]
        spec = self._finder.find_spec(name, getattr(parent, "__path__", None))
        if spec is None or spec.loader is None:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        is_there = name in sys.modules
        module = self.modules[name] = self._finder.module_from_spec(spec)
        own.append(module)
        if hasattr(spec.loader, "get_code") and (code := spec.loader.get_code(name)) is not None:
            vars(module)["__builtins__"] = self._builtins
            exec(hide(code), vars(module))
        else:
            spec.loader.exec_module(module)
            if not is_there and sys.modules.get(name) is module:  # some extensions put themselves there
                del sys.modules[name]
        module = self.modules[name]  # what it has put there
        if parent is not None:
            setattr(parent, child, module)
        return module


def import_isolated(name: str) -> object:
    """Return the module *name*, imported anew with fresh copies of what it uses, which nobody else sees."""
    global _loading
    outer, _loading = _loading, get_ident()
    try:
        with OwnImports():
            return _Copies((*_FRESH, *_FRESH_FOR.get(name, ()), name)).module(name)
    finally:
        _loading = outer


def _is_being_imported(module: object) -> bool:
    """Return whether *module* is half made: in the midst of that we may be. One that is lazy stays so."""
    try:
        spec = object.__getattribute__(module, "__dict__").get("__spec__")
        return bool(object.__getattribute__(spec, "_initializing"))
    except AttributeError:  # whatever the program has put there
        return False


if TYPE_CHECKING:
    import bytecode as bytecode
else:
    bytecode = _Isolated()


_loading: int | None = None  # the thread that imports the copy now
_is_loaded = False


def is_loading() -> bool:
    """Return whether this thread imports the copy now: nothing of that is the program's."""
    return _loading is not None and _loading == get_ident()


def load() -> None:
    """Import the copy, unless that was done."""
    global _is_loaded
    if _is_loaded or is_loading():
        return
    depth = _lock.gate.depth()
    try:
        _lock.gate.acquire()
        if _done():
            return
        module = import_isolated("bytecode")
        vars(bytecode).update({key: value for key, value in vars(module).items() if not key.startswith("__")})
        _is_loaded = True
    finally:
        _lock.gate.release_to(depth)


class _Lock(ProcessState):
    """Guards the import of the copy; another thread may have held it when the process was forked."""

    __slots__ = ("gate",)

    def reset(self) -> None:
        self.gate = Gate()

    def after_fork_in_child(self) -> None:
        self.gate.reset()


_lock = _Lock()


def _done() -> bool:
    return _is_loaded
