"""Hooks the ends of a process: the exit handlers, and functions of `os` that end it or change its rights.

Functions come in (`at_last`): each is called once, the last added first, after all exit handlers of the program. An
`EndListener` comes in (`install`). It is called before `os._exit` and `os.exec*`, and before functions of `os` that
change the rights of the process, or the files that it sees.

Problem: a program can remove exit handlers that it did not register. It may call `atexit._clear`, or
`atexit.unregister` with an object that equals everything. By `atexit._run_exitfuncs` it can call all of them early.
Solution: register a handler that does nothing. Only `atexit` holds it, and its finalizer does the work. When the
process ends, the interpreter empties the list of handlers after the last one: then no Python function is below the
finalizer. Otherwise the program has removed the handler, and `restore` registers another one a moment later.
It must not do so at once. Up to 3.13 the interpreter empties its list one by one, and would remove the new handler.
From 3.14 on the new handler would move others, so that `unregister` misses some. If the process ends within that
moment, `call_remaining` is called, by a finalizer of the background thread.
Alternatives: a plain exit handler, which such programs remove.
"""

from __future__ import annotations

import atexit
import os
import sys
from _functools import partial  # type: ignore[import-not-found]
from sys import _getframe
from time import monotonic

from instrument.guest.own_builtins import system
from instrument.guest.process_state import ProcessState
from instrument.guest.program_errors import call_contained

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Protocol

    class EndListener(Protocol):
        """Is called before a process ends or changes."""

        def at_exit(self) -> None:
            """Write the counts, after all exit handlers of the program."""

        def exit_handler_removed(self) -> None:
            """Note that the program has removed our exit handler, which the background thread registers again."""

        def finish(self, how: str) -> None:
            """Write the counts: the process is about to end by the function with the name *how*."""

        def prepare(self, is_repeated: bool) -> None:
            """Write the counts, and load the modules for writing. *is_repeated*: servers make that call very often."""

        def before_fork(self) -> None:
            """End the background thread."""

        def after_fork_in_parent(self) -> None:
            """Note that the background thread may begin again."""

        def resume(self) -> None:
            """Start the background thread again."""


_register = atexit.register
#: The module that the program has as `posix`, where functions of this package stand in for some.
_system: Any = sys.modules[system.__name__]
#: From functions of `os` that end the program to the names for `finish`.
_ENDS = {"_exit": "_exit", "execv": "exec", "execve": "exec"}
#: Functions that change the rights of the process, or the files that it sees.
_CHANGES = (
    *("chroot", "setuid", "setgid", "seteuid", "setegid", "setreuid", "setregid", "setresuid", "setresgid"),
    *("unshare", "setns"),
)
#: Those of them that the system refuses to a process with several threads, depending on the arguments.
_REFUSED_WITH_THREADS = ("unshare", "setns")
#: Those of them that servers call very often, each time for a moment.
_REPEATED = ("seteuid", "setegid")
#: Seconds from the removal of the handler to its return, at least: the program may be removing others.
SOON = 0.01
#: How often the handler is registered, at most: a program that removes it more often may never stop.
_MOST_REGISTRATIONS = 10_000


class _State(ProcessState):
    """`missing_since` is changed in place: a function in C of the background thread holds it."""

    __slots__ = ("functions", "is_over", "is_registered", "listeners", "missing_since", "n_registrations", "on_removed")

    def __init__(self) -> None:
        #: The time at which the program has removed the handler; empty unless it is missing.
        self.missing_since: list[float] = []
        super().__init__()

    def reset(self) -> None:
        self.missing_since.clear()
        #: The functions to call at the end, the last one first.
        self.functions: list[Callable[[], object]] = []
        #: The functions to call when the program has removed the handler.
        self.on_removed: list[Callable[[], object]] = []
        self.listeners: list[EndListener] = []
        self.is_registered = self.is_over = False
        self.n_registrations = 0


_state = _State()
#: True if the handler is missing; in C, to be called where no Python code may run.
is_missing = _state.missing_since.__len__


def install(listener: EndListener) -> None:
    """Call *listener* before this process ends or changes."""
    _state.listeners.append(listener)
    at_last(listener.at_exit, listener.exit_handler_removed)
    for name in (*_ENDS, *_CHANGES):
        original = getattr(_system, name, None)
        if original is not None and type(original) is not _NotifyingFunction:
            ours = _NotifyingFunction(original, _ENDS.get(name, ""))
            setattr(_system, name, ours)
            setattr(os, name, ours)


def uninstall(listener: EndListener) -> None:
    """Undo `install`."""
    _state.listeners.remove(listener)
    for functions, function in (
        (_state.functions, listener.at_exit),
        (_state.on_removed, listener.exit_handler_removed),
    ):
        if function in functions:
            functions.remove(function)
    if _state.listeners:
        return
    for name in (*_ENDS, *_CHANGES):
        ours = getattr(_system, name, None)
        if type(ours) is _NotifyingFunction:
            setattr(_system, name, ours.function)
            if getattr(os, name) is ours:
                setattr(os, name, ours.function)


# After the exit handlers ##############################################################################################


def at_last(function: Callable[[], object], on_removed: Callable[[], object] | None = None) -> None:
    """Call *function* when the process ends: after the program's exit handlers, before functions added earlier.

    *on_removed* is called when the program has removed the handler. Then `restore` must be called soon, but not by
    *on_removed*.
    """
    _state.functions.append(function)
    if on_removed is not None:
        _state.on_removed.append(on_removed)
    _ensure_registered()


def restore() -> bool:
    """Register the handler again if it is missing for long enough; return whether it is registered."""
    missing_since = _state.missing_since
    if missing_since and monotonic() - missing_since[0] >= SOON:
        missing_since.clear()
        _ensure_registered()
    return not missing_since


def call_remaining() -> None:
    """Call the functions of `at_last`, unless that was done: the interpreter ends while the handler is missing."""
    if not _state.is_over:
        _call_all()


def _ensure_registered() -> None:
    if not _state.is_registered and not _state.is_over and _state.n_registrations < _MOST_REGISTRATIONS:
        _state.n_registrations += 1
        _state.is_registered = True
        _register(_ExitHandler())


def _call_all() -> None:
    _state.is_over = True
    while _state.functions:
        call_contained(_state.functions.pop())


class _ExitHandler:
    """An exit handler that does nothing when it is called, and equals nothing else. Its finalizer does the work."""

    __hash__ = object.__hash__

    def __eq__(self, other: object) -> bool:
        return self is other

    def __call__(self) -> None:
        """Do nothing."""

    def __del__(self) -> None:
        if not getattr(_state, "is_registered", False):  # the interpreter is clearing this module
            return
        _state.is_registered = False
        if not _is_called_by_program():
            _call_all()
        else:
            _state.missing_since.append(monotonic())
            for on_removed in _state.on_removed:
                on_removed()


def _is_called_by_program() -> bool:
    """Return whether a Python function is below the finalizer that calls this; True if that cannot be found out."""
    try:
        finalizer = _getframe().f_back
        return finalizer is not None and finalizer.f_back is not None
    except BaseException:
        return True  # an audit hook forbids to look; when the process ends, `call_remaining` comes next


# Functions of `os` ####################################################################################################


class _NotifyingFunction:
    """Stands in for *function* of `os`, and calls the listeners first: `finish` with *how*, or `prepare` without it.

    The program's call has no other frame: the interpreter looks up `__call__`, and the lookup calls the listeners.
    """

    def __init__(self, function: Any, how: str) -> None:
        self.function = function
        self._how = how
        self.__doc__, self.__module__ = function.__doc__, function.__module__

    @property
    def __call__(self) -> Any:
        for listener in _state.listeners:
            if self._how:
                call_contained(listener.finish, self._how)
            else:
                call_contained(listener.prepare, self.function.__name__ in _REPEATED)
        return _CallWithoutThreads(self.function) if self.function.__name__ in _REFUSED_WITH_THREADS else self.function

    def __getattr__(self, name: str) -> Any:
        return getattr(self.function, name)

    def __repr__(self) -> str:
        return repr(self.function)

    def __reduce__(self) -> Any:
        return self.function.__reduce__()


class _CallWithoutThreads(partial):  # type: ignore[misc]
    """Calls *function* while this process has no background thread.

    The thread begins again when this object is freed, right after the call. Python code around the call would be seen
    in tracebacks.
    """

    def __init__(self, function: Any) -> None:
        self._stopped: list[EndListener] = []
        for listener in _state.listeners:
            self._stopped.append(listener)
            call_contained(listener.before_fork)

    def __del__(self) -> None:
        for listener in self._stopped:
            call_contained(listener.after_fork_in_parent)
            call_contained(listener.resume)
