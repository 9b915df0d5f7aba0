"""Replace files so that a reader sees the old content or the new content, and never a part of either.

A path and the content come in. The content goes to a new file in the same folder, which is then renamed to the path.

This code runs inside the measured program, so it calls the system's functions by `own_builtins.system`.
"""

# No `from __future__ import annotations`: see instrument.guest.
import os

from instrument.guest.own_builtins import system as _system

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_CREATE_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)


def create_beside(path: str, mode: int = 0o600) -> "tuple[int, str]":
    """Create an empty file in the folder of *path*; return its descriptor and its path.

    The name is random, so nobody can put a link there first. Its length does not depend on *path*, whose name may be
    as long as names can be.
    """
    folder = path[: max(path.rfind(os.sep), path.rfind(os.altsep or os.sep)) + 1]
    temporary = f"{folder}.instrument-{_system.urandom(8).hex()}.tmp"
    return _system.open(temporary, _CREATE_NEW, mode), temporary


def write_all(descriptor: int, data: "bytes | memoryview") -> None:
    """Write all of *data* to *descriptor*: one call of `os.write` may write a part."""
    remaining = memoryview(data)
    while remaining:
        remaining = remaining[_system.write(descriptor, remaining) :]


def replace_file(
    path: str, write: "Callable[[int, str], object]", *, mode: int = 0o600, keep_existing: bool = False
) -> None:
    """Call *write* with descriptor and path of a new file, then rename the file to *path*.

    The file has *mode*, without the bits of the umask. With *keep_existing*, a file that is at *path* by then stays.
    If anything raises, OSError or an exception of *write*, the file at *path* is unchanged and the new one is removed.
    """
    descriptor, temporary = create_beside(path, mode)
    is_gone = False
    try:
        # A signal handler of the program may raise between any two instructions: the new file is removed then, too.
        write(descriptor, temporary)
        closing, descriptor = descriptor, -1
        _system.close(closing)
        if keep_existing:
            _rename_unless_present(temporary, path)
        else:
            _system.replace(temporary, path)
            is_gone = True
    finally:
        if descriptor >= 0:
            _system.close(descriptor)
        if not is_gone:
            remove_file(temporary)


def write_file(path: str, data: bytes, *, mode: int = 0o600, keep_existing: bool = False) -> None:
    """Make *data* the content of the file at *path*: see `replace_file`."""
    replace_file(path, lambda descriptor, _: write_all(descriptor, data), mode=mode, keep_existing=keep_existing)


def _rename_unless_present(temporary: str, path: str) -> None:
    """Give the file *temporary* the name *path* too, unless there is a file of that name."""
    try:
        _system.link(temporary, path)
    except FileExistsError:
        pass
    except (OSError, AttributeError):  # a file system, or a system, without hard links
        _system.replace(temporary, path)


def remove_file(path: str) -> bool:
    """Remove the file at *path*, and return whether that succeeded."""
    try:
        _system.unlink(path)
    except OSError:
        return False
    return True


def synchronise(path: str, flags: int) -> None:
    """Make the system write the file or folder at *path*, opened with *flags*, to the disk.

    Raise OSError if that fails for a file. Some file systems cannot synchronise folders, which is no error.
    """
    descriptor = _system.open(path, flags | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0))
    try:
        _system.fsync(descriptor)
    except OSError as error:
        if flags != os.O_RDONLY:
            raise error
    finally:
        _system.close(descriptor)
