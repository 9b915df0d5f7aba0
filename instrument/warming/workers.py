"""Prepares many files, in several processes.

Input: paths, a placement, and the number of processes. Output: one `Outcome` for each file, as soon as it is known.
After an interrupt each process finishes its file, so that no half-written file is left. A second interrupt ends them.
At the end no process is left, so the caller may become another program. The workers are never measured.
"""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import sys
import threading
import warnings
from multiprocessing import active_children, get_context, parent_process

from instrument.config.project_file import VARIABLE
from instrument.guest import isolation
from instrument.hooks.imports import n_instrumenters
from instrument.session.session import session
from instrument.warming.outcomes import Outcome, Result
from instrument.warming.preparation import prepare_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from concurrent.futures import Executor
    from multiprocessing.process import BaseProcess
    from typing import Any


class Terminated(KeyboardInterrupt):
    """SIGTERM has interrupted the preparation."""


def n_cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def prepare_files(
    paths: list[str], placement: str, n_processes: int, writes_bytecode: bool = True
) -> Generator[Outcome]:
    """Store the code of the files at *paths* for this *placement*; yield each outcome.

    One process uses no other, unless it is measured: then its instrumenters would take the code for the program's.
    Unless *writes_bytecode*, no bytecode files are written. Raise KeyboardInterrupt at SIGINT. If there are other
    processes, raise Terminated at SIGTERM.
    """
    if n_processes < 2 and not n_instrumenters():
        writes_none = sys.dont_write_bytecode
        with warnings.catch_warnings():
            _load_session(placement)
            sys.dont_write_bytecode = writes_none or not writes_bytecode
            try:
                for path in paths:
                    yield prepare_file(path, placement)
            finally:
                sys.dont_write_bytecode = writes_none
        return
    with _tracker_ended():
        yield from _prepare_in_workers(paths, placement, max(n_processes, 1), writes_bytecode)


def _prepare_in_workers(
    paths: list[str], placement: str, n_processes: int, writes_bytecode: bool
) -> Generator[Outcome]:
    """Do the work of `prepare_files` in so many other processes."""
    from concurrent.futures import ProcessPoolExecutor, as_completed
    from concurrent.futures.process import BrokenProcessPool

    # Not "fork", because the caller may have threads; not "forkserver", because the server would outlive the command.
    settings = placement, writes_bytecode
    executor = ProcessPoolExecutor(n_processes, get_context("spawn"), _initialize_worker, settings)
    with _finishing(executor):
        # The workers inherit the mask: Ctrl-C reaches this process alone.
        with _interrupts_blocked(), _measurement_off():
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
        handler = signal.signal(signal.SIGTERM, _raise_terminated)
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


def _raise_terminated(*_: object) -> None:
    raise Terminated


@contextlib.contextmanager
def _tracker_ended() -> Iterator[None]:
    """At the end, end the process of `multiprocessing` that tracks resources, unless it was there before.

    Otherwise it is a child of the program that this process becomes, and `os.wait` there returns it.
    """
    from multiprocessing import resource_tracker

    tracker: Any = getattr(resource_tracker, "_resource_tracker", None)
    was_running = getattr(tracker, "_pid", None) is not None
    try:
        yield
    finally:
        if not was_running and hasattr(tracker, "_stop"):
            gc.collect()  # the executor is garbage with cycles; its semaphores would start the process again
            tracker._stop()


@contextlib.contextmanager
def _measurement_off() -> Iterator[None]:
    """Take INSTRUMENT out of the environment meanwhile: processes that start would measure themselves."""
    setting = os.environ.pop(VARIABLE, None)
    try:
        yield
    finally:
        if setting is not None:
            os.environ[VARIABLE] = setting


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


def _initialize_worker(placement: str, writes_bytecode: bool) -> None:
    """Prepare this worker process: it ignores Ctrl-C, and ends when its parent ends."""
    sys.dont_write_bytecode = sys.dont_write_bytecode or not writes_bytecode
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
