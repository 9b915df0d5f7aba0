"""Libraries that read the bytecode of the program's functions: they get what it was before it was made live.

A module that was just imported comes in; if it is one that reads bytecode, it goes on getting code as the program wrote
it, for as long as the process runs. Some translate it, and know no probes; some send it to processes that may be
without this package; some compare it with what they have compiled themselves.

- numba translates a function to machine code (numba/core/bytecode.py: FunctionIdentity.from_function);
- pony translates a generator expression or a lambda to SQL (pony/orm/decompiling.py: decompile);
- cloudpickle, which numba and others have copies of, and dill pickle functions by value (_code_reduce, save_code): so
  what they write is what they would write without us, and its hash is the same each time;
- hypothesis looks for the source of a lambda (hypothesis/internal/lambda_sources.py: _function_key).
"""

from __future__ import annotations

import sys
from types import CodeType, FunctionType, ModuleType

from instrument.runtime import importer
from instrument.runtime.session import pristine

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Change = Callable[[Callable[..., Any]], Callable[..., Any]]


def watch() -> None:
    """Adapt the readers that have been imported, and from now on those that will be."""
    if adapt not in importer.on_executed:
        importer.on_executed.append(adapt)
    for name, module in list(sys.modules.items()):
        if _entrances(name) and isinstance(module, ModuleType):
            adapt(module)


def adapt(module: ModuleType) -> None:
    """Let *module* get code as it was before it was made live, if it reads bytecode and has not been adapted."""
    for path, change, registry in _entrances(module.__dict__.get("__name__")):
        *outer, name = path.split(".")
        owner = _found(module, outer)
        function = getattr(owner, name, None)
        if type(function) is not FunctionType or function in _adapted:
            continue
        ours: Any = change(function)
        ours.__name__, ours.__qualname__, ours.__doc__ = function.__name__, function.__qualname__, function.__doc__
        ours.__module__ = function.__module__
        _adapted.append(ours)
        setattr(owner, name, ours)
        registered = _found(module, registry.split(".")) if registry else None
        if isinstance(registered, dict) and registered.get(CodeType) is function:
            registered[CodeType] = ours


def _found(owner: Any, path: list[str]) -> Any:
    for name in path:
        owner = getattr(owner, name, None)
    return owner


def _original(thing: Any) -> Any:
    """Return what code or a function would be without us; *thing* itself if it is neither."""
    if type(thing) is CodeType:
        return pristine(thing)
    if type(thing) is FunctionType and (code := pristine(thing.__code__)) is not thing.__code__:
        made = FunctionType(code, thing.__globals__, thing.__name__, thing.__defaults__, thing.__closure__)
        made.__kwdefaults__ = thing.__kwdefaults__
        return made
    return thing


def _returning_originals(function: Callable[..., Any]) -> Callable[..., Any]:
    def adapted(*args: Any, **kwargs: Any) -> Any:
        return _original(function(*args, **kwargs))

    return adapted


def _taking_originals(function: Callable[..., Any]) -> Callable[..., Any]:
    def adapted(*args: Any, **kwargs: Any) -> Any:
        return function(*map(_original, args), **kwargs)

    return adapted


def _saving_originals(function: Callable[..., Any]) -> Callable[..., Any]:
    def adapted(pickler: Any, code: Any) -> Any:
        original = _original(code)
        if id(original) in pickler.memo:  # it was written before, under its own name
            return pickler.save(original)
        return function(pickler, original)

    return adapted


#: By name of the module: by what it gets code, how that is changed, and where that is also registered.
_READERS: dict[str, tuple[tuple[str, Change, str], ...]] = {
    "numba.core.bytecode": (("get_code_object", _returning_originals, ""),),
    "pony.orm.decompiling": (("Decompiler.__init__", _taking_originals, ""),),
    "dill._dill": (("save_code", _saving_originals, "Pickler.dispatch"),),
    "hypothesis.internal.lambda_sources": (
        ("_function_key", _taking_originals, ""),
        ("_normalize_code", _taking_originals, ""),
    ),
    "hypothesis.internal.reflection": (("is_identity_function", _taking_originals, ""),),
}
_CLOUDPICKLE: tuple[tuple[str, Change, str], ...] = (
    ("_code_reduce", _taking_originals, "Pickler._dispatch_table"),
    ("_extract_code_globals", _taking_originals, ""),
)
_adapted: list[object] = []


def _entrances(name: object) -> tuple[tuple[str, Change, str], ...]:
    if type(name) is not str:  # whatever the program has put there
        return ()
    return _CLOUDPICKLE if name.endswith(".cloudpickle") else _READERS.get(name, ())
