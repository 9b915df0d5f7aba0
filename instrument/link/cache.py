"""Rewritten code kept on disk, so that it is made once and not at each start.

Code objects and what they were rewritten to, taken apart (`counters.flatten`), go in and come out. A code object is
found by what it consists of, not by when its source was changed: sources with equal times, moved trees and edited files
cannot be mistaken for one another. A file of bytecode is read once: as long as it is the same file, unchanged, and the
one that the interpreter would take, it need not be. For each source file there is one file for functions that were
found loaded, and one for the module as its bytecode file has it; there is one for each module that was compiled,
wherever that is; all in a folder for each interpreter, placement and state of this package (and of `bytecode`, which
puts code together). Whatever does not fit is not found, and made anew.

A file is complete or absent: it is written under another name and renamed. Writers that meet lose nothing but work.
What is not used goes: a folder that no process opened for `_DAYS_KEPT` days is removed when a new one is made, and
`tidy` removes what was kept of sources that are not there any more, of modules that were compiled and not met again for
`_DAYS_KEPT_ALONE` days, and what writers left that were killed.
The folder is `$INSTRUMENT_CACHE`, else `instrument` in the user's cache folder; an empty `INSTRUMENT_CACHE` turns the
cache off. It is used only if it belongs to this user, and nobody else can write to it or put another in its place, for
what is read is executed, like `__pycache__`. Each file also carries a checksum under a key of the folder's own: files
from elsewhere, cut off or tampered with are passed over. What cannot be read or written is never an error: the code is
rewritten as if there were no cache.

While the program runs, nothing is called here that is written in Python outside of this package: the program may use
it too, and have it counted.
"""

from __future__ import annotations

import os
import sys
from _frozen_importlib_external import MAGIC_NUMBER
from _imp import source_hash
from marshal import dumps, loads
from time import time
from types import CodeType

from instrument.guest.atomic_files import remove_file, write_file
from instrument.guest.messages import text_of
from instrument.guest.own_builtins import system as _system
from instrument.guest.program_errors import belongs_to_program
from instrument.guest.trusted_files import objection_to_folder
from instrument.link.counters import index_of_group, is_refused
from instrument.link.fast_linking import compile_to_pickle
from instrument.link.source_versions import is_absolute
from instrument.version import __version__

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from instrument.link.counters import GroupIndex, UnlinkedValues
    from instrument.link.fast_linking import Sealed
    from instrument.link.source_versions import Stamp

    #: Rewritten code, what linking needs and what reading needs: `counters.flatten`.
    CachedCode = tuple[list[UnlinkedValues], tuple[bytes, bytes]]
    #: What a whole module was rewritten to, to be linked fast: sealed, with its outline, and what reading needs.
    Module = tuple[Sealed, GroupIndex, tuple[bytes, bytes]]

_MAGIC = b"instrument 7\n"
_MARSHAL = 2  # without references, whose presence depends on who else holds an object
#: Not by way of `os`, whose functions the program may replace.
_own = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def default_folder() -> str | None:
    chosen = os.environ.get("INSTRUMENT_CACHE")
    if chosen is not None:
        return os.path.abspath(chosen) if chosen else None
    base = os.environ.get("LOCALAPPDATA" if os.name == "nt" else "XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return os.path.join(base, "instrument") if os.path.isabs(base) else None


#: Asked for when this module is imported, before anything is measured.
_folder = default_folder()


class Cache:
    """What was rewritten for *where*, a placement, in a folder below *folder*; None keeps nothing.

    *trouble* says why nothing is kept, if so.
    """

    def __init__(self, where: str, folder: str | None = None) -> None:
        self.trouble = ""
        self.folder: str | None = None
        self._key = b""
        if not folder:
            self.trouble = "it is turned off: INSTRUMENT_CACHE is empty, or there is no home folder"
            return
        try:
            self.folder, self._key = _prepare_folder(folder, where)
        except BaseException as error:
            if belongs_to_program(error):
                raise
            reason = error if isinstance(error, (OSError, ValueError)) else text_of(error)
            self.trouble = f"the folder {folder} cannot be used: {reason}"

    def load(self, name: str) -> Any:
        """Return what is kept under *name*; None if nothing is, or it cannot be read or trusted."""
        try:
            data = _read(self._path(name)) if self.folder else None
            if data is None:
                return None
            known, value = self._unpacked(data)
        except BaseException as error:  # an audit hook of the program forbids it
            if belongs_to_program(error):
                raise
            return None
        return value if known == name else None

    def _unpacked(self, data: bytes) -> tuple[Any, Any]:
        """Return the name and the value in the file *data*; None, None if it is none of ours."""
        body = memoryview(data)[_HEAD:]
        if not data.startswith(_MAGIC) or data[len(_MAGIC) : _HEAD] != self._checksum(body):
            return None, None
        try:
            known, value = loads(body)
        except (ValueError, EOFError, TypeError):
            return None, None
        return known, value

    def store(self, name: str, value: object) -> None:
        """Keep *value*, which is plain, under *name*."""
        if self.folder is None:
            return
        try:
            body = dumps((name, value))  # type: ignore[arg-type]
            write_file(self._path(name), _MAGIC + self._checksum(body) + body)
        except BaseException as error:  # no space, a name that cannot be encoded, or an audit hook that forbids it
            if belongs_to_program(error):
                raise

    def _checksum(self, body: bytes | memoryview) -> bytes:
        # Twice, so that neither the long body is copied, nor the key cut down to what is left of it in a C long.
        return source_hash(0, self._key + source_hash(0, body))

    def tidy(self) -> None:
        """Remove what was kept of sources that are gone, and what killed writers left behind."""
        folder = self.folder
        for file in _listed(folder) if folder else ():
            path = f"{folder}{os.sep}{file}"
            if "." in file:
                if _age(path) > _DAY:
                    remove_file(path)
                continue
            name = self._unpacked(_read(path) or b"")[0] or ""
            if name.startswith(_ALONE) and _age(path) > _DAYS_KEPT_ALONE * _DAY:
                remove_file(path)
            source = name.removeprefix(_MODULE).removeprefix(FROM_EXEC)
            if is_absolute(source) and _is_gone(source) and _is_gone(f"{source}c"):
                remove_file(path)

    def keep_longer(self, name: str) -> None:
        """Note that what is kept under *name* is in use, if that was not noted lately."""
        try:
            _say_in_use(self._path(name))
        except BaseException as error:  # it can only be read, which will do
            if belongs_to_program(error):
                raise

    def _path(self, name: str) -> str:
        return f"{self.folder}{os.sep}{source_hash(0, name.encode(errors='surrogatepass')).hex()}"

    def module(self, path: str, bytecode: bytes | memoryview | None, stamp: Stamp | None = None) -> Module | None:
        """Return what the *bytecode* of the source at *path* was rewritten to; None if that is not known.

        Bytecode that was not read, None, is known by the *stamp* of its file.
        """
        kept = self.load(_MODULE + path)
        if kept is None:
            return None
        found: Module
        digest, known_stamp, found = kept
        if bytecode is None:
            return found if stamp is not None and stamp == known_stamp else None
        if digest != source_hash(1, bytecode):
            return None
        if stamp is not None and stamp != known_stamp:
            self.store(_MODULE + path, (digest, stamp, found))
        return found

    def cache_module(
        self, path: str, bytecode: bytes | memoryview, stamp: Stamp | None, known: CachedCode, file_name: str
    ) -> None:
        """Keep what *bytecode*, from the file with *stamp* and compiled from *file_name*, was rewritten to."""
        unlinked_codes, packed = known
        if not any(map(is_refused, unlinked_codes)):
            module = compile_to_pickle(unlinked_codes, file_name), index_of_group(unlinked_codes, file_name), packed
            self.store(_MODULE + path, (source_hash(1, bytecode), stamp, module))


_HEAD = len(_MAGIC) + 8
#: What comes before a path in the name of something that is kept: a module; what was handed over in one.
_MODULE = "module "
FROM_EXEC = "given in "
#: What comes before the key of code that is kept in a file of its own.
_ALONE = "code "


def _digest(data: bytes | memoryview) -> bytes:
    return source_hash(1, data) + source_hash(2, data)


class Batch:
    """Code that is made live in one go: each file of *cache* is read once for it, and written once.

    A *shelf* is what is kept in one file: code from one source, or what was handed over in one module. Without one,
    code is kept in a file of its own, and found whatever file it is from: that may be a temporary one.
    """

    def __init__(self, cache: Cache) -> None:
        self._cache = cache
        self._read: dict[str, dict[bytes, bytes]] = {}
        self._asked: dict[str, dict[bytes, bytes]] = {}
        self._new: set[str] = set()

    def get(self, tree: list[CodeType], shelf: str | None = None) -> CachedCode | None:
        """Return what *tree*, code with all that is nested in it, was rewritten to; None if that is not known."""
        if shelf is not None and not self._kept(shelf):
            return None
        try:
            key = _key_of(tree)
        except ValueError:
            return None
        has_one_instrumenter = shelf is None
        shelf = shelf or _shelf_of(key)
        kept = self._kept(shelf)
        if key not in kept:
            return None
        if has_one_instrumenter:
            self._cache.keep_longer(shelf)
        self._asked[shelf][key] = kept[key]
        known: CachedCode = loads(kept[key])
        return known

    def _kept(self, shelf: str) -> dict[bytes, bytes]:
        if shelf not in self._read:
            self._read[shelf] = self._cache.load(shelf) or {}
            self._asked[shelf] = {}
        return self._read[shelf]

    def put(self, tree: list[CodeType], known: CachedCode, shelf: str | None = None) -> None:
        """Keep what *tree* was rewritten to, after `get` did not find it, until `flush` writes it."""
        if any(map(is_refused, known[0])):
            return
        try:
            key, value = _key_of(tree), dumps(known)
        except ValueError:
            return
        shelf = shelf or _shelf_of(key)
        if len(self._asked[shelf]) < _LARGEST_SHELF:
            self._asked[shelf][key] = value
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


def _shelf_of(key: bytes) -> str:
    return _ALONE + key.hex()


def _plain(constant: object) -> Any:
    """Return *constant* as the old format of `marshal` can have it."""
    if type(constant) is CodeType:
        return None
    if type(constant) is slice:  # a constant since 3.14
        return slice.__name__, constant.start, constant.stop, constant.step
    return tuple(map(_plain, constant)) if type(constant) is tuple else constant


def _key_of(tree: list[CodeType]) -> bytes:
    """Return what identifies the code of *tree*, all that goes into its rewriting or is kept with it, whatever file it
    is of; raise ValueError if it has constants that no compiler makes.
    """
    file_name = tree[-1].co_filename
    return _digest(
        dumps(
            [
                (
                    *(code.co_code, code.co_linetable, code.co_exceptiontable, code.co_names, code.co_varnames),
                    *(code.co_cellvars, code.co_freevars, code.co_flags, code.co_stacksize, code.co_firstlineno),
                    *(code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount, code.co_name),
                    *(code.co_qualname, None if code.co_filename == file_name else code.co_filename),
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


def _prepare_folder(folder: str, where: str) -> tuple[str, bytes]:
    """Return the folder of files that fit, made if need be, and the key of *folder*; raise OSError or ValueError if it
    cannot be had or trusted.
    """
    _make_folders(folder)
    _check_owner(folder)
    key = _read(f"{folder}{os.sep}key")
    if key is None or len(key) != _KEY:
        # Of writers that meet the first one wins; what is no key is replaced.
        try:
            write_file(f"{folder}{os.sep}key", _system.urandom(_KEY), keep_existing=key is None)
        except OSError:
            pass
        key = _read(f"{folder}{os.sep}key")
        if key is None or len(key) != _KEY:
            raise OSError("nothing can be written to it")
    state = b"".join([source_hash(0, _read(path) or b"") for path in (*_SOURCES, *_bytecode_package())])
    python = f"{sys.implementation.cache_tag}{getattr(sys, 'abiflags', '')}-{sys.hexversion:x}-{MAGIC_NUMBER.hex()}"
    inner = f"{folder}{os.sep}{python}-{where}-{__version__}-{source_hash(0, state).hex()}"
    try:
        _say_in_use(inner)
    except FileNotFoundError:
        _make_folders(inner)
        _remove_unused(folder)
    except OSError:  # it can only be read, which will do
        pass
    _check_owner(inner)
    return inner, key


def _check_owner(folder: str) -> None:
    """Raise PermissionError if *folder* is not this user's, or others can write to it or put another in its place."""
    if os.name != "posix":
        return
    objection = objection_to_folder(folder)
    if not objection and _system.stat(folder).st_uid != _system.geteuid():
        objection = "it belongs to root"
    if objection:
        chmod = "; chmod go-w makes it safe" if objection.startswith("others can") else ""
        raise PermissionError(f"{objection}, and what is in it is executed{chmod}")


def _remove_unused(folder: str) -> None:
    """Remove the folders in *folder* that no process has opened for long: those of releases and interpreters past."""
    for name in _listed(folder):
        inner = f"{folder}{os.sep}{name}"
        try:
            if name == "key" or _age(inner) < _DAYS_KEPT * _DAY:
                continue
        except OSError:
            continue
        for file in _listed(inner):
            remove_file(f"{inner}{os.sep}{file}")
        try:
            _system.rmdir(inner)
        except OSError:  # some other process has just begun to use it; or it is a file
            remove_file(inner)


_KEY = 16
_DAY = 24 * 60 * 60
_DAYS_KEPT = 60
_DAYS_KEPT_ALONE = 30


def _age(path: str) -> float:
    """Return how many seconds ago *path* was changed."""
    changed: float = _system.stat(path).st_mtime
    return time() - changed


def _say_in_use(path: str) -> None:
    """Set the time of *path* to now, unless that was done lately; raise OSError if that cannot be."""
    if _age(path) > _DAY:
        _system.utime(path)


def _listed(folder: str) -> list[str]:
    try:
        names: list[str] = _system.listdir(folder)
    except OSError:
        return []
    return names


def _is_gone(path: str) -> bool:
    """Return whether there is no file at *path*; what cannot be looked at, or is in an archive, may be there."""
    try:
        _system.stat(path)
    except FileNotFoundError:
        return True
    except (OSError, ValueError):
        pass
    return False


def _bytecode_package() -> list[str]:
    """Return the file that tells the release of `bytecode`, without importing it; nothing if it is not found."""
    for folder in sys.path:
        path = f"{folder}{os.sep}bytecode{os.sep}version.py"
        try:
            _system.stat(path)
        except (OSError, ValueError):
            continue
        return [path]
    return []


#: The files that decide what code is rewritten to.
_SOURCES = [
    os.path.join(_own, room, name)
    for room in ("decode", "flow", "hooks", "link", "rewrite", "session")
    for name in sorted(os.listdir(os.path.join(_own, room)) if os.path.isdir(os.path.join(_own, room)) else ())
    if name.endswith((".py", ".pyc"))
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
        if _SHOWS_EXCEPTIONS and not _system.access(path, 0):
            return None
        number = _system.open(path, _READING)
    except (OSError, ValueError):
        return None
    try:
        size = _system.fstat(number).st_size
        data: bytes = _system.read(number, size + 1)
        return data if len(data) == size else None
    except OSError:
        return None
    finally:
        _system.close(number)


#: On 3.12 a trace function of the program is called for exceptions that functions of ours handle.
_SHOWS_EXCEPTIONS = sys.version_info[:2] == (3, 12)
_ANYWAY = getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
#: Without waiting: in place of a file there may be a pipe that nobody writes to.
_READING = os.O_RDONLY | _ANYWAY | getattr(os, "O_NONBLOCK", 0)
