"""PlanFolder: writes plan files (`instrument.plans.plan_file`) to the folder `plans` of a data folder, each once.

Processes that run the same code write the same files. Each file is complete or absent: it is written beside its place
and renamed. A plan file is written before the data file that names it.

This code runs inside the measured program, as that of `instrument.data.writer` does.
"""

from __future__ import annotations

import os

from instrument.guest.atomic_files import write_all
from instrument.guest.own_builtins import system as _system

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

#: The folder of plan files in a data folder, and the suffix of their names.
FOLDER, SUFFIX = "plans", ".plan"
_CREATE_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
_CREATE_NEW |= getattr(os, "O_NOFOLLOW", 0)


class PlanFolder:
    """The plan files in the data folder *directory*. With *shared*, other users may write there, too."""

    def __init__(self, directory: str, *, shared: bool = False) -> None:
        self._directory = directory
        self._shared = shared
        #: The descriptor of the data folder, if its path leads elsewhere now.
        self._descriptor: int | None = None
        #: The names of the files that are there; None before the first save.
        self._names: set[str] | None = None

    def use(self, descriptor: int | None) -> None:
        """Reach the data folder by *descriptor* from now on, or by its path if that is None. List its files anew."""
        self._descriptor = descriptor
        self._names = None

    def save(self, name: str, content: Callable[[], bytes]) -> None:
        """Write the plan file *name* unless it is there; *content* returns its bytes. Raise OSError if that fails."""
        if self._names is None:
            self._names = self._names_there()
        file = f"{name}{SUFFIX}"
        if file in self._names:
            return
        temporary = f".{name}-{_system.getpid()}.tmp"
        descriptor = self._open(temporary)
        try:
            try:
                write_all(descriptor, content())
            finally:
                _system.close(descriptor)
            place = self._place()
            ends = {f"{end}_dir_fd": number for end in ("src", "dst") for number in place.values()}
            _system.rename(self._path(temporary), self._path(file), **ends)
        except BaseException:
            _system.unlink(self._path(temporary), **self._place())
            raise
        self._names.add(file)

    def _open(self, name: str) -> int:
        """Return the descriptor of the new file *name*, open for writing."""
        mode = 0o666 if self._shared else 0o600
        try:
            return int(_system.open(self._path(name), _CREATE_NEW, mode, **self._place()))
        except FileExistsError:  # a leftover of this process
            _system.unlink(self._path(name), **self._place())
            return int(_system.open(self._path(name), _CREATE_NEW, mode, **self._place()))

    def _names_there(self) -> set[str]:
        """Return the names of the files in the folder, which is made if need be."""
        folder = self._path("")
        try:
            _system.mkdir(folder, 0o700, **self._place())
            # Who can write data files can write plan files: the program may change its user later.
            mode = _system.stat(self._directory if self._descriptor is None else self._descriptor).st_mode & 0o7777
            _system.chmod(folder, mode, **self._place())
        except FileExistsError:
            pass
        else:
            return set()
        if self._descriptor is None:
            return set(_system.listdir(folder))
        descriptor = _system.open(folder, os.O_RDONLY, **self._place())
        try:
            return set(_system.listdir(descriptor))
        finally:
            _system.close(descriptor)

    def _path(self, name: str) -> str:
        """Return the path of the file *name*; that of the folder if *name* is empty."""
        path = f"{FOLDER}{os.sep}{name}" if name else FOLDER
        return path if self._descriptor is not None else f"{self._directory}{os.sep}{path}"

    def _place(self) -> dict[str, Any]:
        """Return the arguments by which functions of the system find a path of `_path`."""
        return {} if self._descriptor is None else {"dir_fd": self._descriptor}
