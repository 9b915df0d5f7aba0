"""Requests a flush of a running process, and prints the path of its data file.

Input: the number of a process. The request is a file, not a signal, so the process is not interrupted. Output: a path.
`--copy` makes a copy of the data file; `instrument diff` compares two copies from two moments.
"""

from __future__ import annotations

import os
import shutil
from time import monotonic, sleep

from instrument import config
from instrument.config.project_file import VARIABLE
from instrument.data import sqlite
from instrument.data.flush_requests import ANSWERING, FAILED, FlushRequest, request_path
from instrument.data.process_identity import KernelIdentity, ProcessInfo
from instrument.data.reader import Copy, is_ours
from instrument.data.running_processes import RunningProcess
from instrument.data.scratch import Scratch
from instrument.data.writer import Writer
from instrument.errors import DataError, RequestError
from instrument.report.text import say

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

#: Seconds to wait for a process that may not be measured. A measured process checks for requests once a second. It
#: writes its first data file a second after its code began to run.
_SHORT_WAIT = 3.0
#: Seconds for which a process is young: it may still turn the measurement on by itself.
_YOUNG = 3.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command to *parser*."""
    parser.add_argument("pid", type=int, metavar="PID", help="the number of the process")
    parser.add_argument("--copy", metavar="FILE", help="also copy the data file to FILE")
    parser.add_argument("--dir", metavar="DIR", help="the data folder (default: INSTRUMENT_DIR, or .instrument)")
    parser.add_argument(
        "--timeout", type=float, default=20.0, metavar="SECONDS", help="give up after this time (default: %(default)g)"
    )


def execute(options: argparse.Namespace) -> int:
    """Print the path of the data file once the process has written it. Raise RequestError if it does not."""
    directory = config.read_settings({"dir": options.dir}).directory
    if options.copy is not None:
        check_target(options.copy)
    process = process_of(directory, options.pid)
    if not process.is_alive():
        raise RequestError(f"there is no process {options.pid}; if it was counted, its data is in {directory!r}")
    seconds = patience(process, directory, options.timeout)
    process.send()
    wait([process], seconds)
    path = process.data_file()
    if path is None:
        raise RequestError(f"process {options.pid} has counted nothing yet")
    if options.copy is not None:
        copy(path, options.copy)
    say([path if options.copy is None else options.copy])
    return 0


def patience(process: FlushRequest, directory: str, seconds: float) -> float:
    """Return how many of *seconds* to wait for an answer of *process*.

    That is all of them if the process has data, or was started to be measured. Raise RequestError if it is certainly
    not measured, or writes to another folder than *directory*.
    """
    if has_data(process):
        return seconds
    system = RunningProcess(process.pid)
    if system.environment is None:  # another user's process, or a system that shows no environments
        return min(seconds, _SHORT_WAIT)
    settings = system.settings
    if settings is not None and os.path.realpath(settings.directory) != os.path.realpath(directory):
        raise RequestError(
            f"process {process.pid} has no data in {directory!r}: it was started to write to "
            f"{settings.directory!r}; name that with --dir"
        )
    if system.is_on:
        return seconds if system.is_python() else min(seconds, _SHORT_WAIT)
    age = system.age()
    if age is None or (age < _YOUNG and system.is_python()):
        return min(seconds, _SHORT_WAIT)  # the process may have called `instrument.start`
    raise RequestError(
        f"process {process.pid} is not measured: it was started without {VARIABLE} in its environment, "
        f"and has no data in {directory!r}; start it with {VARIABLE}=1, or name its data folder with --dir"
    )


def has_data(process: FlushRequest) -> bool:
    """Return whether there is data of *process*; data of an earlier process with the same number does not count."""
    try:
        path = process.data_file()
    except RequestError:  # the data folder does not exist
        return False
    if path is None:
        return False
    try:
        with Scratch() as folder:
            connection = sqlite.load().connect(Copy(path, folder).uri(), uri=True)
            try:
                query = "SELECT ticks FROM process WHERE pid = ?"
                ticks = {ticks for (ticks,) in connection.execute(query, (process.pid,))}
            finally:
                connection.close()
    except (DataError, sqlite.load().Error):
        return True  # the file is damaged or cannot be read; its reader will give the reason
    current_ticks = KernelIdentity(process.pid).ticks
    return not current_ticks or not ticks or bool(ticks & {0, current_ticks})


def process_of(directory: str, pid: int) -> FlushRequest:
    """Return the process *pid* of this machine as a writer to the data folder *directory*."""
    info = ProcessInfo.current()
    info.pid = pid
    return FlushRequest(request_path(Writer(directory, info).path), pid)


def wait(processes: list[FlushRequest], seconds: float) -> None:
    """Wait until all *processes* have answered or ended. Raise RequestError if one fails, or needs over *seconds*."""
    end = monotonic() + seconds
    for process in processes:
        while True:
            state = process.state()
            if state == FAILED:
                process.withdraw_without_trace()
                raise RequestError(f"process {process.pid} could not write its counts; its standard error says why")
            if not state:
                break
            if not process.is_alive():
                process.withdraw_without_trace()
                break
            if monotonic() > end:
                process.withdraw_without_trace()
                activity = "is still writing" if state == ANSWERING else "does not answer"
                raise RequestError(
                    f"process {process.pid} {activity} after {seconds:g} s: is it measured, and does it write to "
                    f"{os.path.dirname(process.path)!r}? A longer --timeout may help"
                )
            sleep(0.02)


def check_target(target: str) -> None:
    """Raise DataError if *target* exists and is neither a data file nor empty."""
    if not os.path.lexists(target):
        return
    try:
        # `mktemp` creates an empty file.
        is_empty = os.path.isfile(target) and not os.path.getsize(target)
        reason = "" if is_empty or is_ours(target) else "it is no data file of instrument"
    except OSError as error:
        reason = f"{error.strerror or error}"
    if reason:
        raise DataError(f"{target!r} exists and is left as it is: {reason}; name another file with --copy")


def copy(path: str, target: str) -> None:
    """Copy the data file at *path* to *target*, completely or not at all.

    Raise DataError if *target* exists and is no data file, because it may be a source of the user.
    """
    check_target(target)
    temporary = f"{target}.{os.urandom(8).hex()}.tmp"  # random, so that nobody can put a link there
    with Scratch() as folder:
        try:
            data_copy = Copy(path, folder)
            connection = sqlite.load().connect(data_copy.uri(), uri=True)
            try:
                connection.execute("SELECT count(*) FROM process").fetchone()  # SQLite rolls back an unfinished write
            finally:
                connection.close()
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o600)
            with open(descriptor, "wb") as target_file, open(data_copy.copy, "rb") as file:
                shutil.copyfileobj(file, target_file, 1 << 20)
            os.replace(temporary, target)
        except DataError as error:
            raise DataError(f"{path!r} cannot be copied: {error}") from error
        except OSError as error:
            if os.path.exists(temporary):
                os.unlink(temporary)
            raise DataError(f"{target!r} cannot be written: {error.strerror or error}") from error
