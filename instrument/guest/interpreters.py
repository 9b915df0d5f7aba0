"""Tell the interpreters of this process apart, and return the frames that the threads of this one run.

Problem: `sys._current_frames` returns frames of all interpreters of the process (_PyThread_CurrentFrames), and is wrong
in two ways. A thread that runs several interpreters is there once, with the frame of one of them. And since 3.12 frame
objects for interpreters with memory of their own are made in the memory of the caller. The process aborts when they are
freed.
Solution: if there may be several interpreters, walk through the thread states of this one by the C API and `ctypes`.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]
import _thread
import sys
from _thread import get_ident
from sys import _current_frames, _getframe

from instrument.guest.isolation import import_isolated
from instrument.guest.own_builtins import system as _system
from instrument.guest.own_imports import errors

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType
    from typing import Any

    from instrument.guest.rare.thread_states import OnlyThread, ThreadStates

_modules = sys.modules
#: The modules that create interpreters: the first since 3.13, the second before.
_CREATORS = ("_interpreters", "_xxsubinterpreters")
#: Before 3.12 all interpreters share their memory and one lock.
_SHARE_ALL = sys.version_info < (3, 12)
#: Before 3.14 an interpreter that is left open is ended when no other thread can run any more.
_ENDS_LATE = sys.version_info < (3, 14)
_set_handler = _signal.signal


def is_main() -> bool:
    """Return whether this is the main interpreter. In the main thread the answer costs one C call."""
    try:
        _set_handler(_signal.SIGTERM, None)  # sets nothing, because None is no handler
    except TypeError:  # `signal` checks the handler only in the main thread of the main interpreter
        return True
    except ValueError:  # another thread, or another interpreter
        pass
    is_main_interpreter = getattr(_thread, "_is_main_interpreter", None)  # since 3.13
    return bool(is_main_interpreter()) if is_main_interpreter is not None else _find_number() == 0


def is_embedded() -> bool:
    """Return whether the program of this process is not Python itself but embeds it; False if that is unknown.

    It is known where the system has /proc/self/exe.
    """
    if not sys.orig_argv:  # Python itself always has its name there (Py_BytesMain in Modules/main.c)
        return True
    try:
        running, python = _system.stat("/proc/self/exe"), _system.stat(sys.executable)
        return bool((running.st_dev, running.st_ino) != (python.st_dev, python.st_ino))
    except (OSError, ValueError, TypeError):
        return False


def _find_number() -> int:
    """Return the number of this interpreter, by `ctypes` or else by a module that creates interpreters; else -1."""
    try:
        api: Any = ctypes_copy().pythonapi
        identify, this = api["PyInterpreterState_GetID"], api["PyInterpreterState_Get"]
        this.restype = ctypes_copy().c_void_p
        identify.restype, identify.argtypes = ctypes_copy().c_int64, (ctypes_copy().c_void_p,)
        return int(identify(this()))
    except ImportError:
        pass
    for name in _CREATORS:
        was_there = name in _modules
        try:
            current: Any = __import__(name).get_current()
        except ImportError:
            continue
        if not was_there:
            _modules.pop(name, None)
        return int(current[0] if isinstance(current, tuple) else current)
    return -1


def can_count() -> bool:
    """Return whether this interpreter, which is not the main one, can count.

    3.12 shares interned strings between interpreters that do not share memory (gh-116510). The process aborts when an
    interpreter ends that has met rewritten code; it does after `import sqlite3` alone, too.
    """
    return sys.version_info[:2] != (3, 12) or bool(_thread.daemon_threads_allowed())


def is_first(event: str) -> bool:
    """Return whether this is the first call of this function for *event* in any interpreter of the process.

    Interpreters share no objects, but they share the C library, which keeps a folder of translations by domain. So a
    domain is named after the event, and its folder set by the first call.
    """
    try:
        from _locale import bindtextdomain
    except ImportError:
        return True
    domain = f"instrument-{event}"
    if bindtextdomain(domain, None) == "/":
        return False
    bindtextdomain(domain, "/")
    return True


def ctypes_copy() -> Any:
    """Return a copy of `ctypes` that only this package has; raise ImportError if this Python has none."""
    if not _ctypes_copies:
        _ctypes_copies.append(import_isolated("ctypes"))
    return _ctypes_copies[0]


_ctypes_copies: list[Any] = []


class _ThisInterpreter:
    """Properties of this interpreter that do not change; None until they are needed.

    - `number`: 0 for the main interpreter, -1 if unknown.
    - `may_have_thread`: whether this package may start a thread in it.
    - `frame_source`: reads the frames of its threads.
    """

    number: int | None = None
    may_have_thread = True
    frame_source: ThreadStates | OnlyThread | None = None


def number() -> int:
    """Return the number of this interpreter: 0 for the main one, -1 if this Python cannot tell."""
    if _ThisInterpreter.number is None:
        if is_main():
            _ThisInterpreter.number = 0
        else:
            _inspect()
            _ThisInterpreter.number = _find_number()
    return _ThisInterpreter.number


def may_have_thread() -> bool:
    """Return whether this package may start a thread in this interpreter."""
    return number() == 0 or _ThisInterpreter.may_have_thread


def _inspect() -> None:
    """Find how frames are read in this interpreter, not the main one, and whether this package may start a thread.

    - 3.12 admits no `ctypes` in an interpreter with memory of its own. Then only the calling thread's frames can be
      read, so there must be no other thread.
    - Before 3.14 an interpreter that Python code created may be ended where a second thread cannot end first. 3.11
      refuses to destroy the interpreter; 3.12 and 3.13 abort the process if the program left the interpreter open
      (_PyInterpreterState_IDDecref, Py_FinalizeEx). C code ends the interpreters that it creates by itself.
    """
    from instrument.guest.rare.thread_states import OnlyThread, ThreadStates

    _ThisInterpreter.may_have_thread = not _ENDS_LATE or not any(map(_is_loaded, _CREATORS))
    try:
        _ThisInterpreter.frame_source = ThreadStates(ctypes_copy())
    except ImportError:
        _ThisInterpreter.frame_source = OnlyThread()
        _ThisInterpreter.may_have_thread = False


def _is_loaded(name: str) -> bool:
    """Return whether any interpreter of the process loaded the extension module *name*; True if it is built in."""
    if name in sys.builtin_module_names:
        return True
    try:
        with open("/proc/self/maps", "rb") as file:
            return name.encode() in file.read()
    except OSError:
        return False


def _may_be_several() -> bool:
    """Return whether `sys._current_frames` may read frames of other interpreters, so that it must not be called."""
    return number() != 0 or (not _SHARE_ALL and (_CREATORS[0] in _modules or _CREATORS[1] in _modules))


def run_in_measured(text: str) -> list[int]:
    """Execute *text* in each open interpreter that Python code created and that called `register_as_measured`.

    Return the numbers of the interpreters that could not execute it, because a thread runs in them. Call this in the
    main interpreter.
    """
    refused = []
    for name in _CREATORS:
        creator: Any = _modules.get(name)
        for identity in () if creator is None else creator.list_all():
            if not is_first(f"measured-{int(identity)}"):
                try:
                    creator.run_string(identity, text)
                except RuntimeError:
                    refused.append(int(identity))
    return refused


def register_as_measured() -> None:
    """Register this interpreter, which is not the main one, for `run_in_measured`."""
    is_first(f"measured-{number()}")


def is_single_threaded(*, besides: bool = False) -> bool:
    """Return whether no other thread runs code of this interpreter; False if that is unknown.

    *besides* says whether the background thread of this package, which is not counted, runs.
    """
    return not _may_be_several() and len(_current_frames()) <= 1 + besides


def newest_frames(depth: int) -> list[FrameType]:
    """Return the newest frame of each thread of this interpreter, in any order.

    For this thread, that is the frame that `sys._getframe(depth)` returns to the caller. The caller's own frame must
    not be among them, because it would hold itself. Raise InstrumentError if the frames cannot be read.
    """
    if not _may_be_several():
        frames: dict[int, Any] = _current_frames()
        frames[get_ident()] = _getframe(depth + 1)
        return list(frames.values())
    return _frame_source().newest_frames(depth + 1)


def _frame_source() -> ThreadStates | OnlyThread:
    if _ThisInterpreter.frame_source is None:
        from instrument.guest.rare.thread_states import ThreadStates

        try:
            _ThisInterpreter.frame_source = ThreadStates(ctypes_copy())
        except ImportError as error:
            raise errors.InstrumentError(
                f"there are several interpreters in this process, and counting needs ctypes: {error}"
            ) from error
    return _ThisInterpreter.frame_source
