"""Makes another process write its counts now, by a request file and without a signal.

`FlushRequest` makes the request: a file `<host>-<pid>.flush` in the data folder of the measured process. Its recorder
checks about once a second (`take`). It renames the file to `….flushing`, flushes, and removes the file (`answer`). If
the flush failed, it renames the file to `….failed`.

Every measured process loads this module at its start, so the recorder's functions call the system by
`own_builtins.system`.
"""

from __future__ import annotations

import os

from instrument.data import schema
from instrument.errors import RequestError
from instrument.guest.own_builtins import system as _system

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator


#: Suffixes of the request file: requested, being answered, and failed.
REQUESTED, ANSWERING, FAILED = ".flush", ".flushing", ".failed"


# For the recorder of the measured process


def request_path(data_file: str) -> str:
    """Return the path of the request files for the process that writes *data_file*, without their suffix.

    It is the path of the data file up to the number of the process. The rest is unknown before the first flush.
    """
    return data_file.rsplit("-", 2)[0]


def take(path: str) -> bool:
    """Return whether there is a request at *path*, a `request_path`, and mark it as being answered."""
    try:
        _system.stat(path + REQUESTED)
        _system.rename(path + REQUESTED, path + ANSWERING)
    except OSError:
        return False
    return True


def answer(path: str, has_failed: bool) -> None:
    """Remove the request at *path*, which was answered, or mark it as failed."""
    try:
        if has_failed:
            _system.rename(path + ANSWERING, path + FAILED)
        else:
            _system.unlink(path + ANSWERING)
    except OSError:
        pass


# For the process that makes the request


class FlushRequest:
    """A flush request to the process *pid* on this machine, with *path* as its `request_path`."""

    def __init__(self, path: str, pid: int) -> None:
        self.path = path
        self.pid = pid

    def is_alive(self) -> bool:
        """Return whether the process exists."""
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        except OSError:
            pass
        return True

    def send(self) -> None:
        """Make the request, or raise RequestError."""
        self.withdraw()
        try:
            # The process may not have made its data folder yet. A new file only: a link could lead to any file.
            os.makedirs(os.path.dirname(self.path), mode=0o700, exist_ok=True)
            os.close(os.open(self.path + REQUESTED, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        except FileExistsError:  # another process requests a flush, too
            pass
        except OSError as error:
            raise RequestError(
                f"process {self.pid} cannot be asked: {self.path + REQUESTED!r}: {error.strerror or error}"
            ) from error

    def state(self) -> str:
        """Return REQUESTED, ANSWERING or FAILED; '' if the flush is done."""
        return next((suffix for suffix in (REQUESTED, ANSWERING, FAILED) if os.path.exists(self.path + suffix)), "")

    def withdraw(self) -> None:
        """Remove the request, unless it is being answered."""
        for suffix in (REQUESTED, FAILED):
            try:
                os.unlink(self.path + suffix)
            except OSError:
                pass

    def withdraw_without_trace(self) -> None:
        """Remove the request, and the data folder if it is empty: `send` may have made it."""
        self.withdraw()
        try:
            os.rmdir(os.path.dirname(self.path))
        except OSError:  # it has data
            pass

    def data_file(self) -> str | None:
        """Return the path of the newest data file of the process, None if there is none."""
        folder, name = os.path.split(self.path)
        files = [file for file in _data_files(folder) if f"{file.host}-{file.pid}" == name]
        return max(files, key=_age).path if files else None


class DataFileName:
    """The parts of the name of a data file that one process writes, and the path of the file."""

    __slots__ = ("host", "path", "pid", "start")

    def __init__(self, host: str, pid: int, start: int, path: str) -> None:
        self.host = host
        self.pid = pid
        self.start = start
        self.path = path


def _age(file: DataFileName) -> tuple[int, float]:
    """Return a key that is greatest for the newest of several data files."""
    try:
        return file.start, os.stat(file.path).st_mtime
    except OSError:  # it was removed
        return file.start, 0.0


def running_with_data(directory: str, host: str) -> list[FlushRequest]:
    """Return requests to the running processes with data in *directory*, of this machine, in file names called *host*.

    Raise RequestError if the folder cannot be read.
    """
    pids = {file.pid for file in _data_files(directory) if file.host == host}
    requests = [FlushRequest(os.path.join(directory, f"{host}-{pid}"), pid) for pid in sorted(pids)]
    return [request for request in requests if request.is_alive()]


def first_name(path: str) -> str:
    """Return the path of the first data file of the process that writes the one at *path* now."""
    folder, name = os.path.split(path)
    start_of_name, _, end = name.rpartition(".")[0].rpartition("-")
    return os.path.join(folder, f"{start_of_name}-{end.partition('.')[0]}{schema.SUFFIX}")


def _data_files(directory: str) -> Iterator[DataFileName]:
    """Yield the data files in *directory*, by the parts of their names; raise RequestError if it cannot be read."""
    try:
        names = os.listdir(directory)
    except OSError as error:
        raise RequestError(f"there is no data in {directory!r}: {error.strerror or error}") from error
    for name in names:
        parts = name.rpartition(".")[0].rsplit("-", 3)
        if len(parts) == 4 and name.endswith(schema.SUFFIXES) and parts[1].isdecimal():
            try:
                start = int(parts[2], 16)
            except ValueError:
                continue
            yield DataFileName(parts[0], int(parts[1]), start, os.path.join(directory, name))
