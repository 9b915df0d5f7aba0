"""Finds code that may call an executor: `exec`, `eval`, `types.FunctionType`, or an alias of one of them.

A code object comes in. Whether it may call an executor goes out, with its aliases of executors and the calls that may
call one. The code that is passed to an executor may have to be exchanged for live code (hooks.exec_calls). That
holds in modules that are not measured as well, so every module that is imported is examined.

The answer errs on the side of yes: any code that mentions an executor by name or by a string may call one. The
functions `dump` and `dumps` of `marshal` count as executors, since marshalled code can be executed elsewhere.
"""

from __future__ import annotations

import os
from types import CodeType

from instrument.decode.call_sites import accessed_name, callable_of, keywords_of, passes_keywords, stored_name
from instrument.decode.instructions import Instructions
from instrument.decode.opcodes import CALL_FUNCTION_EX, COUNTED_CALLS, NAME_SHIFTS, STORE_ATTR

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

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
_is_executor = _EXECUTORS.__contains__

#: torch.compile makes functions of code that it assembles itself. Such code is no compiler's, so it cannot be
#: rewritten, and it was derived from code that was given out (hooks.bytecode_readers).
_TORCH_COMPILER = f"{os.sep}torch{os.sep}_dynamo{os.sep}"

#: The most arguments that an executor takes: `types.FunctionType` takes six from 3.13 on.
_MOST_ARGUMENTS = 6


def executor_names_in(names: tuple[str, ...]) -> frozenset[str]:
    """Return the names of executors for code that uses *names*; `dump` and `dumps` are among them beside `marshal`."""
    return _EXECUTORS_AND_DUMP if _MARSHAL in names else _EXECUTORS


def mentions_executor(code: CodeType) -> bool:
    """Return whether *code* itself mentions an executor: by name, as a local variable, or in a string."""
    names = code.co_names
    if not _has_no_executor_or_marshal(names) and not executor_names_in(names).isdisjoint(names):
        return True
    return looks_up_executor(code) or not _has_no_executor(code.co_varnames)


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


def uses_any_name(code: CodeType, names: frozenset[str]) -> bool:
    """Return whether *code*, or code nested in it, uses one of *names* for a global variable or an attribute."""
    tree = [code]
    for inner in tree:
        if not names.isdisjoint(inner.co_names):
            return True
        tree += [constant for constant in inner.co_consts if type(constant) is CodeType]
    return False


def executor_aliases_in(tree: Iterable[CodeType]) -> frozenset[str]:
    """Return the further names that code of *tree*, for example of one module, gives to executors.

    A name is found if the executor is loaded right above the store (`run = exec`), imported there, or looked up by a
    string there (`run = getattr(builtins, "exec")`).
    """
    aliases: set[str] = set()
    for code in tree:
        if not mentions_executor(code):
            continue
        instructions = Instructions(code)
        looks_up = looks_up_executor(code)
        for index in range(1, len(instructions)):
            name = stored_name(instructions, index)
            # STORE_ATTR takes the object from above the value, so the value is loaded two instructions above.
            above = index - 1 - (instructions.ops[index] == STORE_ATTR)
            if name and above >= 0:
                is_found = looks_up and instructions.ops[above] in COUNTED_CALLS
                if is_found or _is_executor(accessed_name(instructions, above)):
                    aliases.add(name)
    return frozenset(aliases)


def exec_calls_in(instructions: Instructions, aliases: frozenset[str]) -> list[tuple[int, int]]:
    """Return the calls that may be calls of an executor: (instruction, number of its namespace argument).

    Arguments are numbered from 1; the number is 0 if no namespace is passed. *aliases* are further names of executors
    in the module, see `executor_aliases_in`.
    """
    code = instructions.code
    is_mentioned = mentions_executor(code)
    names = frozenset((*code.co_names, *code.co_varnames, *code.co_freevars, *code.co_cellvars))
    if not is_mentioned and aliases.isdisjoint(names):
        return []
    executors = executor_names_in(code.co_names) | aliases
    calls = []
    for index, op in enumerate(instructions.ops):
        if op != CALL_FUNCTION_EX and op not in COUNTED_CALLS:
            continue
        namespace = _namespace_argument(instructions, index)
        if namespace >= 0 and _may_be_executor(instructions, callable_of(instructions, index), executors, is_mentioned):
            calls.append((index, namespace))
    return calls


def _may_be_executor(instructions: Instructions, pushed: int, executors: frozenset[str], is_mentioned: bool) -> bool:
    """Return whether the callable that the instruction *pushed* (-1 if unknown) pushes may be one of *executors*.

    If the code mentions an executor, the callable may also be the result of an expression.
    """
    name = accessed_name(instructions, pushed) if pushed >= 0 else ""
    return name in executors or (is_mentioned and (pushed < 0 or instructions.ops[pushed] not in NAME_SHIFTS))


def _namespace_argument(instructions: Instructions, call: int) -> int:
    """Return the number of the argument of *call* that is the namespace if an executor is called, 0 if none is passed.

    Return -1 if the arguments are not those of an executor.
    """
    if instructions.ops[call] == CALL_FUNCTION_EX:
        return -1 if passes_keywords(instructions, call) else 0
    n_arguments = instructions.args[call]
    if not 0 < n_arguments <= _MOST_ARGUMENTS:
        return -1
    keywords = keywords_of(instructions, call)
    n_positional = n_arguments - len(keywords)
    if n_positional < 1:
        return -1
    if "globals" in keywords:
        return n_positional + 1 + keywords.index("globals")
    return 2 if n_positional > 1 else 0
