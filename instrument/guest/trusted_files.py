"""Decide whether another user could have made a file or a folder, and read files that anybody may have made.

Paths come in. Objections in words, or the contents of files, go out.

The rules are those of ssh. Root and this user are trusted, and so is a file or folder that only they can write to. In a
folder with the sticky bit, such as /tmp, other users can make files of their own, but can neither rename nor remove
ours.

This code runs inside the measured program, so it calls the system's functions by `own_builtins.system`.
"""

from __future__ import annotations

import os
from errno import EISDIR

from instrument.guest.own_builtins import system as _system

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_HAS_OWNERS = os.name == "posix"

#: Parts of `st_mode`: the kind of file, and the rights of others.
_KIND, _REGULAR, _FOLDER, _LINK = 0o170000, 0o100000, 0o040000, 0o120000
_GROUP_WRITES, _OTHERS_WRITE, _STICKY = 0o020, 0o002, 0o1000
_MOST_LINKS = 40

#: Opening a pipe does not wait for a writer, and a terminal does not become the one of this process.
READ = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0)
READ |= getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
_CHUNK = 1 << 20


def trusted_users() -> tuple[int, int]:
    """Return the numbers of the trusted users: root, and the effective user of this process."""
    return 0, _system.geteuid()


def objection_to_folder(folder: str, *, lenient: bool = False, parents_only: bool = False) -> str:
    """Return why another user could make files in *folder*, or replace it; "" if no other user could.

    If *lenient*, folders above it may belong to another user or be writable for a group: whoever works there runs code
    of the others anyway. With *parents_only* the folder itself is not judged. Raise OSError if there is no such folder.
    """
    if not _HAS_OWNERS:
        return ""
    trusted = trusted_users()
    here = "" if folder.startswith("/") else _system.getcwd()
    above, last, objection = _folders_on_the_way(f"{here}/{folder}", folder, trusted)
    if objection:
        return objection
    for path, status in above.items():
        is_sticky = status.st_mode & _STICKY
        if not lenient and status.st_uid not in trusted:
            return f"{path!r}, which it is in, belongs to another user"
        if not is_sticky and status.st_mode & (_OTHERS_WRITE if lenient else _OTHERS_WRITE | _GROUP_WRITES):
            return f"others can write to {path!r}, which it is in"
    if parents_only:
        return ""
    if last.st_uid not in trusted:
        return f"it belongs to another user ({last.st_uid}; this process is of user {trusted[1]})"
    if last.st_mode & (_OTHERS_WRITE | _GROUP_WRITES):
        return "others can write to it"
    return ""


def _folders_on_the_way(path: str, folder: str, trusted: tuple[int, ...]) -> tuple[dict[str, Any], Any, str]:
    """Follow the absolute *path*, with all symbolic links in it, from the root to the folder that it leads to.

    Return a dict from the paths of the folders above it to their status, the status of the folder itself, and an
    objection. The objection is not "" if the path leads through a link of a user who is not *trusted*. Messages name
    the *folder* that the caller asked for. The dict lacks the root: its owner has every right anyway, and in a sandbox
    the owner may seem to be any user.
    """
    names = path.split("/")[::-1]
    current, n_links = "", 0
    statuses: dict[str, Any] = {"": None}
    while names:
        name = names.pop()
        if name == "..":
            current = current[: current.rfind("/")] if current else ""
        if name in ("", ".", ".."):
            continue
        entry = f"{current}/{name}"
        status = _system.lstat(entry)
        if status.st_mode & _KIND == _LINK:
            n_links += 1
            if status.st_uid not in trusted:
                return {}, None, f"{entry!r} is a link that belongs to another user"
            if n_links > _MOST_LINKS:
                raise OSError(f"{folder!r} leads through more than {_MOST_LINKS} links")
            target = _system.readlink(entry)
            names += target.split("/")[::-1]
            if target.startswith("/"):
                current = ""
            continue
        current = entry
        statuses[current] = status
    last = statuses.pop(current) or _system.lstat("/")
    statuses.pop("", None)
    return statuses, last, ""


def is_of_another_user(path: str) -> bool:
    """Return whether the file at *path*, or a symbolic link there, belongs to neither this user nor root.

    Raise OSError if there is no file.
    """
    if not _HAS_OWNERS:
        return False
    trusted = trusted_users()
    status = _system.lstat(path)
    return status.st_uid not in trusted or (
        status.st_mode & _KIND == _LINK and _system.stat(path).st_uid not in trusted
    )


def read_regular(path: str, largest: int) -> bytes:
    """Return the content of the file at *path*, without waiting for a writer and without filling the memory.

    Raise OSError if it cannot be read or is a folder. Raise ValueError if it is a device, a pipe or another special
    file, or has more than *largest* bytes.
    """
    # The kind is checked before the file is opened, because opening a device may have an effect.
    _check_regular(_system.stat(path).st_mode, path)
    descriptor = _system.open(path, READ)
    try:
        _check_regular(_system.fstat(descriptor).st_mode, path)
        chunks, remaining = [], largest + 1
        while remaining > 0 and (chunk := _system.read(descriptor, min(remaining, _CHUNK))):
            chunks.append(chunk)
            remaining -= len(chunk)
    finally:
        _system.close(descriptor)
    if remaining <= 0:
        raise ValueError(f"it is too large, with more than {largest} bytes")
    return b"".join(chunks)


def _check_regular(mode: int, path: str) -> None:
    """Raise OSError if *mode* is the mode of a folder, ValueError if it is the mode of a special file."""
    if mode & _KIND == _FOLDER:
        raise IsADirectoryError(EISDIR, "Is a directory", path)
    if mode & _KIND != _REGULAR:
        raise ValueError("it is no file")


class HeldFolder:
    """A folder that is kept open, so that it can be reached although its path leads elsewhere, as after `chroot`."""

    __slots__ = ("descriptor", "device", "inode")

    def __init__(self, path: str) -> None:
        """Open the folder at *path*, or raise OSError."""
        self.descriptor = _system.open(path, _system.O_RDONLY | getattr(os, "O_CLOEXEC", 0))
        status = _system.fstat(self.descriptor)
        self.device, self.inode = status.st_dev, status.st_ino

    def is_out_of_reach(self, path: str) -> bool:
        """Return whether the folder still exists, but *path* does not lead to it any more."""
        try:
            status = _system.fstat(self.descriptor)
            if not self._is_same(status):  # the program has closed our descriptor, and the number has another file
                return False
        except OSError:
            return False
        try:
            return not self._is_same(_system.stat(path))
        except OSError:
            return bool(_system.fstat(self.descriptor).st_nlink)

    def _is_same(self, status: os.stat_result) -> bool:
        return (status.st_dev, status.st_ino) == (self.device, self.inode)
