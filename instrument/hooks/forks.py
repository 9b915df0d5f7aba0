"""Hooks forks: listeners prepare before each fork, and begin anew in each child process.

A `ForkListener` comes in. Forks by `os.fork` are announced by `os.register_at_fork`, those by C code as follows.

Problem: C code may call `fork()` without telling Python. uWSGI's master process loads the application and then forks
each worker. A program may call the C library's `fork` by ctypes or cffi.
Solution: register callbacks with the C library (`__register_atfork`), in processes that embed Python or import a module
by which programs call functions of C libraries. The background thread ends before each fork: it may hold the GIL, which
would stay locked in the child. In the child nothing is called at once, as its only thread may be unable to take that
lock. A pending call precedes the first Python code there. The C library must not call functions of an interpreter that
is gone. So they are registered under a handle, as those of libraries that can be unloaded, and are removed at exit.
Only glibc offers that: with other C libraries nothing is registered.
Alternatives: none is complete. `check_for_fork` compares process numbers, in case nothing has announced the fork.
"""

from __future__ import annotations

import os
import sys
from _functools import partial  # type: ignore[import-not-found]

from instrument.guest import interpreters, process_state
from instrument.guest.messages import say
from instrument.guest.own_builtins import system
from instrument.guest.own_imports import extension
from instrument.guest.process_state import ProcessState
from instrument.guest.program_errors import call_contained
from instrument.hooks import imports, process_end, signals

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType
    from typing import Any, Protocol

    class ForkListener(Protocol):
        """Is called around forks."""

        def before_fork(self) -> None:
            """End the background thread: Python knows of the fork that comes."""

        def before_c_fork(self) -> None:
            """End the background thread, and write the counts: C code is about to fork."""

        def after_fork_in_parent(self) -> None:
            """Note that one fork is over."""

        def after_fork_in_child(self, is_prepared: bool = ...) -> None:
            """Begin anew in the child. *is_prepared* says that `before_c_fork` was called in the parent."""

        def resume(self) -> None:
            """Start the background thread again, in the parent or in the child."""


_getpid = os.getpid
#: The module that the program has as `posix`, where functions of this package stand in for some.
_system: Any = sys.modules[system.__name__]
#: 3.13.0 warns of a fork with several threads only after it has called the functions that are registered for forks. So
#: the threads begin again in a function that stands in for `os.fork`.
_WARNS_LATE = sys.version_info[:3] == (3, 13, 0)
#: Modules by which a program calls any function of a C library.
_CALLERS_OF_C = ("ctypes", "cffi")
#: The functions that the C library calls, the handle of their registration, and the function that ends it. These must
#: never be freed.
_held_for_c_library: list[Any] = []


class _State(ProcessState):
    __slots__ = ("is_registered", "listeners", "n_known_forks", "noticed_pid", "pid", "prepared_pid")

    def __init__(self) -> None:
        #: Whether `os.register_at_fork` was called for this module, which cannot be undone.
        self.is_registered = False
        super().__init__()

    def reset(self) -> None:
        self.listeners: list[ForkListener] = []
        #: The number of this process, as far as this module has noticed.
        self.pid = _getpid()
        #: How many forks go on that Python knows of.
        self.n_known_forks = 0
        #: The process that was about to fork by C when the listeners prepared for that; 0 if none is.
        self.prepared_pid = 0
        #: The child that `check_for_fork` has noticed, if no fork was prepared since; else 0.
        self.noticed_pid = 0


_state = _State()


def install(listener: ForkListener) -> None:
    """Call the methods of *listener* around each fork from now on.

    To have forks by C code announced, this package loads ctypes. It does so at once in processes that embed Python. In
    others it does so once the program has imported one of `_CALLERS_OF_C`, so most starts are spared the cost.
    """
    _state.listeners.append(listener)
    if not _state.is_registered and hasattr(os, "register_at_fork"):
        _state.is_registered = True
        os.register_at_fork(
            before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork_in_child
        )
        if interpreters.number() == 0:  # other interpreters may end before the process
            if interpreters.is_embedded() or any(map(sys.modules.__contains__, _CALLERS_OF_C)):
                _announce_c_forks()
            else:
                imports.call_after_execution(_announce_c_forks_after)
    if _WARNS_LATE:  # `os.fork` must resume the listeners itself
        _system.fork = os.fork = fork


def uninstall(listener: ForkListener) -> None:
    """Undo `install`. The functions that are registered stay so, and do nothing without a listener."""
    _state.listeners.remove(listener)
    if not _state.listeners and _WARNS_LATE and os.fork is fork:
        _system.fork = os.fork = _original_fork


def check_for_fork() -> bool:
    """Return whether this process was forked by C since the last call, and have the listeners begin anew if so.

    Each function that is about to do something for the process calls this first: the fork may not be announced yet.
    """
    pid = _getpid()
    if pid == _state.pid:
        return False
    is_prepared = _state.prepared_pid == _state.pid
    _state.pid = _state.noticed_pid = pid
    _state.prepared_pid = 0
    _state.n_known_forks = 0
    process_state.note_fork()
    signals.begin_in_child()
    for listener in _state.listeners:
        call_contained(listener.after_fork_in_child, is_prepared)
        call_contained(listener.resume)
    if not is_prepared and _state.listeners:
        say(f"process {pid} was forked without Python's knowledge: it is counted from now on (README, limit embedded)")
    return True


# Forks that Python knows of ###########################################################################################


def _before_fork() -> None:
    _state.n_known_forks += 1
    _state.noticed_pid = 0
    for listener in _state.listeners:
        call_contained(listener.before_fork)
    call_contained(signals.hold)


def _after_fork_in_parent() -> None:
    call_contained(signals.release)
    _state.n_known_forks -= 1
    for listener in _state.listeners:
        call_contained(listener.after_fork_in_parent)
        if not _WARNS_LATE:
            call_contained(listener.resume)


def _after_fork_in_child() -> None:
    if _state.noticed_pid:  # C code has forked, then `check_for_fork` has noticed that, and now C code tells Python
        _state.noticed_pid = 0
        call_contained(signals.release)
        return
    _state.n_known_forks = 0
    _state.prepared_pid = 0
    _state.pid = _getpid()
    signals.begin_in_child()
    for listener in _state.listeners:
        call_contained(listener.after_fork_in_child)
        call_contained(listener.resume)
    # At the end: the handler of a signal may need the background thread, which blocks the signals from now on.
    call_contained(signals.release)


if _WARNS_LATE:
    _original_fork = os.fork

    def fork() -> int:
        pid = _original_fork()
        for listener in _state.listeners:
            call_contained(listener.resume)
        return pid

    fork.__doc__, fork.__name__, fork.__qualname__ = _original_fork.__doc__, "fork", "fork"
    fork.__module__ = _original_fork.__module__


# Forks by C ###########################################################################################################


def _announce_c_forks_after(module: ModuleType) -> None:
    """Have C forks announced if *module*, which was just imported, can make them."""
    if module.__dict__.get("__name__") in _CALLERS_OF_C:
        _announce_c_forks()


def _announce_c_forks() -> None:
    if not _held_for_c_library and register_with_c_library(_before_c_fork, _after_c_fork_in_parent, _notice_c_fork):
        process_end.at_last(forget_c_library)


def register_with_c_library(
    before: Callable[[], None], in_parent: Callable[[], None], in_child: Callable[[], None]
) -> bool:
    """Have the C library call *before* and *in_parent* around each `fork()`; return whether it can.

    *in_child* is called in both processes, before the next Python code in the main thread. If something was registered
    before, do nothing and return True.
    """
    if _held_for_c_library:
        return True
    try:
        was_imported = "_ctypes" in sys.modules
        c: Any = extension("_ctypes")
        if not was_imported:  # the program's own import asks the program's finders
            del sys.modules["_ctypes"]
        library = c.dlopen(None, 0)
        register_at, forget_at, add_at = map(
            c.dlsym, (library,) * 3, ("__register_atfork", "__cxa_finalize", "Py_AddPendingCall")
        )
    except (ImportError, AttributeError, OSError):
        return False

    def function_type(flags: int, result: Any, *arguments: Any) -> Any:
        return type("Function", (c.CFuncPtr,), {"_flags_": flags, "_restype_": result, "_argtypes_": arguments})

    def pending_call(_: object) -> int:
        in_child()
        return 0

    number: Any = type("Number", (c._SimpleCData,), {"_type_": "i"})
    pointer: Any = type("Pointer", (c._SimpleCData,), {"_type_": "P"})
    handler = function_type(c.FUNCFLAG_CDECL, None)
    in_python = c.FUNCFLAG_CDECL | c.FUNCFLAG_PYTHONAPI
    call = function_type(in_python, number, pointer)(pending_call)
    add = function_type(in_python, number, pointer, pointer)(add_at)
    # The handler runs no bytecode: the pending call would precede it.
    add_pending_call = handler(partial(add, pointer.from_address(c.addressof(call)), None))
    register = function_type(c.FUNCFLAG_CDECL, number, handler, handler, handler, pointer)(register_at)
    forget = function_type(c.FUNCFLAG_CDECL, number, pointer)(forget_at)
    handle = (number * 2)()  # any address that is nobody else's
    # The C library calls the functions to call before a fork in reverse order.
    handlers = [add_pending_call, handler(before), handler(in_parent)]
    _held_for_c_library[:] = [forget, handle, call, handlers]
    none = handler()
    register(add_pending_call, none, none, handle)
    register(handlers[1], handlers[2], none, handle)
    return True


def forget_c_library() -> None:
    """Undo `register_with_c_library` for good: the C library makes no call to this package again."""
    if _held_for_c_library:
        forget, handle = _held_for_c_library[:2]
        forget(handle)


def _before_c_fork() -> None:
    call_contained(check_for_fork)
    if _state.n_known_forks or _state.prepared_pid:
        return
    _state.prepared_pid = _state.pid
    _state.noticed_pid = 0
    for listener in _state.listeners:
        call_contained(listener.before_c_fork)


def _after_c_fork_in_parent() -> None:
    if not _state.prepared_pid:
        return
    _state.prepared_pid = 0
    for listener in _state.listeners:
        call_contained(listener.after_fork_in_parent)
        call_contained(listener.resume)


def _notice_c_fork() -> None:
    """Call `check_for_fork`, unless Python knows of a fork: then Python's own callbacks come next."""
    if not _state.n_known_forks:
        call_contained(check_for_fork)
