"""A thread of our own that does what it is asked: beside the program, and out of its way.

Orders come in from any thread, a signal handler included, and are carried out one at a time. All work is done in that
thread: handlers of signals run in the main one, so nothing of ours is ever interrupted halfway, and whoever waits for
an order holds no lock of ours. Once a second or so the thread looks for itself whether there is something to do.

It is no thread of `threading`, which would count it. Interpreters from 3.12 on warn of a fork while there are several
threads, so it ends before each fork and begins again behind it, in parent and child.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]
import os
import sys
from _thread import allocate_lock, get_ident, get_native_id, start_new_thread
from time import monotonic, sleep

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_system: Any = sys.modules[os.name if os.name == "nt" else "posix"]
#: Whoever waits gives up when nothing has moved for so long: what is waited for may itself wait for the waiting thread.
_PATIENCE = 10.0
_SHORT = 0.00005
_block = getattr(_signal, "pthread_sigmask", None)


class Order:
    """Something to do: *action* returns whether it is done; if not, it is to be done again later."""

    __slots__ = ("action", "is_done", "lock")

    def __init__(self, action: Callable[[], bool]) -> None:
        self.action = action
        self.is_done = False
        self.lock = allocate_lock()
        self.lock.acquire()


class Background:
    """The thread. *look* says after how many seconds it is to be called again."""

    def __init__(self, look: Callable[[], float], may_begin: bool = True) -> None:
        self._look = look
        #: Whether there may be a thread at all. Without one, orders are carried out by whoever waits for them.
        self._may_begin = may_begin
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
        self._worker = 0  # the thread that carries out orders now
        self._is_alive = False
        self._native = 0
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
        if self._worker == get_ident():  # from within: a finalizer of the program, say
            return False
        order = self.ask(action)
        raised: BaseException | None = None
        beat, since = -1, 0.0
        while not order.is_done:
            try:
                if not self._is_alive:
                    if self._forker == get_ident() or not self._ensure():
                        self._wait_until_gone()
                        self._work()
                    else:
                        self._call()
                if order.lock.acquire(True, 0.1):
                    break
                if beat != self.beat:
                    beat, since = self.beat, monotonic()
                elif monotonic() - since > _PATIENCE:
                    break
            except BaseException as error:
                raised = error
        if raised is not None:
            raise raised
        return order.is_done

    def stop(self) -> None:
        """End the thread, when it has done what it does now."""
        self._is_wanted = False
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
                self._is_over = False
                self._is_alive = True
                try:
                    start_new_thread(self._loop, ())
                except RuntimeError:  # the interpreter ends, or the system has no more threads
                    self._is_alive = False
        finally:
            self._starting.release()
        return self._is_alive

    def _call(self) -> None:
        try:
            self._wake.release()
        except RuntimeError:  # it was called already
            pass

    def _loop(self) -> None:
        self._native = get_native_id()
        if _block is not None:  # signals are for the main thread, which they wake up
            _block(_signal.SIG_BLOCK, _signal.valid_signals())
        seconds = 0.0
        try:
            while not self._is_over:
                self._work()
                self._wake.acquire(True, seconds)
                if not self._is_over:
                    seconds = self._look()
        finally:
            self._is_alive = False

    def _work(self) -> None:
        """Carry out the orders that there are."""
        if self._worker == get_ident() or not self._working.acquire(True, _PATIENCE):
            return
        self._worker = get_ident()
        try:
            for _ in range(len(self._orders)):
                order = self._orders[0]
                if not order.action():
                    break
                order.is_done = True
                self._orders.pop(0)
                order.lock.release()
        finally:
            self._worker = 0
            self._working.release()

    def _end(self) -> None:
        self._is_over = True
        self.is_hurried = True
        since, beat = monotonic(), self.beat
        while self._is_alive:
            self._call()
            sleep(_SHORT)
            if beat != self.beat:
                beat, since = self.beat, monotonic()
            elif monotonic() - since > _PATIENCE:
                break
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
            self._ensure()
            self._call()

    def after_fork_in_child(self) -> None:
        """Forget what other threads have asked for."""
        self._reset()
