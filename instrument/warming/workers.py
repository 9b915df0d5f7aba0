"""Prepares many files, in several processes.

Input: paths, a placement, and the number of processes. Output: one `Outcome` for each file, as soon as it is known.
After an interrupt each process finishes its file, so that no half-written file is left. A second interrupt ends them.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import warnings
from multiprocessing import active_children, get_context, parent_process

from instrument.guest import isolation
from instrument.session.session import session
from instrument.warming.outcomes import Outcome, Result
from instrument.warming.preparation import prepare_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from concurrent.futures import Executor
    from multiprocessing.process import BaseProcess


def prepare_files(paths: list[str], placement: str, n_processes: int) -> Iterator[Outcome]:
    """Store the code of the files at *paths* for this *placement*; yield each outcome. One process uses no other."""
    if n_processes < 2:
        with warnings.catch_warnings():
            _load_session(placement)
            for path in paths:
                yield prepare_file(path, placement)
        return
    from concurrent.futures import ProcessPoolExecutor, as_completed
    from concurrent.futures.process import BrokenProcessPool

    # Not "fork", because the caller may have threads; not "forkserver", because the server would outlive the command.
    executor = ProcessPoolExecutor(n_processes, get_context("spawn"), _initialize_worker, (placement,))
    with _finishing(executor):
        with _interrupts_blocked():  # the workers inherit the mask: Ctrl-C reaches this process alone
            futures = {executor.submit(prepare_file, path, placement): path for path in paths}
        for future in as_completed(futures):
            try:
                yield future.result()
            except BrokenProcessPool:
                reason = "its process died; is there too little memory for so many --jobs?"
                yield Outcome(futures[future], Result.FAILED, reason)


@contextlib.contextmanager
def _finishing(executor: Executor) -> Iterator[None]:
    """At the end, wait for the files in progress and cancel the others. SIGTERM acts like Ctrl-C meanwhile."""
    handler = None
    if threading.current_thread() is threading.main_thread():
        handler = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        try:
            executor.shutdown(wait=True, cancel_futures=True)
        except KeyboardInterrupt:
            for process in active_children():
                process.kill()
            raise
        finally:
            if handler is not None:
                signal.signal(signal.SIGTERM, handler)


@contextlib.contextmanager
def _interrupts_blocked() -> Iterator[None]:
    """Block SIGINT in this thread and in processes that it starts; raise an interrupt at the end."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def _initialize_worker(placement: str) -> None:
    """Prepare this worker process: it ignores Ctrl-C, and ends when its parent ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if (parent := parent_process()) is not None:
        threading.Thread(target=_exit_after, args=(parent,), daemon=True).start()
    _load_session(placement)


def _exit_after(parent: BaseProcess) -> None:
    parent.join()
    os._exit(1)


def _load_session(placement: str) -> None:
    warnings.simplefilter("ignore")  # the program itself will show the warnings of the compiler
    isolation.load()
    session(placement).unlinked_code.cache()
