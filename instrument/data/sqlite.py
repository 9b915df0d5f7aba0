"""SQLite, without the package `sqlite3`.

Nothing comes in, `connect` and `Error` go out. The package is Python around the C extension `_sqlite3`, and imports
`datetime` and others that the measured program may be the first to import. So the extension alone is loaded, as a
second module object that `sys.modules` never holds: a program that imports `sqlite3` loads its own, with classes,
adapters and converters of its own. (A C extension's file cannot be copied, but one with multi-phase initialisation can
be initialised again.) It takes one thing from Python, `functools.lru_cache`, and gets it from here, in C: neither is
`functools` imported for it, nor are lines of it counted that the program did not run.
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

from instrument.errors import DataError
from instrument.guest.own_builtins import system as _system

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from sqlite3 import Connection as Connection
    from types import ModuleType
    from typing import Any

_ENCODING, _ON_ERROR, _IS_WINDOWS = sys.getfilesystemencoding(), sys.getfilesystemencodeerrors(), os.name == "nt"
_PLAIN = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-/")
# Where Python's own extensions are found: the program may change the path before the first flush.
_path = sys.path.copy()
_loaded: list[Any] = []


class _Functools:
    """Stands for `functools` while the extension is initialised, whose only use of it is `lru_cache(maxsize)(f)`."""

    @staticmethod
    def lru_cache(maxsize: int) -> Any:
        return lambda function: _lru_cache_wrapper(function, maxsize, False, tuple)


def load() -> Any:
    """Return the extension, loaded when this is called first; raise DataError if this Python has none."""
    if not _loaded:
        _loaded.append(_load())
    return _loaded[0]


class _Place:
    """What the interpreter must know of an extension to load it: importlib's specs call builtins of the program."""

    def __init__(self, name: str, origin: str) -> None:
        self.name, self.origin = name, origin


def _load() -> ModuleType:
    """Return a module object of the extension that is nobody else's."""
    name = "_sqlite3"
    spec: Any = _Place(name, "built-in") if is_builtin(name) else _found(name) or PathFinder.find_spec(name, _path)
    if spec is None:
        if _path and not any(map(_is_there, _path)):
            raise DataError(
                "SQLite, in which counts are kept, cannot be loaded: no folder of modules of this Python is in reach "
                "any more, as after chroot"
            )
        raise DataError("this Python was built without SQLite, in which counts are kept; install its module sqlite3")
    try:
        module: ModuleType = create_builtin(spec) if is_builtin(name) else create_dynamic(spec)
        _initialise(module, exec_builtin if is_builtin(name) else exec_dynamic)
    except ImportError as error:  # its shared library is gone
        raise DataError(f"SQLite, in which counts are kept, cannot be loaded: {error}") from error
    return module


def _found(name: str) -> _Place | None:
    """Return where the extension *name* is in a folder of the path, None if it is in none."""
    for folder in _path:
        for suffix in extension_suffixes():
            path = f"{folder or os.curdir}{os.sep}{name}{suffix}"
            if _is_there(path):
                return _Place(name, path)
    return None


def _is_there(folder: str) -> bool:
    try:
        return bool(_system.stat(folder))
    except (OSError, ValueError):
        return False


def _initialise(module: ModuleType, execute: Callable[[ModuleType], object]) -> None:
    """Let *execute* initialise *module*, which meanwhile finds `_Functools` in place of `functools`.

    Other threads may be importing `functools`, or about to: they must not get their turn meanwhile. So it is one call,
    of `any`, in which everything happens, in C; and no garbage is collected, which may be finalized in Python.
    """
    name = ("functools",)
    modules: dict[str, Any] = sys.modules
    theirs: list[Any] = []
    note = map(theirs.append, map(modules.get, name))
    put = map(modules.__setitem__, name, (_Functools,))
    put_back = map(modules.__setitem__, name, filterfalse(_is_none, theirs))
    forget = map(modules.pop, compress(name, map(_is_none, theirs)))
    restore = chain(put_back, forget)
    collects = isenabled()
    if collects:  # else another thread may turn it on meanwhile
        disable()
    try:
        any(chain(note, put, map(execute, (module,)), restore))
    finally:
        any(restore)  # which is done, but for an error
        if collects:
            enable()


_is_none = partial(is_, None)


def version() -> tuple[int, ...]:
    """Return the version of SQLite."""
    return tuple(map(int, load().sqlite_version.split(".")))


def uri(path: str, mode: str = "rw") -> str:
    """Return what SQLite knows the file at *path* by, whatever bytes its name has; it is never created."""
    data = path.encode(_ENCODING, _ON_ERROR)
    if _IS_WINDOWS:
        data = b"/" + data.replace(b"\\", b"/")
    return "file:" + "".join(chr(byte) if byte in _PLAIN else f"%{byte:02x}" for byte in data) + f"?mode={mode}"


def connect(path: str, *, timeout: float = 5.0, is_private: bool = False) -> Connection:
    """Return a connection to the database at *path*, which must be there; transactions are left to its user.

    One that *is_private*, a file that nobody else opens, takes no locks: some network file systems have none.
    """
    name = uri(path) + ("&nolock=1" if is_private else "")
    connection: Connection = load().connect(name, timeout=timeout, isolation_level=None, uri=True)
    return connection
