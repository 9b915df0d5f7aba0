"""Functions of ours that nobody who watches the program sees.

A function comes in, and goes out without the RESUME that its body starts with. From 3.12 on the interpreter puts events
into code at that instruction. So this function, and what it calls in C, raises none for profilers, tracers, debuggers
and other tools. A frame that has not come to its RESUME also is no part of tracebacks, of `f_back`, or of what
`sys._getframe` counts. From 3.13 on a flag, with which the interpreter marks code of its own, does the same for events
of exceptions.

One kind of code stays seen: code with exception handlers. An exception that is handled raises an event, and on 3.15 the
interpreter crashes if the code has no RESUME (3.15.2: segmentation fault with EXCEPTION_HANDLED turned on).

3.11 raises the events of calls and those of returns in different places, and only the former could be avoided; a
profiler needs both or none. There all functions stay as they are.
"""

from __future__ import annotations

import sys
from types import FunctionType

from instrument.flow.instructions import CACHES, OPCODES, RESUME

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import CodeType
    from typing import TypeVar

    Function = TypeVar("Function")

#: Whether this interpreter lets functions be unseen.
CAN_HIDE = sys.version_info >= (3, 12)
_NO_EVENTS = 0x2000000 if sys.version_info >= (3, 13) else 0  # CO_NO_MONITORING_EVENTS
_NOTHING = bytes((OPCODES["NOP"], 0))


def hide(code: CodeType) -> CodeType:
    """Return *code*, and what is nested in it, such that it raises no events; parts with handlers stay as they are."""
    if not CAN_HIDE:
        return code
    constants = tuple(hide(constant) if isinstance(constant, type(code)) else constant for constant in code.co_consts)
    if code.co_exceptiontable:
        return code.replace(co_consts=constants)
    raw = bytearray(code.co_code)
    unit = 0
    while unit < len(raw):
        n_units = 1 + CACHES[raw[unit]]
        if raw[unit] == RESUME:
            raw[unit : unit + 2 * n_units] = _NOTHING * n_units
        unit += 2 * n_units
    return code.replace(co_code=bytes(raw), co_consts=constants, co_flags=code.co_flags | _NO_EVENTS)


def unseen(function: Function) -> Function:
    """Return the Python function *function*, which raises no events from now on. It must not count frames itself."""
    assert isinstance(function, FunctionType)
    function.__code__ = hide(function.__code__)
    return function
