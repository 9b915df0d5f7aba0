"""Finds out whether a running process will answer a flush request, and waits for the answer.

Input: a data folder and the number of a process. Output: nothing once the process has written its data file; else a
RequestError whose message gives the likely reason.
"""

from __future__ import annotations

import os
from time import monotonic, sleep

from instrument.config.project_file import VARIABLE
from instrument.data import sqlite
from instrument.data.flush_requests import ANSWERING, FAILED, FlushRequest, request_path
from instrument.data.process_identity import KernelIdentity, ProcessInfo
from instrument.data.reader import Copy
from instrument.data.running.processes import RunningProcess
from instrument.data.scratch import Scratch
from instrument.data.writer import Writer
from instrument.errors import DataError, RequestError

#: Seconds to wait for a process that may not be measured. A measured process checks for requests once a second. It
#: writes its first data file a second after its code began to run.
_SHORT_WAIT = 3.0
#: Seconds for which a process is young: it may still turn the measurement on by itself.
_YOUNG = 3.0
#: Seconds between two looks for an answer.
_INTERVAL = 0.02


def flush_request_of(directory: str, pid: int) -> FlushRequest:
    """Return a flush request for the process *pid* of this machine, which writes to the data folder *directory*."""
    info = ProcessInfo.current()
    info.pid = pid
    return FlushRequest(request_path(Writer(directory, info).path), pid)


def seconds_to_wait(request: FlushRequest, directory: str, seconds: float) -> float:
    """Return how many of *seconds* to wait for an answer to *request*.

    That is all of them if the process has data, or was started to be measured. Raise RequestError if it is certainly
    not measured, or writes to another folder than *directory*.
    """
    if has_data(request):
        return seconds
    process = RunningProcess(request.pid)
    if process.environment is None:  # another user's process, or a system that shows no environments
        return min(seconds, _SHORT_WAIT)
    settings = process.settings
    if settings is not None and os.path.realpath(settings.directory) != os.path.realpath(directory):
        raise RequestError(
            f"process {request.pid} has no data in {directory!r}: it was started to write to "
            f"{settings.directory!r}; name that with --dir"
        )
    if process.is_on:
        return seconds if process.is_python() else min(seconds, _SHORT_WAIT)
    age = process.age()
    if age is None or (age < _YOUNG and process.is_python()):
        return min(seconds, _SHORT_WAIT)  # the process may have called `instrument.start`
    raise RequestError(
        f"process {request.pid} is not measured: it was started without {VARIABLE} in its environment, "
        f"and has no data in {directory!r}; start it with {VARIABLE}=1, or name its data folder with --dir"
    )


def has_data(request: FlushRequest) -> bool:
    """Return whether the process of *request* has data; an earlier process with the same number does not count."""
    try:
        path = request.data_file()
    except RequestError:  # the data folder does not exist
        return False
    if path is None:
        return False
    try:
        with Scratch() as folder:
            connection = sqlite.load().connect(Copy(path, folder).uri(), uri=True)
            try:
                query = "SELECT ticks FROM process WHERE pid = ?"
                ticks = {ticks for (ticks,) in connection.execute(query, (request.pid,))}
            finally:
                connection.close()
    except (DataError, sqlite.load().Error):
        return True  # the file is damaged or cannot be read; its reader will give the reason
    current_ticks = KernelIdentity(request.pid).ticks
    return not current_ticks or not ticks or bool(ticks & {0, current_ticks})


def wait_for_answers(requests: list[FlushRequest], seconds: float) -> None:
    """Wait until the processes of all *requests* have answered or ended.

    Raise RequestError if one cannot write its counts, or does not answer within *seconds*.
    """
    end = monotonic() + seconds
    for request in requests:
        while state := request.state():
            if state == FAILED:
                request.withdraw_without_trace()
                raise RequestError(f"process {request.pid} could not write its counts; its standard error says why")
            if not request.is_alive():
                request.withdraw_without_trace()
                break
            if monotonic() > end:
                request.withdraw_without_trace()
                if state == ANSWERING:
                    raise RequestError(f"process {request.pid} is still writing after {seconds:g} s; try again later")
                raise RequestError(
                    f"process {request.pid} does not answer after {seconds:g} s. If it is counted, its data folder may "
                    f"not be {os.path.dirname(request.path)!r}: name it with --dir. If it is busy, try again"
                )
            sleep(_INTERVAL)
