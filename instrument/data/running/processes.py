"""Running processes that may be measured, as the system shows them: for messages about data that is not written yet.

The number of a process, or a data folder, comes in; the settings that the process was started with go out. Linux shows
the environment at the start, of the user's own processes only. So measurements that a program begins by itself later
are unknown here.

`Observer` says whether a process that a data file names has ended.
"""

from __future__ import annotations

import os
from typing import NamedTuple

from instrument import config
from instrument.data.process_identity import KernelIdentity
from instrument.errors import ConfigError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from instrument.config import Settings
    from instrument.model.measured_process import MeasuredProcess

#: Seconds after which a measured process writes for the first time.
FIRST_FLUSH = 1.0


class RunningProcess:
    """The process *pid* as the system shows it.

    `environment` is None if the system does not show it. `settings` are those at the start of the process, None if it
    was started without any, or if they are unknown.
    """

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.environment = _environment(pid)
        self.settings: Settings | None = None
        self.is_on = self.environment is not None and config.is_on(self.environment)
        if self.is_on:
            try:
                folder = os.readlink(f"/proc/{pid}/cwd")
                self.settings = config.read_settings({}, self.environment, folder)
            except (OSError, ConfigError):
                pass

    def age(self) -> float | None:
        """Return for how many seconds the process has been running, None if that is unknown."""
        try:
            with open(f"/proc/{self.pid}/stat", "rb") as file:
                ticks = int(file.read().rpartition(b")")[2].split()[19])
            with open("/proc/uptime", "rb") as file:
                uptime = float(file.read().split()[0])
            return max(0.0, uptime - ticks / os.sysconf("SC_CLK_TCK"))
        except (OSError, ValueError, IndexError, AttributeError):
            return None

    def when_it_writes(self) -> str:
        """Return when the process first writes its counts, as a text that follows the name of the process."""
        flush = self.settings.flush if self.settings else 0.0
        if not flush:
            return f"writes only at its end; `instrument snapshot {self.pid}` has it write now"
        first = min(FIRST_FLUSH, flush)
        return f"writes {first:g} s after the first of its code that is measured was loaded, then every {flush:g} s"

    def is_python(self) -> bool:
        """Return whether the process is a Python interpreter, or another program with one in it."""
        try:
            if b"python" in os.path.basename(os.readlink(f"/proc/{self.pid}/exe".encode())):
                return True
            with open(f"/proc/{self.pid}/maps", "rb") as file:
                return b"libpython" in file.read(1 << 22)
        except OSError:
            return False

    def command(self) -> str:
        """Return the command of the process, shortened to 60 characters."""
        try:
            with open(f"/proc/{self.pid}/cmdline", "rb") as file:
                words = os.fsdecode(file.read(4096)).split("\0")
        except OSError:
            words = []
        text = " ".join([os.path.basename(words[0]), *words[1:]]).strip() if words else ""
        return text if len(text) <= 60 else f"{text[:19]}…{text[-40:]}"


def _environment(pid: int) -> dict[str, str] | None:
    """Return the environment that the process *pid* was started with, None if the system does not show it."""
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            data = file.read(1 << 22)
    except (OSError, ValueError):
        return None
    pairs = (entry.partition(b"=") for entry in data.split(b"\0") if entry)
    return {os.fsdecode(name): os.fsdecode(value) for name, _, value in pairs}


def about_to_write(directory: str) -> Iterator[RunningProcess]:
    """Yield the running processes that were started to be measured, and to write to *directory*."""
    try:
        pids = sorted(int(name) for name in os.listdir("/proc") if name.isdecimal())
    except OSError:
        return
    wanted = os.path.realpath(directory)
    for pid in pids:
        if pid == os.getpid():
            continue
        process = RunningProcess(pid)
        own_directory = process.settings and os.path.realpath(process.settings.directory)
        if own_directory == wanted and process.is_python():
            yield process


class ProcessState(NamedTuple):
    """The columns of a row of `process` that decide how the process' counts are merged."""

    id: str | bytes
    part: int
    flushes: int
    pid: int
    host: str
    place: str
    ticks: int
    ended: str


class Observer:
    """Tells whether other processes have ended, as far as this process can see from its kernel and host."""

    def __init__(self) -> None:
        self.place = KernelIdentity(os.getpid()).place
        self.host = os.uname().nodename if hasattr(os, "uname") else ""

    def has_ended(self, process: ProcessState | MeasuredProcess) -> bool:
        """Return whether *process* has ended for certain."""
        if process.place and process.place == self.place:
            # The kernel knows. A process that announced its end may still run, as another program after exec.
            return KernelIdentity(process.pid).ticks != process.ticks
        if process.host == self.host:
            namespaces = process.place.partition(" ")[2], self.place.partition(" ")[2]
            if process.place and self.place and namespaces[0] == namespaces[1]:
                return True  # it ran here before the machine was started again
            if not self.place and not process.ended and os.name != "nt":
                try:
                    os.kill(process.pid, 0)
                except (ProcessLookupError, OverflowError):
                    return True
                except OSError:
                    return False
        return bool(process.ended)
