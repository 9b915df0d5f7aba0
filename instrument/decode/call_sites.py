"""The operands of call instructions: which callable is called, with which keywords, and under which names.

`Instructions` and the index of one of them come in; indices of other instructions, or names, go out. A callable is
found only if all operands of the call are computed in a straight line, without a jump.
"""

from __future__ import annotations

from instrument.decode.opcodes import (
    ACCESSES_TO_VARIABLE,
    CALL_FUNCTION_EX,
    CALL_KW,
    HAVE_ARGUMENT,
    IMPORT_FROM,
    KW_NAMES,
    LOAD_CONST,
    NAME_SHIFTS,
    PARTS_OF_CALL,
    PUSH_NULL,
    PUSHES_NO_CALLABLE,
    RAISES,
    RETURNS,
    STORES_TO_NAME,
    STORES_TO_VARIABLE,
    stack_effect,
)
from instrument.decode.versions import STAR_CALL_PUSHES_KEYWORDS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from instrument.decode.instructions import Instructions


def start_of_call(instructions: Instructions, call: int) -> int:
    """Return the first instruction of *call*: a KW_NAMES or PRECALL above it, which belongs to it, or *call* itself."""
    while call > 0 and instructions.ops[call - 1] in PARTS_OF_CALL:
        call -= 1
    return call


def keywords_of(instructions: Instructions, call: int) -> tuple[str, ...]:
    """Return the names of the keyword arguments of *call*, a CALL or CALL_KW."""
    ops, args, constants = instructions.ops, instructions.args, instructions.code.co_consts
    start = start_of_call(instructions, call)
    if ops[start] == KW_NAMES:
        names = constants[args[start]]
    elif ops[call] == CALL_KW and ops[call - 1] == LOAD_CONST:
        names = constants[args[call - 1]]
    else:
        names = ()
    return names if isinstance(names, tuple) else ()


def passes_keywords(instructions: Instructions, call: int) -> bool:
    """Return whether *call*, a CALL_FUNCTION_EX, has keyword arguments."""
    if STAR_CALL_PUSHES_KEYWORDS:
        return instructions.ops[call - 1] != PUSH_NULL
    return bool(instructions.args[call] & 1)


def callable_of(instructions: Instructions, call: int) -> int:
    """Return the instruction that pushed the callable of *call*; -1 if its operands are not computed in a straight
    line.
    """
    ops, args, targets, joins = instructions.ops, instructions.args, instructions.targets, instructions.joins
    # The number of operands above the callable that are still to be found, on the way up from the call.
    n_operands = args[call] + (ops[call] == CALL_KW)
    if ops[call] == CALL_FUNCTION_EX:
        n_operands = 1 + (1 if STAR_CALL_PUSHES_KEYWORDS else args[call] & 1)
    index = start_of_call(instructions, call) - 1
    while index > instructions.first and targets[index] < 0 and ops[index] not in RETURNS and ops[index] not in RAISES:
        if n_operands == 0 and ops[index] not in PUSHES_NO_CALLABLE:
            return index
        if index in joins:  # control may also arrive here by a jump
            break
        if n_operands:
            op = ops[index]
            n_operands -= stack_effect(op, args[index] if op >= HAVE_ARGUMENT else None)
        index -= 1
    return -1


def accessed_name(instructions: Instructions, index: int) -> str:
    """Return the name that the instruction at *index* loads, or the variable that it stores to.

    Return an empty string for other instructions.
    """
    op, arg = instructions.ops[index], instructions.args[index]
    if op in NAME_SHIFTS:
        return instructions.code.co_names[arg >> NAME_SHIFTS[op]]
    if op == IMPORT_FROM:
        return instructions.code.co_names[arg]
    return _variable(instructions, arg) if op in ACCESSES_TO_VARIABLE else ""


def stored_name(instructions: Instructions, index: int) -> str:
    """Return the name that the instruction at *index* stores to, or an empty string if it stores nothing."""
    op, arg = instructions.ops[index], instructions.args[index]
    if op in STORES_TO_NAME:
        return instructions.code.co_names[arg]
    return _variable(instructions, arg) if op in STORES_TO_VARIABLE else ""


def _variable(instructions: Instructions, number: int) -> str:
    """Return the name of the local variable *number*, cells and free variables included."""
    name: str = instructions.code._varname_from_oparg(number)  # type: ignore[attr-defined]
    return name
