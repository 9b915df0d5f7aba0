"""Records which files were prepared, and which files they import, so that the next run need not look at them.

Paths come in. Whether a file needs no preparation goes out, by its time and size. To search the cache for its code
instead takes a thousand times as long. A file that changes without another time and size is no harm: the program's
process finds no code of that content, and rewrites it.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from instrument.link.cache import Cache

    #: Time in nanoseconds, and size.
    Stamp = tuple[int, int]
    #: Dotted names and source files of modules.
    Imports = list[tuple[str, str]]

#: The name of the entry in the cache. Other options of the compiler make other code, and another environment has other
#: packages.
_ENTRY = f"prepared files {sys.flags.optimize} {sys.prefix}"
#: An entry with more files than this is replaced by one with those of this process.
_MOST_FILES = 20_000
_NONE: Stamp = (-1, -1)


class PreparedFiles:
    """The record of files that were prepared, in *cache*: two dicts by path."""

    def __init__(self, cache: Cache) -> None:
        self._cache = cache
        self._stamps: dict[str, Stamp]
        self._imports: dict[str, tuple[Stamp, Imports]]
        self._stamps, self._imports = self._stored()
        #: The stamps of files as this process has first seen them.
        self._present: dict[str, Stamp] = {}
        self._new_stamps: dict[str, Stamp] = {}
        self._new_imports: dict[str, tuple[Stamp, Imports]] = {}

    def _stored(self) -> tuple[dict[str, Stamp], dict[str, tuple[Stamp, Imports]]]:
        return self._cache.load(_ENTRY) or ({}, {})

    def _stamp(self, path: str) -> Stamp:
        """Return the stamp of the file at *path*, as this process has first seen it."""
        stamp = self._present.get(path)
        if stamp is None:
            try:
                status = os.stat(path)
                stamp = status.st_mtime_ns, status.st_size
            except (OSError, ValueError):
                stamp = _NONE
            self._present[path] = stamp
        return stamp

    def is_ready(self, path: str) -> bool:
        """Return whether the file at *path* needs no preparation: it is unchanged since, or there is none."""
        stamp = self._stamp(path)
        return stamp in (_NONE, self._stamps.get(path), self._new_stamps.get(path))

    def size(self, path: str) -> int:
        """Return the size of the file at *path*."""
        return self._stamp(path)[1]

    def note(self, path: str) -> None:
        """Note that the file at *path*, as this process has first seen it, is prepared."""
        self._new_stamps[path] = self._stamp(path)

    def imports_of(self, path: str) -> Imports | None:
        """Return the modules that the file at *path* imports; None if that is not recorded, or if it has changed."""
        stamp, imports = self._imports.get(path, (_NONE, []))
        return imports if stamp == self._stamp(path) != _NONE else None

    def note_imports(self, path: str, imports: Iterable[tuple[str, str]]) -> None:
        """Note that the file at *path*, as this process has first seen it, has these *imports*."""
        self._new_imports[path] = self._stamp(path), list(imports)

    def save(self) -> None:
        """Add the files that were noted to the cache."""
        if self._new_stamps or self._new_imports:
            stamps, imports = self._stored()  # other processes may have added some meanwhile
            if len(stamps) + len(imports) > _MOST_FILES:
                stamps, imports = {}, {}
            self._cache.store(_ENTRY, ({**stamps, **self._new_stamps}, {**imports, **self._new_imports}))
            self._new_stamps, self._new_imports = {}, {}
