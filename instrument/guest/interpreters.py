"""Which interpreter of the process this is, and which frames its threads run.

`sys._current_frames` answers for all interpreters of the process (Python/pystate.c: _PyThread_CurrentFrames). That is
wrong in two ways. A thread that runs several interpreters is there once, with the frame of one of them. And since 3.12
it makes frame objects for interpreters with memory of their own, in the memory of the caller: the process aborts when
they are freed. So where there may be several interpreters, the thread states of this one are walked through the C API,
by way of `ctypes`.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]
import _thread
import sys
from _thread import _count, get_ident
from gc import disable, enable, isenabled
from itertools import accumulate, chain, repeat, takewhile
from sys import _current_frames, _getframe

from instrument.errors import InstrumentError
from instrument.guest.isolation import import_isolated
from instrument.guest.own_builtins import system as _system

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType
    from typing import Any

_modules = sys.modules
#: Modules that create interpreters: since 3.13, and before.
_CREATORS = ("_interpreters", "_xxsubinterpreters")
#: Before 3.12 all interpreters share memory, and one lock.
_SHARE_ALL = sys.version_info < (3, 12)
#: Before 3.14 interpreters that are left open are ended when no other thread can run any more.
_ENDS_LATE = sys.version_info < (3, 14)
_set_handler = _signal.signal


def is_main() -> bool:
    """Return whether this is the main interpreter. In its main thread, that costs next to nothing."""
    try:
        _set_handler(_signal.SIGTERM, None)  # sets nothing: this is no handler
    except TypeError:
        return True
    except ValueError:  # another thread, or another interpreter: that is checked before the handler
        pass
    asked = getattr(_thread, "_is_main_interpreter", None)  # since 3.13
    return bool(asked()) if asked is not None else _number() == 0


def is_embedded() -> bool:
    """Return whether this process is another program than Python: one that embeds it."""
    if not sys.orig_argv:
        return True
    try:
        running, python = _system.stat("/proc/self/exe"), _system.stat(sys.executable)
        return bool((running.st_dev, running.st_ino) != (python.st_dev, python.st_ino))
    except (OSError, ValueError, TypeError):
        return False


def _number() -> int:
    try:
        api: Any = _ctypes().pythonapi
        identify, this = api["PyInterpreterState_GetID"], api["PyInterpreterState_Get"]
        this.restype = _ctypes().c_void_p
        identify.restype, identify.argtypes = _ctypes().c_int64, (_ctypes().c_void_p,)
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

    3.12 shares interned strings between interpreters that do not share memory (gh-116510): the process is aborted when
    one that has met rewritten code is ended, as it is after `import sqlite3` alone.
    """
    return sys.version_info[:2] != (3, 12) or bool(_thread.daemon_threads_allowed())


def is_first(what: str) -> bool:
    """Return whether this is the first time that any interpreter of the process calls this for *what*.

    Interpreters share no objects, but they share what the C library knows: here, where messages are looked for.
    """
    try:
        from _locale import bindtextdomain
    except ImportError:
        return True
    domain = f"instrument-{what}"
    if bindtextdomain(domain, None) == "/":
        return False
    bindtextdomain(domain, "/")
    return True


def _ctypes() -> Any:
    if not _loaded:
        _loaded.append(import_isolated("ctypes"))
    return _loaded[0]


_loaded: list[Any] = []


class _Here:
    """What is known of this interpreter."""

    number: int | None = None
    may_have_thread = True
    states: _ThreadStates | _OneThread | None = None


def number() -> int:
    """Return the number of this interpreter, which is 0 for the main one; -1 if this Python cannot tell."""
    if _Here.number is None:
        if is_main():
            _Here.number = 0
        else:
            _enter()
            _Here.number = _number()
    return _Here.number


def may_have_thread() -> bool:
    """Return whether this interpreter may have a thread of ours."""
    return number() == 0 or _Here.may_have_thread


def _enter() -> None:
    """Find out how frames are had in this interpreter, which is not the main one, and whether it may have a thread.

    Without `ctypes`, which 3.12 does not admit where memory is not shared, frames are only known of the thread that
    asks: there must be no other one. Before 3.14 an interpreter that Python code creates may be ended where a second
    thread cannot end first: 3.11 refuses to destroy the interpreter, 3.12 and 3.13 abort the process if the program has
    left the interpreter open (_PyInterpreterState_IDDecref, Py_FinalizeEx). C code ends its interpreters itself.
    """
    _Here.may_have_thread = not _ENDS_LATE or not any(map(_is_loaded, _CREATORS))
    try:
        _Here.states = _ThreadStates()
    except ImportError:
        _Here.states = _OneThread()
        _Here.may_have_thread = False


def _is_loaded(name: str) -> bool:
    """Return whether any interpreter of the process has loaded the extension module *name*; True if it is built in."""
    if name in sys.builtin_module_names:
        return True
    try:
        with open("/proc/self/maps", "rb") as file:
            return name.encode() in file.read()
    except OSError:
        return False


def _may_be_several() -> bool:
    """Return whether `sys._current_frames` may look at frames of other interpreters, and must not."""
    return number() != 0 or (not _SHARE_ALL and (_CREATORS[0] in _modules or _CREATORS[1] in _modules))


def run_in_measured(text: str) -> list[int]:
    """Execute *text* in each interpreter that has called `is_measured`, was created by Python code, and is left open.

    Return the numbers of those that refused, because a thread is in them. To be called in the main interpreter.
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


def is_measured() -> None:
    """Let the main interpreter know that this one, which is another, is measured."""
    is_first(f"measured-{number()}")


def is_single_threaded() -> bool:
    """Return whether no other thread can run code of this interpreter; False if that is not known."""
    return not _may_be_several() and len(_current_frames()) == 1


def newest_frames(depth: int) -> list[FrameType]:
    """Return the newest frame of each thread of this interpreter; of this thread, that which `sys._getframe(depth)`
    would return to the caller.

    Raise InstrumentError if they cannot be had. No frame of the caller must be among them: it would hold itself.
    """
    if not _may_be_several():
        frames: dict[int, Any] = _current_frames()
        frames[get_ident()] = _getframe(depth + 1)
        return list(frames.values())
    return _states().newest_frames(depth + 1)


def _states() -> _ThreadStates | _OneThread:
    if _Here.states is None:
        try:
            _Here.states = _ThreadStates()
        except ImportError as error:
            raise InstrumentError(
                f"there are several interpreters in this process, and counting needs ctypes: {error}"
            ) from error
    return _Here.states


class _ThreadStates:
    """The thread states of this interpreter."""

    def __init__(self) -> None:
        ctypes = _ctypes()
        api, address = ctypes.pythonapi, ctypes.c_void_p

        def function(name: str, result: Any, *arguments: Any) -> Any:
            found = api[name]
            found.restype, found.argtypes = result, arguments
            return found

        self._interpreter = function("PyInterpreterState_Get", address)()
        self._first = function("PyInterpreterState_ThreadHead", address, address)
        self._next = function("PyThreadState_Next", address, address)
        self._frame = function("PyThreadState_GetFrame", address, address)
        self._release = function("Py_DecRef", None, address)
        self._address, self._object = address, ctypes.py_object

    def newest_frames(self, depth: int) -> list[FrameType]:
        # No thread must end meanwhile. So it is one call, of `list`, in which everything happens, in C, and no garbage
        # is collected: no other thread gets its turn. A function of C ignores arguments that it does not know.
        first = map(self._first, (self._interpreter,))
        states = takewhile(bool, accumulate(chain(first, repeat(0)), self._next))
        found = filter(None, map(self._frame, states))
        collects = isenabled()
        if collects:
            disable()
        try:
            addresses = list(found)
        finally:
            if collects:
                enable()
        frames: list[Any] = [self._object.from_buffer(self._address(address)).value for address in addresses]
        any(map(self._release, addresses))
        frames[frames.index(_getframe())] = _getframe(depth + 1)
        return frames


class _OneThread:
    """The only thread of this interpreter."""

    def newest_frames(self, depth: int) -> list[FrameType]:
        if _count():
            raise InstrumentError("the frames of other threads in this interpreter cannot be had without ctypes")
        return [_getframe(depth + 1)]
