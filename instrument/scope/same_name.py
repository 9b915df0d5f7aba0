"""Finds bare module names that ignored and measured files share.

The files of all loaded modules come in, with trace's rules; bare names go out.

Problem: nobody knows which modules the program is going to import.
Solution: list the folders that modules may come from, and search them for source files of these names. Folders next to
the roots come first. The search ends after about as many names as can be listed in 20 ms. It lists folders by one
system call each, and does not access files.
"""

from __future__ import annotations

import os
import sys
from _frozen_importlib_external import BYTECODE_SUFFIXES, SOURCE_SUFFIXES

from instrument.guest.own_builtins import system as _system
from instrument.scope.trace_ignore import module_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from instrument.scope.trace_ignore import Ignore

#: So many names are listed at most, in 10 to 20 ms. To list a folder takes as long as `_NAMES_PER_FOLDER` names.
_MOST_NAMES = 100_000
_NAMES_PER_FOLDER = 100
_SUFFIXES = (*SOURCE_SUFFIXES, *BYTECODE_SUFFIXES)


def names_ignored_and_measured(ignore: Ignore, files: Iterable[str]) -> set[str]:
    """Return the bare names that ignored and measured files share, as far as the order of entry decides about them.

    Ignored files are among *files*, which are those of all loaded modules. Measured files are among *files*, or may be
    imported later.
    """
    ignored: set[str] = set()
    measured: set[str] = set()
    folders = [path for path in sys.path if type(path) is str]
    for file in files:
        if ignore.is_inside(file):
            name = module_name(file)
            if ignore.depends_on_order(name):
                ignored.add(name)
        else:
            measured.add(module_name(file))
            folders.append(file[: max(file.rfind(os.sep), 0)])
    shared = ignored & measured
    only_ignored = ignored - measured
    return shared | _names_below(folders, only_ignored, ignore) if only_ignored else shared


def _names_below(folders: Iterable[str], names: set[str], ignore: Ignore) -> set[str]:
    """Return those of *names* that source files below *folders* have, outside of directories that *ignore* ignores."""
    file_names = {name + suffix for name in names for suffix in _SUFFIXES}
    matches: set[str] = set()
    n_remaining = _MOST_NAMES
    queue = list(folders)  # subfolders are appended, so that folders come in the order of their depth
    visited: set[str] = set()
    for path in queue:
        if n_remaining <= 0:
            break
        if path in visited:
            continue
        visited.add(path)
        n_remaining -= _NAMES_PER_FOLDER
        try:
            path = path or _system.getcwd()
            listed: list[str] = [] if ignore.is_inside(path + os.sep) else _system.listdir(path)
        except (OSError, ValueError):  # most paths are those of files
            continue
        n_remaining -= len(listed)
        matches |= file_names.intersection(listed)
        queue += [f"{path}{os.sep}{name}" for name in filter(str.isidentifier, listed) if name != "__pycache__"]
    return set(map(module_name, matches))
