"""Runs a command again and again, so that `instrument gate` knows which numbers differ from run to run.

A command comes in; folders with its data go out. Each run has another hash seed. Its output is printed only if it
fails: standard output is for the verdict.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import subprocess
import sys
from collections import deque

from instrument.data.data_files import data_files
from instrument.errors import DataError
from instrument.report.text import say

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

#: How many lines of the output of a failed run are printed.
_LAST_LINES = 20
# Seconds that a run has to end after SIGTERM.
_PATIENCE = 10.0


def run_again(command: Sequence[str], n_runs: int, scratch: str) -> Iterator[tuple[str, str]]:
    """Run *command* up to *n_runs* times; yield for each run its name in messages, and the folder of its data.

    The folders are in the folder *scratch*. Raise DataError if the command cannot be started, fails, or saves no data.
    If an exception interrupts a run, end all processes of the run first.
    """
    for number in range(1, n_runs + 1):
        name = f"stability run {number}"
        say([f"instrument: {name} of {n_runs}: {shlex.join(command)}"], sys.stderr)
        folder = os.path.join(scratch, f"run-{number}")
        log = os.path.join(scratch, "output")
        environment = {**os.environ, "INSTRUMENT_DIR": folder, "PYTHONHASHSEED": f"{number}"}
        with open(log, "wb") as output:
            status = _status_of(command, environment, output.fileno())
        if status:
            with open(log, encoding="utf-8", errors="replace") as text:
                say((line.rstrip("\n") for line in deque(text, _LAST_LINES)), sys.stderr)
            how = f"by {_name_of(-status)}" if status < 0 else f"with exit status {status}"
            raise DataError(f"{name} ended {how}: {shlex.join(command)}. Name the command that made the data of HEAD")
        if not data_files([folder])[0]:
            raise DataError(
                f"{name} saved no counts: {shlex.join(command)}. Name the command that made the data of HEAD, such as "
                "`pytest --instrument --instrument-contexts`, without an option that names a data folder"
            )
        yield name, folder


def _status_of(command: Sequence[str], environment: dict[str, str], output: int) -> int:
    """Return the exit status of *command*; its output goes to the descriptor *output*."""
    is_posix = os.name == "posix"
    try:
        process = subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            process_group=0 if is_posix else None,  # so that all processes of the run can be ended
        )
    except OSError as error:
        raise DataError(f"{command[0]!r} cannot be started: {error.strerror or error}") from error
    try:
        return process.wait()
    except BaseException:
        _end(process, signal.SIGTERM)
        try:
            process.wait(_PATIENCE)
        finally:
            _end(process, signal.SIGKILL if is_posix else signal.SIGTERM)
            process.wait()
        raise


def _end(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    """Send the signal *number* to *process* and to all processes of its group."""
    if os.name == "posix":
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, number)
    else:
        process.terminate()


def _name_of(number: int) -> str:
    """Return the name of the signal *number*, such as SIGTERM."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
