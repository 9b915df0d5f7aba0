"""The `bytecode` package, in a copy of our own.

Nothing comes in, the package goes out. The measured program must not notice us, and we must not count ourselves:
`bytecode` lives in `enum`, `dis` and others of the standard library, whose functions the program may use too, and which
are then rewritten and counted. So the package is imported with fresh copies of what it executes, and leaves no trace in
`sys.modules`: a program that imports `typing`, or `bytecode` itself, gets its own, and has it counted. All of it is
looked for where it belongs, whatever the search path is: the program may have modules of these names.

The import is put off until a measurement begins, or where all that is rewritten may be in the cache until something is
not. Then other threads may be importing: they start nothing new as long as ours goes on.
"""

from __future__ import annotations

import os
import sys
from _frozen_importlib import BuiltinImporter, FrozenImporter
from _frozen_importlib_external import FileFinder, _get_supported_file_loaders  # type: ignore[attr-defined]
from _imp import acquire_lock, release_lock
from _thread import get_ident
from time import sleep

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from importlib.machinery import ModuleSpec
    from typing import Any

_system: Any = sys.modules[os.name if os.name == "nt" else "posix"]

#: Modules of which the copy gets a fresh one: what it executes, and what keeps state that the program could see, such
#: as the cache of `re`, the registry of `copyreg`, and the subclasses of abstract base classes. C extensions cannot be
#: copied and need not be; `ast`, which `inspect` imports and we do not call, would add to the subclasses of `_ast.AST`.
_FRESH = (
    *("_collections_abc", "abc", "collections", "contextlib", "copy", "copyreg", "dataclasses", "dis", "enum"),
    *("functools", "inspect", "keyword", "linecache", "opcode", "operator", "re", "reprlib", "token", "tokenize"),
    *("types", "typing", "weakref"),
)


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
    installed. Of what it does not find the import system's own finders are asked.
    """

    def __init__(self) -> None:
        self._finders: dict[str, FileFinder] = {}

    def find_spec(self, name: str, path: Iterable[str] | None = None, target: object = None) -> ModuleSpec | None:
        """Return the spec of the module *name*, which is in a package if there is a *path*."""
        if not is_loading():  # for the program
            return None
        for importer in (BuiltinImporter, FrozenImporter):
            spec = importer.find_spec(name)
            if spec is not None:
                return spec
        if path is None:
            path = _home_of_bytecode() if name == "bytecode" else _standard
        for folder in path:
            if folder not in self._finders:
                self._finders[folder] = FileFinder(folder, *_get_supported_file_loaders())
            spec = self._finders[folder].find_spec(name)
            if spec is not None and spec.loader is not None:
                return spec
        return None


#: The search path as it was when this module was imported; of its folders, that with the standard library and that with
#: its extensions; and the one that this package is in.
_path = list(sys.path)
_own = __file__.rpartition(os.sep)[0].rpartition(os.sep)[0]
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


def import_isolated(name: str) -> object:
    """Return the module *name*, imported anew with fresh copies of what it uses, and forget that it was."""
    global _loading
    before = dict(sys.modules)
    finder: Any = _Finder()
    outer, _loading = _loading, get_ident()
    sys.meta_path.insert(0, finder)
    try:
        for module, imported in before.items():
            top = module.partition(".")[0] if type(module) is str else ""
            if top in (*_FRESH, name) or _is_being_imported(imported):
                del sys.modules[module]
        return __import__(name)
    finally:
        if finder in sys.meta_path:
            sys.meta_path.remove(finder)
        _loading = outer
        for key, imported in list(sys.modules.items()):
            if before.get(key) is not imported:
                own.append(imported)
                if key not in before:
                    del sys.modules[key]
        sys.modules.update(before)


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
    acquire_lock()  # the one that others need to begin an import
    try:
        for _ in range(_N_TRIES):
            if not _others_import():
                break
            release_lock()
            sleep(0.001)
            acquire_lock()
        if _done():
            return
        module = import_isolated("bytecode")
        vars(bytecode).update({key: value for key, value in vars(module).items() if not key.startswith("__")})
        _is_loaded = True
    finally:
        release_lock()


_N_TRIES = 5000


def _done() -> bool:
    return _is_loaded


def _others_import() -> bool:
    """Return whether another thread is importing something that we may import too, and would have to wait for."""
    locks = sys.modules["_frozen_importlib"]._module_locks
    for name, reference in list(locks.items()):
        lock = reference()
        if lock is not None and lock.owner not in (None, get_ident()):
            top = name.partition(".")[0]
            if top == "bytecode" or top in sys.stdlib_module_names:
                return True
    return False
