"""Decide whether an exception belongs to the program or to this package's own work.

An exception that was raised while this package worked in a thread of the program comes in; a bool goes out.

The program must get the exceptions that are meant for it. These are an interrupt, an exception of one of its signal
handlers, and an exception that was sent to its thread. Any other exception comes from the work of this package: a call
failed, or an audit hook of the program forbade the call. That work is then left undone, and the program continues
as if it were not measured.
"""

# No `from __future__ import annotations`: see instrument.guest.
import _signal  # type: ignore[import-not-found]
import os

from instrument.guest.messages import say_once, text_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import CodeType
    from typing import Any

_PACKAGE = __file__.rpartition(os.sep)[0].rpartition(os.sep)[0] + os.sep
_getsignal, _valid_signals = _signal.getsignal, _signal.valid_signals
_FunctionType = type(lambda: None)
#: Modules whose exception classes are raised by the C functions that this package calls.
_MODULES_CALLED = ("builtins", "_sqlite3", "sqlite3", "zlib")
#: How many wrappers around the function of a signal handler are taken off: `partial`, bound methods, callable objects.
_MOST_WRAPPERS = 8


def belongs_to_program(error: BaseException) -> bool:
    """Return whether the program must get *error*, which was raised while this package worked in one of its threads."""
    if isinstance(error, KeyboardInterrupt) or type(error).__name__ == "BdbQuit":  # the user told a debugger to quit
        return True
    try:
        codes = _codes_in_traceback(error)
        # A traceback is empty if all functions in it are hidden.
        if not codes or codes[-1].co_filename.startswith(_PACKAGE):
            module = type(error).__module__
            # Only PyThreadState_SetAsyncExc raises an exception of another module's class in the midst of our code.
            was_sent_to_thread = module not in _MODULES_CALLED and not module.startswith("instrument.")
            return was_sent_to_thread or isinstance(error, SystemExit)
        handlers = _codes_of_signal_handlers()
        return any(code in handlers for code in codes)
    except BaseException:  # an audit hook of the program forbids to look
        return False


def call_contained(function: "Callable[..., object]", *arguments: object) -> None:
    """Call *function*, one of this package, with *arguments*. Raise its error if that belongs to the program.

    Say any other error once in the process, and return.
    """
    try:
        function(*arguments)
    except BaseException as error:
        if belongs_to_program(error):
            raise
        say_once(f"not all is counted in this process: {text_of(error)}")


def comes_from_program(error: BaseException) -> bool:
    """Return whether code of the program, such as an audit hook, raised *error* in the midst of this package's work."""
    try:
        codes = _codes_in_traceback(error)
        # A traceback is empty if all functions in it are hidden: then one of them raised the error.
        file: str = codes[-1].co_filename if codes else _PACKAGE
    except BaseException:  # an audit hook of the program forbids to look
        return True
    return not file.startswith(_PACKAGE) and f"{os.sep}bytecode{os.sep}" not in file


def _codes_in_traceback(error: BaseException) -> "list[CodeType]":
    """Return the code objects in the traceback of *error*, outermost first."""
    codes = []
    traceback = error.__traceback__
    while traceback is not None:
        codes.append(traceback.tb_frame.f_code)
        traceback = traceback.tb_next
    return codes


def _codes_of_signal_handlers() -> "list[CodeType]":
    """Return the code objects of all Python functions that handle signals."""
    codes = []
    for number in _valid_signals():
        handler: Any = _getsignal(number)
        for _ in range(_MOST_WRAPPERS):
            if type(handler) is _FunctionType:
                codes.append(handler.__code__)
                break
            wrapped = getattr(handler, "func", None) or getattr(handler, "__func__", None)
            handler = wrapped or getattr(type(handler), "__call__", None)  # noqa: B004 - the function is wanted
    return codes
