"""A thread of our own that does what it is asked: beside the program, and out of its way.

Orders come in from any thread, a signal handler included, and are carried out one at a time. All work is done in that
thread: handlers of signals run in the main one, so nothing of ours is ever interrupted halfway, and whoever waits for
an order holds no lock of ours. Once a second or so the thread looks for itself whether there is something to do.

It is no thread of `threading`, which would count it. If tools of the program observe all threads, the code that runs in
this one is seen: so while there is nothing to do it runs none, but blocks in one call in C, in which it looks for
itself. Should a tool have asked `threading` for the thread meanwhile, what that has made of it is removed, again in C.

Interpreters from 3.12 on warn of a fork while there are several
threads, so it ends before each fork and begins again behind it, in parent and child.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]
import os
import sys
from _operator import call, is_
from _thread import _local, allocate_lock, get_ident, get_native_id, start_new_thread
from _weakref import ref
from itertools import chain, cycle, repeat, starmap
from sys import _current_frames, is_finalizing  # held: the program may put something else in its place
from time import monotonic, sleep

from instrument.guest.own_builtins import system as _system
from instrument.guest.program_errors import belongs_to_program
from instrument.hooks import process_end

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

#: Whoever waits gives up when nothing has moved for so long: what is waited for may itself wait for the waiting thread.
_PATIENCE = 10.0
#: So long at most for one call of ours into the system: a slow disk takes minutes, one that is gone takes for ever.
_LONGEST_CALL = 300.0
_SHORT = 0.00005
_AFTER_A_FAILURE = 1.0
#: Waiting for an order is given up after so many exceptions.
_MOST_FAILURES = 1000
_package = __file__.rpartition(os.sep)[0].rpartition(os.sep)[0] + os.sep
#: Functions of ours that wait for something else: for work, or for a lock of the program, that of standard error.
_MAY_BE_HELD_UP = ("_idle", "say")
_block, _valid_signals = getattr(_signal, "pthread_sigmask", None), _signal.valid_signals


class Order:
    """Something to do: *action* returns whether it is done; if not, it is to be done again later. If it raises, it is
    over, and not done.
    """

    __slots__ = ("action", "is_done", "is_over", "lock")

    def __init__(self, action: Callable[[], bool]) -> None:
        self.action = action
        self.is_done = self.is_over = False
        self.lock = allocate_lock()
        self.lock.acquire()


class Background:
    """The thread. *look* says after how many seconds it is to be called again, if there is something to do by then:
    that is told by what *checks* returns, functions in C that return something true if so. *failed* is called with what
    one of these, or an action, raised.
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
        #: Whether there may be a thread at all. Without one, orders are carried out by whoever waits for them.
        self._may_begin = may_begin
        #: Whether the thread was ended in the midst of its work: what that had begun can be finished by nobody.
        self.is_broken_off = False
        #: Moves on as work does.
        self.beat = 0
        #: Whether work should be left as it is as soon as possible, and go on later: a fork waits.
        self.is_hurried = False
        self._is_wanted = False
        self._is_over = False
        self._reset()

    def _reset(self) -> None:
        self._orders: list[Order] = []
        self._wake = allocate_lock()
        self._starting = allocate_lock()
        self._working = allocate_lock()
        self._thread = 0  # the one in the background
        self._worker = 0  # the thread that carries out orders now
        self._is_alive = False
        self._is_busy = False
        self._native = 0
        if not self._is_alive:
            self._thread = 0
        self._n_forks = 0
        self._forker = 0
        self.is_hurried = False

    # Orders

    def start(self) -> None:
        """Let the thread begin, unless it has."""
        self._is_wanted = True
        if not self._is_alive:
            self._ensure()

    def ask(self, action: Callable[[], bool]) -> Order:
        """Let *action* be done soon, and do not wait for it."""
        order = Order(action)
        self._orders.append(order)
        if self._ensure():
            self._call()
        return order

    def run(self, action: Callable[[], bool]) -> bool:
        """Let *action* be done, wait for it, and return whether it was.

        What handlers of signals raise meanwhile is raised afterwards.
        """
        if self._worker == get_ident() or self.is_broken_off:  # from within: a finalizer of the program, say
            return False
        order = self.ask(action)
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
                        self._call()
                if order.lock.acquire(True, 0.1):
                    break
                if beat != self.beat:
                    beat, since = self.beat, monotonic()
                elif monotonic() - since > _PATIENCE and (
                    monotonic() - since > _LONGEST_CALL or not self._is_in_a_call()
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

    def _is_in_a_call(self) -> bool:
        """Return whether the worker is in a function of ours, or in what that calls in C: a slow disk keeps it there.

        If code of the program runs in the worker, a finalizer or an audit hook, it may need what the waiting thread
        holds.
        """
        try:
            code = _current_frames()[self._worker or self._thread].f_code
        except Exception:  # it has just finished, or an audit hook forbids to look
            return False
        return code.co_filename.startswith(_package) and code.co_name not in _MAY_BE_HELD_UP

    def stop(self, for_good: bool = False) -> None:
        """End the thread, when it has done what it does now; if *for_good*, it never begins again."""
        self._is_wanted = False
        self._may_begin = self._may_begin and not for_good
        if self._is_alive and self._worker != get_ident():
            self._end()

    # The thread

    def _ensure(self) -> bool:
        """Return whether the thread is there; let it begin if it can."""
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
                    last: list[Iterator[object]] = []
                    start_new_thread(any, (chain(map(call, (self._loop,), (last,)), chain.from_iterable(last)),))
                except BaseException as error:  # the interpreter ends, there are no more threads, or a hook forbids it
                    self._is_alive = False
                    if belongs_to_program(error):
                        raise
        finally:
            self._starting.release()
        return self._is_alive

    def _call(self) -> None:
        try:
            self._wake.release()
        except RuntimeError:  # it was called already
            pass

    def is_worker(self) -> bool:
        """Return whether the calling thread is the one in the background."""
        return self._thread == get_ident()

    def _loop(self, last: list[Iterator[object]]) -> None:
        """Work until the thread is to end; what is then to be done in C is added to *last*."""
        self._thread, self._native = get_ident(), get_native_id()
        _of_thread.last = _Last(self)
        if _block is not None:  # signals are for the main thread, which they wake up
            _block(_signal.SIG_BLOCK, _valid_signals())
        seconds = 0.0
        try:
            while not self._is_over:
                self._work()
                self._idle(process_end.SOON if process_end.is_missing() else seconds)
                if not process_end.restore():
                    continue
                if not self._is_over:
                    self._is_busy = True
                    try:
                        seconds = self._look()
                    except BaseException as error:
                        self._failed(error)
                        seconds = _AFTER_A_FAILURE
                    self._is_busy = False
        finally:
            _of_thread.last = None  # its finalizer may raise events, so it runs before what forgets the thread
            last.append(_forgetting())
            self._is_alive = False
            if self._is_wanted and not self._is_over:  # a fork, for which it was to end, did not wait for it
                self._ensure()

    def _idle(self, seconds: float) -> None:
        """Return when there is something to do, or may be; look for that every so many *seconds*."""
        wait = starmap(self._wake.acquire, repeat((True, seconds))).__next__
        try:
            any(chain(_forgetting(), map(call, cycle([wait, process_end.is_missing, *self._checks()]))))
        except BaseException:  # the program has closed a file of ours, or a hook forbids to look
            if not self._is_over:
                self._wake.acquire(True, seconds)

    def was_left(self) -> None:
        """Note that the thread runs no more, because the interpreter is being finalized."""
        self.is_broken_off = self._is_busy
        self._reset()  # the thread may hold a lock of these
        self._may_begin = False
        process_end.call_remaining()

    def _work(self) -> None:
        """Carry out the orders that there are."""
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
                        raise  # `run` does the rest, and raises it afterwards
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
        since, beat = monotonic(), self.beat
        while self._is_alive:
            self._is_over = True  # each time: a handler of a signal may have begun another thread meanwhile
            self.is_hurried = True
            self._call()
            sleep(_SHORT)
            if beat != self.beat:
                beat, since = self.beat, monotonic()
            elif monotonic() - since > _PATIENCE:
                break
        if not self._is_alive:  # a slow disk may keep it for longer
            self._wait_until_gone()
        self.is_hurried = False

    def _wait_until_gone(self) -> None:
        """Wait until the system has forgotten the thread, which takes a moment longer than Python."""
        since = monotonic()
        while self._native and monotonic() - since < 1:
            if not self._is_alive:
                try:
                    _system.stat(f"/proc/self/task/{self._native}")
                except OSError:
                    break
            sleep(_SHORT)
        self._native = 0

    # Forks

    def before_fork(self) -> None:
        """End the thread."""
        self._n_forks += 1
        self._forker = get_ident()
        if self._is_alive and self._worker != get_ident():
            self._end()

    def after_fork_in_parent(self) -> None:
        """Note that one fork less goes on."""
        self._n_forks -= 1
        if self._n_forks == 0:
            self._forker = 0

    def resume(self) -> None:
        """Let the thread begin again after a fork."""
        if self._is_wanted or self._orders:
            self._is_over = False  # if the thread is in a long call, it stays
            self._ensure()
            self._call()

    def after_fork_in_child(self) -> None:
        """Forget what other threads have asked for."""
        self._reset()


#: What only our thread holds. The interpreter frees it when the thread ends. If the interpreter is finalized before,
#: the main thread frees it (Python/pystate.c: PyThreadState_Clear), before any module is cleared.
_of_thread = _local()


class _Last:
    """What the thread of *background* holds."""

    def __init__(self, background: Background) -> None:
        self._background = background

    def __del__(self) -> None:
        if is_finalizing():
            self._background.was_left()


class _Nothing:
    """What is not finalized."""


_NOT_THERE = object()
_REFERENCE = "_track_dummy_thread_ref"


def _forgetting() -> Iterator[object]:
    """Return an iterator over nothing true that removes what `threading` knows of the calling thread.

    If code of the program asks it for the current thread it makes a dummy, which it shows from then on. In 3.13 and
    later that is finalized in Python as the thread ends. The iterator runs no Python, which could make another one.
    """
    try:
        names = sys.modules["threading"].__dict__
        active, dangling = names["_active"], names["_dangling"].data
        if type(active) is not dict or type(dangling) is not set:
            return iter(())
        reference: Any = names.get("_thread_local_info")
        local = reference.__dict__ if type(reference).__module__ == "_thread" else {}
    except Exception:  # nobody can have asked, or this `threading` is another one
        return iter(())
    dummies: list[object] = []
    references = filter(None, map(local.pop, (_REFERENCE,), (None,)))
    return chain(
        map(dummies.append, map(active.pop, (get_ident(),), (None,))),
        map(setattr, references, repeat("__class__"), repeat(_Nothing)),
        map(dangling.discard, map(ref, filter(None, dummies))),
        map(is_, map(call, (dummies.clear,)), (_NOT_THERE,)),
    )
