"""Which code may hand code to the interpreter.

Code objects and the names that they use come in; whether they may call what takes code, as `exec` does, goes out. What
that is given may have to be exchanged (hooks.imports), in code that is not measured, too.
"""

from __future__ import annotations

import os
from types import CodeType

from instrument.decode.instructions import CALLS, STORE_ATTR, Instructions

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

#: `exec_` is what six and its copies call `exec`.
_EXECUTORS = frozenset(("exec", "eval", "exec_", "FunctionType", "LambdaType"))
#: One of these is needed to look something up by a string.
_LOOK_UP = frozenset(("getattr", "builtins", "__builtins__", "__dict__", "vars", "attrgetter", "globals"))
_MARSHAL = "marshal"
_ALL = _EXECUTORS | {"dump", "dumps"}
_clear = (_EXECUTORS | {_MARSHAL}).isdisjoint
#: Code that uses none of these names, and has no variable called like what takes code, mentions nothing. A start asks
#: this of all functions that are loaded, so it is two calls in C.
_is_clear = (_EXECUTORS | {_MARSHAL} | _LOOK_UP).isdisjoint
_has_no_such_variable = _EXECUTORS.isdisjoint
_take = _EXECUTORS.__contains__


def executor_names_in(names: tuple[str, ...]) -> frozenset[str]:
    """Return the names of what takes code, where code uses *names*: all with a name of `marshal`'s mean that."""
    return _ALL if _MARSHAL in names else _EXECUTORS


def mentions_executor(code: CodeType) -> bool:
    """Return whether *code* itself mentions what takes code: by name, as a parameter, or in a string."""
    names = code.co_names
    if not _clear(names) and not executor_names_in(names).isdisjoint(names):
        return True
    return looks_up_executor(code) or not _EXECUTORS.isdisjoint(code.co_varnames)


def looks_up_executor(code: CodeType) -> bool:
    """Return whether *code* may look up what takes code by a string, as in `getattr(builtins, "exec")`."""
    return not _LOOK_UP.isdisjoint(code.co_names) and ("exec" in code.co_consts or "eval" in code.co_consts)


#: torch.compile makes functions of code that it has made itself. No compiler makes code like that, so it cannot be
#: rewritten, and it is the result of code that was given out (hooks.bytecode_readers).
_COMPILER = f"{os.sep}torch{os.sep}_dynamo{os.sep}"


def may_execute_code(code: CodeType) -> bool:
    """Return whether *code*, or code nested in it, may call what takes code of the program."""
    if _COMPILER in code.co_filename:
        return False
    waiting = [code]
    wait = waiting.append
    for inner in waiting:
        if not (_is_clear(inner.co_names) and _has_no_such_variable(inner.co_varnames)) and mentions_executor(inner):
            return True
        for constant in inner.co_consts:
            if type(constant) is CodeType:
                wait(constant)
    return False


def uses_any_name(code: CodeType, names: frozenset[str]) -> bool:
    """Return whether *code*, or code nested in it, uses one of *names* as that of a global variable or an attribute."""
    waiting = [code]
    for inner in waiting:
        if not names.isdisjoint(inner.co_names):
            return True
        waiting += [constant for constant in inner.co_consts if type(constant) is CodeType]
    return False


def executor_aliases_in(tree: Iterable[CodeType]) -> frozenset[str]:
    """Return the names that code of *tree*, one module say, gives to what takes code, beside its own.

    Names are given right where it is loaded (`run = exec`), imported, or got by a string (`getattr(builtins, "exec")`).
    """
    found: set[str] = set()
    for code in tree:
        if not mentions_executor(code):
            continue
        instructions = Instructions(code)
        looks_up = looks_up_executor(code)
        for index in range(1, len(instructions)):
            name = instructions.stored_at(index)
            above = index - 1 - (instructions.ops[index] == STORE_ATTR)  # which takes the object, too
            if name and above >= 0:
                is_taker = _take(instructions.loaded_at(above)) or (looks_up and instructions.ops[above] in CALLS)
                if is_taker:
                    found.add(name)
    return frozenset(found)
