"""Runs the work of the recorder in one background thread, beside the program.

Orders come in from any thread, also from handlers of signals, and are carried out one at a time. About once a second
the thread looks by itself whether there is work.

Problem: handlers of signals run in the main thread, between any two instructions. Work in that thread would be
interrupted halfway, and would hold locks that a handler needs.
Solution: do all work in one thread. A thread that waits for an order holds no lock of this package.
Alternatives: blocking all signals during the work. Then the program is interrupted late, and other threads still are.

The thread is none of `threading`, which would count it. If tools of the program observe all threads, they see the code
that this thread runs. So while there is no work it runs no Python code, but blocks in one call in C, which also makes
the checks. If a tool asks `threading` for the current thread in between, `threading` makes an object for it, which is
removed in C (`_forgetting`).

Interpreters from 3.12 on warn of a fork while there are several threads. So the thread ends before each fork, and
begins again after it in parent and child.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]
import os
import sys
from _operator import call, is_
from _thread import _local, allocate_lock, get_ident, get_native_id, start_new_thread
from _weakref import ref
from itertools import chain, cycle, repeat, starmap
from sys import _current_frames, is_finalizing  # held: the program may replace them
from time import monotonic, sleep

from instrument.guest.own_builtins import system as _system
from instrument.guest.program_errors import belongs_to_program
from instrument.hooks import process_end

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType
    from typing import Any

#: Seconds without progress after which a waiting thread gives up: the worker may itself wait for that thread.
_PATIENCE = 10.0
#: Seconds for one system call of the worker, at most: a slow disk takes minutes, one that is gone takes for ever.
_LONGEST_CALL = 300.0
#: Seconds between two looks while a thread waits for the end of the background thread.
_POLL_EVERY = 0.00005
#: Seconds to the first look: it loads modules that a process which ends sooner may not need.
_FIRST_LOOK = 0.1
#: Seconds to the next look after one that has failed.
_AFTER_A_FAILURE = 1.0
#: After how many exceptions a thread that waits for an order gives up.
_MOST_FAILURES = 1000
_PACKAGE = __file__.rpartition(os.sep)[0].rpartition(os.sep)[0] + os.sep
#: Names of functions of this package that wait for work, or for a lock that the program may hold (standard error).
_WAITING_FUNCTIONS = ("_idle", "say")
_true = repeat(True).__next__
_pthread_sigmask, _valid_signals = getattr(_signal, "pthread_sigmask", None), _signal.valid_signals


class Order:
    """One piece of work. *action* returns True if it is done, and False if it must be called again later.

    If *action* raises an exception, the order is over and not done.
    """

    __slots__ = ("action", "is_done", "is_over", "lock")

    def __init__(self, action: Callable[[], bool]) -> None:
        self.action = action
        self.is_done = self.is_over = False
        self.lock = allocate_lock()
        self.lock.acquire()


class Background:
    """The background thread, and its orders.

    *look* does the work that is due, and returns after how many seconds to look again. *checks* returns functions in C
    that return true if there is work before that. *failed* is called with each exception of an action or of *look*.
    Without *may_begin* there is no thread: each order is carried out by the thread that waits for it.
    """

    def __init__(
        self,
        look: Callable[[], float],
        checks: Callable[[], list[Callable[[], object]]],
        failed: Callable[[BaseException], None],
        may_begin: bool = True,
    ) -> None:
        self._look = look
        self._checks = checks
        self._failed = failed
        self._may_begin = may_begin
        #: Whether the interpreter has ended the thread in the midst of its work, which nobody can finish.
        self.is_broken_off = False
        #: Changes as the work makes progress.
        self.beat = 0
        #: Whether the work must stop as soon as possible, to be continued later: a fork waits.
        self.is_hurried = False
        self._is_wanted = False
        self._is_over = False
        self._reset()

    def _reset(self) -> None:
        self._orders: list[Order] = []
        self._wake = allocate_lock()
        self._starting = allocate_lock()
        self._working = allocate_lock()
        self._thread = 0  # number of the background thread; 0 if it has not begun
        self._worker = 0  # number of the thread that carries out orders now; 0 if none does
        self._is_alive = False
        self._is_busy = False
        self._native_id = 0
        self._n_forks = 0
        self._forker = 0  # number of the thread that has begun the last fork; 0 if no fork goes on
        self.is_hurried = False

    # Orders

    def start(self) -> None:
        """Begin the thread, unless it runs."""
        self._is_wanted = True
        if not self._is_alive:
            self._ensure()

    def order(self, action: Callable[[], bool]) -> Order:
        """Have *action* called soon, and return its order without waiting."""
        order = Order(action)
        self._orders.append(order)
        if self._ensure():
            self._wake_up()
        return order

    def run(self, action: Callable[[], bool]) -> bool:
        """Have *action* called, wait for it, and return whether it was done.

        Errors that handlers of signals raise meanwhile are raised afterwards.
        """
        # The worker itself calls this if a finalizer of the program runs in it, for example.
        if self._worker == get_ident() or self.is_broken_off:
            return False
        order = self.order(action)
        raised: BaseException | None = None
        n_failures = 0
        beat, since = -1, 0.0
        while not order.is_over:
            try:
                if not self._is_alive:
                    # `_end` hurried a thread that is gone, and a signal handler has interrupted `_end`. An order that
                    # is carried out in a hurry is never complete: the process would hang.
                    self.is_hurried = False
                    if self._forker == get_ident() or not self._ensure():
                        self._wait_until_gone()
                        self._work()
                    else:
                        self._wake_up()
                if order.lock.acquire(True, 0.1):
                    break
                if beat != self.beat:
                    beat, since = self.beat, monotonic()
                elif monotonic() - since > _PATIENCE and (
                    monotonic() - since > _LONGEST_CALL or not self._is_in_own_call()
                ):
                    break
            except BaseException as error:
                if belongs_to_program(error):
                    raised = error
                n_failures += 1
                if n_failures > _MOST_FAILURES:
                    break
        if raised is not None:
            raise raised
        return order.is_done

    def _is_in_own_call(self) -> bool:
        """Return whether the worker runs code of this package, or a call in C from there, such as one to a slow disk.

        Otherwise code of the program runs in the worker, such as a finalizer or an audit hook. It may need a lock that
        the waiting thread holds.
        """
        try:
            code = _current_frames()[self._worker or self._thread].f_code
        except Exception:  # the worker has just finished, or an audit hook forbids to look
            return False
        return code.co_filename.startswith(_PACKAGE) and code.co_name not in _WAITING_FUNCTIONS

    def idle_frame(self) -> FrameType | None:
        """Return the frame in which the thread waits for work, in one call in C; None if it does anything else.

        While the same frame is returned, the thread has executed no code. Call this without other interpreters.
        """
        frame = _current_frames().get(self._thread)
        return frame if frame is not None and frame.f_code.co_name == "_idle" else None

    def stop(self, for_good: bool = False) -> None:
        """End the thread after its present work. If *for_good*, it never begins again."""
        self._is_wanted = False
        self._may_begin = self._may_begin and not for_good
        if self._is_alive and self._worker != get_ident():
            self._end()

    # The thread

    def _ensure(self) -> bool:
        """Begin the thread if it is possible and necessary; return whether it runs."""
        if self._is_alive:
            return True
        if not self._may_begin:
            return False
        if self._n_forks or not self._starting.acquire(False):
            return not self._n_forks
        try:
            if not self._is_alive:
                self._is_over = self.is_hurried = False
                self._is_alive = True
                try:
                    last_steps: list[Iterator[object]] = []
                    start_new_thread(
                        any, (chain(map(call, (self._loop,), (last_steps,)), chain.from_iterable(last_steps)),)
                    )
                except BaseException as error:  # the interpreter ends, the system refuses, or an audit hook forbids
                    self._is_alive = False
                    if belongs_to_program(error):
                        raise
        finally:
            self._starting.release()
        return self._is_alive

    def _wake_up(self) -> None:
        """End the wait of the thread in `_idle`."""
        try:
            self._wake.release()
        except RuntimeError:  # the lock is released already
            pass

    def is_alive(self) -> bool:
        """Return whether the background thread runs."""
        return self._is_alive

    def is_worker(self) -> bool:
        """Return whether the calling thread is the background thread."""
        return self._thread == get_ident()

    def _loop(self, last_steps: list[Iterator[object]]) -> None:
        """Work until the thread must end. Then append to *last_steps* an iterator of steps that remain, in C."""
        self._thread, self._native_id = get_ident(), get_native_id()
        _of_thread.at_end = _AtThreadEnd(self)
        if _pthread_sigmask is not None:  # signals are for the main thread, and end its system calls
            _pthread_sigmask(_signal.SIG_BLOCK, _valid_signals())
        seconds = _FIRST_LOOK
        next_look = monotonic() + seconds
        has_looked = False
        try:
            while not self._is_over:
                self._work()
                self._idle(process_end.SOON if process_end.is_missing() else seconds, once=not has_looked)
                if not process_end.restore():
                    continue
                if (monotonic() >= next_look or self._finds_work()) and not self._is_over:
                    self._is_busy = has_looked = True
                    try:
                        seconds = self._look()
                    except BaseException as error:
                        self._failed(error)
                        seconds = _AFTER_A_FAILURE
                    self._is_busy = False
                    next_look = monotonic() + seconds
        finally:
            _of_thread.at_end = None  # its finalizer may raise events, so it runs before `_forgetting`
            last_steps.append(_forgetting())
            self._is_alive = False
            if self._is_wanted and not self._is_over:  # a fork gave up waiting for the end
                self._ensure()

    def _idle(self, seconds: float, *, once: bool) -> None:
        """Return when there may be work. Make the checks, in C, every so many *seconds*.

        With *once*, return after the first checks in any case.
        """
        wait = starmap(self._wake.acquire, repeat((True, seconds))).__next__
        try:
            checks = [wait, process_end.is_missing, *self._checks(), *([_true] if once else ())]
            any(chain(_forgetting(), map(call, cycle(checks))))
        except BaseException:  # the program has closed the pipe of signals, or an audit hook forbids to look
            if not self._is_over:
                self._wake.acquire(True, seconds)

    def _finds_work(self) -> bool:
        """Return whether a check finds work for a look. Orders need no look: `_work` carries them out."""
        try:
            return any(map(call, self._checks()))
        except BaseException:  # as in `_idle`
            return True

    def note_ended_by_interpreter(self) -> None:
        """Note that the interpreter has ended the thread, because it is being finalized."""
        self.is_broken_off = self._is_busy
        self._reset()  # the thread may hold a lock of these
        self._may_begin = False
        process_end.call_remaining()

    def _work(self) -> None:
        """Carry out the orders that there are now."""
        if self._worker == get_ident() or not self._working.acquire(True, _PATIENCE):
            return
        self._worker = get_ident()
        try:
            for _ in range(len(self._orders)):
                order = self._orders[0]
                self._is_busy = self.is_worker()
                try:
                    if not order.action():
                        break
                    order.is_done = True
                except BaseException as error:
                    if not self.is_worker() and belongs_to_program(error):
                        raise  # `run` carries out the rest, and raises the error afterwards
                    self._failed(error)
                finally:
                    self._is_busy = False
                order.is_over = True
                self._orders.pop(0)
                order.lock.release()
        finally:
            self._worker = 0
            self._working.release()

    def _end(self) -> None:
        """Have the thread end, and wait for that as long as its work makes progress."""
        since, beat = monotonic(), self.beat
        while self._is_alive:
            self._is_over = True  # each time: a handler of a signal may have begun another thread meanwhile
            self.is_hurried = True
            self._wake_up()
            sleep(_POLL_EVERY)
            if beat != self.beat:
                beat, since = self.beat, monotonic()
            elif monotonic() - since > _PATIENCE:
                break
        if not self._is_alive:  # else a slow disk keeps it for longer
            self._wait_until_gone()
        self.is_hurried = False

    def _wait_until_gone(self) -> None:
        """Wait until the system has forgotten the thread, which takes a moment longer than for Python."""
        since = monotonic()
        while self._native_id and monotonic() - since < 1:
            if not self._is_alive:
                try:
                    _system.stat(f"/proc/self/task/{self._native_id}")
                except OSError:
                    break
            sleep(_POLL_EVERY)
        self._native_id = 0

    # Forks

    def before_fork(self) -> None:
        """End the thread."""
        self._n_forks += 1
        self._forker = get_ident()
        if self._is_alive and self._worker != get_ident():
            self._end()

    def after_fork_in_parent(self) -> None:
        """Note that one fork is over."""
        self._n_forks -= 1
        if self._n_forks == 0:
            self._forker = 0

    def resume(self) -> None:
        """Begin the thread again after a fork, if it is wanted or has orders."""
        if self._is_wanted or self._orders:
            self._is_over = False  # a thread that did not end, in a long call, goes on
            self._ensure()
            self._wake_up()

    def after_fork_in_child(self) -> None:
        """Forget the orders of other threads: they are not in the child."""
        self._reset()


#: Variables of the background thread. The interpreter frees them when the thread ends. If the interpreter is finalized
#: before that, the main thread frees them (Python/pystate.c: PyThreadState_Clear), before any module is cleared.
_of_thread = _local()


class _AtThreadEnd:
    """Is held by the thread of *background* only: its finalizer runs if the interpreter ends the thread."""

    def __init__(self, background: Background) -> None:
        self._background = background

    def __del__(self) -> None:
        if is_finalizing():
            self._background.note_ended_by_interpreter()


class _WithoutFinalizer:
    """A class to give to an object whose finalizer must not run."""


#: Equal to nothing that a call returns: `is_` with it is False.
_NO_RESULT = object()
_REFERENCE = "_track_dummy_thread_ref"


def _forgetting() -> Iterator[object]:
    """Return an iterator, without true items, that removes the object that `threading` has for the calling thread.

    If code of the program asks `threading` for the current thread, it makes a dummy object, and lists it from then on.
    From 3.13 on, that object is finalized by Python code as the thread ends. The iterator runs no Python code, which
    could make `threading` create another dummy.
    """
    try:
        names = sys.modules["threading"].__dict__
        active, dangling = names["_active"], names["_dangling"].data
        if type(active) is not dict or type(dangling) is not set:
            return iter(())
        reference: Any = names.get("_thread_local_info")
        local = reference.__dict__ if type(reference).__module__ == "_thread" else {}
    except Exception:  # `threading` is not imported, or is another module
        return iter(())
    dummies: list[object] = []
    references = filter(None, map(local.pop, (_REFERENCE,), (None,)))
    return chain(
        map(dummies.append, map(active.pop, (get_ident(),), (None,))),
        map(setattr, references, repeat("__class__"), repeat(_WithoutFinalizer)),
        map(dangling.discard, map(ref, filter(None, dummies))),
        map(is_, map(call, (dummies.clear,)), (_NO_RESULT,)),
    )
