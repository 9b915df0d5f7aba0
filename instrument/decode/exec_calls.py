"""Finds the calls in code that may call an executor, and the aliases of executors: see `decode.executors`.

A code object comes in. Its aliases of executors go out, and the calls that may call one.
"""

from __future__ import annotations

from instrument.decode.call_sites import accessed_name, callable_of, keywords_of, passes_keywords, stored_name
from instrument.decode.executors import executor_names_in, is_executor, looks_up_executor, mentions_executor
from instrument.decode.instructions import Instructions
from instrument.decode.opcodes import CALL_FUNCTION_EX, COUNTED_CALLS, NAME_SHIFTS, STORE_ATTR

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import CodeType

#: The most arguments that an executor takes: `types.FunctionType` takes six from 3.13 on.
_MOST_ARGUMENTS = 6


def executor_aliases_in(tree: Iterable[CodeType]) -> frozenset[str]:
    """Return the further names that code of *tree*, for example of one module, gives to executors.

    A name is found if the executor is loaded right above the store (`run = exec`), imported there, or looked up by a
    string there (`run = getattr(builtins, "exec")`).
    """
    aliases: set[str] = set()
    for code in tree:
        if not mentions_executor(code):
            continue
        try:
            instructions = Instructions(code)
        except ValueError:  # this code is not rewritten, and says so
            continue
        looks_up = looks_up_executor(code)
        for index in range(1, len(instructions)):
            name = stored_name(instructions, index)
            # STORE_ATTR takes the object from above the value, so the value is loaded two instructions above.
            above = index - 1 - (instructions.ops[index] == STORE_ATTR)
            if name and above >= 0:
                is_found = looks_up and instructions.ops[above] in COUNTED_CALLS
                if is_found or is_executor(accessed_name(instructions, above)):
                    aliases.add(name)
    return frozenset(aliases)


def exec_calls_in(instructions: Instructions, aliases: frozenset[str]) -> list[tuple[int, int]]:
    """Return the calls that may be calls of an executor: (instruction, number of its namespace argument).

    Arguments are numbered from 1; the number is 0 if no namespace is passed. *aliases* are further names of executors
    in the module, see `executor_aliases_in`.
    """
    code = instructions.code
    is_mentioned = mentions_executor(code)
    if not is_mentioned and (
        not aliases or aliases.isdisjoint((*code.co_names, *code.co_varnames, *code.co_freevars, *code.co_cellvars))
    ):
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
    """Return whether a call may be a call of an executor.

    *pushed* is the instruction that pushes the callable, -1 if that is not known. *executors* are the names that
    executors have in this code. A callable by another name is no executor. A callable without a name, the result of an
    expression, may be one if the code mentions an executor at all (*is_mentioned*).
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
