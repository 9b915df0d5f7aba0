"""Which names modules on both sides may have: of those that are ignored, and of those that are not.

Files of modules that are loaded, and what is ignored, go in; names come out. Nobody knows what the program is going to
import, so all that it could is looked at: source files below the folders that modules come from, those next to the
roots first, and no more than a start can afford. Nothing is asked of files; what a folder holds is, in C.
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

#: So many names are looked at, in 10 to 20 ms; to ask for those in a folder takes as long as `_A_FOLDER` names.
_MOST = 100_000
_A_FOLDER = 100
_SUFFIXES = (*SOURCE_SUFFIXES, *BYTECODE_SUFFIXES)
#: Not by way of `os`, whose functions the program may replace.


def names_ignored_and_measured(ignore: Ignore, files: Iterable[str]) -> set[str]:
    """Return the names of those of *files* that are ignored by their directory, for which it depends on order, and that
    a file has that is not: one of *files*, or one that may be imported.
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
    found = ignored & measured
    rest = ignored - measured
    return found | _names_below(folders, rest, ignore) if rest else found


def _names_below(folders: Iterable[str], names: set[str], ignore: Ignore) -> set[str]:
    """Return those of *names* that source files have below *folders*, but for directories that *ignore* ignores."""
    wanted = {name + suffix for name in names for suffix in _SUFFIXES}
    found: set[str] = set()
    left = _MOST
    # A list that grows while it is gone through, so that folders come in the order of their depth.
    waiting = list(folders)
    seen: set[str] = set()
    for path in waiting:
        if left <= 0:
            break
        if path in seen:
            continue
        seen.add(path)
        left -= _A_FOLDER
        try:
            path = path or _system.getcwd()
            listed: list[str] = [] if ignore.is_inside(path + os.sep) else _system.listdir(path)
        except (OSError, ValueError):  # most are files
            continue
        left -= len(listed)
        found |= wanted.intersection(listed)
        waiting += [f"{path}{os.sep}{name}" for name in filter(str.isidentifier, listed) if name != "__pycache__"]
    return set(map(module_name, found))
