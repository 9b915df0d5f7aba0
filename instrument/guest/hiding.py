"""Functions of ours that nobody who watches the program sees.

A function comes in, and goes out without the RESUME that its body starts with. From 3.12 on the interpreter puts events
into code at that instruction. So this function, and what it calls in C, raises none for profilers, tracers, debuggers
and other tools. A frame that has not come to its RESUME also is no part of tracebacks, of `f_back`, or of what
`sys._getframe` counts. From 3.13 on a flag, with which the interpreter marks code of its own, does the same for events
of exceptions.

On 3.15 code with exception handlers stays seen: when an exception is handled in code without a RESUME, the interpreter
crashes (3.15.2: segmentation fault with EXCEPTION_HANDLED turned on). On 3.12 exceptions raise their events in any
code.

3.11 raises the events of calls and those of returns in different places, and only the former could be avoided; a
profiler needs both or none. There all functions stay as they are.
"""

from __future__ import annotations

import sys
from opcode import opmap
from types import CodeType, FunctionType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Container
    from typing import TypeVar

    Function = TypeVar("Function")

#: Whether this interpreter lets functions be unseen, and those with exception handlers, too.
CAN_HIDE = sys.version_info >= (3, 12)
_CAN_HIDE_HANDLERS = sys.version_info < (3, 15)
_NO_EVENTS = 0x2000000 if sys.version_info >= (3, 13) else 0  # CO_NO_MONITORING_EVENTS
_RESUME, _NOP = opmap["RESUME"], opmap["NOP"]
_SUSPENDED = 0x20 | 0x80 | 0x200  # CO_GENERATOR, CO_COROUTINE, CO_ASYNC_GENERATOR


#: What looks for frames, and would not find that of a function that is unseen.
_OF_FRAMES = frozenset(
    (
        *("__traceback__", "_current_frames", "_getframe", "_getframemodulename", "currentframe", "dir", "eval"),
        *("exec", "f_back", "globals", "locals", "super", "tb_frame", "vars", "warn"),
    )
)
_OF_FUNCTION = 0x1  # CO_OPTIMIZED


def hide(code: CodeType, counts_frames: bool = False) -> CodeType:
    """Return *code*, with all functions in it such that they raise no events. Those that cannot stay as they are, and
    those that look for frames, unless they are said to do so knowingly (*counts_frames*).
    """
    if not CAN_HIDE:
        return code
    constants = code.co_consts
    if CodeType in map(type, constants):
        constants = tuple(hide(constant) if type(constant) is CodeType else constant for constant in constants)
    if (
        not code.co_flags & _OF_FUNCTION
        or (code.co_exceptiontable and not _CAN_HIDE_HANDLERS)
        or not (counts_frames or _OF_FRAMES.isdisjoint(code.co_names))
    ):
        return code if constants is code.co_consts else code.replace(co_consts=constants)
    raw = bytearray(code.co_code)
    is_resume = False
    for place in range(0, len(raw), 2):  # caches are zeros, where no instruction is
        if raw[place] == _RESUME or (is_resume and not raw[place]):
            raw[place : place + 2] = _NOP, 0
            is_resume = True
        elif is_resume and not code.co_flags & _SUSPENDED:  # there is no other
            break
        else:
            is_resume = False
    return code.replace(co_code=bytes(raw), co_consts=constants, co_flags=code.co_flags | _NO_EVENTS)


def hide_in(code: CodeType, only: Container[str] | None = None, seen: Container[str] = ()) -> CodeType:
    """Return *code*, of a module, with its functions and those of its classes hidden: all, or *only* those with these
    qualified names, but for those whose qualified names are in *seen*.
    """
    constants = []
    for constant in code.co_consts:
        if type(constant) is CodeType:
            name = constant.co_qualname
            if not constant.co_flags & _OF_FUNCTION:
                constant = hide_in(constant, only, seen)
            elif name not in seen and (only is None or name in only):
                constant = hide(constant)
        constants.append(constant)
    return code.replace(co_consts=tuple(constants)) if CAN_HIDE else code


def unseen(function: Function, counts_frames: bool = False) -> Function:
    """Return the Python function *function*, which raises no events from now on: see `hide`."""
    assert isinstance(function, FunctionType)
    function.__code__ = hide(function.__code__, counts_frames)
    return function


for _function in (hide, hide_in, unseen):
    unseen(_function)
