"""A private folder for copies of data files, which is removed at the end of the process, also after a signal."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import stat
import tempfile
import time

from instrument.errors import DataError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_PREFIX = "instrument-"
# `tempfile` appends eight letters, digits and underscores to the prefix.
_NAME_OF_SCRATCH = re.compile(rf"{_PREFIX}[a-z0-9_]{{8}}")
# Seconds. A folder is created a moment before it is locked, so a young folder without a lock may be in use.
_YOUNG = 60.0


class Scratch:
    """A private folder for copies, as a context manager that returns its path and removes it at the end.

    SIGTERM and SIGHUP, if they would end the process, end it after the folder is removed. Folders of killed processes
    are removed, too: a folder is locked as long as its process lives.
    """

    def __enter__(self) -> str:
        try:
            self.folder = tempfile.mkdtemp(prefix=_PREFIX)
        except OSError as error:
            folder = error.filename or tempfile.gettempdir()
            raise DataError(
                f"data files cannot be copied to {folder!r}: {error.strerror}; TMPDIR names a folder"
            ) from error
        self._lock = _lock(self.folder)
        self._signals_received: list[int] = []
        self._handlers: dict[int, Any] = {}
        for name in ("SIGTERM", "SIGHUP"):
            number = getattr(signal, name, None)
            if number is not None and signal.getsignal(number) is signal.SIG_DFL:
                with contextlib.suppress(ValueError):  # not in the main thread
                    self._handlers[number] = signal.signal(number, self._end)
        _remove_abandoned(os.path.dirname(self.folder))
        return self.folder

    def _end(self, number: int, _frame: object) -> None:
        """Raise SystemExit at the first signal, so that the process leaves all `with` statements."""
        self._signals_received.append(number)
        if len(self._signals_received) == 1:
            raise SystemExit(128 + number)

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
        if self._lock is not None:
            os.close(self._lock)
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        if self._signals_received:  # the process ends by the signal, as without this handler
            os.kill(os.getpid(), self._signals_received[0])


def _lock(folder: str) -> int | None:
    """Lock *folder* and return the descriptor that holds the lock; None if another process has it, or none can."""
    try:
        import fcntl

        descriptor = os.open(folder, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0))
    except (ImportError, OSError):
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return None
    return descriptor


def _remove_abandoned(parent: str) -> None:
    """Remove this user's scratch folders in *parent* whose processes were killed."""
    if os.name != "posix":  # there are no locks that tell
        return
    try:
        names = [name for name in os.listdir(parent) if _NAME_OF_SCRATCH.fullmatch(name)]
    except OSError:
        return
    for name in names:
        path = os.path.join(parent, name)
        try:
            status = os.lstat(path)
        except OSError:
            continue
        is_ours = stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid() and not status.st_mode & 0o077
        if not is_ours or time.time() - status.st_mtime < _YOUNG:
            continue
        lock = _lock(path)
        if lock is not None:
            shutil.rmtree(path, ignore_errors=True)
            os.close(lock)
