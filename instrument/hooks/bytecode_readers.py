"""Hooks libraries that read the bytecode of the program's functions: they get the original, as without this package.

Some libraries translate bytecode, and know no probes. Some send it to processes that may be without this package. Some
compare it with bytecode that they have compiled themselves. A module that was just imported comes in (`adapt`). If it
is such a library, the functions by which it gets code are wrapped, until the process ends.

- numba translates a function to machine code (numba/core/bytecode.py: FunctionIdentity.from_function), if it is called
  (ByteCode.__init__);
- pony translates a generator expression or a lambda to SQL (pony/orm/decompiling.py: decompile);
- cloudpickle, which numba and others have copies of, and dill pickle functions by value (_code_reduce, save_code).
  Their output, and its hash, must be the same each time. Up to version 2, cloudpickle has a module cloudpickle_fast;
- so do ipyparallel, and other modules that register a function to pickle code (`copyreg.pickle`);
- hypothesis looks for the source of a lambda (hypothesis/internal/lambda_sources.py: _function_key);
- torch.compile translates the code of frames (torch/_dynamo/convert_frame.py: _compile), and of the functions that such
  code calls (torch/_dynamo/variables/functions.py: get_code), to graphs. It must not translate frames of this package;
- from 3.13 on, C code marshals the code of functions that the program sends to another interpreter. It does so for
  `concurrent.interpreters` and others (_interpretersmodule.c: exec, call, run_func; crossinterp_data_lookup.h:
  _PyCode_GetXIData). Live counters cannot be marshalled.

Except for libraries that only compare code, they may run the original where nothing counts. So each function that they
got is noted as given out (`give_out`), and no report calls its lines missing.
"""

from __future__ import annotations

import _imp
import builtins
import sys
from copyreg import pickle as register
from itertools import repeat
from types import BuiltinFunctionType, CodeType, FunctionType, ModuleType

from instrument.guest.process_state import ProcessState
from instrument.hooks import imports
from instrument.link.counters import reduce_counter
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
    OriginalOf: TypeAlias = Callable[[CodeType], CodeType]
    GiveOut: TypeAlias = Callable[[CodeType, str], CodeType]


class _State(ProcessState):
    """The wrappers cannot be taken off again (`install`), so `wrappers` and `dispatch_table` survive a reset."""

    __slots__ = ("dispatch_table", "give_out", "original_of", "wrappers")

    def __init__(self) -> None:
        #: The functions that stand in for functions of readers.
        self.wrappers: list[object] = []
        #: The table of the program's `copyreg`: from types to the functions that reduce them.
        self.dispatch_table: dict[type, Any] = register.__globals__["dispatch_table"]
        super().__init__()

    def reset(self) -> None:
        #: Returns the original of a code object.
        self.original_of: OriginalOf = _unchanged
        #: Returns the original of a code object, and notes the name of its receiver.
        self.give_out: GiveOut = _unchanged


def _unchanged(code: CodeType, receiver: str = "") -> CodeType:
    return code


_state = _State()


def install(original_of: OriginalOf, give_out: GiveOut) -> None:
    """Wrap functions of libraries that read bytecode: they get the results of *original_of* and *give_out*.

    This wraps all that are imported already, and all that are imported while an instrumenter is installed.

    This is never undone: live code outlives a measurement, and readers keep the functions that they have got.
    """
    _state.original_of, _state.give_out = original_of, give_out
    imports.call_after_execution(adapt)
    for name, module in list(sys.modules.items()):
        if (_entrances(name) or name == "copyreg") and isinstance(module, ModuleType):
            adapt(module)
    _adapt_extensions()


def adapt(module: ModuleType) -> None:
    """Wrap the functions by which *module* gets code, if it is a reader, unless that was done."""
    _adapt_registered_reducer(module)
    for path, wrap, registry_path in _entrances(module.__dict__.get("__name__")):
        *outer, name = path.split(".")
        owner = _attribute(module, outer)
        function: Any = getattr(owner, name, None)
        if type(function) not in (FunctionType, BuiltinFunctionType) or function in _state.wrappers:
            continue
        wrapper = _named_like(function, wrap(function))
        _state.wrappers.append(wrapper)
        setattr(owner, name, wrapper)
        registry = _attribute(module, registry_path.split(".")) if registry_path else None
        if isinstance(registry, dict) and registry.get(CodeType) is function:
            registry[CodeType] = wrapper


def _adapt_extensions() -> None:
    """Adapt modules in C that send functions to other interpreters, when they are imported from now on."""
    if not _SENDERS or _imp.exec_dynamic in _state.wrappers:
        return
    for name in ("exec_dynamic", "exec_builtin"):  # how they are imported depends on how the interpreter was built
        original = getattr(_imp, name)
        wrapper = _named_like(original, _adapting_senders(original))
        _state.wrappers.append(wrapper)
        setattr(_imp, name, wrapper)


def _adapting_senders(exec_extension: Callable[[ModuleType], object]) -> Callable[[ModuleType], object]:
    def execute(module: ModuleType, /) -> object:
        status = exec_extension(module)
        if module.__dict__.get("__name__") in _SENDERS:
            adapt(module)
        return status

    return execute


def _adapt_registered_reducer(module: ModuleType) -> None:
    """Wrap the function that *module*, which was just imported, or another one has registered to pickle code."""
    names = module.__dict__
    if names.get("__name__") == "copyreg" and type(names.get("dispatch_table")) is dict:
        if names is not register.__globals__:
            _share_registry(names)
        _state.dispatch_table = names["dispatch_table"]
    reducer = _state.dispatch_table.get(CodeType)
    if type(reducer) is FunctionType and reducer not in _state.wrappers:
        wrapper = _named_like(reducer, _giving_originals("pickle")(reducer))
        _state.wrappers.append(wrapper)
        _state.dispatch_table[CodeType] = wrapper


def _share_registry(names: dict[str, Any]) -> None:
    """Make *names*, the globals of the program's `copyreg`, share their tables with `_pickle`; register counters there.

    This package's own imports have left `sys.modules`. On 3.11, `_pickle` is initialised once in a process, and keeps
    the tables that it found first (_pickle.c: PyInit__pickle). Without this, the program's own registrations had no
    effect.
    """
    ours = register.__globals__
    if sys.version_info < (3, 12):
        for name in ("dispatch_table", "_extension_registry", "_inverted_registry", "_extension_cache"):
            if type(names.get(name)) is dict and names[name] is not ours[name]:
                ours[name].clear()
                ours[name].update(names[name])
                names[name] = ours[name]
    if sys.version_info >= (3, 14) or getattr(sys.modules.get("itertools"), "repeat", None) is not repeat:
        names["dispatch_table"].setdefault(repeat, reduce_counter)


def _named_like(original: Any, wrapper: Any) -> Any:
    """Return *wrapper* with name, docstring and module of *original*."""
    wrapper.__name__, wrapper.__qualname__, wrapper.__doc__ = original.__name__, original.__qualname__, original.__doc__
    wrapper.__module__ = original.__module__
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
        return _state.give_out(argument, receiver) if receiver else _state.original_of(argument)
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
    code = _state.original_of(function.__code__)
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
