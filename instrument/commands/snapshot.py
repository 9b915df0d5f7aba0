"""Ask a running process to write what it has counted so far, and print the path of its data.

The number of a process comes in; it is asked without a signal and goes on undisturbed. With `--copy` a copy of the data
is kept: two of them, from two moments, are what `instrument diff` compares.
"""

from __future__ import annotations

import os
import shutil
from time import monotonic, sleep

from instrument import config
from instrument.data import requests, sqlite
from instrument.data.reading import Copy, Scratch, is_ours
from instrument.data.requests import ANSWERING, FAILED, RequestError, Running
from instrument.data.running import Process as ProcessOfSystem
from instrument.data.store import ProcessInfo, Writer, place_of
from instrument.errors import DataError
from instrument.report.tables import say

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse


# A process looks once a second whether it was asked. It has a data file a second after its code began to run.
_SHORT = 3.0
_YOUNG = 3.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("pid", type=int, metavar="PID", help="the process to ask")
    parser.add_argument("--copy", metavar="FILE", help="keep a copy of the data in FILE")
    parser.add_argument("--dir", metavar="DIR", help="directory of the data (default: INSTRUMENT_DIR, or .instrument)")
    parser.add_argument(
        "--timeout", type=float, default=20.0, metavar="SECONDS", help="give up after so long (default: %(default)g)"
    )


def execute(options: argparse.Namespace) -> int:
    """Print the path of the data when it is there."""
    directory = config.read_settings({"dir": options.dir}).directory
    if options.copy is not None:
        check_target(options.copy)
    process = process_of(directory, options.pid)
    if not process.is_alive():
        raise RequestError(f"there is no process {options.pid}; what it counted is in {directory!r} if it was recorded")
    seconds = patience(process, directory, options.timeout)
    process.ask()
    wait([process], seconds)
    path = process.data_file()
    if path is None:
        raise RequestError(f"process {options.pid} has counted nothing yet")
    if options.copy is not None:
        copy(path, options.copy)
    say([path if options.copy is None else options.copy])
    return 0


def patience(process: Running, directory: str, seconds: float) -> float:
    """Return for how many of *seconds* an answer of *process* is worth waiting for.

    Raise RequestError if it will not answer: it is not measured, or writes to another folder than *directory*. A
    process that has data answers, and so does one that was started to be measured, as soon as its code runs.
    """
    if has_data(process):
        return seconds
    system = ProcessOfSystem(process.pid)
    if system.environment is None:  # it is another user's, or this system does not show it
        return min(seconds, _SHORT)
    settings = system.settings
    if settings is not None and os.path.realpath(settings.directory) != os.path.realpath(directory):
        raise RequestError(
            f"process {process.pid} has no data in {directory!r}: it was started to write to "
            f"{settings.directory!r}; name that with --dir"
        )
    if system.is_on:
        return seconds if system.is_python() else min(seconds, _SHORT)
    age = system.age()
    if age is None or (age < _YOUNG and system.is_python()):
        return min(seconds, _SHORT)  # it may have turned the measurement on by itself
    raise RequestError(
        f"process {process.pid} is not measured: it was started without {config.VARIABLE} in its environment, "
        f"and has no data in {directory!r}"
    )


def has_data(process: Running) -> bool:
    """Return whether there is data of *process*, and not only of an earlier one of the same number."""
    try:
        path = process.data_file()
    except RequestError:  # there is no such folder
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
        return True  # what keeps it from being read will be said when that matters
    now = place_of(process.pid)[1]
    return not now or not ticks or bool(ticks & {0, now})


def process_of(directory: str, pid: int) -> Running:
    """Return the process *pid* of this machine, which writes to *directory*."""
    info = ProcessInfo.current()
    info.pid = pid
    return Running(requests.place_of(Writer(directory, info).path), pid)


def wait(processes: list[Running], seconds: float) -> None:
    """Wait until all *processes* have answered, or are gone; raise RequestError if one does not, or cannot."""
    end = monotonic() + seconds
    for process in processes:
        while True:
            state = process.state()
            if state == FAILED:
                process.give_up()
                raise RequestError(f"process {process.pid} could not write what it has counted; its stderr says why")
            if not state:
                break
            if not process.is_alive():
                process.give_up()
                break
            if monotonic() > end:
                process.give_up()
                doing = "is still writing" if state == ANSWERING else "does not answer"
                raise RequestError(
                    f"process {process.pid} {doing} after {seconds:g} s: is it measured, and is "
                    f"{os.path.dirname(process.place)!r} where it writes to?"
                )
            sleep(0.02)


def check_target(target: str) -> None:
    """Raise DataError if *target* is there and a copy would replace something that is no data file."""
    if not os.path.lexists(target):
        return
    try:
        # `mktemp` makes an empty file to be written.
        is_empty = os.path.isfile(target) and not os.path.getsize(target)
        reason = "" if is_empty or is_ours(target) else "it is no data file of instrument"
    except OSError as error:
        reason = f"{error.strerror or error}"
    if reason:
        raise DataError(f"{target!r} is there, and is left as it is: {reason}; name another file with --copy")


def copy(path: str, target: str) -> None:
    """Make *target* a copy of the data file at *path*, whole or not at all.

    Raise DataError if *target* is there and is no data file: it may be a source of the user.
    """
    check_target(target)
    temporary = f"{target}.{os.urandom(8).hex()}.tmp"  # nobody can guess it, and have a link there
    with Scratch() as folder:
        try:
            made = Copy(path, folder)
            connection = sqlite.load().connect(made.uri(), uri=True)
            try:
                connection.execute("SELECT count(*) FROM process").fetchone()  # takes back what was not finished
            finally:
                connection.close()
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o600)
            with open(descriptor, "wb") as new, open(made.copy, "rb") as file:
                shutil.copyfileobj(file, new, 1 << 20)
            os.replace(temporary, target)
        except DataError as error:
            raise DataError(f"{path!r} cannot be copied: {error}") from error
        except OSError as error:
            if os.path.exists(temporary):
                os.unlink(temporary)
            raise DataError(f"{target!r} cannot be written: {error.strerror or error}") from error
