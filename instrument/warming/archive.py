"""Writes rewritten code of the cache to an archive, a file that travels to other machines, and takes it from there.

Modules and other trees of code come in, by placement and by the key of their content. The archive goes out, and the
other way round. Paths and times of sources are not in it, so the code serves equal sources in any folder. `DESIGN.md`
names the checks.

The file has three lines of text, and then the modules one by one:

    instrument archive 1
    version TEXT                 two processes of equal versions can use each other's rewritten code
    sha256 HEX, or hmac HEX      of TEXT and of all that follows this line
    PLACEMENT KIND KEY DAY SIZE  one line before the SIZE bytes of each module, and of each tree of other code

DAY is the day of the last use, in days since 1970. Code that was not used for thirty days is left out.

Nothing is compressed, so no small file becomes a large one. No name in it becomes a path.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import stat

from instrument.errors import ArchiveError
from instrument.flow.placement_names import MINIMAL, NOTHING, PLACEMENTS
from instrument.guest.atomic_files import write_file
from instrument.guest.trusted_files import READ, trusted_users
from instrument.link.cache import names_of_module, open_cache, shelves_of_module
from instrument.link.cache_files import today, version_of_entries
from instrument.warming.outcomes import Result

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from instrument.link.cache import Cache
    from instrument.warming.outcomes import Outcome

    #: The day of the last use, in days since 1970, and the content of a module (`Cache.content_for_archive`) or a tree.
    Piece = tuple[int, bytes | memoryview]
    #: By placement, kind and key.
    Modules = Mapping[tuple[str, str, bytes], Piece]

_MAGIC = b"instrument archive 1\n"
#: The environment variable with a secret that those share who may make archives for one another.
SECRET = "INSTRUMENT_ARCHIVE_KEY"
#: No larger archive is read, in bytes.
_LARGEST = 1 << 30
#: No line of text is longer.
_LONGEST_LINE = 1_000
_KEY_SIZE = 16
#: The kinds: the code of a whole module, or exec'd code or that of an existing function.
MODULE, TREE = "module", "tree"
#: The placements that an archive can have modules of.
_PLACEMENTS = frozenset((*PLACEMENTS, NOTHING))
_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH


# From the cache to an archive #########################################################################################


def modules_in_cache(placement: str) -> Modules:
    """Return all code of the cache for *placement*; for the default one also that for unmeasured code."""
    modules: dict[tuple[str, str, bytes], Piece] = {}
    for each in {placement, NOTHING} if placement == MINIMAL else {placement}:
        cache = open_cache(each)
        for name in cache.names():
            found = cache.content_for_archive(name)
            if found is not None:
                key, day, content = found
                _add_newest(modules, (each, MODULE, key), (day, content))
            for key, tree in cache.trees_for_archive(name).items():
                _add_newest(modules, (each, TREE, key), tree)
    return modules


def _add_newest(modules: dict[tuple[str, str, bytes], Piece], name: tuple[str, str, bytes], piece: Piece) -> None:
    """Add *piece* to *modules* as *name*, unless they have one that was used later."""
    if name not in modules or modules[name][0] < piece[0]:
        modules[name] = piece


def modules_of(outcomes: Iterable[Outcome], placement: str) -> Modules:
    """Return the code that the cache has for the files of *outcomes*."""
    cache = open_cache(placement)
    modules: dict[tuple[str, str, bytes], Piece] = {}
    for outcome in outcomes:
        found = _module_of(outcome, cache)
        if found is not None:
            key, _, content = found
            modules[placement, MODULE, key] = today(), content
        for name in shelves_of_module(outcome.path):
            trees = cache.trees_for_archive(name)
            modules.update(((placement, TREE, key), tree) for key, tree in trees.items())
    return modules


def _module_of(outcome: Outcome, cache: Cache) -> tuple[bytes, int, bytes] | None:
    """Return key, day and content of the module that *cache* has for the file of *outcome*; None if it has none."""
    if outcome.result in (Result.PREPARED, Result.READY):
        for name in names_of_module(outcome.path, outcome.key):
            found = cache.content_for_archive(name)
            if found is not None and outcome.key in (b"", found[0]):
                return found
    return None


def write_archive(path: str, modules: Modules) -> int:
    """Write *modules* to the archive at *path*, which replaces an older archive; return its size in bytes.

    Raise ArchiveError if another file is there, or if the archive cannot be written. Then the file is unchanged.
    """
    _check_replaceable(path)
    parts: list[bytes | memoryview] = []
    for (placement, kind, key), (day, content) in sorted(modules.items()):
        parts += [f"{placement} {kind} {key.hex()} {day} {len(content)}\n".encode(), content]
    body = b"".join(parts)
    version = version_of_entries()
    data = b"".join((_MAGIC, f"version {version}\n{_seal(version, body)}\n".encode(), body))
    try:
        write_file(path, data)
    except OSError as error:
        raise ArchiveError(f"{path} cannot be written: {error.strerror}") from None
    return len(data)


def _check_replaceable(path: str) -> None:
    """Raise ArchiveError unless there is no file at *path*, or an archive, or an empty file."""
    try:
        status = os.lstat(path)
    except OSError:
        return  # if the path is impossible, writing says so
    if stat.S_ISREG(status.st_mode):
        if not status.st_size:
            return
        with open(path, "rb") as file:
            if file.read(len(_MAGIC)) == _MAGIC:
                return
    raise ArchiveError(f"{path} is no archive, and is not replaced; name another file")


def n_modules_in(modules: Modules) -> int:
    """Return how many of *modules* are whole modules."""
    return sum(kind == MODULE for _, kind, _ in modules)


# From an archive to the cache #########################################################################################


def read_archive(path: str) -> tuple[Modules, str]:
    """Return the modules of the archive at *path*, after all checks, and "".

    If there is no archive yet, or if it is of another version, return no modules and the reason. Raise ArchiveError if
    the file cannot be trusted, or is damaged.
    """
    try:
        data = memoryview(_trusted_content(path))
    except FileNotFoundError:
        return {}, f"there is no file {path} yet"
    except OSError as error:
        raise ArchiveError(f"{path} cannot be read: {error.strerror}") from None
    if data[: len(_MAGIC)] != _MAGIC:
        raise ArchiveError(f"{path} is no archive of `instrument warm --archive`")
    version, start = _line(data, len(_MAGIC), path)
    seal, start = _line(data, start, path)
    if version != f"version {version_of_entries()}":
        return {}, f"{path} is of another release of instrument, or of another Python"
    _check_seal(seal, version.removeprefix("version "), data[start:], path)
    return _modules(data, start, path), ""


def add_to_cache(modules: Modules) -> int:
    """Add *modules* to the cache; return how many were added. Each is added whole, or not at all."""
    caches = {placement: open_cache(placement) for placement, _, _ in modules}
    trees: dict[str, dict[bytes, tuple[int, bytes]]] = {placement: {} for placement in caches}
    n_added = 0
    for (placement, kind, key), (day, content) in modules.items():
        if kind == MODULE:
            n_added += caches[placement].add_from_archive(key, day, bytes(content))
        else:
            trees[placement][key] = day, bytes(content)
    for placement, of_placement in trees.items():
        if of_placement and caches[placement].add_trees_from_archive(of_placement):
            n_added += len(of_placement)
    return n_added


def _trusted_content(path: str) -> bytes:
    """Return the content of the file at *path*. Raise ArchiveError if another user could have made it; OSError."""
    descriptor = os.open(path, READ)
    with open(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise ArchiveError(f"{path} is no regular file")
        if os.name == "posix":
            if status.st_uid not in trusted_users():
                raise ArchiveError(
                    f"{path} is not used: it belongs to another user ({status.st_uid}), and what is in it is executed"
                )
            if status.st_mode & _OTHERS_WRITE:
                raise ArchiveError(
                    f"{path} is not used: others can write to it, and what is in it is executed; "
                    "chmod go-w is right if you know who made it"
                )
        if status.st_size > _LARGEST:
            raise ArchiveError(f"{path} is too large, with more than {_LARGEST} bytes")
        return file.read(_LARGEST)


def _line(data: memoryview, start: int, path: str) -> tuple[str, int]:
    """Return the line of text that begins at *start*, and the place behind it. Raise ArchiveError if there is none."""
    line, end, _ = bytes(data[start : start + _LONGEST_LINE]).partition(b"\n")
    if not end or not line.isascii():
        raise _damage(path)
    return line.decode(), start + len(line) + 1


def _modules(data: memoryview, start: int, path: str) -> Modules:
    """Return the modules that *data* has from *start* on. Raise ArchiveError for lines that are impossible."""
    modules: dict[tuple[str, str, bytes], Piece] = {}
    while start < len(data):
        line, start = _line(data, start, path)
        try:
            placement, kind, hexadecimal, number, size = line.split(" ")
            key, day, end = bytes.fromhex(hexadecimal), int(number), start + int(size)
        except ValueError:
            raise _damage(path) from None
        is_known = placement in _PLACEMENTS and kind in (MODULE, TREE)
        if not is_known or len(key) != _KEY_SIZE or not start < end <= len(data):
            raise _damage(path)
        modules[placement, kind, key] = day, data[start:end]
        start = end
    return modules


# Seals ################################################################################################################


def _seal(version: str, body: bytes | memoryview) -> str:
    """Return the line of text that shows that an archive of this *version* with this *body* is undamaged.

    If there is a secret, it also shows that the maker knew the secret.
    """
    secret = os.environ.get(SECRET, "").encode(errors="surrogateescape")
    checksum = hashlib.sha256(version.encode() + b"\n")
    checksum.update(body)
    if secret:
        return f"hmac {hmac.new(secret, checksum.digest(), 'sha256').hexdigest()}"
    return f"sha256 {checksum.hexdigest()}"


def _check_seal(seal: str, version: str, body: memoryview, path: str) -> None:
    """Raise ArchiveError if *seal* is not that of an archive of this *version* with this *body*."""
    expected = _seal(version, body)
    if hmac.compare_digest(seal, expected):
        return
    kind, expected_kind = seal.partition(" ")[0], expected.partition(" ")[0]
    if kind == expected_kind == "hmac":
        raise ArchiveError(f"{path} is not used: it is damaged, or its maker had another {SECRET}")
    if kind == "hmac":
        raise ArchiveError(f"{path} is not used: its maker had a secret; set {SECRET} to it")
    if expected_kind == "hmac":
        raise ArchiveError(f"{path} is not used: its maker did not have your {SECRET}")
    raise _damage(path)


def _damage(path: str) -> ArchiveError:
    return ArchiveError(f"{path} is not used: it is damaged")
