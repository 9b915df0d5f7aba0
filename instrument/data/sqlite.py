"""SQLite for measured processes: the C extension `_sqlite3`, without the package `sqlite3`.

`connect` returns connections, and `load` the extension, with its exceptions.

Problem: the package `sqlite3` imports `datetime` and others, which the measured program may be the first to import. And
a program that imports `sqlite3` registers adapters and converters, which would change our connections.
Solution: load the C extension alone, as a second module object that `sys.modules` never holds. This works because an
extension with multi-phase initialisation can be initialised again. The extension needs `functools.lru_cache`, and gets
a stand-in for it in C.
Alternatives: a copy of the extension's file is impossible for extensions that are built in. Importing `functools` would
count lines of it that the program did not run.
"""

from __future__ import annotations

import os
import sys
from _frozen_importlib_external import PathFinder
from _functools import _lru_cache_wrapper, partial  # type: ignore[import-not-found]
from _imp import create_builtin, create_dynamic, exec_builtin, exec_dynamic, extension_suffixes, is_builtin
from _operator import is_
from gc import disable, enable, isenabled
from itertools import chain, compress, filterfalse
from types import FunctionType

from instrument.guest.own_builtins import functions_of_sys
from instrument.guest.own_builtins import search_path as _path  # the program may change `sys.path`
from instrument.guest.own_builtins import system as _system
from instrument.guest.own_imports import errors, import_in_c

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from sqlite3 import Connection as Connection
    from types import ModuleType
    from typing import Any

# The program may have replaced functions of `sys` before this late module is loaded.
_ENCODING, _ON_ERROR = functions_of_sys["getfilesystemencoding"](), functions_of_sys["getfilesystemencodeerrors"]()
_IS_WINDOWS = os.name == "nt"
_PLAIN = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-/")
#: The extension, once it is loaded.
_loaded: list[Any] = []


class _Functools:
    """Stands for `functools` while the extension is initialised, whose only use of it is `lru_cache(maxsize)(f)`."""

    @staticmethod
    def lru_cache(maxsize: int) -> Any:
        return lambda function: _lru_cache_wrapper(function, maxsize, False, tuple)


def load() -> Any:
    """Return the extension, which the first call loads; raise DataError if this Python has none."""
    if not _loaded:
        _loaded.append(_load())
    return _loaded[0]


class _Spec:
    """The two attributes of a module spec that the interpreter reads. importlib's own specs call program builtins."""

    def __init__(self, name: str, origin: str) -> None:
        self.name, self.origin = name, origin


def _load() -> ModuleType:
    """Return a new module object of the extension, or raise DataError."""
    name = "_sqlite3"
    spec: Any = (
        _Spec(name, "built-in") if is_builtin(name) else _spec_on_path(name) or PathFinder.find_spec(name, _path)
    )
    if spec is None:
        if _path and not any(map(_exists, _path)):
            raise errors.DataError(
                "SQLite, in which counts are kept, cannot be loaded: no folder of modules of this Python is in reach "
                "any more, as after chroot"
            )
        raise errors.DataError(
            "this Python was built without SQLite, in which counts are kept; install its module sqlite3"
        )
    try:
        module: ModuleType = create_builtin(spec) if is_builtin(name) else create_dynamic(spec)
        _initialise(module, exec_builtin if is_builtin(name) else exec_dynamic)
    except ImportError as error:  # the shared library of SQLite was removed
        raise errors.DataError(f"SQLite, in which counts are kept, cannot be loaded: {error}") from error
    return module


def _spec_on_path(name: str) -> _Spec | None:
    """Return the spec of the extension *name*, None if no folder of the path has it."""
    for folder in _path:
        for suffix in extension_suffixes():
            path = f"{folder or os.curdir}{os.sep}{name}{suffix}"
            if _exists(path):
                return _Spec(name, path)
    return None


def _exists(path: str) -> bool:
    try:
        return bool(_system.stat(path))
    except (OSError, ValueError):
        return False


def _initialise(module: ModuleType, execute: Callable[[ModuleType], object]) -> None:
    """Initialise *module* with *execute*, while `sys.modules` has `_Functools` in place of `functools`.

    No other thread may run meanwhile, because it could import `functools`. So one call of `any` does everything in C,
    the import that the extension makes included. Garbage collection is off, because finalizers may run Python code.
    """
    name = ("functools",)
    modules: dict[str, Any] = sys.modules
    original: list[Any] = []  # the program's `functools`, or None
    note = map(original.append, map(modules.get, name))
    replace = map(modules.__setitem__, name, (_Functools,))
    put_back = map(modules.__setitem__, name, filterfalse(_is_none, original))
    remove = map(modules.pop, compress(name, map(_is_none, original)))
    restore = chain(put_back, remove)
    collects = isenabled()
    if collects:
        disable()
    try:
        _consume(chain(note, replace, map(execute, (module,)), restore))
    finally:
        any(restore)  # nothing remains to be done here, unless an error came in between
        if collects:
            enable()


#: `any`, in a frame whose `__import__` is the interpreter's: an extension imports by the `__import__` of that frame
#: (import.c: PyImport_Import).
_consume: Any = FunctionType(
    (lambda steps: any(steps)).__code__, {"__builtins__": {"any": any, "__import__": import_in_c}}
)
_is_none = partial(is_, None)


def version() -> tuple[int, ...]:
    """Return the version of SQLite."""
    return tuple(map(int, load().sqlite_version.split(".")))


def uri(path: str, mode: str = "rw") -> str:
    """Return the URI by which SQLite opens the existing file at *path*, which may have any bytes, as "ro" or "rw"."""
    data = path.encode(_ENCODING, _ON_ERROR)
    if _IS_WINDOWS:
        data = b"/" + data.replace(b"\\", b"/")
    return "file:" + "".join(chr(byte) if byte in _PLAIN else f"%{byte:02x}" for byte in data) + f"?mode={mode}"


def connect(path: str, *, timeout: float = 5.0, is_private: bool = False) -> Connection:
    """Return a connection to the existing database at *path*, which begins no transactions by itself.

    *timeout* is in seconds. With *is_private*, the file is not locked, because no other process opens it: some network
    file systems have no locks.
    """
    name = uri(path) + ("&nolock=1" if is_private else "")
    connection: Connection = load().connect(name, timeout=timeout, isolation_level=None, uri=True)
    return connection
