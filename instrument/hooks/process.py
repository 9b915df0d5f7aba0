"""Hooks into how a process forks, turns into another program, and ends.

A `LifecycleListener` comes in, and is told: before and after each fork, before `os._exit` and `os.exec*`, at exit
after all that
the program does there, and by signals that would end the process as if it had never been there.

What stands in for functions of `os` has no frame: a callable whose `__call__` is looked up, tells the witness, and is
the original. A handler that the program sets for a signal is its own; where it leaves the default, ours stands in, and
is not seen: `getsignal` goes on saying so, and after the witness was told the process kills itself by the same signal,
so that its status is what it would have been.

Handlers run in the main thread, between two instructions. A signal that comes just before that thread begins to wait in
the system is noted, and handled when it stops waiting, which may be never; the default would have ended the process at
once. So the interpreter is told to write signals to a pipe (`set_wakeup_fd`, as long as the program does not), and who
looks there (`check_pending_signals`) wakes the main thread up by the same signal. If that thread does not come back
from a call into C
all the same, the process is ended without it. The pipe has high numbers: where a daemon closes all the files it has
inherited, no other file soon takes their places.
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

from instrument.guest import interpreters, process_state
from instrument.guest.hiding import unseen
from instrument.guest.isolation import import_isolated
from instrument.guest.messages import belongs_to_program, say, say_once, text_of
from instrument.guest.own_builtins import system
from instrument.hooks import process_end

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Protocol

    class LifecycleListener(Protocol):
        """What is told."""

        def before_fork(self) -> None: ...
        def after_fork_in_parent(self) -> None: ...
        def before_unknown_fork(self) -> None: ...
        def after_fork_in_child(self, is_marked: bool = ...) -> None: ...
        def resume(self) -> None: ...
        def finish(self, how: str) -> None: ...
        def at_exit(self) -> None: ...
        def exit_handler_removed(self) -> None: ...
        def prepare(self, is_repeated: bool) -> None: ...
        def request_flush(self) -> None: ...


#: The module that the program has, in which functions of ours stand in for some.
_system: Any = sys.modules[system.__name__]
_getpid, _kill = os.getpid, os.kill
_set, _get, _raise_signal = _signal.signal, _signal.getsignal, _signal.raise_signal
_valid_signals = _signal.valid_signals
_interrupt = _thread.interrupt_main
_DEFAULT = _signal.SIG_DFL
#: The default of SIGINT is Python's own handler, so it ends a process by itself only where the program says so.
_NAMES = {getattr(_signal, name): name for name in ("SIGTERM", "SIGHUP", "SIGINT") if hasattr(_signal, name)}
_ENDING = tuple(_NAMES)
_ENDS = ("_exit", "execv", "execve")
#: Functions after which other files are seen, or files cannot be read or written any more.
_CHANGES = (
    *("chroot", "setuid", "setgid", "seteuid", "setegid", "setreuid", "setregid", "setresuid", "setresgid"),
    *("unshare", "setns"),
)
#: Those of them that the system refuses to a process with several threads, depending on their arguments.
_ALONE = ("unshare", "setns")
#: Those that servers call again and again, for a moment.
_REPEATED = ("seteuid", "setegid")
_listeners: list[LifecycleListener] = []
_are_forks_watched = False
#: 3.13.0 warns of a fork with several threads only after it has told what is registered for forks, which may begin one.
_WARNS_LATE = sys.version_info[:3] == (3, 13, 0)


def watch(listener: LifecycleListener, signal: int | None) -> None:
    """Tell *listener* from now on; *signal*, if given, lets it be asked."""
    global _are_forks_watched
    _listeners.append(listener)
    process_end.at_last(listener.at_exit, listener.exit_handler_removed)
    if not _are_forks_watched and hasattr(os, "register_at_fork"):
        _are_forks_watched = True  # for good: there is no way back
        os.register_at_fork(
            before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork_in_child
        )
        if interpreters.is_embedded() and interpreters.number() == 0:
            from instrument.hooks import forks

            forks.watch(_before_unknown_fork, _after_unknown_fork_in_parent, _notice_unknown_fork)
            process_end.at_last(forks.watch_no_more)
    if _WARNS_LATE:
        _look_like(fork, _fork)
        _system.fork = os.fork = fork
    for name in (*_ENDS, *_CHANGES):
        original = getattr(_system, name, None)
        if original is not None and type(original) is not _NotifyingFunction:
            how = "" if name in _CHANGES else name.rstrip("ev") if name != "_exit" else name
            told = _NotifyingFunction(original, how)
            setattr(_system, name, told)
            setattr(os, name, told)
    _signal.signal, _signal.getsignal = _set_handler, _get_handler
    _thread.interrupt_main = _interrupt_main
    if signal is not None and _handles_signals():
        _set(signal, _request_flush)


#: Whether our handlers stand in for defaults: they do once there is something to lose. Nobody looks for signals that
#: nobody sees before that, so a signal that comes as the main thread goes to sleep would not end the process.
_stands_in = [False]
#: Whether this was asked for in a thread that cannot set handlers.
_is_asked_for = [False]


def stand_in() -> None:
    """Have signals whose default is to end the process told to the witnesses from now on.

    If this is not the main thread, that begins with the next call in the main thread, or with the next fork.
    """
    if _stands_in[0]:
        return
    if not _handles_signals():
        _is_asked_for[0] = True
        return
    _stands_in[0] = True
    for number in _ENDING:
        if _get(number) == _DEFAULT:
            _set(number, _Default(is_settled=True))
    _listen()


def forget(listener: LifecycleListener) -> None:
    """Undo `watch`."""
    _listeners.remove(listener)
    process_end.forget(listener.at_exit, listener.exit_handler_removed)
    if _listeners:
        return
    if _WARNS_LATE and os.fork is fork:
        _system.fork = os.fork = _fork
    for name in (*_ENDS, *_CHANGES):
        told = getattr(_system, name, None)
        if type(told) is _NotifyingFunction:
            setattr(_system, name, told.function)
            if getattr(os, name) is told:
                setattr(os, name, told.function)
    if _signal.signal is _set_handler:
        _signal.signal, _signal.getsignal = _set, _get
    if _thread.interrupt_main is _interrupt_main:
        _thread.interrupt_main = _interrupt
    _is_asked_for[0] = False
    if not _stands_in[0]:
        return
    _stands_in[0] = False
    try:
        _listen_no_more()
        for number in _ENDING:
            if type(_get(number)) is _Default:
                _set(number, _DEFAULT)
    except ValueError:
        pass


def _handles_signals() -> bool:
    """Return whether this is the main thread of the main interpreter, where handlers are set and run."""
    try:
        _set(_signal.SIGTERM, None)  # which is no handler: but who may not set one is told so before
    except TypeError:
        return True
    except ValueError:
        pass
    return False


# Forks ################################################################################################################


#: The process, as it was known last.
_known = [_getpid()]
#: How many forks go on that Python knows.
_n_forks = [0]


def _notify(tell: Callable[..., object], *what: object) -> None:
    """Call *tell*, a function of ours, with *what*; what it raises the program gets only if it is its own."""
    try:
        tell(*what)
    except BaseException as error:
        if belongs_to_program(error):
            raise
        say_once(f"not all is counted in this process: {text_of(error)}")


def _before_fork() -> None:
    _n_forks[0] += 1
    _noticed.clear()
    for listener in _listeners:
        _notify(listener.before_fork)


def _after_fork_in_parent() -> None:
    _n_forks[0] -= 1
    for listener in _listeners:
        _notify(listener.after_fork_in_parent)
        if not _WARNS_LATE:
            _notify(listener.resume)


def _after_fork_in_child() -> None:
    if _noticed:  # before this hook, C may have forked, and then told Python of it
        _noticed.clear()
        return
    _n_forks[0] = 0
    _marked.clear()
    _known[0] = _getpid()
    _begin_anew()
    for listener in _listeners:
        _notify(listener.after_fork_in_child)
        _notify(listener.resume)


def _begin_anew() -> None:
    """Forget what is the parent's."""
    if _is_asked_for[0]:
        _notify(stand_in)
    _due.clear()  # what the parent is to handle
    _read[:] = bytes(len(_read))
    if _pipe:  # the parent's
        _main[:] = [get_ident()]
        _notify(_listen_no_more)
        _notify(_listen)


# Forks that Python does not know

#: The process that was about to fork when the witnesses were told.
_marked: list[int] = []
#: The process that was noticed, if no fork was prepared since.
_noticed: list[int] = []


def check_for_fork() -> bool:
    """Find out whether this is another process than before, forked by C: witnesses are then told. Return whether it is.

    Whoever is about to do something for the process calls this first: nothing else may have told us.
    """
    pid = _getpid()
    if pid == _known[0]:
        return False
    is_marked = _marked == [_known[0]]
    _known[0] = pid
    _noticed[:] = [pid]
    _marked.clear()
    _n_forks[0] = 0
    process_state.note_fork()
    _begin_anew()
    for listener in _listeners:
        _notify(listener.after_fork_in_child, is_marked)
        _notify(listener.resume)
    if not is_marked and _listeners:
        say(f"process {pid} was forked without Python's knowledge: it is counted from now on")
    return True


def _notice_unknown_fork() -> None:
    """Find out whether this process was forked; if Python knows of it, what it calls then comes next."""
    if not _n_forks[0]:
        _notify(check_for_fork)


def _before_unknown_fork() -> None:
    _notify(check_for_fork)
    if _n_forks[0] or _marked:
        return
    _marked[:] = [_known[0]]
    _noticed.clear()
    for listener in _listeners:
        _notify(listener.before_unknown_fork)


def _after_unknown_fork_in_parent() -> None:
    if not _marked:
        return
    _marked.clear()
    for listener in _listeners:
        _notify(listener.after_fork_in_parent)
        _notify(listener.resume)


if _WARNS_LATE:
    _fork = os.fork

    def fork() -> int:
        pid = _fork()
        for listener in _listeners:
            _notify(listener.resume)
        return pid


# Ends #################################################################################################################


class _NotifyingFunction:
    """Stands in for *function*, before which witnesses are told *how* the process is about to end; if it does not, to
    prepare for the change.
    """

    def __init__(self, function: Any, how: str) -> None:
        self.function = function
        self._how = how
        self.__doc__, self.__module__ = function.__doc__, function.__module__

    @property
    def __call__(self) -> Any:
        for listener in _listeners:
            if self._how:
                _notify(listener.finish, self._how)
            else:
                _notify(listener.prepare, self.function.__name__ in _REPEATED)
        return _Alone(self.function) if self.function.__name__ in _ALONE else self.function

    def __getattr__(self, name: str) -> Any:
        return getattr(self.function, name)

    def __repr__(self) -> str:
        return repr(self.function)

    def __reduce__(self) -> Any:
        return self.function.__reduce__()


class _Alone(partial):  # type: ignore[misc]
    """Calls *function* while this process has no thread of ours. The threads begin again when this object is freed,
    which is right after the call: code in Python around the call would be seen in tracebacks.
    """

    def __init__(self, function: Any) -> None:
        self._stopped: list[LifecycleListener] = []
        for listener in _listeners:
            self._stopped.append(listener)
            _notify(listener.before_fork)

    def __del__(self) -> None:
        for listener in self._stopped:
            _notify(listener.after_fork_in_parent)
            _notify(listener.resume)


# Signals ##############################################################################################################


class _Default:
    """Handles a signal whose default is to end the process. Each time the program asks for the default it gets a new
    one: a signal that came before that was for the handler of the program, which may have asked for the default so
    that a second signal ends the process.
    """

    __slots__ = ("is_settled",)

    def __init__(self, is_settled: bool = False) -> None:
        #: Whether what is in the pipe from now on came for this handler.
        self.is_settled = is_settled

    def __call__(self, number: int, frame: object) -> None:
        if number in _ending:
            return
        _ending.append(number)
        try:
            for listener in _listeners:
                _notify(listener.finish, _NAMES[number])
        finally:
            _set(number, _DEFAULT)
            _raise_signal(number)  # raises no audit event; `kill` does


def _request_flush(number: int, frame: object) -> None:
    for listener in _listeners:
        _notify(listener.request_flush)


def _set_handler(signalnum, handler, /):  # type: ignore[no-untyped-def]
    if isinstance(handler, int) and handler == _DEFAULT and signalnum in _NAMES and _stands_in[0]:
        handler = _Default()
    # This first handles what has come, as the handler until now does.
    previous = _set(signalnum, handler)
    if type(handler) is _Default and not handler.is_settled:
        _take(signalnum)
        handler.is_settled = True
    return _DEFAULT if type(previous) is _Default else previous


def _get_handler(signalnum, /):  # type: ignore[no-untyped-def]
    handler = _get(signalnum)
    return _DEFAULT if type(handler) is _Default else handler


def _interrupt_main(signum=_signal.SIGINT, /):  # type: ignore[no-untyped-def]
    # This simulates a signal, but only where the program handles it: a signal at its default has no effect.
    if isinstance(signum, int) and signum in _NAMES and type(_get(signum)) is _Default:
        return None
    return _interrupt(signum)


class SignalsBlocked:
    """A time in which no signal is handled in this thread, if this process is a program in C that embeds Python.

    Handlers in C may end the process in the midst of its end: uWSGI's do when both its master and a service manager
    send a signal to a worker. Handlers in Python only run between two instructions, and find all in order.
    """

    def __init__(self) -> None:
        self._blocked: Any = None

    def __enter__(self) -> None:
        if _mask is not None and interpreters.is_embedded():
            self._blocked = _mask(_signal.SIG_BLOCK, _valid_signals())

    def __exit__(self, *exception: object) -> None:
        if self._blocked is not None:
            _mask(_signal.SIG_SETMASK, self._blocked)  # type: ignore[misc]


_mask = getattr(_signal, "pthread_sigmask", None)


# Signals that nobody sees

#: What is read from and written to, and what identifies it; nothing without.
_pipe: list[int] = []
#: The end that is read from, as a file, and what was read from it, numbers of signals: for `checks`.
_reader: list[FileIO] = []
_read = bytearray(64)
_main: list[int] = []
_ending: list[int] = []
_due: dict[int, float] = {}  # since when
#: So many seconds the main thread has to handle a signal.
_PATIENCE = 2.0
_set_fd = getattr(_signal, "set_wakeup_fd", None)
_wake = getattr(_signal, "pthread_kill", None)
_HIGHEST = 1024


def _listen() -> None:
    """Have the interpreter write each signal to a pipe of ours, unless the program has it do so to its own."""
    if _set_fd is None or _wake is None:
        return
    if not _main:
        _main.append(get_ident())
    try:
        ends = [_high(end) for end in system.pipe()]
        for end in ends:
            system.set_blocking(end, False)
        _pipe[:] = [*ends, system.fstat(ends[0]).st_ino]
        _reader[:] = [FileIO(ends[0], closefd=False)]
        before = _set_fd(ends[1], warn_on_full_buffer=False)
        if before != -1:
            _set_fd(before)
    except (OSError, ValueError):  # no more files, or not the main thread
        pass
    _signal.set_wakeup_fd = _set_wakeup_fd


def _listen_no_more() -> None:
    if _pipe:
        reading, writing, identity = _pipe
        _pipe.clear()
        _reader.clear()
        before = _set_fd(-1)  # type: ignore[misc]
        if before not in (-1, writing):
            _set_fd(before)  # type: ignore[misc]
        for end in (reading, writing):
            if _is_ours(end, identity):
                system.close(end)
    if _set_fd is not None and _signal.set_wakeup_fd is _set_wakeup_fd:
        _signal.set_wakeup_fd = _set_fd


def _high(end: int) -> int:
    """Return *end* of a pipe under a number that is high and free, if there is one."""
    highest = min(_HIGHEST, system.sysconf("SC_OPEN_MAX")) - 1
    for number in range(highest, max(highest - 64, end), -1):
        try:
            system.fstat(number)
        except OSError:
            system.dup2(end, number, inheritable=False)
            system.close(end)
            return number
    return end


def _is_ours(end: int, identity: int) -> bool:
    try:
        return bool(system.fstat(end).st_ino == identity)
    except OSError:
        return False


def check_pending_signals() -> int | None:
    """Wake up the main thread if there is a signal that it should have handled; return one that it does not."""
    if not _pipe or not _is_ours(_pipe[0], _pipe[2]):
        return None
    now = monotonic()
    handlers = _defaults()  # before what has come is read: the program may ask for a default meanwhile
    came = bytes(_read)
    _read[:] = bytes(len(_read))
    try:
        came += system.read(_pipe[0], 4096)
    except OSError:  # there is nothing
        pass
    for number in came:
        if number in handlers:
            _due.setdefault(number, now)
    for number, since in list(_due.items()):
        if number in _ending or number not in handlers or _get(number) is not handlers[number]:
            _due.pop(number, None)
            continue
        if now - since > _PATIENCE:
            return number
        try:
            _wake(_main[0], number)  # type: ignore[misc]
        except OSError:  # it has ended
            _due.pop(number, None)
        except BaseException:  # an audit hook forbids it: nothing else wakes the main thread up
            return number
    return None


def _defaults() -> dict[int, _Default]:
    """Return our handlers by the numbers of their signals, but for those before which other signals may be due."""
    found = {}
    for number in _ENDING:
        handler = _get(number)
        if type(handler) is _Default and handler.is_settled:
            found[number] = handler
    return found


def _take(number: int) -> None:
    """Forget what has come of the signal *number*: it was handled. This is called in the main thread only."""
    if _pipe and _reader and _is_ours(_pipe[0], _pipe[2]):
        handlers = _defaults()
        for other in _reader[0].read(4096) or b"":
            if other != number and other in handlers:
                _due.setdefault(other, monotonic())
    for place in range(len(_read)):
        if _read[place] == number:
            _read[place] = 0
    _due.pop(number, None)


def checks() -> list[Callable[[], object]]:
    """Return functions in C that find out whether `check_pending_signals` has something to do, or raise OSError if it
    has to find out.

    What they have read of the pipe, `check_pending_signals` gets from `_read`.
    """
    if not _pipe or not _reader or not _is_ours(_pipe[0], _pipe[2]):
        return []
    reading, _, identity = _pipe
    is_another = map(ne, map(attrgetter("st_ino"), map(system.fstat, repeat(reading))), repeat(identity)).__next__
    return [_due.__len__, is_another, partial(_reader[0].readinto, _read)]


def name_of(number: int) -> str:
    """Return how a process ends by the signal *number*."""
    return _NAMES[number]


def end(number: int) -> None:
    """End the process as the default of the signal *number* does, from any thread; return if that cannot be done."""
    _due.pop(number, None)
    try:
        ctypes: Any = import_isolated("ctypes")
        ctypes.pythonapi.PyOS_setsig(number, None)  # `signal.signal` is for the main thread
        _kill(_getpid(), number)
    except BaseException:  # an interpreter without, or a hook: when the main thread comes back, it ends the process
        return


def _set_wakeup_fd(fd, /, *, warn_on_full_buffer=True):  # type: ignore[no-untyped-def]
    ours = _pipe[1] if _pipe else -1
    if type(fd) is int and fd == -1 and _pipe and _is_ours(ours, _pipe[2]):
        before = _set_fd(ours, warn_on_full_buffer=False)  # type: ignore[misc]
    else:
        before = _set_fd(fd, warn_on_full_buffer=warn_on_full_buffer)  # type: ignore[misc]
    return -1 if before == ours else before


def _look_like(ours: Callable[..., object], original: Any) -> None:
    ours.__doc__, ours.__name__, ours.__qualname__ = original.__doc__, original.__name__, original.__qualname__
    ours.__module__ = original.__module__


_look_like(_set_handler, _set)
_look_like(_get_handler, _get)
_look_like(_set_wakeup_fd, _set_fd)
_look_like(_interrupt_main, _interrupt)
# What these raise is the program's: a frame of ours in its traceback is not. On 3.11 the frame stays.
for _function in (_set_handler, _get_handler, _set_wakeup_fd, _interrupt_main, _defaults, _take, _is_ours):
    unseen(_function)
