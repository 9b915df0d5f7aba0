"""Keep unlinked code on disk, so that code is rewritten once and not at each start.

Code objects and their unlinked code come in (`Batch.put`, `Cache.store_module`). The unlinked code goes out again, for
code objects of the same content (`Batch.get`), or for the same bytecode file (`Cache.module`).

A code object is looked up by its content, not by the time of its source. So sources with equal times, moved trees and
edited files are never mistaken for one another. Code of a module is looked up by the stamp of its bytecode file, if the
interpreter would read that file. Then the file need not be read at all.

The cache has these files, each complete or absent (guest.atomic_files), in the folder of cache_files:
- one for each source file, with the code of functions that existed before the measurement began;
- one for each module file, with the exec'd code that ran in the module;
- one for each module with a bytecode file, with the code of the whole module;
- one for each other module, found by its content, wherever its source is;
- one for each module from an archive (warming.archive), also found by its content. The first import of the module
  stores it by its bytecode file, too;
- one for all other code from the last archive. Code of it that is used is stored as if it had been rewritten.

Each file has a checksum with a key of the folder's own: damaged files, and files from elsewhere, are ignored. A file
that cannot be read or written is no error: the code is rewritten as if there were no cache.
"""

from __future__ import annotations

import os
from _imp import source_hash
from _operator import attrgetter
from marshal import dumps, loads
from types import CodeType

from instrument.guest.atomic_files import remove_file, write_file
from instrument.guest.messages import text_of
from instrument.guest.program_errors import belongs_to_program
from instrument.link.cache_files import (
    DAY,
    default_folder,
    is_gone,
    is_older,
    listed,
    mark_as_unused,
    mark_as_used,
    prepare_folder,
    read_file,
    today,
)
from instrument.link.code_group import GroupIndex, index_of_group
from instrument.link.fast_linking import compile_to_pickle
from instrument.link.source_versions import is_absolute
from instrument.link.unlinked_values import RefusedCode, UnlinkedValues

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from instrument.link.fast_linking import PickledCode
    from instrument.link.recovery_info import PackedParts
    from instrument.link.source_versions import Stamp
    from instrument.link.unlinked_values import UnlinkedTree

    #: The unlinked code of a whole module, for fast linking; its index; its infos for recovery.
    CachedModule = tuple[PickledCode, GroupIndex, PackedParts]
    #: Returns the version of the source file with this name; None if that is not known.
    FindVersion = Callable[[str], str | None]

_MAGIC = b"instrument 10\n"
#: Magic bytes and checksum.
_HEAD_SIZE = len(_MAGIC) + 8
#: Version 2 of `marshal` writes no references. Version 4 does if other objects refer to the same constant.
_MARSHAL_VERSION = 2
#: The name of an entry begins with one of these; the entry of existing functions is the path of their source file.
_MODULE = "module "
FROM_EXEC = "exec in "
_BY_CONTENT = "code "
_FROM_ARCHIVE = "archived code "
_SHELF_FROM_ARCHIVE = "archived shelf"
_DAYS_OF_SHELF = "days of archived shelf"
_REMOVED_BY_AGE = (_BY_CONTENT, _FROM_ARCHIVE, _SHELF_FROM_ARCHIVE, _DAYS_OF_SHELF)
#: An entry with one of these names is removed if no process has used it for so many days.
_DAYS_BY_CONTENT = 30
#: Code from an archive that no process has used seems to be so many days old.
_DAYS_AS_UNUSED = 3
#: No more code objects than this are stored in one file.
_LARGEST_SHELF = 2_000

#: Found when this module is imported, before the program can replace functions of `os`.
_folder = default_folder()


def open_cache(placement: str) -> Cache:
    """Return the user's cache for *placement*."""
    return Cache(placement, _folder)


class Cache:
    """Entries of marshallable values, by name, for one *placement*, in a folder below *folder*.

    Without a folder, or if it cannot be used, the cache is off: `folder` is None, and `trouble` gives the reason.
    """

    def __init__(self, placement: str, folder: str | None = None) -> None:
        self.trouble = ""
        self.folder: str | None = None
        self._key = b""
        if not folder:
            self.trouble = "it is turned off: INSTRUMENT_CACHE is empty, or there is no home folder"
            return
        try:
            self.folder, self._key = prepare_folder(folder, placement)
        except BaseException as error:
            if belongs_to_program(error):
                raise
            # The text of an OSError or ValueError is enough; `text_of` adds the class of other errors.
            reason = error if isinstance(error, (OSError, ValueError)) else text_of(error)
            self.trouble = f"the folder {folder} cannot be used: {reason}"

    def load(self, name: str) -> Any:
        """Return the value of the entry *name*; None if there is none, or if it cannot be read or trusted."""
        try:
            data = read_file(self._path(name)) if self.folder else None
            if data is None:
                return None
            stored_name, value = self._unpacked(data)
        except BaseException as error:  # an audit hook of the program forbids to read it
            if belongs_to_program(error):
                raise
            return None
        return value if stored_name == name else None

    def store(self, name: str, value: object) -> bool:
        """Store *value* as the entry *name*, and return whether that was possible."""
        if self.folder is None:
            return False
        try:
            body = dumps((name, value))  # type: ignore[arg-type]
            write_file(self._path(name), _MAGIC + self._checksum(body) + body)
        except BaseException as error:  # no space, a name that cannot be encoded, or an audit hook that forbids it
            if belongs_to_program(error):
                raise
            return False
        return True

    def keep_longer(self, name: str) -> None:
        """Note that the entry *name* is in use."""
        try:
            mark_as_used(self._path(name))
        except BaseException as error:  # the folder is read-only, and can be read all the same
            if belongs_to_program(error):
                raise

    def tidy(self) -> None:
        """Remove entries of sources that are gone, unused entries, and temporary files of killed processes."""
        folder = self.folder
        for file in listed(folder) if folder else ():
            path = f"{folder}{os.sep}{file}"
            if "." in file:  # a temporary file
                if is_older(path, DAY):
                    remove_file(path)
                continue
            name = self._unpacked(read_file(path) or b"")[0] or ""
            if name.startswith(_REMOVED_BY_AGE) and is_older(path, _DAYS_BY_CONTENT * DAY):
                remove_file(path)
            source = name.removeprefix(_MODULE).removeprefix(FROM_EXEC)
            if is_absolute(source) and is_gone(source) and is_gone(f"{source}c"):
                remove_file(path)

    def module(
        self,
        path: str,
        bytecode: bytes | memoryview | None,
        stamp: Stamp | None = None,
        find_version: FindVersion = lambda _: None,
    ) -> tuple[CachedModule, str | None] | None:
        """Return the unlinked code for the *bytecode* of the module with source *path*, and the version of the source.

        Return None if there is none. The version is None if it is not known. If *bytecode* is None, because it was not
        read, its file is identified by *stamp*. If the file is another one than at the last time, *find_version* finds
        the version: another text may have the same bytecode.
        """
        entry = self.load(_MODULE + path)
        if entry is None:
            return None
        bytecode_hash, stored_stamp, version, key, (pickled, index, packed) = entry
        if bytecode is None:
            if stamp is None or stamp != stored_stamp:
                return None
        elif bytecode_hash != source_hash(1, bytecode):
            return None
        elif stamp is None:
            version = None
        elif stamp != stored_stamp:  # the same bytecode in another file
            version = find_version(index[0])
            self.store(_MODULE + path, (bytecode_hash, stamp, version, key, (pickled, index, packed)))
        return (pickled, GroupIndex(*index), packed), version

    def store_module(
        self,
        path: str,
        bytecode: bytes | memoryview,
        stamp: Stamp | None,
        key: bytes,
        module: CachedModule,
        version: str | None = None,
    ) -> bool:
        """Store *module*, the unlinked code of the module with source *path*. Return whether that was possible.

        Its *bytecode* is that of the file with *stamp*. *key* is that of its content, empty if it has none. *version*
        is that of its source, None if that is not known.
        """
        pickled, index, packed = module
        entry = source_hash(1, bytecode), stamp, version, key, (pickled, index.as_tuple(), packed)
        return self.store(_MODULE + path, entry)

    # Modules by content

    def module_by_content(self, key: bytes, path: str, file_name: str) -> CachedModule | None:
        """Return the unlinked code for the content with *key*; None if there is none.

        The module with source *path* had it under other bytecode, or an archive had it. *file_name* becomes the name of
        its source file.
        """
        entry = self.load(_MODULE + path) if path else None
        if entry is not None and entry[-2] == key:
            pickled, index, packed = entry[-1]
            return pickled, GroupIndex(file_name, *index[1:]), packed
        name = _FROM_ARCHIVE + key.hex()
        archived = self.load(name)
        if archived is None:
            return None
        self.keep_longer(name)
        pickled, index, packed = loads(archived[1])
        return pickled, GroupIndex(file_name, *index), packed

    def add_from_archive(self, key: bytes, day: int, content: bytes) -> bool:
        """Store *content*, which `content_for_archive` returned for *key*. Return whether that was possible.

        *day* is that of its last use. The entry counts as unused until a process loads it.
        """
        name = _FROM_ARCHIVE + key.hex()
        if not self.store(name, (day, content)):
            return False
        mark_as_unused(self._path(name), _DAYS_AS_UNUSED * DAY)
        return True

    def content_for_archive(self, name: str) -> tuple[bytes, int, bytes] | None:
        """Return the key, the day and the content of the module with the entry *name*.

        The day is that of its last use (`today`), for code from an archive; for other code it is today. The content
        names neither the module's path nor its bytecode file. Return None if the module has no key, if no process has
        used it for long, or if the entry is no module.
        """
        value = self.load(name)
        if value is None:
            return None
        if name.startswith(_MODULE):
            _, _, _, key, (pickled, index, packed) = value
            return (key, today(), dumps((pickled, index[1:], packed))) if key else None
        if name.startswith(_BY_CONTENT):
            ((key, stored),) = value.items()
            values, packed = loads(stored)
            unlinked_codes = [UnlinkedValues(*each) for each in values]
            index = index_of_group(unlinked_codes, "")
            return key, today(), dumps((compile_to_pickle(unlinked_codes), index.as_tuple()[1:], packed))
        if name.startswith(_FROM_ARCHIVE):
            day, content = value
            if not is_older(self._path(name), (_DAYS_AS_UNUSED - 1) * DAY):
                day = today()
            if today() - day <= _DAYS_BY_CONTENT:
                return bytes.fromhex(name.removeprefix(_FROM_ARCHIVE)), day, content
        return None

    def trees_for_archive(self, name: str) -> dict[bytes, tuple[int, bytes]]:
        """Return the trees of the shelf *name*, by key: the day of the last use, and the marshalled tree.

        Trees of the last archive that no process has used for long are left out. The dict is empty if the entry is no
        shelf.
        """
        trees = self.load(name)
        is_shelf = type(trees) is dict and not name.startswith((_BY_CONTENT, _DAYS_OF_SHELF))
        if not is_shelf or not {*map(type, trees)} <= {bytes}:
            return {}
        days = (self.load(_DAYS_OF_SHELF) or {}) if name == _SHELF_FROM_ARCHIVE else dict.fromkeys(trees, today())
        oldest = today() - _DAYS_BY_CONTENT
        return {key: (days[key], tree) for key, tree in trees.items() if days.get(key, 0) >= oldest}

    def add_trees_from_archive(self, trees: dict[bytes, tuple[int, bytes]]) -> bool:
        """Store *trees* of an archive in place of those of the last one. Return whether that was possible.

        Each has the day of its last use.
        """
        return self.store(_DAYS_OF_SHELF, {key: day for key, (day, _) in trees.items()}) and self.store(
            _SHELF_FROM_ARCHIVE, {key: tree for key, (_, tree) in trees.items()}
        )

    def names(self) -> list[str]:
        """Return the names of all entries."""
        folder = self.folder
        files = [f"{folder}{os.sep}{file}" for file in listed(folder) if "." not in file] if folder else []
        return sorted(filter(None, [self._unpacked(read_file(file) or b"")[0] for file in files]))

    def _path(self, name: str) -> str:
        return f"{self.folder}{os.sep}{source_hash(0, name.encode(errors='surrogatepass')).hex()}"

    def _unpacked(self, data: bytes) -> tuple[Any, Any]:
        """Return name and value of the entry in *data*, the content of a file; (None, None) if it is damaged."""
        body = memoryview(data)[_HEAD_SIZE:]
        if not data.startswith(_MAGIC) or data[len(_MAGIC) : _HEAD_SIZE] != self._checksum(body):
            return None, None
        try:
            name, value = loads(body)
        except (ValueError, EOFError, TypeError):
            return None, None
        return name, value

    def _checksum(self, body: bytes | memoryview) -> bytes:
        # `source_hash` takes a key of 8 bytes only. Hashing twice uses the whole key, without a copy of the long body.
        return source_hash(0, self._key + source_hash(0, body))


def shelves_of_module(path: str) -> tuple[str, str]:
    """Return the names of the shelves for the existing functions and the exec'd code of the module at *path*."""
    return path, FROM_EXEC + path


def names_of_module(path: str, key: bytes) -> tuple[str, str, str]:
    """Return the names that entries may have for the module with source *path*, whose content has *key*."""
    return _MODULE + path, _BY_CONTENT + key.hex(), _FROM_ARCHIVE + key.hex()


def module_of(unlinked: UnlinkedTree, file_name: str) -> CachedModule | None:
    """Return *unlinked*, the code of a module from *file_name*, for fast linking; None if some of it was refused."""
    unlinked_codes, packed = unlinked
    values = rewritten_codes(unlinked_codes)
    return None if values is None else (compile_to_pickle(values), index_of_group(values, file_name), packed)


def rewritten_codes(unlinked_codes: list[UnlinkedValues | RefusedCode]) -> list[UnlinkedValues] | None:
    """Return *unlinked_codes* if none of them was refused, else None."""
    values = [unlinked for unlinked in unlinked_codes if type(unlinked) is UnlinkedValues]
    return values if len(values) == len(unlinked_codes) else None


class Batch:
    """Unlinked code that is loaded and stored together: each file of *cache* is read once, and written once.

    A shelf is a file with several trees of code objects: those of one source file, or the exec'd code of one module. A
    tree without a shelf has a file of its own, and is found whatever source file it has: that may be a temporary one.
    """

    def __init__(self, cache: Cache) -> None:
        self._cache = cache
        #: By shelf, then by key: the marshalled trees that the file has.
        self._stored: dict[str, dict[bytes, bytes]] = {}
        #: By shelf, then by key: the marshalled trees that were asked for or put.
        self._used: dict[str, dict[bytes, bytes]] = {}
        #: The shelves to be written.
        self._changed: set[str] = set()
        #: The tree that was not found last, and its key: it is likely to be put next.
        self._missing: tuple[list[CodeType], bytes] = [], b""

    def get(self, tree: list[CodeType], shelf: str | None = None, key: bytes = b"") -> UnlinkedTree | None:
        """Return the unlinked code of *tree*, a code object with all nested code; None if the cache has none.

        *key* is that of its content, if it is known.
        """
        if shelf is not None and not self._load(shelf) and not self._load(_SHELF_FROM_ARCHIVE):
            return None
        try:
            key = key or key_of(tree)
        except ValueError:
            return None
        is_by_content = shelf is None
        shelf = shelf or _BY_CONTENT + key.hex()
        stored = self._load(shelf).get(key)
        if stored is None and not is_by_content:
            stored = self._load(_SHELF_FROM_ARCHIVE).get(key)
            if stored is not None:
                self._changed.add(shelf)
        if stored is None:
            self._missing = tree, key
            return None
        if is_by_content:
            self._cache.keep_longer(shelf)
        self._used[shelf][key] = stored
        values, packed = loads(stored)
        return [UnlinkedValues(*each) for each in values], packed

    def put(self, tree: list[CodeType], unlinked: UnlinkedTree, shelf: str | None = None) -> None:
        """Have `flush` store *unlinked*, the unlinked code of *tree*, which `get` has not found.

        Code is not stored if some of it was refused, or if the shelf is full.
        """
        (missing, key), self._missing = self._missing, ([], b"")
        unlinked_codes, packed = unlinked
        values = rewritten_codes(unlinked_codes)
        if values is None:
            return
        try:
            if missing is not tree:
                key = key_of(tree)
            value = dumps(([each.as_tuple() for each in values], packed))
        except ValueError:
            return
        shelf = shelf or _BY_CONTENT + key.hex()
        if len(self._used[shelf]) < _LARGEST_SHELF:
            self._used[shelf][key] = value
            self._changed.add(shelf)

    def flush(self) -> bool:
        """Write the shelves that have changed, and return whether there were some and all could be written."""
        are_stored = []
        for shelf in list(self._changed):
            used, stored = self._used[shelf], self._stored[shelf]
            # Code that is no longer used is kept, but no more of it than of code that is.
            if len(stored.keys() - used.keys()) <= len(used):
                used = {**stored, **used}
            are_stored.append(self._cache.store(shelf, used))
        self._changed.clear()
        return bool(are_stored) and all(are_stored)

    def _load(self, shelf: str) -> dict[bytes, bytes]:
        """Return the marshalled trees in the file of *shelf*, by key."""
        if shelf not in self._stored:
            self._stored[shelf] = self._cache.load(shelf) or {}
            self._used[shelf] = {}
        return self._stored[shelf]


#: All but the constants and the file name.
_content_of = attrgetter(
    *("co_code", "co_linetable", "co_exceptiontable", "co_names", "co_varnames", "co_cellvars", "co_freevars"),
    *("co_flags", "co_stacksize", "co_firstlineno", "co_argcount", "co_posonlyargcount", "co_kwonlyargcount"),
    *("co_name", "co_qualname"),
)
#: Types of constants that version 2 of `marshal` can write.
_PLAIN = frozenset((str, int, float, complex, bytes, bool, type(None), type(...), frozenset))


def key_of(tree: list[CodeType]) -> bytes:
    """Return a key for the content of *tree*, a code object with all nested code: all that decides how it is rewritten.

    The file name of the outermost code object is left out. Raise ValueError for constants that no compiler makes.
    """
    file_name = tree[-1].co_filename
    content = dumps(
        (
            [*map(_content_of, tree)],
            [None if code.co_filename == file_name else code.co_filename for code in tree],
            [_marshallable_constants(code.co_consts) for code in tree],
        ),
        _MARSHAL_VERSION,
    )
    return source_hash(1, content) + source_hash(2, content)


def _marshallable_constants(constants: tuple[object, ...]) -> tuple[object, ...]:
    """Return values for *constants* that version 2 of `marshal` can write."""
    return constants if _PLAIN.issuperset(map(type, constants)) else (*map(_marshallable, constants),)


def _marshallable(constant: object) -> Any:
    """Return a value for *constant* that version 2 of `marshal` can write; None for nested code."""
    if type(constant) is CodeType:
        return None
    if type(constant) is slice:  # a constant since 3.14
        return slice.__name__, constant.start, constant.stop, constant.step
    return _marshallable_constants(constant) if type(constant) is tuple else constant
