"""Reads and writes counts files: the counts of several runs in one file, as the standard library's `trace` has them.

The format is that of `trace`: a pickle of protocol 1, of the tuple (counts, calledfuncs, callers). `load` returns these
three dictionaries, and `store` writes them. `counts_pickle` decodes the file, because `pickle.load` would run any
command that it holds.

A file is written completely or not at all. `store` writes a new file in the same folder, and renames it to the path.
"""

from __future__ import annotations

import os
import pickle
import stat

from instrument.errors import CountsFileError
from instrument.guest.atomic_files import create_beside
from instrument.trace_results.counts_pickle import decode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeAlias

    Path: TypeAlias = str | os.PathLike[str]
    #: File name, module name, function name.
    Function: TypeAlias = tuple[str, str | None, str]
    LineCounts: TypeAlias = dict[tuple[str, int], int]
    CalledFunctions: TypeAlias = dict[Function, int]
    Callers: TypeAlias = dict[tuple[Function, Function], int]

# The protocol of all counts files of `trace`. Files of other protocols are read, but not written.
PROTOCOL = 1

# Bytes. A count takes some fifteen, so this is enough for a very large program. Larger files, such as /dev/zero, are
# refused before they fill the memory.
LARGEST_FILE = 1 << 28


def load(path: Path) -> tuple[LineCounts, CalledFunctions, Callers]:
    """Return the counts, called functions and callers in the file at *path*.

    Raise OSError if it cannot be read, EOFError if it is empty, and CountsFileError if it holds anything but counts.
    The messages of the last two do not name the file.
    """
    # Reading a pipe without a writer would block. Devices such as /dev/null and terminals are read.
    if stat.S_ISFIFO(os.stat(path).st_mode) and not _is_descriptor(path):
        raise CountsFileError("it is a pipe, which would be waited for; name a regular file")
    with open(path, "rb") as file:
        data = file.read(LARGEST_FILE + 1)
    if not data:
        raise EOFError("Ran out of input")
    if len(data) > LARGEST_FILE:
        raise CountsFileError(f"it is larger than {LARGEST_FILE} bytes, so no counts file")
    value = decode(data)
    if type(value) is not tuple or [type(part) for part in value] != [dict, dict, dict]:
        raise CountsFileError("it does not hold the three dictionaries of a counts file")
    counts, calledfuncs, callers = value
    for key, count in counts.items():
        if not (type(key) is tuple and len(key) == 2 and type(key[0]) is str and isinstance(count, int)):
            raise CountsFileError(f"it counts {key!r}, which is no line of a file")
    return counts, calledfuncs, callers


def _is_descriptor(path: Path) -> bool:
    """Return whether *path* is an open file of this process, such as /dev/stdin, or `<(…)` of a shell."""
    name = os.fsdecode(path)
    return name == "/dev/stdin" or name.startswith(("/dev/fd/", "/proc/self/fd/"))


def store(path: Path, counts: LineCounts, calledfuncs: CalledFunctions, callers: Callers) -> None:
    """Write the three dictionaries to the file at *path*; raise OSError, and leave it unchanged, if that fails."""
    data = pickle.dumps((counts, calledfuncs, callers), PROTOCOL)
    old = None
    try:
        old = os.stat(path)
    except FileNotFoundError:
        pass
    if old is not None:
        if stat.S_ISREG(old.st_mode):
            # Opening it for writing raises PermissionError for a read-only file, which a rename would replace.
            os.close(os.open(path, os.O_WRONLY))
        else:
            # A pipe or a device is written to, never replaced. (For a folder, `open` raises IsADirectoryError.)
            _write_in_place(path, data)
            return
    # Symbolic links are followed: the target is replaced, and the link stays.
    if not _replace(os.path.realpath(path), data, old):
        # The folder cannot have a new file, or the file is a mount point. `trace` writes to such a file in place.
        _write_in_place(path, data)


def _write_in_place(path: Path, data: bytes) -> None:
    """Replace the content of the file at *path* by *data*, in place."""
    with open(path, "wb") as file:
        file.write(data)


def _replace(target: str, data: bytes, old: os.stat_result | None) -> bool:
    """Put a new file that holds *data* where *target* is; return whether the folder allows that.

    Complete or absent: until the one rename below *target* is untouched, from then on it is the whole new file.
    """
    try:
        descriptor, temporary = create_beside(target, 0o666)
    except (PermissionError, FileNotFoundError):
        return False
    renamed = False
    try:
        with open(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(descriptor)
        if old is not None:
            _keep_owner_and_mode(temporary, old)
        try:
            os.replace(temporary, target)
            renamed = True
        except OSError:
            pass
    finally:
        # After a full disk or an interrupt the temporary file is removed.
        if not renamed:
            os.unlink(temporary)
    return renamed


def _keep_owner_and_mode(path: str, old: os.stat_result) -> None:
    """Give the file at *path* the mode of the file that it will replace, and owner and group if that is allowed."""
    new = os.stat(path)
    if (new.st_uid, new.st_gid) != (old.st_uid, old.st_gid) and hasattr(os, "chown"):
        try:
            os.chown(path, old.st_uid, old.st_gid)
        except PermissionError:
            pass
    os.chmod(path, stat.S_IMODE(old.st_mode))
