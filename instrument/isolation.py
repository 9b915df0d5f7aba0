"""The `bytecode` package, in a copy of our own.

Nothing comes in, the package goes out. The measured program must not notice us, and we must not count ourselves:
`bytecode` lives in `enum`, `dis` and others of the standard library, whose functions the program may use too, and which
are then rewritten and counted. So the package is imported with fresh copies of what it executes, and leaves no trace in
`sys.modules`: a program that imports `typing`, or `bytecode` itself, gets its own, and has it counted.

The import is put off until a measurement begins, but no longer: importlib, too, runs functions of the measured program.
"""

from __future__ import annotations

import sys

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
        own.extend(module for key, module in sys.modules.items() if before.get(key) is not module)
        sys.modules.clear()
        sys.modules.update(before)


if TYPE_CHECKING:
    import bytecode as bytecode
else:
    bytecode = _Isolated()


def load() -> None:
    """Import the copy, unless that was done."""
    if not own:
        module = import_isolated("bytecode")
        vars(bytecode).update({key: value for key, value in vars(module).items() if not key.startswith("__")})
