"""Wrappers around functions by which libraries get code: see `hooks.bytecode_readers`.

A module that was just imported comes in (`wrap_functions`). If it is a library that reads bytecode, it gets originals
from then on.
"""

from __future__ import annotations

import builtins
import sys
from types import BuiltinFunctionType, CodeType, FunctionType, ModuleType

from instrument.hooks.reader_state import named_like, state
from instrument.link.linker import appended_constants

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeAlias

    #: Wraps a function by which a reader gets code.
    Wrap: TypeAlias = Callable[[Callable[..., Any]], Callable[..., Any]]
    #: A function by which a reader gets code: its path in the module, and its `Wrap`. The third item is the path of a
    #: dictionary in which the function is also registered for code, or "".
    Entrance: TypeAlias = tuple[str, Wrap, str]


def wrap_functions(module: ModuleType) -> None:
    """Wrap the functions by which *module*, a reader, gets code, unless that was done."""
    for path, wrap, registry_path in _entrances(module.__dict__.get("__name__")):
        *outer, name = path.split(".")
        owner = _attribute(module, outer)
        function: Any = getattr(owner, name, None)
        if type(function) not in (FunctionType, BuiltinFunctionType) or function in state.wrappers:
            continue
        wrapper = named_like(function, wrap(function))
        state.wrappers.append(wrapper)
        setattr(owner, name, wrapper)
        registry = _attribute(module, registry_path.split(".")) if registry_path else None
        if isinstance(registry, dict) and registry.get(CodeType) is function:
            registry[CodeType] = wrapper


def wrap_reducer(reducer: Callable[..., Any]) -> Any:
    """Return the wrapper of *reducer*, a function that was registered to pickle code."""
    wrapper = named_like(reducer, _giving_originals("pickle")(reducer))
    state.wrappers.append(wrapper)
    return wrapper


def _attribute(owner: Any, path: list[str]) -> Any:
    """Return the attribute of *owner* at *path*; None if there is none."""
    for name in path:
        owner = getattr(owner, name, None)
    return owner


def _original(argument: Any, receiver: str = "") -> Any:
    """Return the original of *argument*, if it is code or a function with live code; else *argument* itself.

    *receiver* is the name of the library if it may run the original where nothing counts, else "".
    """
    if type(argument) is CodeType:
        return state.give_out(argument, receiver) if receiver else state.original_of(argument)
    if type(argument) is FunctionType and (code := _original(argument.__code__, receiver)) is not argument.__code__:
        function = FunctionType(
            code, argument.__globals__, argument.__name__, argument.__defaults__, argument.__closure__
        )
        function.__kwdefaults__ = argument.__kwdefaults__
        return function
    return argument


# Wrappers. Each function here is a `Wrap`, or returns one. ############################################################


def _returning_originals(receiver: str = "") -> Wrap:
    """Return the `Wrap` for a function that returns code: the wrapper returns the original."""

    def wrap(function: Callable[..., Any]) -> Callable[..., Any]:
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            return _original(function(*args, **kwargs), receiver)

        return wrapper

    return wrap


def _giving_originals(receiver: str) -> Wrap:
    """Return the `Wrap` for a function whose arguments are code to translate or write: it gets originals."""

    def wrap(function: Callable[..., Any]) -> Callable[..., Any]:
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            return function(*[_original(argument, receiver) for argument in args], **kwargs)

        return wrapper

    return wrap


def _comparing_originals(function: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap a function that compares code: it gets originals, which are not given out."""

    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return function(*map(_original, args), **kwargs)

    return wrapper


def _noting_compiled_function(function: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap the constructor of numba's `ByteCode`: the function that is to be compiled is noted as given out."""

    def wrapper(self: Any, func_id: Any) -> Any:
        _original(getattr(func_id, "func", None), "numba")
        return function(self, func_id)

    return wrapper


def _giving_original_code(function: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap torch's compiler: it gets the originals of code objects, which are then noted as given out.

    Functions among its arguments are passed unchanged: they are the compiler's own callbacks.
    """

    def wrapper(*args: Any, **kwargs: Any) -> Any:
        originals = (_original(argument, _TORCH) if type(argument) is CodeType else argument for argument in args)
        return function(*originals, **kwargs)

    return wrapper


def _skipping_this_package(add: Callable[..., Any]) -> Callable[..., Any]:
    """Return torch's function *add* unchanged, after adding this package to the packages that torch leaves alone."""
    add(__name__.partition(".")[0])
    return add


def _saving_originals(save_code: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap dill's function that pickles a code object: it gets the original."""

    def wrapper(pickler: Any, code: Any) -> Any:
        original = _original(code, "dill")
        if id(original) in pickler.memo:  # the original was pickled before
            return pickler.save(original)
        return save_code(pickler, original)

    return wrapper


# Functions that are sent to other interpreters


def _running_originals(function: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap a function that sends the code of a function, and never the function's name."""

    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return function(*map(_sent_code, args), **dict(zip(kwargs, map(_sent_code, kwargs.values()))))

    return wrapper


def _sending_originals(function: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap a function that sends the code of a function if that is possible, else its name, as `pickle` does."""

    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return function(*map(_sent, args), **dict(zip(kwargs, map(_sent, kwargs.values()))))

    return wrapper


def _sent_code(argument: Any) -> Any:
    return _original(argument, _ANOTHER_INTERPRETER)


def _sent(argument: Any) -> Any:
    """Return the object to send in place of *argument*, which may be a tuple of arguments."""
    kind = type(argument)
    if kind is FunctionType:
        is_live = appended_constants(argument.__code__) is not None
        return _sent_code(argument) if is_live and _is_sent_as_code(argument) else argument
    if kind is tuple:
        return tuple(map(_sent, argument))
    return _sent_code(argument) if kind is CodeType else argument


def _is_sent_as_code(function: FunctionType) -> bool:
    """Return whether the interpreter would send the code of *function* if it were not live, or can send nothing else.

    The rules are those of codeobject.c, _PyCode_VerifyStateless, and funcobject.c, _PyFunction_VerifyStateless.
    """
    if _attribute(sys.modules.get(function.__module__), function.__qualname__.split(".")) is not function:
        return True
    code = state.original_of(function.__code__)
    if function.__closure__ or function.__defaults__ or function.__kwdefaults__ or code.co_flags & _SUSPENDED:
        return False
    from instrument.decode.instructions import Instructions
    from instrument.decode.opcodes import LOAD_GLOBAL

    instructions = Instructions(code)
    loads = zip(instructions.ops, instructions.args)
    global_names = {code.co_names[arg >> 1] for op, arg in loads if op == LOAD_GLOBAL}
    builtin_names = {name for name in global_names if hasattr(builtins, name)}
    return global_names.isdisjoint(function.__globals__) and (not builtin_names or builtin_names == global_names)


#: CO_GENERATOR, CO_COROUTINE and CO_ASYNC_GENERATOR.
_SUSPENDED = 0x20 | 0x80 | 0x200
_ANOTHER_INTERPRETER = "another interpreter"
_TORCH = "torch.compile"

#: From names of modules in C to their entrances: the functions that send functions to another interpreter.
_SENDERS: dict[str, tuple[Entrance, ...]] = {}
if sys.version_info >= (3, 13):
    _SENDERS = {
        "_interpreters": (
            ("exec", _running_originals, ""),
            ("run_func", _running_originals, ""),
            ("call", _running_originals if sys.version_info < (3, 14) else _sending_originals, ""),
        ),
        "_interpqueues": (("put", _sending_originals, ""),),
        "_interpchannels": (("send", _sending_originals, ""),),
    }

#: From names of modules to their entrances.
_READERS: dict[str, tuple[Entrance, ...]] = {
    "numba.core.bytecode": (
        ("get_code_object", _returning_originals(), ""),
        ("ByteCode.__init__", _noting_compiled_function, ""),
    ),
    "pony.orm.decompiling": (("Decompiler.__init__", _giving_originals("pony"), ""),),
    "dill._dill": (("save_code", _saving_originals, "Pickler.dispatch"),),
    "hypothesis.internal.lambda_sources": (
        ("_function_key", _comparing_originals, ""),
        ("_normalize_code", _comparing_originals, ""),
    ),
    "torch._dynamo.convert_frame": (("_compile", _giving_original_code, ""),),
    "torch._dynamo.variables.functions": (
        ("UserFunctionVariable.get_code", _returning_originals(_TORCH), ""),
        ("WrapperUserFunctionVariable.get_code", _returning_originals(_TORCH), ""),
    ),
    "torch._dynamo.trace_rules": (("add", _skipping_this_package, ""),),
    "hypothesis.internal.reflection": (("is_identity_function", _comparing_originals, ""),),
}
#: The entrances of each copy of cloudpickle, and those of its module cloudpickle_fast.
_CLOUDPICKLE: tuple[Entrance, ...] = (
    ("_code_reduce", _giving_originals("cloudpickle"), "Pickler._dispatch_table"),
    ("_extract_code_globals", _comparing_originals, ""),
)
_CLOUDPICKLE_FAST: tuple[Entrance, ...] = (
    ("_code_reduce", _giving_originals("cloudpickle"), "CloudPickler._dispatch_table"),
    ("_extract_code_globals", _comparing_originals, ""),
)


def _entrances(name: object) -> tuple[Entrance, ...]:
    """Return the entrances of the module called *name*; () if it is no reader, or if *name* is no text."""
    if type(name) is not str:
        return ()
    if name.endswith(".cloudpickle_fast"):
        return _CLOUDPICKLE_FAST
    return _CLOUDPICKLE if name.endswith(".cloudpickle") else _READERS.get(name) or _SENDERS.get(name, ())
