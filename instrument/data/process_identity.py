"""Identifies the process that counts belong to: `ProcessInfo` is the row that a process writes about itself.

Process numbers are used again, so a process has a random id, too. `KernelIdentity` tells, on the same machine, whether
a number still means the same process.

Every measured process loads this module at its start. So it calls the system by `own_builtins.system`, and imports
nothing of weight.
"""

from __future__ import annotations

import os
import sys
import time

from instrument.guest.own_builtins import system as _system

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

#: The clock. In a tuple, because test tools that stop the clock replace attributes of modules.
CLOCK: tuple[Callable[[], float], ...] = (time.time,)


class ProcessInfo:
    """The row that a process writes about itself: columns of the table `process`, see `instrument.data.schema`.

    `scope` has one item a line. It is '' for the project's own code, and None if the scope is unknown. `root` is the
    number of the outermost measured process among the ancestors, 0 if that is unknown.
    """

    __slots__ = ("argv", "cwd", "host", "id", "parent", "pid", "python", "root", "scope", "started")

    def __init__(
        self,
        *,
        pid: int,
        parent: int,
        host: str,
        started: float,
        argv: tuple[str, ...],
        python: str,
        cwd: str,
        id: str,  # noqa: A002 - the column's name
        scope: str | None = None,
        root: int = 0,
    ) -> None:
        self.scope = scope
        self.root = root
        self.pid = pid
        self.parent = parent
        self.host = host
        self.started = started
        self.argv = argv
        self.python = python
        self.cwd = cwd
        self.id = id

    @classmethod
    def current(cls, interpreter: int = 0) -> ProcessInfo:
        """Return the row of this process, with the time of now as its start.

        A subinterpreter passes its number as *interpreter*, with which the id then ends.
        """
        try:
            cwd = _system.getcwd()
        except OSError:  # the folder was removed
            cwd = ""
        return cls(
            pid=_system.getpid(),
            parent=_system.getppid(),
            host=_host(),
            started=CLOCK[0](),
            argv=tuple(map(str, sys.orig_argv)),
            python=sys.version.partition(" ")[0] + ("", " -O", " -OO")[min(sys.flags.optimize, 2)],
            cwd=cwd,
            id=_system.urandom(8).hex() + (f".{interpreter}" if interpreter else ""),
        )

    def name_in_files(self) -> str:
        """Return how the names of the files of this process begin: with its machine and its number."""
        return f"{in_file_names(self.host)}-{self.pid}"


_CHARACTERS_OF_NAMES = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._")


def in_file_names(text: str) -> str:
    """Return *text* as part of a file name, without characters that a file system or a terminal gives a meaning."""
    characters = (character if character in _CHARACTERS_OF_NAMES else "_" for character in text[:60])
    return "".join(characters).lstrip(".") or "_"


def _host() -> str:
    try:
        return str(_system.uname().nodename)
    except AttributeError:  # Windows
        return os.environ.get("COMPUTERNAME", "")


class KernelIdentity:
    """The identity of the process *pid* in this kernel, beside its number.

    `place` names the kernel's boot and the namespace of process numbers. `ticks` is when the process was started, in
    the kernel's clock ticks. They are '' and 0 if the system does not say, or if there is no such process. `ticks` is
    0, too, for a process that has ended and that its parent has not waited for (a zombie).
    """

    __slots__ = ("place", "ticks")

    def __init__(self, pid: int) -> None:
        self.place, self.ticks = "", 0
        try:
            boot = _read("/proc/sys/kernel/random/boot_id").decode().strip()
            namespace = _system.readlink("/proc/self/ns/pid")
            # The format is `pid (name) state parent …`, where the name may have any characters. The start is field
            # 22, and the state, field 3, is the first one here.
            fields = _read(f"/proc/{int(pid)}/stat").rpartition(b")")[2].split()
            ticks = 0 if fields[0] in (b"Z", b"X") else int(fields[19])
        except (OSError, ValueError, IndexError, AttributeError):
            return
        self.place, self.ticks = f"{boot} {namespace}", ticks


def _read(path: str) -> bytes:
    """Return the first bytes of the file at *path*, which /proc gives in one read."""
    descriptor = _system.open(path, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))
    try:
        data: bytes = _system.read(descriptor, 4096)
        return data
    finally:
        _system.close(descriptor)
