"""Whether another user could have made a folder or a file, and how to read a file that anybody may have made.

Paths come in; objections in words, and contents, go out. The rules are those of ssh: root and this user are trusted,
and so is what only they can write to. In a folder with the sticky bit, such as /tmp, others can make files of their
own, but can neither rename nor remove ours.

This runs inside of the measured program: nothing is called that the program may replace.
"""

from __future__ import annotations

import os
from errno import EISDIR

from instrument.guest.own_builtins import system as _system

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_HAS_OWNERS = os.name == "posix"

#: Parts of the mode of a file: its kind, and the rights of others.
_KIND, _REGULAR, _FOLDER, _LINK = 0o170000, 0o100000, 0o040000, 0o120000
_GROUP_WRITES, _OTHERS_WRITE, _STICKY = 0o020, 0o002, 0o1000
_MOST_LINKS = 40

#: A pipe is opened without a writer, and a terminal does not become that of this process.
READ = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0)
READ |= getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
_PIECE = 1 << 20


def trusted_users() -> tuple[int, int]:
    """Return the numbers of the users whose files are trusted: root, and the one of this process."""
    return 0, _system.geteuid()


def objection_to_folder(folder: str, *, lenient: bool = False, parents_only: bool = False) -> str:
    """Return why another user could make files in *folder*, or put another in its place; "" if none could.

    If *lenient*, those above may be of another user, or of a group: who works in such a folder runs the others' code.
    With *parents_only* the folder itself is not judged, only those above it. Raise OSError if there is no such folder.
    """
    if not _HAS_OWNERS:
        return ""
    trusted = trusted_users()
    here = "" if folder.startswith("/") else _system.getcwd()
    waiting = f"{here}/{folder}".split("/")[::-1]
    place, n_links = "", 0
    passed: dict[str, Any] = {"": None}
    while waiting:
        name = waiting.pop()
        if name == "..":
            place = place[: place.rfind("/")] if place else ""
        if name in ("", ".", ".."):
            continue
        path = f"{place}/{name}"
        status = _system.lstat(path)
        if status.st_mode & _KIND == _LINK:
            n_links += 1
            if status.st_uid not in trusted:
                return f"{path!r} is a link that belongs to another user"
            if n_links > _MOST_LINKS:
                raise OSError(f"{folder!r} leads through more than {_MOST_LINKS} links")
            target = _system.readlink(path)
            waiting += target.split("/")[::-1]
            if target.startswith("/"):
                place = ""
            continue
        place = path
        passed[place] = status
    # The root itself is left out: who has that has everything, and in a sandbox it may seem to be anybody's.
    last = passed.pop(place) or _system.lstat("/")
    passed.pop("", None)
    for path, status in passed.items():
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


def is_of_another_user(path: str) -> bool:
    """Return whether the file at *path*, or a link there, belongs to neither this user nor root; raise OSError if there
    is none.
    """
    if not _HAS_OWNERS:
        return False
    trusted = trusted_users()
    status = _system.lstat(path)
    return status.st_uid not in trusted or (
        status.st_mode & _KIND == _LINK and _system.stat(path).st_uid not in trusted
    )


def read_regular(path: str, largest: int) -> bytes:
    """Return the content of the file at *path*; never wait for it, nor fill the memory.

    Raise OSError if it cannot be read or is a folder, and ValueError if it is a device, a pipe or the like, or has more
    than *largest* bytes.
    """
    # Looked at before it is opened: to open a device may do something.
    _check_regular(_system.stat(path).st_mode, path)
    number = _system.open(path, READ)
    try:
        _check_regular(_system.fstat(number).st_mode, path)
        parts, rest = [], largest + 1
        while rest > 0 and (part := _system.read(number, min(rest, _PIECE))):
            parts.append(part)
            rest -= len(part)
    finally:
        _system.close(number)
    if rest <= 0:
        raise ValueError(f"it is too large, with more than {largest} bytes")
    return b"".join(parts)


def _check_regular(mode: int, path: str) -> None:
    if mode & _KIND == _FOLDER:
        raise IsADirectoryError(EISDIR, "Is a directory", path)
    if mode & _KIND != _REGULAR:
        raise ValueError("it is no file")
