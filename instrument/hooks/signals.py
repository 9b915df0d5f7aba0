"""Hooks signals: listeners write the counts before a signal ends the process by its default action.

A `SignalListener` comes in. `finish` is called before the process ends by SIGTERM, SIGHUP or SIGINT, and
`request_flush` when the signal comes that users have chosen for that.

Our handler stands in only where the program leaves the default. The program does not see it: `getsignal` and `signal`
go on returning `SIG_DFL`. When the listeners are done, the process kills itself by the same signal, so that its exit
status is as without this package.

Problem: Python handles signals in the main thread, between two instructions. If a signal comes just before that thread
blocks in a system call, its handler runs only after the call, which may be never. The default ends the process at once.
Solution: the interpreter writes signals to a pipe (`set_wakeup_fd`), unless the program uses that itself. The
background thread reads the pipe (`check_pending_signals`), and sends the same signal to the main thread, which ends its
call. If a call in C does not end all the same, the background thread ends the process after two seconds. The pipe has
high file numbers: a daemon may close all inherited files, and no other file soon takes high numbers.
Alternatives: a handler in C, which the package would have to compile.

Problem: a child process has the handlers and the pipe of its parent at first. A signal that ends a child right after
the fork was written to the pipe of the parent, which then ended, too. Or the child wrote the counts of its parent.
Solution: signals that our handlers handle are blocked around each fork (`hold`, `release`), until the child has a pipe
and counts of its own. The system keeps such a signal meanwhile.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]
import _thread
import os
import sys
from _functools import partial  # type: ignore[import-not-found]
from _io import FileIO
from _operator import attrgetter, ne
from _thread import get_ident
from itertools import repeat
from time import monotonic

from instrument.guest import interpreters
from instrument.guest.isolation import import_isolated
from instrument.guest.own_builtins import system
from instrument.guest.process_state import ProcessState
from instrument.guest.program_errors import call_contained

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Protocol

    class SignalListener(Protocol):
        """Is called when signals come."""

        def finish(self, how: str) -> None:
            """Write the counts: the process is about to end by the signal with the name *how*."""

        def request_flush(self) -> None:
            """Have the counts written soon."""


_getpid, _kill = os.getpid, os.kill
_signal_original, _getsignal_original, _raise_signal = _signal.signal, _signal.getsignal, _signal.raise_signal
_interrupt_main_original = _thread.interrupt_main
_set_wakeup_fd_original = getattr(_signal, "set_wakeup_fd", None)
_pthread_kill = getattr(_signal, "pthread_kill", None)
_pthread_sigmask, _valid_signals = getattr(_signal, "pthread_sigmask", None), _signal.valid_signals
_DEFAULT = _signal.SIG_DFL
#: From numbers to names: signals whose default ends the process. The default of SIGINT is Python's own handler, so
#: SIGINT ends a process by itself only if the program has chosen that.
_NAMES = {getattr(_signal, name): name for name in ("SIGTERM", "SIGHUP", "SIGINT") if hasattr(_signal, name)}
_ENDING = tuple(_NAMES)
#: Seconds that the main thread has to handle a signal.
_PATIENCE = 2.0
_HIGHEST_FILE_NUMBER = 1024
_NO_PIPE = -1


class _Pipe:
    """The pipe that the interpreter writes signals to: one byte each, the number of the signal."""

    __slots__ = ("file", "inode", "reading", "writing")

    def __init__(self) -> None:
        self.reading, self.writing = (_with_high_number(number) for number in system.pipe())
        system.set_blocking(self.reading, False)
        system.set_blocking(self.writing, False)
        self.inode = system.fstat(self.reading).st_ino
        self.file = FileIO(self.reading, closefd=False)

    def is_ours(self, number: int) -> bool:
        """Return whether the file with this *number* is an end of the pipe still: the program may have closed it."""
        try:
            return bool(system.fstat(number).st_ino == self.inode)
        except OSError:
            return False

    def close(self) -> None:
        """Close the ends that are ours still."""
        for number in (self.reading, self.writing):
            if self.is_ours(number):
                system.close(number)


class _State(ProcessState):
    """The listeners, the pipe through which signals arrive, and the signals that were read from it.

    Containers are changed in place while the background thread runs: functions in C hold them (`checks`).
    """

    __slots__ = (
        *("due_since", "ending_by", "held", "is_handling", "is_handling_requested", "listeners", "main_thread"),
        *("pipe", "unread"),
    )

    def reset(self) -> None:
        self.listeners: list[SignalListener] = []
        #: Whether our handlers stand in for defaults. That begins when there is something to lose. Before, no thread
        #: reads the pipe, so a signal that comes as the main thread blocks would not end the process.
        self.is_handling = False
        #: Whether that was requested in a thread that cannot set handlers.
        self.is_handling_requested = False
        self.pipe: _Pipe | None = None
        #: Bytes that `checks` has read from the pipe; zeros for the rest.
        self.unread = bytearray(64)
        #: The number of the main thread; 0 before there is a pipe.
        self.main_thread = 0
        #: Signals by which the process is ending.
        self.ending_by: list[int] = []
        #: From the number of each signal that the main thread has not handled yet to the time when it was read.
        self.due_since: dict[int, float] = {}
        #: From the number of each thread that is about to fork to the signals that `hold` has blocked.
        self.held: dict[int, list[int]] = {}

    def usable_pipe(self) -> _Pipe | None:
        """Return the pipe; None if there is none, or if the program has closed the reading end."""
        pipe = self.pipe
        return pipe if pipe is not None and pipe.is_ours(pipe.reading) else None


_state = _State()


def install(listener: SignalListener, flush_signal: int | None) -> None:
    """Call *listener* when signals come. *flush_signal*, unless None, is the one that requests a flush."""
    _state.listeners.append(listener)
    _signal.signal, _signal.getsignal = _set_handler, _get_handler
    _thread.interrupt_main = _interrupt_main
    if flush_signal is not None and _handles_signals():
        _signal_original(flush_signal, _request_flush)


def uninstall(listener: SignalListener) -> None:
    """Undo `install`. A handler for flush requests stays: the signal would end the process."""
    _state.listeners.remove(listener)
    if _state.listeners:
        return
    if _signal.signal is _set_handler:
        _signal.signal, _signal.getsignal = _signal_original, _getsignal_original
    if _thread.interrupt_main is _interrupt_main:
        _thread.interrupt_main = _interrupt_main_original
    _state.is_handling_requested = False
    if not _state.is_handling:
        return
    _state.is_handling = False
    try:
        _close_pipe()
        for number in _ENDING:
            if type(_getsignal_original(number)) is _DefaultHandler:
                _signal_original(number, _DEFAULT)
    except ValueError:  # this is not the main thread
        pass


def handle_defaults() -> None:
    """From now on, have our handlers stand in for the defaults of signals that end the process.

    Outside the main thread, that begins with the next call in the main thread, or with the next fork.
    """
    if _state.is_handling:
        return
    if not _handles_signals():
        _state.is_handling_requested = True
        return
    _state.is_handling = True
    for number in _ENDING:
        if _getsignal_original(number) == _DEFAULT:
            _signal_original(number, _DefaultHandler(is_settled=True))
    _open_pipe()


def hold() -> None:
    """Block the signals that our handlers handle, in this thread, which is about to fork, until `release`."""
    if _pthread_sigmask is not None and _state.is_handling:
        numbers = [number for number in _ENDING if type(_getsignal_original(number)) is _DefaultHandler]
        before = _pthread_sigmask(_signal.SIG_BLOCK, ())
        # Kept first: the second call may raise an exception of a handler of the program, although it blocks.
        _state.held[get_ident()] = [number for number in numbers if number not in before]
        _pthread_sigmask(_signal.SIG_BLOCK, numbers)


def release() -> None:
    """Undo `hold` in this thread, in the parent and in the child. A signal that came meanwhile is handled now."""
    held = _state.held.pop(get_ident(), None)
    if held is not None:
        _pthread_sigmask(_signal.SIG_UNBLOCK, held)  # type: ignore[misc]


def begin_in_child() -> None:
    """Forget the signals of the parent, after a fork, and open a pipe of the child's own.

    `hooks.forks` calls this once for each child. `process_state` may do so twice, if a fork by C is announced a second
    time, and signals of the child may be due by then.
    """
    if _state.is_handling_requested:
        call_contained(handle_defaults)
    _state.due_since.clear()
    _state.unread[:] = bytes(len(_state.unread))
    if _state.pipe is not None:
        _state.main_thread = get_ident()
        call_contained(_close_pipe)
        call_contained(_open_pipe)


def name_of(number: int) -> str:
    """Return the name of the signal *number*, one that ends the process."""
    return _NAMES[number]


def end(number: int) -> None:
    """End the process as the default action of the signal *number* does. Return only if that is impossible.

    Any thread may call this.
    """
    _state.due_since.pop(number, None)
    try:
        ctypes: Any = import_isolated("ctypes")
        ctypes.pythonapi.PyOS_setsig(number, None)  # `signal.signal` is for the main thread
        _kill(_getpid(), number)
    except BaseException:  # no ctypes, or an audit hook forbids it: the main thread ends the process when it comes back
        return


class SignalsBlocked:
    """A context in which this thread handles no signal, if the process is a C program that embeds Python.

    Handlers in C may end the process while it is ending. Those of uWSGI do if both its master and a service manager
    send a signal to a worker. Handlers in Python run between two instructions only, and need no such protection.
    """

    def __init__(self) -> None:
        self._previous_mask: Any = None

    def __enter__(self) -> None:
        if _pthread_sigmask is not None and interpreters.is_embedded():
            self._previous_mask = _pthread_sigmask(_signal.SIG_BLOCK, _valid_signals())

    def __exit__(self, *exception: object) -> None:
        if self._previous_mask is not None:
            _pthread_sigmask(_signal.SIG_SETMASK, self._previous_mask)  # type: ignore[misc]


def _handles_signals() -> bool:
    """Return whether this is the main thread of the main interpreter, where handlers are set and run."""
    try:
        _signal_original(_signal.SIGTERM, None)  # None is no handler; the thread is checked before the handler
    except TypeError:
        return True
    except ValueError:
        pass
    return False


# Handlers, and the functions of `signal` and `_thread` that the program sees #########################################


class _DefaultHandler:
    """Handles a signal whose default ends the process: calls the listeners, then ends the process by the default.

    The program gets a new instance each time it sets the default. A signal that came before that was for the previous
    handler. A handler may set the default, so that only a second signal ends the process.
    """

    __slots__ = ("is_settled",)

    def __init__(self, is_settled: bool = False) -> None:
        #: Whether signals that are read from the pipe from now on came for this handler.
        self.is_settled = is_settled

    def __call__(self, number: int, frame: object) -> None:
        if number in _state.ending_by:
            return
        _state.ending_by.append(number)
        try:
            for listener in _state.listeners:
                call_contained(listener.finish, _NAMES[number])
        finally:
            _signal_original(number, _DEFAULT)
            _raise_signal(number)  # raises no audit event; `kill` does


def _request_flush(number: int, frame: object) -> None:
    for listener in _state.listeners:
        call_contained(listener.request_flush)


def _set_handler(signalnum, handler, /):  # type: ignore[no-untyped-def]
    if isinstance(handler, int) and handler == _DEFAULT and signalnum in _NAMES and _state.is_handling:
        handler = _DefaultHandler()
    # `signal.signal` first runs the previous handler for signals that have come.
    previous = _signal_original(signalnum, handler)
    if type(handler) is _DefaultHandler and not handler.is_settled:
        _forget_handled(signalnum)
        handler.is_settled = True
    return _DEFAULT if type(previous) is _DefaultHandler else previous


def _get_handler(signalnum, /):  # type: ignore[no-untyped-def]
    handler = _getsignal_original(signalnum)
    return _DEFAULT if type(handler) is _DefaultHandler else handler


def _interrupt_main(signum=_signal.SIGINT, /):  # type: ignore[no-untyped-def]
    # The original simulates a signal only if the program handles it: a signal at its default has no effect.
    if isinstance(signum, int) and signum in _NAMES and type(_getsignal_original(signum)) is _DefaultHandler:
        return None
    return _interrupt_main_original(signum)


def _set_wakeup_fd(fd, /, *, warn_on_full_buffer=True):  # type: ignore[no-untyped-def]
    pipe = _state.pipe
    ours = _NO_PIPE if pipe is None else pipe.writing
    if type(fd) is int and fd == -1 and pipe is not None and pipe.is_ours(ours):
        previous = _set_wakeup_fd_original(ours, warn_on_full_buffer=False)  # type: ignore[misc]
    else:
        previous = _set_wakeup_fd_original(fd, warn_on_full_buffer=warn_on_full_buffer)  # type: ignore[misc]
    return -1 if previous == ours else previous


# Signals that the main thread has not handled yet #####################################################################


def check_pending_signals() -> int | None:
    """Wake the main thread for each signal that is due; return a signal that it has not handled in time, else None.

    Only the background thread calls this.
    """
    pipe = _state.usable_pipe()
    if pipe is None:
        return None
    now = monotonic()
    handlers = _settled_handlers()  # before the pipe is read: the program may set a default meanwhile
    numbers = bytes(_state.unread)
    _state.unread[:] = bytes(len(_state.unread))
    try:
        numbers += system.read(pipe.reading, 4096)
    except OSError:  # the pipe is empty
        pass
    due_since = _state.due_since
    for number in numbers:
        if number in handlers:
            due_since.setdefault(number, now)
    for number, since in list(due_since.items()):
        if number in _state.ending_by or number not in handlers or _getsignal_original(number) is not handlers[number]:
            due_since.pop(number, None)
            continue
        if now - since > _PATIENCE:
            return number
        try:
            _pthread_kill(_state.main_thread, number)  # type: ignore[misc]
        except OSError:  # the main thread has ended
            due_since.pop(number, None)
        except BaseException:  # an audit hook forbids it: nothing else wakes the main thread
            return number
    return None


def checks() -> list[Callable[[], object]]:
    """Return functions in C that return true, or raise OSError, if `check_pending_signals` has something to do.

    They put the bytes that they read into `_state.unread`.
    """
    pipe = _state.usable_pipe()
    if pipe is None:
        return []
    inodes = map(attrgetter("st_ino"), map(system.fstat, repeat(pipe.reading)))
    was_closed = map(ne, inodes, repeat(pipe.inode)).__next__
    return [_state.due_since.__len__, was_closed, partial(pipe.file.readinto, _state.unread)]


def _open_pipe() -> None:
    """Open a pipe, and have the interpreter write the number of each signal to it.

    If the program has set a file for that, that file stays. The pipe takes its place when the program sets -1
    (`_set_wakeup_fd`). Call this in the main thread.
    """
    if _set_wakeup_fd_original is None or _pthread_kill is None:
        return
    if not _state.main_thread:
        _state.main_thread = get_ident()
    try:
        _state.pipe = _Pipe()
        previous = _set_wakeup_fd_original(_state.pipe.writing, warn_on_full_buffer=False)
        if previous != -1:
            _set_wakeup_fd_original(previous)
    except (OSError, ValueError):  # there are no more file numbers, or this is not the main thread
        pass
    _replace_set_wakeup_fd(_set_wakeup_fd_original, _set_wakeup_fd)


def _close_pipe() -> None:
    """Undo `_open_pipe`."""
    pipe = _state.pipe
    if pipe is not None:
        _state.pipe = None
        previous = _set_wakeup_fd_original(-1)  # type: ignore[misc]
        if previous not in (-1, pipe.writing):
            _set_wakeup_fd_original(previous)  # type: ignore[misc]
        pipe.close()
    if _set_wakeup_fd_original is not None:
        _replace_set_wakeup_fd(_set_wakeup_fd, _set_wakeup_fd_original)


def _replace_set_wakeup_fd(present: object, other: object) -> None:
    """Have the program see *other* where it sees *present*. `signal` has a copy if it was imported before."""
    for module in (_signal, sys.modules.get("signal")):
        if type(module) is type(sys) and module.__dict__.get("set_wakeup_fd") is present:
            module.__dict__["set_wakeup_fd"] = other


def _with_high_number(number: int) -> int:
    """Move the open file *number* to a high and free number, if there is one; return the number that it has then."""
    highest = min(_HIGHEST_FILE_NUMBER, system.sysconf("SC_OPEN_MAX")) - 1
    for candidate in range(highest, max(highest - 64, number), -1):
        try:
            system.fstat(candidate)
        except OSError:
            system.dup2(number, candidate, inheritable=False)
            system.close(number)
            return candidate
    return number


def _settled_handlers() -> dict[int, _DefaultHandler]:
    """Return our handlers that are settled, by the numbers of their signals."""
    handlers = {}
    for number in _ENDING:
        handler = _getsignal_original(number)
        if type(handler) is _DefaultHandler and handler.is_settled:
            handlers[number] = handler
    return handlers


def _forget_handled(number: int) -> None:
    """Forget that the signal *number* came: it was handled. Only the main thread calls this."""
    pipe = _state.usable_pipe()
    if pipe is not None:
        handlers = _settled_handlers()
        for other in pipe.file.read(4096) or b"":
            if other != number and other in handlers:
                _state.due_since.setdefault(other, monotonic())
    for index in range(len(_state.unread)):
        if _state.unread[index] == number:
            _state.unread[index] = 0
    _state.due_since.pop(number, None)


def _look_like(ours: Callable[..., object], original: Any) -> None:
    ours.__doc__, ours.__name__, ours.__qualname__ = original.__doc__, original.__name__, original.__qualname__
    ours.__module__ = original.__module__


_look_like(_set_handler, _signal_original)
_look_like(_get_handler, _getsignal_original)
_look_like(_set_wakeup_fd, _set_wakeup_fd_original)
_look_like(_interrupt_main, _interrupt_main_original)
