"""How a running process is asked to write what it has counted: by a file beside its data, without a signal.

A directory of data and the number of a process come in; answers go out. Whoever asks makes a file named after the
process, `<host>-<pid>.flush`. The process looks for it about once a second (`record.recorder`), renames it to
`….flushing`, writes, and removes it; if it could not write, it leaves it as `….failed`.
"""

from __future__ import annotations

import os

from instrument.data import schema
from instrument.errors import InstrumentError
from instrument.guest.own_builtins import system as _system

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

ASKED, ANSWERING, FAILED = ".flush", ".flushing", ".failed"


class RequestError(InstrumentError):
    """A process was asked for its counts and does not answer; the message says what may be the reason."""


def place_of(data_file: str) -> str:
    """Return where the process that writes *data_file* is asked: all but the end of the path.

    That of the data file up to the number of the process: the rest of its name cannot be known before there is one.
    """
    return data_file.rsplit("-", 2)[0]


def take(place: str) -> bool:
    """Return whether something was asked at *place*; if so, it is being answered from now on."""
    try:
        _system.stat(place + ASKED)
        _system.rename(place + ASKED, place + ANSWERING)
    except OSError:
        return False
    return True


def answer(place: str, has_failed: bool) -> None:
    """Say that what was asked at *place* is done, or could not be."""
    try:
        if has_failed:
            _system.rename(place + ANSWERING, place + FAILED)
        else:
            _system.unlink(place + ANSWERING)
    except OSError:
        pass


# For those who ask ####################################################################################################


class Running:
    """A process on this machine that has data in a directory, or was asked for it."""

    def __init__(self, place: str, pid: int) -> None:
        self.place = place
        self.pid = pid

    def is_alive(self) -> bool:
        """Return whether there is such a process."""
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        except OSError:
            pass
        return True

    def ask(self) -> None:
        """Ask for what was counted until now."""
        self.withdraw()
        try:
            # It may have written nothing so far. A link in place of the file would lead to one of another's choice.
            os.makedirs(os.path.dirname(self.place), mode=0o700, exist_ok=True)
            os.close(os.open(self.place + ASKED, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        except FileExistsError:  # somebody else asks, too
            pass
        except OSError as error:
            raise RequestError(
                f"process {self.pid} cannot be asked: {self.place + ASKED!r}: {error.strerror or error}"
            ) from error

    def state(self) -> str:
        """Return how far the answer is: ASKED, ANSWERING or FAILED; '' when it is there."""
        return next((word for word in (ASKED, ANSWERING, FAILED) if os.path.exists(self.place + word)), "")

    def withdraw(self) -> None:
        """Take back what was asked."""
        for word in (ASKED, FAILED):
            try:
                os.unlink(self.place + word)
            except OSError:
                pass

    def give_up(self) -> None:
        """Take back what was asked, and leave no trace of it."""
        self.withdraw()
        try:
            os.rmdir(os.path.dirname(self.place))
        except OSError:  # there is data
            pass

    def data_file(self) -> str | None:
        """Return the newest data file of the process, None if there is none."""
        folder, name = os.path.split(self.place)
        found = [(start, path) for host, pid, start, path in _data_files(folder) if f"{host}-{pid}" == name]
        return max(found, key=_age_of)[1] if found else None


def _age_of(one: tuple[int, str]) -> tuple[int, float]:
    """Return what is greatest for the newest of several files of a process; *one* is its start, and the file."""
    start, path = one
    try:
        return start, os.stat(path).st_mtime
    except OSError:  # it is gone
        return start, 0.0


def running(directory: str, host: str) -> list[Running]:
    """Return the processes on this machine, called *host* in names of files, that have data in *directory*."""
    pids = {pid for name, pid, _, _ in _data_files(directory) if name == host}
    found = [Running(os.path.join(directory, f"{host}-{pid}"), pid) for pid in sorted(pids)]
    return [process for process in found if process.is_alive()]


def first_name(path: str) -> str:
    """Return the path of the first data file of the process that writes the one at *path* now."""
    folder, name = os.path.split(path)
    place, _, end = name.removesuffix(schema.SUFFIX).rpartition("-")
    return os.path.join(folder, f"{place}-{end.partition('.')[0]}{schema.SUFFIX}")


def _data_files(directory: str) -> Iterator[tuple[str, int, int, str]]:
    """Yield host, number and start of each process with data in *directory*, and the path of the data."""
    try:
        names = os.listdir(directory)
    except OSError as error:
        raise RequestError(f"there is no data in {directory!r}: {error.strerror or error}") from error
    for name in names:
        parts = name.removesuffix(schema.SUFFIX).rsplit("-", 3)
        if len(parts) == 4 and name.endswith(schema.SUFFIX) and parts[1].isdecimal():
            try:
                yield parts[0], int(parts[1]), int(parts[2], 16), os.path.join(directory, name)
            except ValueError:
                pass
