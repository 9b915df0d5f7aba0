"""A copy of the `bytecode` package, and of the modules that it needs, out of the program's sight.

`bytecode` goes out: `from instrument.guest.isolation import bytecode`. So does, by `import_isolated`, any other module.

Problem: `bytecode` uses `enum`, `dis` and other modules of the standard library. The program may use the same
functions, which are then rewritten and counted. The program must not find `bytecode` in `sys.modules`. Nor must it
find `typing` there because of us: in a plain run its own import executes that module, and is counted.
Solution: the package is imported with fresh copies of all modules whose Python code it executes. The copies are in a
`sys.modules` of their own. They are searched in the folders of the standard library and of installed packages only. The
program may have modules of the same names.

`guest.rare.copies` makes the copies. The import is deferred until something must be rewritten: all code may be in the
cache. By then other threads may hold the import locks of the same modules, so the copies are loaded without the import
system.
"""

from __future__ import annotations

from _thread import get_ident

from instrument.guest.gate import Gate
from instrument.guest.own_imports import OwnImports
from instrument.guest.process_state import ProcessState

TYPE_CHECKING = False


class _Isolated:
    """Stands for the package `bytecode`, and loads it when an attribute is used first."""

    def __getattr__(self, name: str) -> object:
        if name.startswith("__") or self.__dict__:
            raise AttributeError(name)
        load()
        if name not in self.__dict__:
            from instrument.guest.rare.copies import folder_of_bytecode

            raise AttributeError(f"the package `bytecode` in {folder_of_bytecode()} has no {name}")
        return self.__dict__[name]


def import_isolated(name: str) -> object:
    """Return a copy of the module *name* that uses copies of other modules; the program has none of them."""
    global _loading
    from instrument.guest.rare.copies import FRESH, FRESH_FOR, Copies

    outer, _loading = _loading, get_ident()
    try:
        with OwnImports():
            return Copies((*FRESH, *FRESH_FOR.get(name, ()), name)).module(name)
    finally:
        _loading = outer


if TYPE_CHECKING:
    import bytecode as bytecode
else:
    bytecode = _Isolated()


#: The thread that imports copies right now.
_loading: int | None = None
#: Whether `bytecode` is loaded.
_is_loaded = False


def is_loading() -> bool:
    """Return whether this thread imports copies right now: code that is executed meanwhile is not the program's."""
    return _loading is not None and _loading == get_ident()


def load() -> None:
    """Import the copy of `bytecode`, unless it is there or this thread is importing it."""
    global _is_loaded
    if _is_loaded or is_loading():
        return
    depth = _lock.gate.depth()
    try:
        _lock.gate.acquire()
        if _has_another_thread_loaded():
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


def _has_another_thread_loaded() -> bool:
    return _is_loaded  # mypy takes the variable for false behind the check above
