"""Hide functions of this package from profilers, tracers and debuggers of the program.

A function or code object comes in and goes out without the RESUME instruction that its body starts with. From 3.12 on
the interpreter attaches its events to that instruction. So a hidden function, and the C functions that it calls, raise
no event for `sys.setprofile`, `sys.settrace` and `sys.monitoring`. A frame that has not executed its RESUME is also no
part of tracebacks, of `f_back`, and of the frames that `sys._getframe` counts (_PyFrame_IsIncomplete). From 3.13 on the
flag CO_NO_MONITORING_EVENTS, which the interpreter sets on code of its own, suppresses events of exceptions too.

Limits by version:
- 3.11 raises events of calls and of returns in different places, and only the former can be avoided. A profiler needs
  both or none, so nothing is hidden there.
- On 3.12 exceptions raise their events in any code.
- On 3.15 code with exception handlers stays visible: the interpreter crashes if an exception is handled in code without
  a RESUME. (3.15.2: segmentation fault while EXCEPTION_HANDLED is turned on.)
"""

from __future__ import annotations

import sys
from types import CodeType, FunctionType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Container
    from typing import TypeVar

    Function = TypeVar("Function")

#: Whether this interpreter can hide functions, and whether it can hide functions with exception handlers.
CAN_HIDE = sys.version_info >= (3, 12)
_CAN_HIDE_HANDLERS = sys.version_info < (3, 15)
_NO_EVENTS = 0x2000000 if sys.version_info >= (3, 13) else 0  # CO_NO_MONITORING_EVENTS
#: The opcodes of these instructions, without the module `opcode`, which is one in Python.
_RESUME, _NOP = compile("pass\npass", "", "exec").co_code[::2].replace(b"\0", b"")[:2]
#: CO_HAS_DOCSTRING, since 3.14.
_HAS_DOCSTRING = 0x4000000 if sys.version_info >= (3, 14) else 0
_IS_GENERATOR = 0x20 | 0x80 | 0x200  # CO_GENERATOR, CO_COROUTINE, CO_ASYNC_GENERATOR: a RESUME after each yield
_IS_FUNCTION = 0x1  # CO_OPTIMIZED: neither a module nor a class

#: Names in code that uses the frame of the function it is in. A hidden function has no frame to be found.
_USES_FRAME = frozenset(
    (
        *("__traceback__", "_current_frames", "_getframe", "_getframemodulename", "currentframe", "dir", "eval"),
        *("exec", "f_back", "globals", "locals", "super", "tb_frame", "vars", "warn"),
    )
)


def hide(code: CodeType, counts_frames: bool = False) -> CodeType:
    """Return *code* with itself and all functions nested in it hidden.

    Code that cannot be hidden stays as it is, and so does code that uses frames. With *counts_frames* the outermost
    code object is hidden although it does, because its author has counted with one frame less.
    """
    if not CAN_HIDE:
        return code
    constants = code.co_consts
    if CodeType in map(type, constants):
        constants = tuple(hide(constant) if type(constant) is CodeType else constant for constant in constants)
    if (
        not code.co_flags & _IS_FUNCTION
        or (code.co_exceptiontable and not _CAN_HIDE_HANDLERS)
        or not (counts_frames or _USES_FRAME.isdisjoint(code.co_names))
    ):
        return code if constants is code.co_consts else code.replace(co_consts=constants)
    return _without_resume(code.replace(co_consts=constants))


def _without_resume(code: CodeType) -> CodeType:
    """Return *code* without the RESUME that it begins with; that of a generator without any."""
    instructions = bytearray(code.co_code)
    follows_resume = False
    for position in range(0, len(instructions), 2):
        # Where an inline cache follows RESUME, it reads as zeros, and no instruction has the opcode zero.
        if instructions[position] == _RESUME or (follows_resume and not instructions[position]):
            instructions[position : position + 2] = _NOP, 0
            follows_resume = True
        elif follows_resume and not code.co_flags & _IS_GENERATOR:  # it has one RESUME only
            break
        else:
            follows_resume = False
    return code.replace(co_code=bytes(instructions), co_flags=code.co_flags | _NO_EVENTS)


def hide_in(
    code: CodeType,
    is_hidden: Callable[[str], bool],
    counting_frames: Container[str] = (),
    hides_body: bool = False,
) -> CodeType:
    """Return *code*, that of a module, with those functions and methods hidden whose qualified names *is_hidden* names.

    *counting_frames* are the names of functions that count frames: see `hide`. With *hides_body*, the code that makes
    functions and classes is hidden, too. It must use no frame, for example by the metaclass of a class.
    """
    if not CAN_HIDE:
        return code
    constants = []
    for constant in code.co_consts:
        if type(constant) is CodeType:
            name = constant.co_qualname
            if not constant.co_flags & _IS_FUNCTION:
                constant = hide_in(constant, is_hidden, counting_frames, hides_body)
            elif is_hidden(name):
                constant = hide(constant, name in counting_frames)
        constants.append(constant)
    code = code.replace(co_consts=tuple(constants))
    return _without_resume(code) if hides_body and (_CAN_HIDE_HANDLERS or not code.co_exceptiontable) else code


def without_docstrings(code: CodeType) -> CodeType:
    """Return *code* of a module with the docstrings of all functions replaced by None, which takes less memory."""
    constants = [without_docstrings(each) if type(each) is CodeType else each for each in code.co_consts]
    has_docstring = (
        code.co_flags & _HAS_DOCSTRING
        if _HAS_DOCSTRING
        # Code that can have one has None in its place if it has none.
        else code.co_flags & _IS_FUNCTION and not code.co_name.startswith("<") and type(constants[0]) is str
    )
    if has_docstring:
        constants[0] = None
    return code.replace(co_consts=tuple(constants))


def unseen(function: Function, counts_frames: bool = False) -> Function:
    """Return the Python function *function*, hidden from now on: see `hide`."""
    assert isinstance(function, FunctionType)
    function.__code__ = hide(function.__code__, counts_frames)
    return function


for _function in (hide, hide_in, _without_resume, unseen):
    unseen(_function)
