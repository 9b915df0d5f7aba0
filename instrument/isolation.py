"""The `bytecode` package, in a copy of our own.

Nothing comes in, the package goes out. The measured program must not notice us, and we must not count ourselves:
`bytecode` lives in `enum`, `dis` and others of the standard library, whose functions the program may use too, and which
are then rewritten and counted. So the package is imported with fresh copies of what it executes, and leaves no trace in
`sys.modules`: a program that imports `typing`, or `bytecode` itself, gets its own, and has it counted.

The import is put off until a measurement begins, or where all that is rewritten may be in the cache until something is
not. Then other threads may be importing: they start nothing new as long as ours goes on.
"""

from __future__ import annotations

import sys
from _imp import acquire_lock, release_lock
from _thread import get_ident
from time import sleep

TYPE_CHECKING = False

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
        return getattr(self, name)


def import_isolated(name: str) -> object:
    """Return the module *name*, imported anew with fresh copies of what it uses, and forget that it was."""
    before = dict(sys.modules)
    try:
        for module in before:
            if module.partition(".")[0] in (*_FRESH, name):
                del sys.modules[module]
        return __import__(name)
    finally:
        for key, imported in list(sys.modules.items()):
            if before.get(key) is not imported:
                own.append(imported)
                if key not in before:
                    del sys.modules[key]
        sys.modules.update(before)


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
    global _loading, _is_loaded
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
        _loading = get_ident()
        module = import_isolated("bytecode")
        vars(bytecode).update({key: value for key, value in vars(module).items() if not key.startswith("__")})
        _is_loaded = True
    finally:
        _loading = None
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
