"""Functions that are called when a process ends by itself, after all exit handlers of the program.

Functions come in. Each is called once, the newest first, when the interpreter has called all that is registered with
`atexit`.

A program can remove exit handlers that it did not register (`atexit._clear`, `atexit.unregister` of an object that
equals everything), or call all of them early (`atexit._run_exitfuncs`). So the handler that is registered here does
nothing when it is called. Only `atexit` holds it, and its finalizer does the work. When the process ends, the
interpreter empties the list of handlers behind the last one: no function of Python is then below the finalizer.

If there is one, the program has removed the handler. It is `missing` until `restore` is called, a moment later. What is
registered at once may be removed, too: up to 3.13 the interpreter empties its list one by one. From 3.14 on
`unregister` would pass over other handlers, for the new one moves them. If the process ends within that moment,
`finalizing` is called.
"""

from __future__ import annotations

import atexit
from sys import _getframe
from time import monotonic

from instrument.guest.messages import belongs_to_program, say_once, text_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_register = atexit.register
#: The functions to call last, the newest at the end; and those to call when the handler was removed.
_functions: list[Callable[[], object]] = []
_removed: list[Callable[[], object]] = []
#: Something, if a handler is registered.
_registered: list[None] = []
#: When the handler was removed, if it is to be registered again.
missing: list[float] = []
#: So many seconds after that, at the earliest: what has removed the handler may be removing others.
SOON = 0.01
#: The handler is registered so often at most: what removes it more often may never stop.
_MOST = 10_000
_n_times = 0
_is_over = False


def at_last(function: Callable[[], object], removed: Callable[[], object] | None = None) -> None:
    """Call *function* when the process ends, after the exit handlers of the program, and before what came in earlier.

    *removed* is called when the handler was removed: `restore` is then to be called soon, but not by *removed*.
    """
    _functions.append(function)
    if removed is not None:
        _removed.append(removed)
    _ensure()


def forget(function: Callable[[], object], removed: Callable[[], object]) -> None:
    """Undo `at_last` with these arguments."""
    for functions, each in ((_functions, function), (_removed, removed)):
        if each in functions:
            functions.remove(each)


def restore() -> bool:
    """Register the handler if it has been missing for long enough; return whether it is missing no more."""
    if missing and monotonic() - missing[0] >= SOON:
        missing.clear()
        _ensure()
    return not missing


def finalizing() -> None:
    """Call what was not called: the interpreter is being finalized, and the handler was missing."""
    if not _is_over:
        _call_all()


def _ensure() -> None:
    global _n_times
    if not _registered and not _is_over and _n_times < _MOST:
        _n_times += 1
        _registered.append(None)
        _register(_Handler())


def _call_all() -> None:
    global _is_over
    _is_over = True
    while _functions:
        try:
            _functions.pop()()
        except BaseException as error:
            if belongs_to_program(error):
                raise
            say_once(f"not all is counted in this process: {text_of(error)}")


class _Handler:
    """An exit handler that does nothing when it is called, and is equal to nothing else."""

    __hash__ = object.__hash__

    def __eq__(self, other: object) -> bool:
        return self is other

    def __call__(self) -> None:
        """Do nothing."""

    def __del__(self) -> None:
        if not _registered:  # the module is being cleared
            return
        _registered.clear()
        if not _is_called_by_program():
            _call_all()
        else:
            missing.append(monotonic())
            for removed in _removed:
                removed()


def _is_called_by_program() -> bool:
    """Return whether a function of Python is below the finalizer that calls this; True if a hook forbids to look."""
    try:
        finalizer = _getframe().f_back
        return finalizer is not None and finalizer.f_back is not None
    except BaseException:
        return True  # at the end of the process `finalizing` comes next
