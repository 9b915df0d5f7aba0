"""The folder of the cache: where it is, whether it can be trusted, and the files in it.

The settings of the user and a placement come in; the path of a folder goes out, and the key of the checksums there.

The folder is `$INSTRUMENT_CACHE`, else `instrument` in the user's cache folder. An empty `INSTRUMENT_CACHE` turns the
cache off. The code in it is executed, like that in `__pycache__`. So the folder is used only if it belongs to this
user, and if no other user can write to it or replace it.

In it is one folder for each interpreter, placement, and state of the source files that decide how code is rewritten. A
folder that no process has opened for 60 days is removed when a new one is made.

While the program runs, no Python code outside of this package is called here. The program may use the same functions,
whose lines are then counted.
"""

from __future__ import annotations

import os
import sys
from _frozen_importlib_external import MAGIC_NUMBER
from _imp import source_hash
from time import time

from instrument.guest.atomic_files import remove_file, write_file
from instrument.guest.own_builtins import system as _system
from instrument.guest.own_loader import fact_about
from instrument.guest.trusted_files import objection_to_folder
from instrument.version import __version__

DAY = 24 * 60 * 60
_KEY_SIZE = 16
#: A folder that was not opened for so many days is removed.
_DAYS_UNUSED = 60
_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

#: The folders and modules of this package that decide how code is rewritten, and how that is stored. A hash of their
#: text is part of the name of the cache's folder. Code that another version of them has rewritten must not be executed.
#: A test in tests/link/test_cache_files.py compares this list with the imports of the module that rewrites and stores.
HASHED_FOLDERS = ("decode", "flow", "flow/derived", "link", "rewrite", "rewrite/straight")
HASHED_MODULES = ("session/unlinked_code",)
_SUFFIXES = (".py", ".pyc")


def _hashed_files() -> list[str]:
    """Return the paths of files in HASHED_FOLDERS, and those of HASHED_MODULES with each suffix, existing or not."""
    paths = []
    for folder in HASHED_FOLDERS:
        path = os.path.join(_PACKAGE, folder)
        names = sorted(os.listdir(path)) if os.path.isdir(path) else ()  # the package may be in an archive
        paths += [os.path.join(path, name) for name in names if name.endswith(_SUFFIXES)]
    for module in HASHED_MODULES:
        paths += [os.path.join(_PACKAGE, f"{module}{suffix}") for suffix in _SUFFIXES]
    return paths


#: Listed when this module is imported, before the program can replace functions of `os`.
_HASHED_FILES: list[str] = fact_about([f"{_PACKAGE}{os.sep}{name}" for name in HASHED_FOLDERS], "files", _hashed_files)


def default_folder() -> str | None:
    """Return the folder of the cache; None if it is turned off, or if the user has no home folder."""
    chosen = os.environ.get("INSTRUMENT_CACHE")
    if chosen is not None:
        return os.path.abspath(chosen) if chosen else None
    base = os.environ.get("LOCALAPPDATA" if os.name == "nt" else "XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return os.path.join(base, "instrument") if os.path.isabs(base) else None


def prepare_folder(folder: str, placement: str) -> tuple[str, bytes]:
    """Return the folder below *folder* for this interpreter and *placement*, which is made, and the key of *folder*.

    Raise OSError or ValueError if the folder cannot be made or trusted.
    """
    _make_folders(folder)
    _check_owner(folder)
    key = _key_of(folder)
    state = _state_of_sources()
    inner = f"{folder}{os.sep}{_python()}-{placement}-{__version__}-{state.hex()}"
    try:
        mark_as_used(inner)
    except FileNotFoundError:
        _make_folders(inner)
        _remove_unused(folder)
    except OSError:  # the folder is read-only, and can be read all the same
        pass
    _check_owner(inner)
    return inner, key


def version_of_entries() -> str:
    """Return a text that two processes share if they can use each other's rewritten code."""
    size_of_long = memoryview(bytes(8)).cast("l").itemsize
    return f"{_python()}-{sys.byteorder}-{size_of_long}-{__version__}-{_state_of_sources().hex()}"


def _python() -> str:
    """Return a text for this interpreter and the version of its bytecode."""
    return f"{sys.implementation.cache_tag}{getattr(sys, 'abiflags', '')}-{sys.hexversion:x}-{MAGIC_NUMBER.hex()}"


def _state_of_sources() -> bytes:
    """Return a hash of the files that decide how code is rewritten."""
    files = [*_HASHED_FILES, *_version_of_bytecode()]
    return fact_about(files, "state", lambda: source_hash(0, b"".join([_hash_of(path) for path in files])))


def _hash_of(path: str) -> bytes:
    return source_hash(0, read_file(path) or b"")


def _key_of(folder: str) -> bytes:
    """Return the key of *folder*, made if there is none; raise OSError if it cannot be made."""
    path = f"{folder}{os.sep}key"
    key = read_file(path)
    if key is None or len(key) != _KEY_SIZE:
        try:
            # Of processes that make a key at the same time, the first one wins. A damaged key is replaced.
            write_file(path, _system.urandom(_KEY_SIZE), keep_existing=key is None)
        except OSError:
            pass
        key = read_file(path)
        if key is None or len(key) != _KEY_SIZE:
            raise OSError("nothing can be written to it")
    return key


def _check_owner(folder: str) -> None:
    """Raise PermissionError if *folder* is not this user's, or if another user can write to it or replace it."""
    if os.name != "posix":
        return
    objection = objection_to_folder(folder)
    if not objection and _system.stat(folder).st_uid != _system.geteuid():
        objection = "it belongs to root"
    if objection:
        chmod = "; chmod go-w makes it safe" if objection.startswith("others can") else ""
        raise PermissionError(f"{objection}, and what is in it is executed{chmod}")


def _make_folders(path: str) -> None:
    """Make the folder at *path*, and those above it that do not exist; raise OSError if that fails."""
    missing = []
    while path:
        try:
            _system.stat(path)
            break
        except FileNotFoundError:
            missing.append(path)
            path = path[: path.rfind(os.sep)]
    for folder in reversed(missing):
        try:
            _system.mkdir(folder, 0o700)
        except FileExistsError:
            pass


def _version_of_bytecode() -> list[str]:
    """Return a list with the file that has the version of the package `bytecode`; an empty list if it is not found.

    The package is not imported: no start needs it if all code is in the cache.
    """
    for folder in sys.path:
        path = f"{folder}{os.sep}bytecode{os.sep}version.py"
        try:
            _system.stat(path)
        except (OSError, ValueError):
            continue
        return [path]
    return []


def _remove_unused(folder: str) -> None:
    """Remove the folders in *folder* that no process has opened for long: those of older releases and interpreters."""
    for name in listed(folder):
        inner = f"{folder}{os.sep}{name}"
        if name == "key" or not is_older(inner, _DAYS_UNUSED * DAY):
            continue
        for file in listed(inner):
            remove_file(f"{inner}{os.sep}{file}")
        try:
            _system.rmdir(inner)
        except OSError:  # another process has begun to use it; or it is a file
            remove_file(inner)


def is_older(path: str, seconds: float) -> bool:
    """Return whether the file at *path* was changed more than *seconds* ago; False if another process removed it."""
    try:
        return _age_of(path) > seconds
    except OSError:
        return False


def _age_of(path: str) -> float:
    changed: float = _system.stat(path).st_mtime
    return time() - changed


def today() -> int:
    """Return the number of days since 1970."""
    return int(time() // DAY)


def mark_as_used(path: str) -> None:
    """Set the time of the file at *path* to now, at most once a day; raise OSError if that fails."""
    if _age_of(path) > DAY:
        _system.utime(path)


def mark_as_unused(path: str, seconds: float) -> None:
    """Set the time of the file at *path* to *seconds* ago, which `mark_as_used` will change; ignore a failure."""
    try:
        _system.utime(path, (time() - seconds,) * 2)
    except OSError:
        pass


def listed(folder: str) -> list[str]:
    """Return the names of the files in *folder*; an empty list if it cannot be read."""
    try:
        names: list[str] = _system.listdir(folder)
    except OSError:
        return []
    return names


def is_gone(path: str) -> bool:
    """Return whether there is certainly no file at *path*: a path that cannot be examined may lead into an archive."""
    try:
        _system.stat(path)
    except FileNotFoundError:
        return True
    except (OSError, ValueError):
        pass
    return False


def read_file(path: str) -> bytes | None:
    """Return the content of the file at *path*; None if it cannot be read, or is no regular file."""
    try:
        if _SHOWS_EXCEPTIONS and not _system.access(path, 0):
            return None
        descriptor = _system.open(path, _READ)
    except (OSError, ValueError):
        return None
    try:
        # `fstat` makes an object of 19 numbers, by ten times as many instructions.
        size = _system.lseek(descriptor, 0, _FROM_END)
        _system.lseek(descriptor, 0, _FROM_START)
        data: bytes = _system.read(descriptor, size + 1)
        return data if len(data) == size else None
    except (OSError, OverflowError, MemoryError):  # the end of a folder may be at the greatest number
        return None
    finally:
        _system.close(descriptor)


#: On 3.12 a trace function of the program is called for exceptions, even if this package handles them in hidden code.
_SHOWS_EXCEPTIONS = sys.version_info[:2] == (3, 12)
_FROM_START, _FROM_END = os.SEEK_SET, os.SEEK_END
#: Opening does not wait: in place of a file there may be a pipe without a writer.
_READ = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NONBLOCK", 0)
