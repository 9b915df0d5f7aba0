"""Adds up the data of many processes in one file.

Data files and folders of them come in; one data file goes out. Then the files of processes that have ended are removed.
The files of running processes stay: next time their newer data replaces the older (`instrument.data.merge`).

So the command can run at any time and any number of times, and can be killed at any moment. The new file is renamed
over the old one, and the sum knows the source files that were not removed yet.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import sys
import time

from instrument.commands._data_options import add_paths, paths_of
from instrument.config import read_directory
from instrument.data import schema
from instrument.data.data_files import data_files
from instrument.data.merge import Merge
from instrument.data.query import read_processes
from instrument.data.running.no_data import no_data_message, processes_without_counts
from instrument.data.scratch import Scratch
from instrument.errors import DataError
from instrument.guest.atomic_files import replace_file
from instrument.report import remarks
from instrument.report.text import ProgressBar, number_of, say, shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from instrument.model.measured_process import MeasuredProcess

# Names of the temporary files of `guest.atomic_files`, and of `data.writer`.
_TEMPORARY = re.compile(r"\.(instrument-[0-9a-f]+\.tmp(-journal)?|[A-Za-z0-9._]+-\d+-[0-9a-f]+-[A-Za-z0-9._]+\.tmp)")
# Seconds. No write takes that long, so an older temporary file belongs to a process that was killed.
_ABANDONED = 3600.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command to *parser*."""
    add_paths(parser)
    parser.add_argument("-o", "--output", metavar="FILE", help="the file to write; what it holds is kept")
    parser.add_argument("--keep", action="store_true", help="remove nothing")


def execute(options: argparse.Namespace) -> int:
    """Combine the data that *options* name, and return the exit status."""
    paths = paths_of(options) or [read_directory()]
    output = options.output or _default_output(paths)
    folder = os.path.dirname(os.path.abspath(output))
    if not options.output and not os.path.isdir(folder):
        _files, missing = data_files(paths)
        raise DataError(no_data_message(paths, missing))
    with contextlib.ExitStack() as stack:
        try:
            os.makedirs(folder, exist_ok=True)
            stack.enter_context(_locked(folder, output))
            _remove_abandoned(folder)
            result = write_sum(paths, output)
        except OSError as error:
            raise DataError(f"{output!r} cannot be written: {error.strerror or error}") from error
        say(remarks.refused(result.refused), sys.stderr)
        say(remarks.unwritten(processes_without_counts(paths, result.processes)), sys.stderr)
        obsolete = [] if options.keep else [path for path in result.settled if not _is_same(path, output)]
        n_removed = sum(map(_remove, obsolete))
    running = f" ({result.n_running} may still be running)" if result.n_running else ""
    removed = f"; {number_of(n_removed, 'file')} removed" if n_removed else ""
    say([f"Combined {number_of(result.n_processes, 'process')}{running} in {shown(output)}{removed}"], sys.stderr)
    return 0


def _default_output(paths: list[str]) -> str:
    """Return the file to write if the user names none: in the first folder of *paths*, or in the default folder."""
    folder = next((path for path in paths if os.path.isdir(path)), read_directory())
    return os.path.join(folder, f"combined{schema.SUFFIX}")


class Result:
    """The result of a merge: numbers of processes, and the lists `settled` and `refused` of `Merge`."""

    def __init__(self, merge: Merge, missing: list[tuple[str, str]]) -> None:
        """*missing* has the paths that could not be read, with the reason."""
        self.n_processes, self.n_running = merge.n_processes, merge.n_running
        self.settled = merge.settled
        self.refused = missing + merge.refused
        self.processes: list[MeasuredProcess] = read_processes(merge.connection.execute)


def write_sum(paths: list[str], output: str, *, keeps_output: bool = True) -> Result:
    """Write the sum of all data at *paths* to *output*, and return the Result.

    If *keeps_output*, the sum has the data in *output*, too. Raise DataError if there are no data, or if those in
    *output* cannot be read. Raise OSError if *output* cannot be written.
    """
    files, missing = data_files(paths)
    if keeps_output and os.path.lexists(output):
        files = [output, *(path for path in files if not _is_same(path, output))]
    with Scratch() as scratch:
        database = os.path.join(scratch, "sum.sqlite")
        with Merge(database, scratch) as merge:
            merge.add_all(files, ProgressBar("Combining"))
            reasons = [reason for path, reason in merge.refused if keeps_output and path == output]
            if reasons:
                raise DataError(f"{output!r} is there, and is left as it is: {reasons[0]}; name another file with -o")
            if not merge.n_processes:
                raise DataError(no_data_message(paths, missing + merge.refused))
            result = Result(merge, missing)
        _copy_to(database, os.path.abspath(output))
    return result


def _copy_to(database: str, output: str) -> None:
    """Make *output* a copy of *database*; raise OSError, and leave *output* unchanged, if that fails.

    SQLite never opens a file in the folder of *output*: other users may write there, and SQLite obeys journals.
    """

    def write(descriptor: int, _path: str) -> None:
        with open(descriptor, "wb", closefd=False) as copy, open(database, "rb") as file:
            shutil.copyfileobj(file, copy, 1 << 20)
            copy.flush()
            os.fsync(descriptor)

    replace_file(output, write)
    if os.name != "nt":
        folder = os.open(os.path.dirname(output), os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


@contextlib.contextmanager
def _locked(folder: str, output: str) -> Iterator[None]:
    """Lock *folder* against other `combine` commands, which could remove files before this one has read them.

    Raise DataError, which names *output*, if another process has the lock.
    """
    try:
        import fcntl
    except ImportError:  # Windows, where an open file cannot be replaced
        yield
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise DataError(f"{output!r} is being combined by another process; wait until it is done") from error
        except OSError:
            pass  # the file system has no locks
        yield
    finally:
        os.close(descriptor)


def _remove_abandoned(folder: str) -> None:
    """Remove the temporary files in *folder* of processes that were killed."""
    for name in os.listdir(folder):
        if _TEMPORARY.fullmatch(name):
            path = os.path.join(folder, name)
            with contextlib.suppress(OSError):
                if os.lstat(path).st_mtime < time.time() - _ABANDONED:
                    os.unlink(path)


def _remove(path: str) -> bool:
    """Remove the data file at *path*, and its journal; return whether it was removed."""
    try:
        os.unlink(path)
    except FileNotFoundError:
        return False
    except OSError as error:
        say([f"{path!r} is in the sum, but cannot be removed: {error.strerror or error}"], sys.stderr)
        return False
    with contextlib.suppress(OSError):
        os.unlink(path + "-journal")
    return True


def _is_same(one: str, other: str) -> bool:
    """Return whether both paths lead to the same existing file."""
    try:
        return os.path.samefile(one, other)
    except OSError:
        return False
