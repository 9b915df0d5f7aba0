"""Requests a flush of a running process, and prints the path of its data file.

Input: the number of a process. The request is a file, not a signal, so the process is not interrupted. Output: a path.
`--copy` makes a copy of the data file; `instrument diff` compares two copies from two moments.
"""

from __future__ import annotations

import os

from instrument import config
from instrument.data import sqlite
from instrument.data.data_files import is_ours
from instrument.data.reader import Copy
from instrument.data.scratch import Scratch
from instrument.diagnosis.flush_answers import flush_request_of, seconds_to_wait, wait_for_answers
from instrument.errors import DataError, RequestError
from instrument.guest.atomic_files import replace_file, write_all
from instrument.report.text import say

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from typing import BinaryIO

#: A copy is written in parts of this size, in bytes.
_PART = 1 << 20


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
    request = flush_request_of(directory, options.pid)
    if not request.is_alive():
        raise RequestError(f"there is no process {options.pid}; if it was counted, its data is in {directory!r}")
    seconds = seconds_to_wait(request, directory, options.timeout)
    request.send()
    wait_for_answers([request], seconds)
    path = request.data_file()
    if path is None:
        raise RequestError(f"process {options.pid} has counted nothing yet; try again when its code has run")
    if options.copy is not None:
        copy(path, options.copy)
    say([path if options.copy is None else options.copy])
    return 0


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
    with Scratch() as folder:
        try:
            data_copy = Copy(path, folder)
            connection = sqlite.load().connect(data_copy.uri(), uri=True)
            try:
                connection.execute("SELECT count(*) FROM process").fetchone()  # SQLite rolls back an unfinished write
            finally:
                connection.close()
        except DataError as error:
            raise DataError(f"{path!r} cannot be copied: {error}") from error
        try:
            with open(data_copy.copy, "rb") as file:
                replace_file(target, lambda descriptor, _: _write_parts(descriptor, file))
        except OSError as error:
            raise DataError(f"{target!r} cannot be written: {error.strerror or error}") from error


def _write_parts(descriptor: int, file: BinaryIO) -> None:
    """Write the rest of *file* to *descriptor*."""
    while part := file.read(_PART):
        write_all(descriptor, part)
