"""Which text a code object was compiled from.

Sources are noted when their code is made live, at the price of a `stat`. What was just compiled is read and hashed at
once, which takes a small part of the time of compiling; what came from a file of bytecode in the background, a second
later at most. In between a file may have been edited: counts of the old text must never be booked under the new one. So
what identified the file when it was compiled is kept, and what is in the header of its bytecode file. Where a text
cannot be told for certain, its counts are booked under what the code was rewritten to.
"""

from __future__ import annotations

import os
import sys
from _frozen_importlib_external import MAGIC_NUMBER
from _imp import source_hash
from _struct import pack

from instrument.guest.own_builtins import system as _system
from instrument.guest.program_errors import belongs_to_program
from instrument.guest.trusted_files import read_regular

_before = set(sys.modules)
try:
    from _sha2 import sha256  # type: ignore[import-not-found, unused-ignore]
except ImportError:
    try:
        from _sha256 import sha256  # type: ignore[import-not-found, no-redef, unused-ignore]
    except ImportError:
        from hashlib import sha256
for _name in {"_sha2", "_sha256"} & (sys.modules.keys() - _before):
    del sys.modules[_name]  # the program imports its own
del _before

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    #: Of a file of bytecode, to be compared with others.
    Stamp = tuple[object, ...]

#: Not by way of `os`, whose functions the program may replace.
_LARGEST = 1 << 26
_KEY = int.from_bytes(MAGIC_NUMBER, "little")
#: Times of files may be those of the last tick of the system's clock.
_TICK = 0.02


def identity_of(path: str) -> tuple[int, ...] | None:
    """Return what changes when another text is put into the file at *path*; None if there is no such file."""
    return look_at(path)[0]


def look_at(path: str) -> tuple[tuple[int, ...] | None, bytes]:
    """Return what `identity_of` does, and how a file of bytecode begins that the interpreter would take for that of the
    text there now; None and nothing if there is no such file.
    """
    try:
        status = _system.stat(path)
    except (OSError, ValueError):
        return None, b""
    # The time as importlib has it: by way of a float.
    header = pack("<4xLL", int(status.st_mtime) & 0xFFFFFFFF, status.st_size & 0xFFFFFFFF)
    return (status.st_size, status.st_mtime_ns, status.st_ino, status.st_dev), MAGIC_NUMBER + header


def stamp_of(header: bytes, bytecode_path: str) -> Stamp | None:
    """Return what changes when other bytecode is put into the file at *bytecode_path*, or it gets another *header*;
    None if there is no such file.

    A file that is replaced is another one, and whoever writes to it, or sets its times, changes `st_ctime`.
    """
    try:
        status = _system.stat(bytecode_path)
    except (OSError, ValueError):
        return None
    return header, status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino


def is_absolute(path: str) -> bool:
    """Return whether *path* is meant from the root on."""
    return path.startswith("/") if os.name == "posix" else os.path.isabs(path)


#: Functions of `os.path` call builtins, which the program may have replaced: on POSIX they are done without.
_normal: Callable[[str], str] = getattr(_system, "_path_normpath", os.path.normpath)


def absolute(path: str) -> str:
    """Return *path*, as it is meant now, from the root on."""
    if path.startswith(os.sep) and "/." not in path and "//" not in path:
        return path
    try:
        return _normal(path if is_absolute(path) else f"{_system.getcwd()}{os.sep}{path}")
    except OSError:  # the folder is gone
        return path


class Source:
    """The text that some code was compiled from: that of the file at *path* as it was then."""

    __slots__ = ("_found", "_header", "_identity", "_is_certain", "path")

    def __init__(self, path: str, identity: tuple[int, ...] | None, header: bytes, is_certain: bool) -> None:
        self.path = path
        self._identity = identity
        self._header = header
        self._is_certain = is_certain
        self._found: str | None = None

    def is_like(self, other: Source) -> bool:
        """Return whether this and *other* are the same text for certain."""
        return self._is_certain and other._is_certain and self._identity == other._identity

    def is_known(self) -> bool:
        """Return whether there is nothing to find out by `read`: that was done, or the text cannot be told."""
        return self._found is not None or not self._is_certain or self._identity is None

    def read(self) -> None:
        """Find out what names the text, if it is still there."""
        if self._found is None:
            try:
                text = self._text()
            except BaseException as error:  # an audit hook of the program forbids to read it
                if belongs_to_program(error):
                    raise
                text = None
            if text is not None:
                self._found = f"sha256:{sha256(text).hexdigest()}"

    def version(self, rewritten: bytes) -> str:
        """Return what names the text: its hash, or if it cannot be told any more that of what was *rewritten*."""
        self.read()
        if self._found is None:
            self._found = f"compiled:{sha256(rewritten).hexdigest()}"
        return self._found

    def _text(self) -> bytes | None:
        if not self._is_certain or self._identity is None or identity_of(self.path) != self._identity:
            return None
        try:
            text = read_regular(self.path, _LARGEST)
        except (OSError, ValueError):
            return None
        identity, header = look_at(self.path)
        if identity != self._identity:
            return None
        if len(self._header) == len(header) and self._header[4] & 1:  # it was compiled from a text with this hash
            header = self._header[:8] + source_hash(_KEY, text)
        return text if self._header in (b"", header) else None


def source_of_import(path: str, before: tuple[int, ...] | None, header: bytes) -> Source:
    """Return the source at *path* of a module that is imported, from bytecode with *header* if that was there.

    *before* is what identified it before it was read: if that is the same now, the text was the same in between.
    """
    identity = identity_of(path)
    return Source(path, identity, header, before == identity)


def source_of_exec_code(path: str, since: float) -> Source:
    """Return the source at *path* of code that was compiled at some moment after *since*, or before.

    Which text that was is certain if there was but one since then.
    """
    try:
        status = _system.stat(path)
    except (OSError, ValueError):
        return Source(path, None, b"", False)
    return Source(path, identity_of(path), b"", max(status.st_mtime, status.st_ctime) < since - _TICK)
