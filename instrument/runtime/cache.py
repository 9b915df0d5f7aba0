"""Rewritten code kept on disk, so that it is made once and not at each start.

Code objects and what they were rewritten to, taken apart (`counters.flatten`), go in and come out. A code object is
found by what it consists of, not by when its source was changed: sources with equal times, moved trees and edited files
cannot be mistaken for one another. For each source file there is one file for functions that were found loaded, and one
for the module as its bytecode file has it, in a folder for each interpreter, placement and state of this package;
whatever does not fit is not found, and made anew.

A file is complete or absent: it is written under another name and renamed. Writers that meet lose nothing but work.
The folder is `$INSTRUMENT_CACHE`, else `instrument` in the user's cache folder; an empty `INSTRUMENT_CACHE` turns the
cache off. It is used only if it belongs to this user and nobody else can write to it, for what is read is executed,
like `__pycache__`. Each file also carries a checksum under a key of the folder's own: files from elsewhere, cut off or
tampered with are passed over. What cannot be read or written is never an error: the code is rewritten as if there were
no cache.

While the program runs, nothing is called here that is written in Python outside of this package: the program may use
it too, and have it counted.
"""

from __future__ import annotations

import marshal
import os
import sys
from _imp import source_hash
from types import CodeType

from instrument.runtime.counters import is_refused

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from instrument.runtime.counters import Flat

    #: Rewritten code, what linking needs and what reading needs: `counters.flatten`.
    Known = tuple[list[Flat], bytes]

_MAGIC = b"instrument 2\n"
_MARSHAL = 2  # without references, whose presence depends on who else holds an object
#: Not by way of `os`, whose functions the program may replace.
_system: Any = sys.modules[os.name if os.name == "nt" else "posix"]
_own = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def _default_folder() -> str | None:
    chosen = os.environ.get("INSTRUMENT_CACHE")
    if chosen is not None:
        return os.path.abspath(chosen) if chosen else None
    base = os.environ.get("LOCALAPPDATA" if os.name == "nt" else "XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return os.path.join(base, "instrument") if os.path.isabs(base) else None


#: Asked for when this module is imported, before anything is measured.
_folder = _default_folder()


class Cache:
    """What was rewritten for *where*, a placement, below *folder*; None keeps nothing."""

    def __init__(self, where: str, folder: str | None = None) -> None:
        self._folder = _prepare_folder(folder, where) if folder else None
        self._key = _read(f"{folder}{os.sep}key") or b"" if self._folder else b""

    def load(self, name: str) -> Any:
        """Return what is kept under *name*; None if nothing is, or it cannot be read or trusted."""
        data = _read(self._path(name)) if self._folder else None
        start = len(_MAGIC) + 8
        if data is None or not data.startswith(_MAGIC):
            return None
        body = data[start:]
        if data[len(_MAGIC) : start] != source_hash(0, self._key + body):
            return None
        known, value = marshal.loads(body)
        return value if known == name else None

    def store(self, name: str, value: object) -> None:
        """Keep *value*, which is plain, under *name*."""
        if self._folder is None:
            return
        try:
            body = marshal.dumps((name, value))  # type: ignore[arg-type]
        except ValueError:  # a name that cannot be encoded
            return
        _write(self._path(name), _MAGIC + source_hash(0, self._key + body) + body)

    def _path(self, name: str) -> str:
        return f"{self._folder}{os.sep}{source_hash(0, name.encode(errors='surrogatepass')).hex()}"

    def module(self, path: str, bytecode: bytes | memoryview) -> Known | None:
        """Return what the *bytecode* of the source at *path* was rewritten to; None if that is not known."""
        kept = self.load(_MODULE + path)
        if kept is None or kept[0] != _digest(bytecode):
            return None
        return kept[1], kept[2]

    def keep_module(self, path: str, bytecode: bytes | memoryview, known: Known) -> None:
        """Keep what *bytecode* was rewritten to."""
        flats, packed = known
        if not any(map(is_refused, flats)):
            self.store(_MODULE + path, (_digest(bytecode), flats, packed))


_MODULE = "module "


def _digest(data: bytes | memoryview) -> bytes:
    return source_hash(1, data) + source_hash(2, data)


class Batch:
    """Code that is made live in one go: each file of *cache* is read once for it, and written once.

    A *shelf* is what is kept in one file: code from one source, or what was handed over in one module.
    """

    def __init__(self, cache: Cache) -> None:
        self._cache = cache
        self._read: dict[str, dict[bytes, bytes]] = {}
        self._asked: dict[str, dict[bytes, bytes]] = {}
        self._new: set[str] = set()

    def get(self, tree: list[CodeType], shelf: str) -> Known | None:
        """Return what *tree*, code with all that is nested in it, was rewritten to; None if that is not known."""
        if shelf not in self._read:
            self._read[shelf] = self._cache.load(shelf) or {}
            self._asked[shelf] = {}
        kept = self._read[shelf]
        if not kept:
            return None
        try:
            key = _key_of(tree)
        except ValueError:
            return None
        if key not in kept:
            return None
        self._asked[shelf][key] = kept[key]
        known: Known = marshal.loads(kept[key])
        return known

    def put(self, tree: list[CodeType], known: Known, shelf: str) -> None:
        """Keep what *tree* was rewritten to, after `get` did not find it, until `flush` writes it."""
        asked = self._asked[shelf]
        if any(map(is_refused, known[0])) or len(asked) >= _LARGEST_SHELF:
            return
        try:
            asked[_key_of(tree)] = marshal.dumps(known)
        except ValueError:
            return
        self._new.add(shelf)

    def flush(self) -> None:
        """Write what is new."""
        for shelf in list(self._new):
            asked, kept = self._asked[shelf], self._read[shelf]
            # Of code that is not there any more a file may keep as much as of code that is.
            if len(kept.keys() - asked.keys()) <= len(asked):
                asked = {**kept, **asked}
            self._cache.store(shelf, asked)
        self._new.clear()


_LARGEST_SHELF = 2_000


def _plain(constant: object) -> Any:
    """Return *constant* as the old format of `marshal` can have it."""
    if type(constant) is CodeType:
        return None
    if type(constant) is slice:  # a constant since 3.14
        return slice.__name__, constant.start, constant.stop, constant.step
    return tuple(map(_plain, constant)) if type(constant) is tuple else constant


def _key_of(tree: list[CodeType]) -> bytes:
    """Return what identifies the code of *tree*, all that goes into its rewriting or is kept with it; raise ValueError
    if it has constants that no compiler makes.
    """
    return _digest(
        marshal.dumps(
            [
                (
                    *(code.co_code, code.co_linetable, code.co_exceptiontable, code.co_names, code.co_varnames),
                    *(code.co_cellvars, code.co_freevars, code.co_flags, code.co_stacksize, code.co_firstlineno),
                    *(code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount, code.co_filename),
                    *(code.co_name, code.co_qualname),
                    [_plain(constant) for constant in code.co_consts],
                )
                for code in tree
            ],
            _MARSHAL,
        )
    )


def open_cache(where: str) -> Cache:
    """Return the Cache of this user for the placement *where*."""
    return Cache(where, _folder)


# Files ################################################################################################################


def _prepare_folder(folder: str, where: str) -> str | None:
    """Return the folder of files that fit, made if need be; None if it cannot be had or trusted."""
    try:
        _make_folders(folder)
        if os.name == "posix":
            status = _system.stat(folder)
            if status.st_uid != _system.geteuid() or status.st_mode & 0o022:
                return None
        if not _read(f"{folder}{os.sep}key"):
            _write(f"{folder}{os.sep}key", _system.urandom(16), keep=True)
        state = b"".join([source_hash(0, _read(f"{_own}{os.sep}{name}") or b"") for name in _SOURCES])
        fits = f"{sys.implementation.cache_tag}-{sys.hexversion:x}-{where}-{source_hash(0, state).hex()}"
        inner = f"{folder}{os.sep}{fits}"
        _make_folders(inner)
    except (OSError, ValueError):
        return None
    return inner


#: The files that decide what code is rewritten to.
_SOURCES = [
    os.path.join(room, name)
    for room in ("flow", "rewrite", "runtime")
    for name in sorted(os.listdir(os.path.join(_own, room)) if os.path.isdir(os.path.join(_own, room)) else ())
    if name.endswith(".py")
]


def _make_folders(path: str) -> None:
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


def _read(path: str) -> bytes | None:
    """Return the content of the file at *path*, None if it cannot be read."""
    try:
        number = _system.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0))
    except (OSError, ValueError):
        return None
    try:
        size = _system.fstat(number).st_size
        data = _system.read(number, size + 1)
        return data if len(data) == size else None
    except OSError:
        return None
    finally:
        _system.close(number)


def _write(path: str, data: bytes, keep: bool = False) -> None:
    """Make *data* the content of the file at *path*, or leave it as it is; *keep* what another process wrote first."""
    temporary = f"{path}.{_system.getpid()}.{_system.urandom(4).hex()}"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
    try:
        number = _system.open(temporary, flags, 0o600)
    except OSError:
        return
    try:
        try:
            written = 0
            while written < len(data):
                written += _system.write(number, data[written:])
        finally:
            _system.close(number)
        if keep:
            _system.link(temporary, path)
            _system.unlink(temporary)
        else:
            _system.replace(temporary, path)
    except OSError:
        try:
            _system.unlink(temporary)
        except OSError:
            pass
