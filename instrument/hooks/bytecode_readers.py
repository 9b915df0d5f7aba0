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
import sys
from copyreg import pickle as register
from itertools import repeat
from types import CodeType, FunctionType, ModuleType

from instrument.hooks import imports
from instrument.hooks.reader_state import named_like, state
from instrument.link.counters import reduce_counter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from instrument.hooks.reader_state import GiveOut, OriginalOf


def install(original_of: OriginalOf, give_out: GiveOut) -> None:
    """Wrap functions of libraries that read bytecode: they get the results of *original_of* and *give_out*.

    This wraps all that are imported already, and all that are imported while an instrumenter is installed.

    This is never undone: live code outlives a measurement, and readers keep the functions that they have got.
    """
    state.original_of, state.give_out = original_of, give_out
    imports.call_after_execution(adapt)
    for name, module in list(sys.modules.items()):
        if (name == "copyreg" or _is_reader(name)) and isinstance(module, ModuleType):
            adapt(module)
    _adapt_extensions()


def adapt(module: ModuleType) -> None:
    """Wrap the functions by which *module* gets code, if it is a reader, unless that was done."""
    _adapt_registered_reducer(module)
    if _is_reader(module.__dict__.get("__name__")):
        from instrument.hooks.reader_wrappers import wrap_functions

        wrap_functions(module)


def _is_reader(name: object) -> bool:
    """Return whether *name* is the name of a reader, a module that `reader_wrappers` knows."""
    return type(name) is str and (name in _READERS or name in _SENDERS or name.endswith(_CLOUDPICKLE))


def _adapt_extensions() -> None:
    """Adapt modules in C that send functions to other interpreters, when they are imported from now on."""
    if not _SENDERS or _imp.exec_dynamic in state.wrappers:
        return
    for name in ("exec_dynamic", "exec_builtin"):  # how they are imported depends on how the interpreter was built
        original = getattr(_imp, name)
        wrapper = named_like(original, _adapting_senders(original))
        state.wrappers.append(wrapper)
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
        state.dispatch_table = names["dispatch_table"]
    reducer = state.dispatch_table.get(CodeType)
    if type(reducer) is FunctionType and reducer not in state.wrappers:
        from instrument.hooks.reader_wrappers import wrap_reducer

        state.dispatch_table[CodeType] = wrap_reducer(reducer)


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


#: The names of readers, and of modules in C that send functions to other interpreters. `reader_wrappers` has both.
_READERS = frozenset(
    (
        *("dill._dill", "hypothesis.internal.lambda_sources", "hypothesis.internal.reflection"),
        *("numba.core.bytecode", "pony.orm.decompiling", "torch._dynamo.convert_frame"),
        *("torch._dynamo.trace_rules", "torch._dynamo.variables.functions"),
    )
)
_SENDERS = frozenset(
    ("_interpreters", "_interpqueues", "_interpchannels") if sys.version_info >= (3, 13) else (),
)
#: The ends of the names of each copy of cloudpickle, and of its module cloudpickle_fast.
_CLOUDPICKLE = (".cloudpickle", ".cloudpickle_fast")
