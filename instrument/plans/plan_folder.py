"""PlanFolder: writes plan files (`instrument.plans.plan_file`) to the folder `plans` of a data folder, each once.

Processes that run the same code write the same files. Each file is complete or absent: it is written beside its place
and renamed. A plan file is written before the data file that names it.

This code runs inside the measured program, as that of `instrument.data.writer` does.
"""

from __future__ import annotations

import os
import time

from instrument.guest.atomic_files import write_all
from instrument.guest.own_builtins import system as _system
from instrument.plans.plan_file import size_in

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

#: Seconds. The time of younger files is not set to now again.
_YOUNG = 20.0
#: The folder of plan files in a data folder, and the suffix of their names.
FOLDER, SUFFIX = "plans", ".plan"
_CREATE_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
_CREATE_NEW |= getattr(os, "O_NOFOLLOW", 0)
#: In a tuple, because libraries that set the clock search modules for this function.
_CLOCK = (time.time,)
_HAS_RIGHTS = hasattr(os, "fchmod")


class PlanFolder:
    """The plan files in the data folder *directory*. With *shared*, other users may write there, too."""

    def __init__(self, directory: str, *, shared: bool = False) -> None:
        self._directory = directory
        self._shared = shared
        #: The descriptor of the data folder, if its path leads elsewhere now.
        self._descriptor: int | None = None

    def use(self, descriptor: int | None) -> None:
        """Reach the data folder by *descriptor* from now on, or by its path if that is None."""
        self._descriptor = descriptor

    def save(self, name: str, content: Callable[[], bytes]) -> None:
        """Write the plan file *name* unless it is there; *content* returns its bytes. Raise OSError if that fails.

        The time of an old file that is there is set to now: `instrument erase` removes old files only.
        """
        path, place = self._path(f"{name}{SUFFIX}"), self._place()
        if self._is_there(path, name):
            return
        temporary = self._path(f".{name}-{_system.urandom(8).hex()}.tmp")
        descriptor = self._open(temporary)
        try:
            try:
                if self._shared and _HAS_RIGHTS:  # another user may need the file
                    _system.fchmod(descriptor, 0o644)
                write_all(descriptor, content())
            finally:
                _system.close(descriptor)
            ends = {f"{end}_dir_fd": number for end in ("src", "dst") for number in place.values()}
            _system.rename(temporary, path, **ends)
        except BaseException as error:
            try:
                _system.unlink(temporary, **place)
            except OSError:
                pass
            # Another process may have written the file meanwhile. Windows cannot rename over it.
            if not (isinstance(error, OSError) and self._is_there(path, name)):
                raise

    def _is_there(self, path: str, name: str) -> bool:
        """Return whether the plan file *name* is at *path*, and not cut off."""
        place = self._place()
        try:
            status = _system.stat(path, **place)
        except (FileNotFoundError, NotADirectoryError):
            return False
        if status.st_size != size_in(name):
            return False
        if _CLOCK[0]() - status.st_mtime > _YOUNG:
            try:
                _system.utime(path, **place)
            except OSError:  # another user has made the file
                pass
        return True

    def _open(self, path: str) -> int:
        """Return the descriptor of the new file at *path*, open for writing; make the folder if need be."""
        try:
            return int(_system.open(path, _CREATE_NEW, 0o600, **self._place()))
        except FileNotFoundError:
            self._make_folder()
            return int(_system.open(path, _CREATE_NEW, 0o600, **self._place()))

    def _make_folder(self) -> None:
        """Make the folder of plan files, with the rights of the data folder: the program may change its user later."""
        folder = self._path("")
        try:
            _system.mkdir(folder, 0o700, **self._place())
        except FileExistsError:
            return
        mode = _system.stat(self._directory if self._descriptor is None else self._descriptor).st_mode & 0o7777
        _system.chmod(folder, mode, **self._place())

    def _path(self, name: str) -> str:
        """Return the path of the file *name*; that of the folder if *name* is empty."""
        path = f"{FOLDER}{os.sep}{name}" if name else FOLDER
        return path if self._descriptor is not None else f"{self._directory}{os.sep}{path}"

    def _place(self) -> dict[str, Any]:
        """Return the arguments by which functions of the system find a path of `_path`."""
        return {} if self._descriptor is None else {"dir_fd": self._descriptor}
