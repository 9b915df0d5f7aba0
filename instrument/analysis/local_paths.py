"""Finds the files on this machine that correspond to files measured in a container or on another machine.

Measured file versions come in; paths on this machine go out. Files are compared by content, and never executed.
"""

from __future__ import annotations

import filecmp
import os
import sys
from fnmatch import fnmatchcase

from instrument.analysis.source_file import has_version
from instrument.config.reports import read_paths
from instrument.scope.project import INSTALLED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from instrument.model.measurement import FileKey

#: The greatest number of path components that are compared.
_MOST_PARTS = 40


def local_paths(files: Iterable[FileKey]) -> dict[FileKey, str]:
    """Return the path on this machine of each of *files* that has another path here.

    A file that is not here was measured elsewhere, in a container for example. A local file corresponds to it if both
    have the same content and the same end of their paths. That end must have all folders of the package, so an empty
    `__init__.py` never corresponds to that of another package. If two local files fit equally well, none corresponds.
    The user's setting (`config.reports.read_paths`) comes before all that.
    """
    by_version: dict[str, list[str]] = {}
    local: dict[FileKey, str] = {}
    settings = read_paths()
    for path, version in files:
        local_path = _by_setting(path, settings)
        if local_path:
            local[path, version] = local_path
        elif version.startswith("sha256:"):
            by_version.setdefault(version, []).append(path)
    for version, paths in by_version.items():
        here = [path for path in paths if os.path.lexists(path)]
        for path in paths:
            if path not in here and os.path.isabs(path) and can_encode(path):
                local_path = _by_content(path, version, here)
                if local_path:
                    local[path, version] = local_path
    return local


def can_encode(path: str) -> bool:
    """Return whether this system's encoding can spell *path*, which may come from a system with another encoding."""
    try:
        return b"\0" not in os.fsencode(path)
    except UnicodeEncodeError:
        return False


def _by_setting(path: str, settings: list[tuple[str, list[str]]]) -> str:
    """Return the local path of *path* by the user's *settings*, an empty text if there is none.

    Each setting is a local folder, and patterns of other folders that correspond to it.
    """
    parts = path.split(os.sep)
    for first, others in settings:
        for n in range(1, len(parts)):
            folder = os.sep.join(parts[:n])
            if folder != first and any(fnmatchcase(folder, other) for other in others):
                return os.path.join(first, *parts[n:])
    return ""


def _by_content(path: str, version: str, here: list[str]) -> str:
    """Return the local path of the file *path* of this *version*, which was measured elsewhere.

    Candidates are the measured files *here* of the same version, and one file in the working directory. Return an empty
    text if none fits, or several fit equally well.
    """
    parts = path.split(os.sep)[1:][-_MOST_PARTS:]
    if os.pardir in parts:
        return ""
    real_paths = {candidate: os.path.realpath(candidate) for candidate in here}
    for n in range(len(parts), 0, -1):
        candidate = os.path.abspath(os.path.join(*parts[-n:]))
        if has_version(candidate, version):
            real_paths.setdefault(candidate, os.path.realpath(candidate))
            break
    n_common = {candidate: _n_common_at_end(path, candidate) for candidate in real_paths}
    fitting = {candidate for candidate in real_paths if n_common[candidate] >= depth_in_package(candidate)}
    most = max((n_common[candidate] for candidate in fitting), default=0)
    best = sorted(candidate for candidate in fitting if n_common[candidate] == most)
    return best[0] if len({real_paths[candidate] for candidate in best}) == 1 else ""


def _n_common_at_end(one: str, other: str) -> int:
    """Return how many components at their ends the paths *one* and *other* have in common."""
    n = 0
    for a, b in zip(reversed(one.split(os.sep)), reversed(other.split(os.sep)), strict=False):
        if a != b or not a:
            break
        n += 1
    return n


def depth_in_package(path: str) -> int:
    """Return how many components at the end of *path* name the module and the packages that it is in."""
    return len(path.split(os.sep)) - len(import_root(path).split(os.sep))


def import_root(path: str) -> str:
    """Return the folder that the module at *path* is imported from: the first folder above that is no package."""
    folder = os.path.dirname(path)
    while os.path.isfile(os.path.join(folder, "__init__.py")) and os.path.dirname(folder) != folder:
        folder = os.path.dirname(folder)
    return folder


def copy_that_ran(path: str, measured: Iterable[str]) -> str:
    """Return which of the *measured* files, all with the content of *path*, is an installed copy of the file *path*.

    A copy has the same place in its package. Return an empty text if there is none: two files of a project may have the
    same content and still be two files.
    """
    depth = depth_in_package(path)
    for other in measured:
        if _is_installed(other) and _n_common_at_end(path, other) >= max(depth, depth_in_package(other)):
            return other
    return ""


def installed_copy(path: str) -> str:
    """Return the copy of the file *path*, with the same place in its package, that is installed for this Python.

    Return an empty text if there is none.
    """
    name = os.path.relpath(path, import_root(path))
    for folder in sys.path:
        other = os.path.join(folder, name)
        if not _is_installed(other):
            continue
        try:
            if not os.path.samefile(path, other) and filecmp.cmp(path, other, shallow=False):
                return other
        except OSError:
            continue
    return ""


def _is_installed(path: str) -> bool:
    return any(part in INSTALLED for part in path.split(os.sep))
