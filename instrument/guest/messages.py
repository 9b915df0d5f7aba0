"""What is raised while we work in the program's process: whose it is, and the one line that is said of it.

An exception comes in. The program must get what is its own: an interrupt, what its handler of a signal raised, what
was sent to its thread. Everything else, of whatever class, came from our work: from a call that failed, or from an
audit hook of the program that forbids such calls. Our work is then left undone, and the program goes on as without us.
"""

# No `from __future__ import annotations`: this is imported before the program, which may be the first to import that.
import _signal  # type: ignore[import-not-found]
import os
import sys
from _io import TextIOWrapper as _TextIOWrapper

from instrument.guest.own_builtins import system as _system

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_package = __file__.rpartition(os.sep)[0].rpartition(os.sep)[0] + os.sep
_get, _valid_signals = _signal.getsignal, _signal.valid_signals
_FunctionType = type(lambda: None)
#: Modules whose exceptions are raised by what we call; those of others come from the program.
_CALLED = ("builtins", "_sqlite3", "sqlite3", "zlib")
_said: "list[str]" = []


def belongs_to_program(error: BaseException) -> bool:
    """Return whether the program must get *error*, which was raised while we worked in one of its threads."""
    if isinstance(error, KeyboardInterrupt) or type(error).__name__ == "BdbQuit":  # a debugger was told to quit
        return True
    try:
        codes = _codes_of(error)
        if not codes or codes[-1].co_filename.startswith(_package):  # none: all are of hidden functions (unseen)
            kind = type(error).__module__
            was_sent = kind not in _CALLED and not kind.startswith("instrument.")
            return was_sent or isinstance(error, SystemExit)
        handlers = _codes_of_handlers()
        return any(code in handlers for code in codes)
    except BaseException:  # a hook of the program forbids to look
        return False


def comes_from_program(error: BaseException) -> bool:
    """Return whether code of the program, an audit hook for example, raised *error* in the midst of our work."""
    try:
        codes = _codes_of(error)
        file: str = codes[-1].co_filename if codes else _package  # none: all are of hidden functions (unseen)
    except BaseException:  # a hook of the program forbids to look
        return True
    return not file.startswith(_package) and f"{os.sep}bytecode{os.sep}" not in file


def _codes_of(error: BaseException) -> "list[Any]":
    """Return the code that *error* came through, innermost last."""
    codes = []
    traceback = error.__traceback__
    while traceback is not None:
        codes.append(traceback.tb_frame.f_code)
        traceback = traceback.tb_next
    return codes


def _codes_of_handlers() -> "list[Any]":
    """Return the code of all functions that handle signals."""
    codes = []
    for number in _valid_signals():
        handler: Any = _get(number)
        for _ in range(8):  # partial objects, bound methods and callable objects hold the function
            if type(handler) is _FunctionType:
                codes.append(handler.__code__)
                break
            inner = getattr(handler, "func", None) or getattr(handler, "__func__", None)
            handler = inner or getattr(type(handler), "__call__", None)  # noqa: B004 - the function is wanted
    return codes


def text_of(error: BaseException) -> str:
    """Return *error* in words, on one line."""
    name = type(error).__name__
    try:
        text = " ".join(str(error).split())
    except BaseException:  # of a class of the program
        text = ""
    return f"{name}: {text}" if text else name


def say(text: str) -> None:
    """Write *text* as a line of ours to standard error, if there is one.

    It goes to the system at once: what stays in a buffer that cannot be written changes the exit status to 120.
    """
    try:
        stream: Any = sys.__stderr__
        stream.flush()
        if type(stream) is _TextIOWrapper:
            _system.write(stream.fileno(), f"instrument: {text}\n".encode(errors="backslashreplace"))
        else:
            stream.write(f"instrument: {text}\n")
    except BaseException as error:  # there is nowhere to say it
        if isinstance(error, KeyboardInterrupt):
            raise


def say_once(text: str) -> None:
    """Write *text* as `say` does, if nothing was said by this function before in this process."""
    if not _said:
        _said.append(text)
        say(text)


def where_errors_go() -> "tuple[int, int]":
    """Return device and number of the file that standard error leads to now; two zeros if that is not known.

    Whoever captures the output of a program, as pytest does, leads the descriptor to a file for a time.
    """
    try:
        status = _system.fstat(sys.__stderr__.fileno())  # type: ignore[union-attr]
    except BaseException as error:  # it is closed, or a hook of the program forbids to look
        if isinstance(error, KeyboardInterrupt):
            raise
        return 0, 0
    return status.st_dev, status.st_ino


def say_at_once(text: str) -> None:
    """Write *text* as `say` does, but without the locks of standard error: another thread may hold them for ever."""
    try:
        _system.write(sys.__stderr__.fileno(), f"instrument: {text}\n".encode(errors="replace"))  # type: ignore[union-attr]
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise


def forget_what_was_said() -> None:
    """Let `say_once` speak again: this is another process now."""
    _said.clear()
