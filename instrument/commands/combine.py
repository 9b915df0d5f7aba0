"""Add up the data of many processes in one file.

Data files, and folders of them, come in; one data file goes out, and the files of processes that have ended are
removed once it is safely in place. Those of running processes stay, and what is added of them is replaced by newer data
the next time (`instrument.data.combining`). So this can be run at any time and any number of times, and killed at any
moment: the new file is renamed over the old one, and a source that was not removed yet is known to be in it.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import sys
import time

from instrument.commands.report import add_paths, name_refused, paths_of, unwritten_in_words
from instrument.data import schema
from instrument.data.combining import Combination, data_files
from instrument.data.querying import default_directory, nothing_in, process_rows, unwritten
from instrument.data.reading import Scratch
from instrument.errors import DataError
from instrument.report.tables import Progress, number_of, say, shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from instrument.data.running import ProcessRow

_TEMPORARY = re.compile(r"\.(combined-[0-9a-f]+\.tmp(-journal)?|[A-Za-z0-9._]+-\d+-[0-9a-f]+-[A-Za-z0-9._]+\.tmp)")
# Nothing takes that long to write; what is older was left behind by a process that was killed.
_ABANDONED = 3600.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command to *parser*."""
    add_paths(parser)
    parser.add_argument("-o", "--output", metavar="FILE", help="the file to write; what it holds is kept")
    parser.add_argument("--keep", action="store_true", help="remove nothing")


def execute(options: argparse.Namespace) -> int:
    """Do what *options* ask for; return the exit status."""
    paths = paths_of(options) or [default_directory()]
    output = options.output or _default_output(paths)
    folder = os.path.dirname(os.path.abspath(output))
    if not options.output and not os.path.isdir(folder):
        raise DataError(nothing_in(paths, data_files(paths)[1]))
    with contextlib.ExitStack() as stack:
        try:
            os.makedirs(folder, exist_ok=True)
            stack.enter_context(_locked(folder, output))
            _remove_abandoned(folder)
            n_processes, n_running, settled, refused, processes = _combine(paths, output)
        except OSError as error:
            raise DataError(f"{output!r} cannot be written: {error.strerror or error}") from error
        name_refused(refused)
        say(unwritten_in_words(unwritten(paths, processes)), sys.stderr)
        removed = 0 if options.keep else sum(_remove(path) for path in settled if not _is_same(path, output))
    running = f" ({n_running} may still be running)" if n_running else ""
    gone = f"; {number_of(removed, 'file')} removed" if removed else ""
    say([f"Combined {number_of(n_processes, 'process')}{running} in {shown(output)}{gone}"], sys.stderr)
    return 0


def _default_output(paths: list[str]) -> str:
    """Return the file to write if none is named: in the first folder there is."""
    folder = next((path for path in paths if os.path.isdir(path)), default_directory())
    return os.path.join(folder, f"combined{schema.SUFFIX}")


def _combine(paths: list[str], output: str) -> tuple[int, int, list[str], list[tuple[str, str]], list[ProcessRow]]:
    """Write the sum of all data that *paths* and *output* hold to *output*.

    Return of how many processes it is, how many of them may be running, the files that are in it for good, and those
    that are not in it, and why, and the processes.
    """
    files, missing = data_files(paths)
    if os.path.lexists(output):
        files = [output, *(path for path in files if not _is_same(path, output))]
    with Scratch() as scratch:
        whole = os.path.join(scratch, "sum.sqlite")
        with Combination(whole, scratch) as combination:
            combination.add_all(files, Progress("Combining"))
            kept = [reason for path, reason in combination.refused if path == output]
            if kept:
                raise DataError(f"{output!r} is there, and is left as it is: {kept[0]}; name another file with -o")
            if not combination.n_processes:
                raise DataError(nothing_in(paths, missing + combination.refused))
            result = (
                combination.n_processes,
                combination.n_running,
                combination.settled,
                missing + combination.refused,
                process_rows(combination.connection.execute),
            )
        _put(whole, os.path.abspath(output))
    return result


def _put(whole: str, output: str) -> None:
    """Make *output* a copy of the file *whole*, or leave it as it is.

    SQLite never opens a file in the folder of *output*: others may be able to write there, and have it obey a journal.
    """
    temporary = os.path.join(os.path.dirname(output), f".combined-{os.urandom(8).hex()}.tmp")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o600)
    try:
        with open(descriptor, "wb") as copy, open(whole, "rb") as file:
            shutil.copyfileobj(file, copy, 1 << 20)
            copy.flush()
            os.fsync(copy.fileno())
        # Complete or absent: until here *output* is what it was, from here on it is the whole sum.
        os.replace(temporary, output)
    finally:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
    if os.name != "nt":
        folder = os.open(os.path.dirname(output), os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


@contextlib.contextmanager
def _locked(folder: str, output: str) -> Iterator[None]:
    """Keep others from combining in *folder* meanwhile: they would each leave out what the other removes."""
    try:
        import fcntl
    except ImportError:  # Windows: an open file cannot be replaced there
        yield
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise DataError(f"{output!r} is being combined by another process; wait until it is done") from error
        except OSError:
            pass  # a file system without locks
        yield
    finally:
        os.close(descriptor)


def _remove_abandoned(folder: str) -> None:
    """Remove what processes that were killed while writing have left in *folder*."""
    for name in os.listdir(folder):
        if _TEMPORARY.fullmatch(name):
            path = os.path.join(folder, name)
            with contextlib.suppress(OSError):
                if os.lstat(path).st_mtime < time.time() - _ABANDONED:
                    os.unlink(path)


def _remove(path: str) -> bool:
    """Remove the data file at *path*, and its journal; return whether that was possible."""
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
    try:
        return os.path.samefile(one, other)
    except OSError:
        return False
