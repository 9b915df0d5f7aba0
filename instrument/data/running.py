"""What the system says of processes that may be measured: for messages, where the data itself says nothing yet.

The number of a process, or a folder of data, comes in; settings go out, as the process read them at its start. Only the
environment that a process was started with can be seen, on Linux, and only that of the user's own processes. So what
was turned on later, by the program itself, is not known here.
"""

from __future__ import annotations

import os

from instrument import config
from instrument.errors import ConfigError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from instrument.config import Settings

#: A process that is measured first writes after so many seconds.
FIRST_FLUSH = 1.0


class Process:
    """The process *pid* as the system shows it.

    `environment` is None if that cannot be seen. `settings` are those that it was started with, None if it was started
    without any, or if they cannot be known.
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
        """Return for how many seconds it has been running, None if that is not known."""
        try:
            with open(f"/proc/{self.pid}/stat", "rb") as file:
                ticks = int(file.read().rpartition(b")")[2].split()[19])
            with open("/proc/uptime", "rb") as file:
                uptime = float(file.read().split()[0])
            return max(0.0, uptime - ticks / os.sysconf("SC_CLK_TCK"))
        except (OSError, ValueError, IndexError, AttributeError):
            return None

    def when_it_writes(self) -> str:
        """Return when the process first writes its counts, in words that follow its name."""
        flush = self.settings.flush if self.settings else 0.0
        if not flush:
            return f"writes only at its end; `instrument snapshot {self.pid}` has it write now"
        first = min(FIRST_FLUSH, flush)
        return f"writes {first:g} s after the first of its code that is measured was loaded, then every {flush:g} s"

    def is_python(self) -> bool:
        """Return whether it is an interpreter of Python, or another program that has one in it."""
        try:
            if b"python" in os.path.basename(os.readlink(f"/proc/{self.pid}/exe".encode())):
                return True
            with open(f"/proc/{self.pid}/maps", "rb") as file:
                return b"libpython" in file.read(1 << 22)
        except OSError:
            return False

    def command(self) -> str:
        """Return its command, shortened."""
        try:
            with open(f"/proc/{self.pid}/cmdline", "rb") as file:
                words = os.fsdecode(file.read(4096)).split("\0")
        except OSError:
            words = []
        text = " ".join([os.path.basename(words[0]), *words[1:]]).strip() if words else ""
        return text if len(text) <= 60 else f"{text[:19]}…{text[-40:]}"


def _environment(pid: int) -> dict[str, str] | None:
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            data = file.read(1 << 22)
    except (OSError, ValueError):
        return None
    pairs = (entry.partition(b"=") for entry in data.split(b"\0") if entry)
    return {os.fsdecode(name): os.fsdecode(value) for name, _, value in pairs}


def about_to_write(directory: str) -> Iterator[Process]:
    """Yield the processes that were started to be measured, and to write to *directory*."""
    try:
        pids = sorted(int(name) for name in os.listdir("/proc") if name.isdecimal())
    except OSError:
        return
    where = os.path.realpath(directory)
    for pid in pids:
        if pid == os.getpid():
            continue
        process = Process(pid)
        there = process.settings and os.path.realpath(process.settings.directory)
        if there == where and process.is_python():
            yield process


class ProcessRow:
    """What is known of one process: see `process` in `instrument.data.schema`."""

    __slots__ = (
        *("directory", "ended", "flushes", "host", "is_optimized", "parent", "pid", "place", "python", "root"),
        *("scope", "started", "ticks", "updated"),
    )

    def __init__(
        self,
        pid: int,
        parent: int,
        host: str,
        place: str,
        ticks: int,
        started: float,
        python: str,
        directory: str,
        scope: str | None,
        root: int,
        flushes: int,
        updated: float,
        ended: str,
    ) -> None:
        self.pid = pid
        self.parent = parent
        self.host = host
        self.place = place
        self.ticks = ticks
        self.started = started
        self.python = python
        self.directory = directory
        self.root = root
        self.flushes = flushes
        self.updated = updated
        self.ended = ended
        #: Whether it ran with -O, which leaves out assert statements and `if __debug__:`.
        self.is_optimized = " -O" in python
        #: The items of its scope, none for the project's own code; None if they are not known.
        self.scope = None if scope is None else tuple(item for item in scope.split("\n") if item)
