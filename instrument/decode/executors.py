"""Finds code that may call an executor: `exec`, `eval`, `types.FunctionType`, or an alias of one of them.

A code object comes in. Whether it may call an executor goes out. The code that is passed to an executor may have to be
exchanged for live code (hooks.exec_calls). That holds in modules that are not measured as well, so every module that is
imported is examined. `decode.exec_calls` finds the calls in code that is rewritten.

The answer errs on the side of yes: any code that mentions an executor by name or by a string may call one. The
functions `dump` and `dumps` of `marshal` count as executors, since marshalled code can be executed elsewhere.
"""

from __future__ import annotations

import os
import sys
from _imp import _frozen_module_names, get_frozen_object  # type: ignore[attr-defined]
from _operator import and_, attrgetter, contains, ge
from itertools import repeat
from types import CodeType

from instrument.guest.own_loader import fact_about

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

#: Names of executors. `exec_` is the name that six, and copies of it, give to `exec`.
_EXECUTORS = frozenset(("exec", "eval", "exec_", "FunctionType", "LambdaType"))
#: Code that gets an object by a string uses one of these names.
_LOOKUPS = frozenset(("getattr", "builtins", "__builtins__", "__dict__", "vars", "attrgetter", "globals"))
_MARSHAL = "marshal"
_EXECUTORS_AND_DUMP = _EXECUTORS | {"dump", "dumps"}

# These are methods of C: `may_execute_code` calls two of them for each function that is loaded during a start.
_has_no_executor_or_marshal = (_EXECUTORS | {_MARSHAL}).isdisjoint
_has_no_name_of_interest = (_EXECUTORS | {_MARSHAL} | _LOOKUPS).isdisjoint
_has_no_executor = _EXECUTORS.isdisjoint
_names_of, _variables_of, _constants_of = map(attrgetter, ("co_names", "co_varnames", "co_consts"))
#: The names of which code that mentions an executor uses at least one.
_NAMES_OF_INTEREST = (*_EXECUTORS, _MARSHAL, *_LOOKUPS)
#: Returns whether its argument is the name of an executor.
is_executor = _EXECUTORS.__contains__

#: torch.compile makes functions of code that it assembles itself. Such code is no compiler's, so it cannot be
#: rewritten, and it was derived from code that was given out (hooks.bytecode_readers).
_TORCH_COMPILER = f"{os.sep}torch{os.sep}_dynamo{os.sep}"


def executor_names_in(names: tuple[str, ...]) -> frozenset[str]:
    """Return the names of executors for code that uses *names*; `dump` and `dumps` are among them beside `marshal`."""
    return _EXECUTORS_AND_DUMP if _MARSHAL in names else _EXECUTORS


def mentions_executor(code: CodeType) -> bool:
    """Return whether *code* itself mentions an executor: by name, as a local variable, or in a string."""
    names = code.co_names
    if not _has_no_executor_or_marshal(names) and not executor_names_in(names).isdisjoint(names):
        return True
    return looks_up_executor(code) or not _has_no_executor(code.co_varnames)


def text_may_mention_executor(text: str) -> bool:
    """Return whether code that is compiled from *text* may mention an executor. Compiling it takes far longer.

    Python normalises names of other characters than those of ASCII, so any such text may.
    """
    return not text.isascii() or any(map(text.__contains__, _NAMES_OF_INTEREST))


def looks_up_executor(code: CodeType) -> bool:
    """Return whether *code* may look up an executor by a string, as in `getattr(builtins, "exec")`."""
    return not _LOOKUPS.isdisjoint(code.co_names) and ("exec" in code.co_consts or "eval" in code.co_consts)


def may_execute_code(code: CodeType) -> bool:
    """Return whether *code*, or code nested in it, may call an executor."""
    if _TORCH_COMPILER in code.co_filename:
        return False
    tree = [code]
    append = tree.append
    for inner in tree:
        if not (_has_no_name_of_interest(inner.co_names) and _has_no_executor(inner.co_varnames)) and mentions_executor(
            inner
        ):
            return True
        for constant in inner.co_consts:
            if type(constant) is CodeType:
                append(constant)
    return False


def need_search(codes: list[CodeType]) -> Iterator[bool]:
    """Yield for each of *codes* whether it must be searched: False means that `may_execute_code` returns False.

    Everything happens in C. [3.12, callgrind: the search of 1,400 functions at a start took 10 million instructions]
    """
    kinds: Iterator[Iterator[type]] = map(map, repeat(type), map(_constants_of, codes))
    has_nested_code = map(contains, kinds, repeat(CodeType))  # type: ignore[arg-type]
    has_no_name = map(_has_no_name_of_interest, map(_names_of, codes))
    has_no_variable = map(_has_no_executor, map(_variables_of, codes))
    return map(ge, has_nested_code, map(and_, has_no_name, has_no_variable))


def executors_in_frozen_modules() -> dict[str, frozenset[tuple[str, int]]]:
    """Return which code of frozen modules may call an executor, by file name: qualified names and first lines.

    Frozen modules are parts of the interpreter, so their code never changes. The result is stored by the version of the
    interpreter, which names the time of its build.
    """
    return fact_about((), f"executors in frozen modules of {sys.version}", _search_frozen_modules)


def _search_frozen_modules() -> dict[str, frozenset[tuple[str, int]]]:
    executors: dict[str, frozenset[tuple[str, int]]] = {}
    for name in ("_frozen_importlib", "_frozen_importlib_external", *_frozen_module_names()):
        try:
            tree = [get_frozen_object(name)]
        except ImportError:  # the interpreter was started with `-X frozen_modules=off`
            continue
        for code in tree:
            tree += [constant for constant in code.co_consts if type(constant) is CodeType]
        places = {(code.co_qualname, code.co_firstlineno) for code in tree if may_execute_code(code)}
        executors[tree[0].co_filename] = frozenset(places)
    return executors


def uses_any_name(code: CodeType, names: frozenset[str]) -> bool:
    """Return whether *code*, or code nested in it, uses one of *names* for a global variable or an attribute."""
    tree = [code]
    for inner in tree:
        if not names.isdisjoint(inner.co_names):
            return True
        tree += [constant for constant in inner.co_consts if type(constant) is CodeType]
    return False
