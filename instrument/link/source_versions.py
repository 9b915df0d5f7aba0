"""Find the version of the source text that a code object was compiled from.

The path of a source file comes in when its code is made live, and a `Source` goes out. Later the Source gives the
version, under which counts are saved.

Problem: a source file may be edited between compiling and reading it. Counts of the old text must never be saved under
the version of the new one. And reading and hashing each file at once would delay imports.
Solution: when the code is made live, only the identity of the file and the header of its bytecode file are noted, by
one `stat`. The background thread reads the text later. It is taken for the compiled text only if both still fit. Text
that was just compiled is read at once: that takes a small part of the time of compiling. If the text is uncertain, the
counts are saved under a hash of the rewritten code.
"""

from __future__ import annotations

import os
import sys
from _frozen_importlib_external import MAGIC_NUMBER
from _imp import source_hash

from instrument.guest.own_builtins import system as _system
from instrument.guest.program_errors import belongs_to_program
from instrument.guest.trusted_files import read_regular

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    #: Tells one state of a bytecode file from others: header, size, times, inode.
    Stamp = tuple[object, ...]
    #: Tells one state of a source file from others: size, time of change, inode, device.
    Identity = tuple[int, ...]

#: Bytes. No source is larger, and other files that a path may name are.
LARGEST = 1 << 26
#: The key of the source hashes in bytecode files (PEP 552).
_HASH_KEY = int.from_bytes(MAGIC_NUMBER, "little")
#: The time of a file may be that of the last tick of the system's clock, so it may be this much too early.
_TICK = 0.02


def _sha256_of(data: bytes) -> str:
    """Return the hash of *data* in hexadecimal digits. The module that computes it is loaded when it is needed."""
    try:
        if sys.version_info >= (3, 12):
            from _sha2 import sha256  # type: ignore[import-not-found, unused-ignore]
        else:
            from _sha256 import sha256  # type: ignore[import-not-found, unused-ignore]
    except ImportError:
        from hashlib import sha256
    digits: str = sha256(data).hexdigest()
    return digits


def identity_of(path: str) -> Identity | None:
    """Return the identity of the file at *path*, which changes with its text; None if there is no such file."""
    return look_at(path)[0]


def look_at(path: str) -> tuple[Identity | None, bytes]:
    """Return the identity of the source file at *path*, and the header that its up-to-date bytecode file has.

    Return (None, b"") if there is no such file. A bytecode file with a hash in its header has another one.
    """
    try:
        status = _system.stat(path)
    except (OSError, ValueError):
        return None, b""
    # importlib takes the time from `st_mtime`, a float: the integer `st_mtime_ns` could round differently.
    numbers = (int(status.st_mtime) & 0xFFFFFFFF) << 32 | (status.st_size & 0xFFFFFFFF) << 64
    header = MAGIC_NUMBER + numbers.to_bytes(12, "little")
    return (status.st_size, status.st_mtime_ns, status.st_ino, status.st_dev), header


def stamp_of(header: bytes, bytecode_path: str) -> Stamp | None:
    """Return the stamp of the bytecode file at *bytecode_path* with *header*; None if there is no such file.

    A file that is replaced has another inode. Writing to a file, or setting its times, changes its `st_ctime`.
    """
    try:
        status = _system.stat(bytecode_path)
    except (OSError, ValueError):
        return None
    return header, status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino


def is_absolute(path: str) -> bool:
    """Return whether *path* is absolute, without calls that the program could have replaced on POSIX."""
    return path.startswith("/") if os.name == "posix" else os.path.isabs(path)


#: Normalizes a path by one C call, if possible: functions of `os.path` call builtins that the program may replace.
_normalized: Callable[[str], str] = getattr(_system, "_path_normpath", os.path.normpath)


def absolute(path: str) -> str:
    """Return the absolute, normalized form of *path*; *path* itself if the current folder is gone."""
    if path.startswith(os.sep) and "/." not in path and "//" not in path:
        return path
    try:
        return _normalized(path if is_absolute(path) else f"{_system.getcwd()}{os.sep}{path}")
    except OSError:
        return path


class Source:
    """The text that code was compiled from, in the file at *path*.

    *identity* is that of the file when the code was made live, None if there was no file. *header* is that of the
    bytecode file that was read, empty if there was none. *is_certain* says whether the file had one text only between
    compiling and then. *version* is given if it is known already.
    """

    __slots__ = ("_header", "_identity", "_is_certain", "_version", "path")

    def __init__(
        self, path: str, identity: Identity | None, header: bytes, is_certain: bool, version: str | None = None
    ) -> None:
        self.path = path
        self._identity = identity
        self._header = header
        self._is_certain = is_certain
        self._version = version

    def is_like(self, other: Source) -> bool:
        """Return whether this and *other* certainly are the same text."""
        return self._is_certain and other._is_certain and self._identity == other._identity

    def is_known(self) -> bool:
        """Return whether `read` has nothing more to find: the version is known, or the text is uncertain."""
        return self._version is not None or not self._is_certain or self._identity is None

    def read(self) -> None:
        """Find the version, if the file still has the text. Its hash is the version."""
        if self._version is None:
            try:
                text = self._text()
            except BaseException as error:  # an audit hook of the program forbids to read the file
                if belongs_to_program(error):
                    raise
                text = None
            if text is not None:
                self._version = f"sha256:{_sha256_of(text)}"

    def known_version(self) -> str | None:
        """Return the hash of the text; None if the text is gone or uncertain."""
        self.read()
        return self._version

    def version(self, rewritten: Callable[[], bytes]) -> str:
        """Return the version: the hash of the text, or of the result of *rewritten* if that is gone or uncertain."""
        self.read()
        if self._version is None:
            self._version = f"compiled:{_sha256_of(rewritten())}"
        return self._version

    def _text(self) -> bytes | None:
        """Return the text if the file certainly still has the one that the code was compiled from, else None."""
        if not self._is_certain or self._identity is None or identity_of(self.path) != self._identity:
            return None
        try:
            text = read_regular(self.path, LARGEST)
        except (OSError, ValueError):
            return None
        identity, header = look_at(self.path)
        if identity != self._identity:
            return None
        if len(self._header) == len(header) and self._header[4] & 1:  # the header has the hash of the text
            header = self._header[:8] + source_hash(_HASH_KEY, text)
        return text if self._header in (b"", header) else None


def source_of_import(path: str, before: Identity | None, header: bytes) -> Source:
    """Return the Source of the module at *path*, which is being imported, maybe from bytecode with *header*.

    *before* is the identity of the file before it was read. If it is the same now, the text was the same in between.
    """
    identity = identity_of(path)
    return Source(path, identity, header, before == identity)


def source_of_exec_code(path: str, since: float) -> Source:
    """Return the Source of exec'd or existing code with the source file *path*, compiled at an unknown time.

    The text is certain if the file was last changed before *since*: it has had one text only since then.
    """
    try:
        status = _system.stat(path)
    except (OSError, ValueError):
        return Source(path, None, b"", False)
    return Source(path, identity_of(path), b"", max(status.st_mtime, status.st_ctime) < since - _TICK)
