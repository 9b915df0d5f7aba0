"""Libraries that read the bytecode of the program's functions to translate it: they get what it was before.

A module that was just imported comes in; if it is one that reads bytecode, it goes on getting code as the program wrote
it, for as long as the process runs. What such libraries translate does not run as Python code, and no line of it is
counted, neither by us nor by `trace`; but they know no probes, and fail where they find one.

- numba translates a function to machine code (numba/core/bytecode.py: FunctionIdentity.from_function);
- pony translates a generator expression or a lambda to SQL (pony/orm/decompiling.py: decompile).
"""

from __future__ import annotations

import sys
from types import CodeType, FunctionType

from instrument.runtime import importer
from instrument.runtime.session import pristine

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType
    from typing import Any


def watch() -> None:
    """Adapt the readers that have been imported, and from now on those that will be."""
    if adapt not in importer.on_executed:
        importer.on_executed.append(adapt)
    for name in _READERS:
        if name in sys.modules:
            adapt(sys.modules[name])


def adapt(module: ModuleType) -> None:
    """Let *module* get code as it was before it was made live, if it reads bytecode and has not been adapted."""
    if module.__name__ not in _READERS:
        return
    name, change = _READERS[module.__name__]
    owner: Any = module
    *path, name = name.split(".")
    for part in path:
        owner = getattr(owner, part, None)
    function = getattr(owner, name, None)
    if type(function) is FunctionType and function not in _adapted:
        ours = change(function)
        ours.__name__, ours.__qualname__, ours.__doc__ = function.__name__, function.__qualname__, function.__doc__
        ours.__module__ = function.__module__
        setattr(owner, name, ours)
        _adapted.append(ours)


def _original(code: Any) -> Any:
    return pristine(code) if type(code) is CodeType else code


def _returning_originals(function: Callable[..., Any]) -> FunctionType:
    def adapted(*args: Any, **kwargs: Any) -> Any:
        return _original(function(*args, **kwargs))

    return adapted  # type: ignore[return-value]


def _taking_originals(function: Callable[..., Any]) -> FunctionType:
    def adapted(self: Any, code: Any, *args: Any, **kwargs: Any) -> Any:
        return function(self, _original(code), *args, **kwargs)

    return adapted  # type: ignore[return-value]


#: By name of the module: what it gets code by, and how that is changed.
_READERS = {
    "numba.core.bytecode": ("get_code_object", _returning_originals),
    "pony.orm.decompiling": ("Decompiler.__init__", _taking_originals),
}
_adapted: list[object] = []
