"""Libraries that read the bytecode of the program's functions: they get what it was before it was made live.

A module that was just imported comes in; if it is one that reads bytecode, it goes on getting code as the program wrote
it, for as long as the process runs. Some translate it, and know no probes; some send it to processes that may be
without this package; some compare it with what they have compiled themselves.

- numba translates a function to machine code (numba/core/bytecode.py: FunctionIdentity.from_function), if it is called
  (ByteCode.__init__);
- pony translates a generator expression or a lambda to SQL (pony/orm/decompiling.py: decompile);
- cloudpickle, which numba and others have copies of, and dill pickle functions by value (_code_reduce, save_code): so
  what they write is what they would write without us, and its hash is the same each time. Up to version 2 of
  cloudpickle that is done by its module cloudpickle_fast;
- so do ipyparallel, and other modules that register a function to pickle code (`copyreg.pickle`);
- hypothesis looks for the source of a lambda (hypothesis/internal/lambda_sources.py: _function_key);
- torch.compile translates the code of frames (torch/_dynamo/convert_frame.py: _compile), and of the functions that such
  code calls (torch/_dynamo/variables/functions.py: get_code), to graphs; our own frames are not to be translated;
- from 3.13 on, C marshals the code of functions that the program hands to another interpreter (_interpretersmodule.c:
  exec, call, run_func; crossinterp_data_lookup.h: _PyCode_GetXIData), by `concurrent.interpreters` or otherwise. Live
  counters cannot be marshalled.

Except for those that only compare code, they may run it where it is not counted: which functions they got is noted
(`give_out`), and no report calls lines of these missing.
"""

from __future__ import annotations

import _imp
import builtins
import sys
from copyreg import pickle as register
from itertools import repeat
from types import BuiltinFunctionType, CodeType, FunctionType, ModuleType

from instrument.decode.instructions import Instructions
from instrument.decode.opcodes import LOAD_GLOBAL
from instrument.guest.hiding import unseen
from instrument.guest.process_state import ProcessState
from instrument.hooks import imports
from instrument.link.counters import appended_constants, reduce_counter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    #: What wraps a function by which a reader gets code.
    Change = Callable[[Callable[..., Any]], Callable[..., Any]]
    OriginalOf = Callable[[CodeType], CodeType]
    GiveOut = Callable[[CodeType, str], CodeType]


class _State(ProcessState):
    """`original_of(code)` returns the original; `give_out(code, taker)` also notes that *taker* got it."""

    __slots__ = ("give_out", "original_of")

    def reset(self) -> None:
        self.original_of: OriginalOf = _unchanged
        self.give_out: GiveOut = _unchanged


def _unchanged(code: CodeType, taker: str = "") -> CodeType:
    return code


_state = _State()


def install(original_of: OriginalOf, give_out: GiveOut) -> None:
    """Adapt the readers that have been imported, and from now on those that will be. They get what *original_of* and
    *give_out* return. This is never undone: live code outlives a measurement, and readers keep what they were given.
    """
    _state.original_of, _state.give_out = original_of, give_out
    imports.call_after_execution(adapt)
    for name, module in list(sys.modules.items()):
        if (_entrances(name) or name == "copyreg") and isinstance(module, ModuleType):
            adapt(module)
    _watch_extensions()


def _watch_extensions() -> None:
    """From now on, adapt the modules written in C that send functions to other interpreters, when they are imported."""
    if not _SENDERS or _imp.exec_dynamic in _adapted:
        return
    for name in ("exec_dynamic", "exec_builtin"):  # how they are imported depends on how the interpreter was built
        original = getattr(_imp, name)
        ours = _pass_for(original, _executing(original))
        _adapted.append(ours)
        setattr(_imp, name, ours)


def _executing(original: Callable[[ModuleType], object]) -> Callable[[ModuleType], object]:
    def execute(module: ModuleType, /) -> object:
        done = original(module)
        if module.__dict__.get("__name__") in _SENDERS:
            adapt(module)
        return done

    return unseen(execute)


def adapt(module: ModuleType) -> None:
    """Let *module* get code as it was before it was made live, if it reads bytecode and has not been adapted."""
    _adapt_reducer(module)
    for path, change, registry in _entrances(module.__dict__.get("__name__")):
        *outer, name = path.split(".")
        owner = _found(module, outer)
        function: Any = getattr(owner, name, None)
        if type(function) not in (FunctionType, BuiltinFunctionType) or function in _adapted:
            continue
        ours = _pass_for(function, change(function))
        _adapted.append(ours)
        setattr(owner, name, ours)
        registered = _found(module, registry.split(".")) if registry else None
        if isinstance(registered, dict) and registered.get(CodeType) is function:
            registered[CodeType] = ours


def _adapt_reducer(module: ModuleType) -> None:
    """Let what *module*, which was just imported, or another has registered to pickle code get originals."""
    names = module.__dict__
    if names.get("__name__") == "copyreg" and type(names.get("dispatch_table")) is dict:
        if names is not register.__globals__:
            _share_registry(names)
        _reducers[:] = [names["dispatch_table"]]
    for reducers in _reducers:
        theirs = reducers.get(CodeType)
        if type(theirs) is FunctionType and theirs not in _adapted:
            ours = _pass_for(theirs, _giving_originals("pickle")(theirs))
            _adapted.append(ours)
            reducers[CodeType] = ours


#: The table of the program's `copyreg`.
_reducers: list[dict[type, Any]] = [register.__globals__["dispatch_table"]]


def _pass_for(theirs: Any, ours: Any) -> Any:
    """Return *ours*, which is called what *theirs* is."""
    ours.__name__, ours.__qualname__, ours.__doc__ = theirs.__name__, theirs.__qualname__, theirs.__doc__
    ours.__module__ = theirs.__module__
    return ours


def _found(owner: Any, path: list[str]) -> Any:
    for name in path:
        owner = getattr(owner, name, None)
    return owner


def _original(thing: Any, taker: str = "") -> Any:
    """Return what code or a function would be without us; *thing* itself if it is neither.

    *taker* is what may have it run elsewhere, where it is not counted, if anything is.
    """
    if type(thing) is CodeType:
        return _state.give_out(thing, taker) if taker else _state.original_of(thing)
    if type(thing) is FunctionType and (code := _original(thing.__code__, taker)) is not thing.__code__:
        made = FunctionType(code, thing.__globals__, thing.__name__, thing.__defaults__, thing.__closure__)
        made.__kwdefaults__ = thing.__kwdefaults__
        return made
    return thing


def _returning_originals(taker: str = "") -> Change:
    """Return what wraps a function that returns code: the original goes out. *taker* compiles it, if that is given."""

    def change(function: Callable[..., Any]) -> Callable[..., Any]:
        def adapted(*args: Any, **kwargs: Any) -> Any:
            return _original(function(*args, **kwargs), taker)

        return adapted

    return change


def _compiling_identity(function: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap *function*, which is given a function to be compiled by numba, as `func` of its argument."""

    def adapted(self: Any, func_id: Any) -> Any:
        _original(getattr(func_id, "func", None), "numba")
        return function(self, func_id)

    return adapted


def _giving_originals(taker: str) -> Change:
    """Return what wraps a function that is given code which *taker* translates, or writes: the original goes out."""

    def change(function: Callable[..., Any]) -> Callable[..., Any]:
        def adapted(*args: Any, **kwargs: Any) -> Any:
            return function(*[_original(thing, taker) for thing in args], **kwargs)

        return adapted

    return change


def _share_registry(names: dict[str, Any]) -> None:
    """Make the registry of the program's `copyreg`, which has these *names*, that of `_pickle`, and register counters.

    Our own imports left `sys.modules`. On 3.11, `_pickle` is initialised once in a process and keeps the registry it
    found first (_pickle.c: PyInit__pickle): what the program registered with its own `copyreg` had no effect.
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


def _taking_originals(function: Callable[..., Any]) -> Callable[..., Any]:
    def adapted(*args: Any, **kwargs: Any) -> Any:
        return function(*map(_original, args), **kwargs)

    return adapted


def _registering_originals(function: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap `copyreg.pickle`: functions that are registered for code get the original."""
    names = function.__globals__
    if names is not register.__globals__:
        _share_registry(names)
    dispatch_table = names["dispatch_table"]

    def reducing(theirs: Any) -> Any:
        return _pass_for(theirs, _giving_originals("pickle")(theirs)) if type(theirs) is FunctionType else theirs

    def adapted(ob_type: Any, pickle_function: Any, constructor_ob: Any = None) -> Any:
        return function(ob_type, reducing(pickle_function) if ob_type is CodeType else pickle_function, constructor_ob)

    if CodeType in dispatch_table:
        dispatch_table[CodeType] = reducing(dispatch_table[CodeType])
    return adapted


def _compiling_original_code(function: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap *function*, which gets the originals of code objects among its arguments. Functions stay as they are."""

    def adapted(*args: Any, **kwargs: Any) -> Any:
        return function(*(_original(thing, _TORCH) if type(thing) is CodeType else thing for thing in args), **kwargs)

    return adapted


def _skipping_ours(function: Callable[..., Any]) -> Callable[..., Any]:
    """Call *function*, which adds a package to those whose code is left alone, with the name of this package."""
    function(__name__.partition(".")[0])
    return function


def _saving_originals(function: Callable[..., Any]) -> Callable[..., Any]:
    def adapted(pickler: Any, code: Any) -> Any:
        original = _original(code, "dill")
        if id(original) in pickler.memo:  # it was written before, under its own name
            return pickler.save(original)
        return function(pickler, original)

    return adapted


# Other interpreters


def _running_originals(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return *function*, which sends the code of a function and never the function itself."""

    def adapted(*args: Any, **kwargs: Any) -> Any:
        return function(*map(_sent_code, args), **dict(zip(kwargs, map(_sent_code, kwargs.values()))))

    return unseen(adapted)


def _sending_originals(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return *function*, which sends code where it can, and else what `pickle` makes of a function: its name."""

    def adapted(*args: Any, **kwargs: Any) -> Any:
        return function(*map(_sent, args), **dict(zip(kwargs, map(_sent, kwargs.values()))))

    return unseen(adapted)


@unseen
def _sent_code(thing: Any) -> Any:
    return _original(thing, _ANOTHER)


@unseen
def _sent(thing: Any) -> Any:
    """Return what is to be sent in place of *thing*."""
    kind = type(thing)
    if kind is FunctionType:
        return (
            _sent_code(thing) if appended_constants(thing.__code__) is not None and _is_sent_as_code(thing) else thing
        )
    if kind is tuple:
        return tuple(map(_sent, thing))
    return _sent_code(thing) if kind is CodeType else thing


_ANOTHER = "another interpreter"
_TORCH = "torch.compile"


def _is_sent_as_code(function: FunctionType) -> bool:
    """Return whether the interpreter would send the code of *function*, were it not live, or nothing else can be sent.

    The rules are those of codeobject.c, _PyCode_VerifyStateless, and funcobject.c, _PyFunction_VerifyStateless.
    """
    if _found(sys.modules.get(function.__module__), function.__qualname__.split(".")) is not function:
        return True
    code = _state.original_of(function.__code__)
    if function.__closure__ or function.__defaults__ or function.__kwdefaults__ or code.co_flags & _SUSPENDED:
        return False
    made = Instructions(code)
    names = {code.co_names[arg >> 1] for op, arg in zip(made.ops, made.args) if op == LOAD_GLOBAL}
    known = {name for name in names if hasattr(builtins, name)}
    return names.isdisjoint(function.__globals__) and (not known or known == names)


#: CO_GENERATOR, CO_COROUTINE and CO_ASYNC_GENERATOR.
_SUSPENDED = 0x20 | 0x80 | 0x200

#: By name of the module: the functions that send other functions to another interpreter.
_SENDERS: dict[str, tuple[tuple[str, Change, str], ...]] = {}
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

#: By name of the module: by what it gets code, how that is changed, and where that is also registered.
_READERS: dict[str, tuple[tuple[str, Change, str], ...]] = {
    "numba.core.bytecode": (
        ("get_code_object", _returning_originals(), ""),
        ("ByteCode.__init__", _compiling_identity, ""),
    ),
    "pony.orm.decompiling": (("Decompiler.__init__", _giving_originals("pony"), ""),),
    "dill._dill": (("save_code", _saving_originals, "Pickler.dispatch"),),
    "hypothesis.internal.lambda_sources": (
        ("_function_key", _taking_originals, ""),
        ("_normalize_code", _taking_originals, ""),
    ),
    "torch._dynamo.convert_frame": (("_compile", _compiling_original_code, ""),),
    "torch._dynamo.variables.functions": (
        ("UserFunctionVariable.get_code", _returning_originals(_TORCH), ""),
        ("WrapperUserFunctionVariable.get_code", _returning_originals(_TORCH), ""),
    ),
    "torch._dynamo.trace_rules": (("add", _skipping_ours, ""),),
    "hypothesis.internal.reflection": (("is_identity_function", _taking_originals, ""),),
}
_CLOUDPICKLE: tuple[tuple[str, Change, str], ...] = (
    ("_code_reduce", _giving_originals("cloudpickle"), "Pickler._dispatch_table"),
    ("_extract_code_globals", _taking_originals, ""),
)
_CLOUDPICKLE_FAST: tuple[tuple[str, Change, str], ...] = (
    ("_code_reduce", _giving_originals("cloudpickle"), "CloudPickler._dispatch_table"),
    ("_extract_code_globals", _taking_originals, ""),
)
_adapted: list[object] = []


def _entrances(name: object) -> tuple[tuple[str, Change, str], ...]:
    if type(name) is not str:  # whatever the program has put there
        return ()
    if name.endswith(".cloudpickle_fast"):
        return _CLOUDPICKLE_FAST
    return _CLOUDPICKLE if name.endswith(".cloudpickle") else _READERS.get(name) or _SENDERS.get(name, ())
