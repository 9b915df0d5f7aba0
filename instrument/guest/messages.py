"""Write messages of this package to the program's standard error, and issue its warnings.

A text comes in. One line goes out, `instrument: TEXT`, or a warning. No function raises, except KeyboardInterrupt.
"""

# No `from __future__ import annotations`: see instrument.guest.
import sys
from _io import TextIOWrapper as _TextIOWrapper
from _warnings import warn

from instrument.guest.own_builtins import system as _system
from instrument.guest.own_imports import errors
from instrument.guest.process_state import cleared_on_reset

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

#: The text that `say_once` wrote in this process; empty if it wrote none.
_written_once: "list[str]" = cleared_on_reset([])


def text_of(error: BaseException) -> str:
    """Return class and message of *error* on one line."""
    name = type(error).__name__
    try:
        text = " ".join(str(error).split())
    except BaseException:  # `__str__` is a method of a class of the program
        text = ""
    return f"{name}: {text}" if text else name


def say(text: str) -> None:
    """Write *text* to standard error, if there is one.

    A text stream is flushed first and written to by a system call. A text that stays in a buffer which cannot be
    written changes the exit status of the process to 120 (Py_FinalizeEx).
    """
    try:
        stream: Any = sys.__stderr__
        stream.flush()
        if type(stream) is _TextIOWrapper:
            _system.write(stream.fileno(), f"instrument: {text}\n".encode(errors="backslashreplace"))
        else:
            stream.write(f"instrument: {text}\n")
    except BaseException as error:  # there is no standard error, or it is closed
        if isinstance(error, KeyboardInterrupt):
            raise


def say_once(text: str) -> None:
    """Write *text* to standard error, unless this function has written another text in this process before."""
    if not _written_once:
        _written_once.append(text)
        say(text)


def say_without_locks(text: str) -> None:
    """Write *text* to standard error by a system call alone.

    `say` flushes the stream, whose lock another thread may hold for ever.
    """
    try:
        _system.write(sys.__stderr__.fileno(), f"instrument: {text}\n".encode(errors="replace"))  # type: ignore[union-attr]
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise


def warn_of(text: str) -> None:
    """Issue an InstrumentWarning with *text*, at the line of the caller.

    If a filter of the program makes errors of warnings, write *text* to standard error: the program must go on.
    """
    try:
        warn(text, errors.InstrumentWarning, 2)
    except errors.InstrumentWarning:
        try:
            sys.__stderr__.write(f"{errors.InstrumentWarning.__name__}: {text}\n")  # type: ignore[union-attr]
        except Exception:  # standard error is closed or missing
            pass


def say_escaped(text: str) -> None:
    """Write *text* as `say` does, escaped if it cannot be printed: other users' files may have any names."""
    say(text if text.isprintable() else text.encode("unicode_escape").decode("ascii"))


def file_of_stderr() -> "tuple[int, int]":
    """Return device and inode of the file that standard error leads to; (0, 0) if that is unknown.

    A tool that captures output, such as pytest, makes the descriptor lead to another file for a time.
    """
    try:
        status = _system.fstat(sys.__stderr__.fileno())  # type: ignore[union-attr]
    except BaseException as error:  # standard error is closed, or an audit hook of the program forbids to look
        if isinstance(error, KeyboardInterrupt):
            raise
        return 0, 0
    return status.st_dev, status.st_ino


def forget_written_once() -> None:
    """Let `say_once` write again: a forked child is another process."""
    _written_once.clear()
