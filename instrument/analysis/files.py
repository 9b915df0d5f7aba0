"""Which files a report is about: those that ran, each once, and those that could have run but were never imported.

Measured files and processes come in; paths go out. Files are looked for, and never executed.
"""

from __future__ import annotations

import filecmp
import os
import sys
from fnmatch import fnmatchcase

from instrument.analysis.sources import holds
from instrument.config.reports import read_paths
from instrument.report.tables import number_of
from instrument.scope.project import INSTALLED, Scope

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from instrument.data.querying import MeasuredFile
    from instrument.data.running import ProcessRow

# Folders of these names hold nothing that a project wrote, nor do hidden folders and virtual environments.
_SKIPPED = frozenset({*INSTALLED, "node_modules", "__pycache__", "__pypackages__"})
# Folders of these names hold what was built, unless they are packages.
_BUILT = frozenset({"build", "dist", "htmlcov"})
_MARKS_OF_AN_ENVIRONMENT = frozenset({"pyvenv.cfg", "conda-meta"})

#: So many files are shown that were never imported, at most, after so many files and folders were looked at.
MOST_FILES = 2000
MOST_ENTRIES = 100_000
_MOST_PARTS = 40


# So many names are in a remark, at most.
SAID = 5

# One file in several places ###########################################################################################


def local_paths(files: Iterable[MeasuredFile]) -> dict[tuple[str, str], str]:
    """Return the path that each of *files*, a path and a version, has on this machine, if that is another one.

    A file that is not here was measured elsewhere, in a container for instance. It is taken for a file that is here if
    that holds the same bytes, and if both paths end alike: in all folders of the package that the file is in, at least.
    So an empty `__init__.py` is never taken for that of another package. Where two files fit equally well, neither is
    taken. What the user calls the same (`config.reports.read_paths`) is taken for it in any case.
    """
    by_version: dict[str, list[str]] = {}
    found: dict[tuple[str, str], str] = {}
    same = read_paths()
    for file in files:
        place = _by_setting(file.path, same)
        if place:
            found[file.path, file.version] = place
        elif file.version.startswith("sha256:"):
            by_version.setdefault(file.version, []).append(file.path)
    for version, paths in by_version.items():
        here = [path for path in paths if os.path.lexists(path)]
        for path in paths:
            if path not in here and os.path.isabs(path) and can_spell(path):
                place = _place_of(path, version, here)
                if place:
                    found[path, version] = place
    return found


def can_spell(path: str) -> bool:
    """Return whether this system can be asked for *path*, which may be of a system or locale with another encoding."""
    try:
        return b"\0" not in os.fsencode(path)
    except UnicodeEncodeError:
        return False


def same_source(places: dict[tuple[str, str], str]) -> list[str]:
    """Return remarks that name the *places* that `local_paths` found."""
    moved = sorted({(place, path) for (path, _version), place in places.items()})
    remarks = [f"Same source: {path!r} is {place!r} here" for place, path in moved[:SAID]]
    if len(moved) > SAID:
        remarks.append(f"Same source: so are {number_of(len(moved) - SAID, 'more file')}")
    return remarks


def _by_setting(path: str, same: list[tuple[str, list[str]]]) -> str:
    """Return where the file *path* is by what the user calls the *same*; an empty text if that says nothing of it."""
    parts = path.split(os.sep)
    for first, others in same:
        for n in range(1, len(parts)):
            folder = os.sep.join(parts[:n])
            if folder != first and any(fnmatchcase(folder, other) for other in others):
                return os.path.join(first, *parts[n:])
    return ""


def _place_of(path: str, version: str, here: list[str]) -> str:
    """Return where the file *path* of this *version*, which was measured elsewhere, is on this machine.

    *here* are files of the same version that were measured and are here; others are looked for in the working
    directory. An empty text says that there is none, or more than one.
    """
    parts = path.split(os.sep)[1:][-_MOST_PARTS:]
    if os.pardir in parts:
        return ""
    places = {other: os.path.realpath(other) for other in here}
    for n in range(len(parts), 0, -1):
        other = os.path.abspath(os.path.join(*parts[-n:]))
        if holds(other, version):
            places.setdefault(other, os.path.realpath(other))
            break
    alike = {other: _n_alike(path, other) for other in places}
    fitting = {other for other in places if alike[other] >= _depth_in_package(other)}
    best = max((alike[other] for other in fitting), default=0)
    chosen = sorted(other for other in fitting if alike[other] == best)
    return chosen[0] if len({places[other] for other in chosen}) == 1 else ""


def _n_alike(one: str, other: str) -> int:
    """Return in how many parts at the end the paths *one* and *other* are alike."""
    n = 0
    for a, b in zip(reversed(one.split(os.sep)), reversed(other.split(os.sep)), strict=False):
        if a != b or not a:
            break
        n += 1
    return n


def _depth_in_package(path: str) -> int:
    """Return how many parts at the end of *path* are the module's, and those of the packages that it is in."""
    return len(path.split(os.sep)) - len(_root_of_package(path).split(os.sep))


def _root_of_package(path: str) -> str:
    """Return the folder that the module at *path* is imported from: the first one above that is no package."""
    folder = os.path.dirname(path)
    while os.path.isfile(os.path.join(folder, "__init__.py")) and os.path.dirname(folder) != folder:
        folder = os.path.dirname(folder)
    return folder


def copy_that_ran(path: str, measured: Iterable[str]) -> str:
    """Return which of the *measured* files, of the same bytes as the file *path*, is an installed copy of it; an empty
    text if none is.

    It has the same place in its package. Two files of one project may well hold the same, and are two all the same.
    """
    depth = _depth_in_package(path)
    for other in measured:
        if _is_installed(other) and _n_alike(path, other) >= max(depth, _depth_in_package(other)):
            return other
    return ""


def installed_copy(path: str) -> str:
    """Return the file of the same bytes and the same place in its package as *path* that is installed for this Python;
    an empty text if there is none.
    """
    inside = os.path.relpath(path, _root_of_package(path))
    for folder in sys.path:
        other = os.path.join(folder, inside)
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


# Files that were never imported #######################################################################################


class NeverImported:
    """The source files that *processes* would have measured, had they been imported, besides *measured* files.

    `paths` are their paths, sorted; `remarks` say where none were looked for, and why.
    """

    def __init__(self, processes: Iterable[ProcessRow], measured: Iterable[str]) -> None:
        self.remarks: list[str] = []
        self._not_searched: dict[str, str] = {}
        self._n_entries = 0
        self._is_cut = False
        self._known = {os.path.realpath(path) for path in measured if os.path.isabs(path) and can_spell(path)}
        self._found: dict[str, str] = {}
        here = [path for path in sorted(self._known) if os.path.isfile(path)]
        n_unknown = 0
        for scope, folders in _scopes(processes).items():
            if scope is None:
                n_unknown += 1
                continue
            if "\0" in "".join((*scope, *folders)):
                continue  # no path has that, so no process of ours wrote it
            for place in (*scope, *folders):
                if not can_spell(place):
                    self._not_searched[place] = "the encoding of paths of this locale cannot spell it"
            directories = [each for each in folders if can_spell(each)]
            items = tuple(item for item in scope if item != "1" and can_spell(item))
            selected = Scope(items)
            if "1" in scope or not scope:  # the project's own code is among it
                own = Scope()
                self._add(own, None, self._roots_of_own_code(own, directories, here))
            for item in items:
                if os.path.isabs(item):
                    self._add(selected, None, [item])
                    if not os.path.exists(item):
                        self._not_searched[item] = "it is not here"
                elif all(map(str.isidentifier, item.split("."))):
                    self._add(selected, item, _places_of(item, directories, here))
        if n_unknown:
            self.remarks.append(
                "Files that were never imported are not listed for data of earlier versions of instrument, "
                "which does not say what was to be measured"
            )
        self.remarks += [
            f"Files that were never imported are not looked for in {directory!r}: {why}"
            for directory, why in sorted(self._not_searched.items())
        ]
        if self._is_cut:
            self.remarks.append(
                f"Not all files that were never imported are listed: the search ended after {len(self._found)} files "
                f"in {self._n_entries} entries of folders; a smaller scope of the measurement would end it earlier"
            )
        self.paths = sorted(self._found.values())

    def _roots_of_own_code(self, own: Scope, directories: Iterable[str], here: list[str]) -> list[str]:
        """Return the folders to look in for the project's own code.

        Those are the folders where the processes were started, if code of the project ran that is in there, and the
        packages of what ran elsewhere.
        """
        ran = [path for path in here if own.selects(None, path)]
        home = os.path.realpath(os.path.expanduser("~"))
        roots: list[str] = []
        for directory in directories:
            root = os.path.realpath(directory) if os.path.isabs(directory) else ""
            if not os.path.isdir(root):
                self._not_searched[directory] = "it is not here"
            elif any(_is_in(path, root) for path in ran):
                if root in (home, os.path.dirname(root)):
                    self._not_searched[directory] = "it is a home folder, or holds all there is"
                else:
                    roots.append(root)
        for path in ran:
            package = _root_of_package(path)
            if package != os.path.dirname(path) and not any(_is_in(path, root) for root in roots):
                roots.append(os.path.join(package, os.path.relpath(path, package).split(os.sep)[0]))
        return list(dict.fromkeys(roots))

    def _add(self, scope: Scope, item: str | None, roots: Iterable[str]) -> None:
        """Add what *scope* selects of the files in *roots*; with *item*, they are modules of this package."""
        for root in roots:
            for path in self._files(root):
                real = os.path.realpath(path)
                if real in self._known or real in self._found:
                    continue
                if scope.selects(item, path):
                    self._found[real] = path

    def _files(self, root: str) -> Iterator[str]:
        """Yield the Python sources in the folder *root*, or *root* if it is a source itself, within bounds."""
        if os.path.isfile(root):
            if root.endswith((".py", ".pyw")):
                yield root
            return
        waiting = [root]
        while waiting:
            folder = waiting.pop()
            try:
                with os.scandir(folder) as entries:
                    inside = sorted(entries, key=lambda entry: entry.name)
            except OSError as error:
                self._not_searched[folder] = f"{error.strerror or error}"
                continue
            names = {entry.name for entry in inside}
            is_built = os.path.basename(folder) in _BUILT and "__init__.py" not in names
            if folder != root and (is_built or names & _MARKS_OF_AN_ENVIRONMENT):
                continue
            for entry in inside:
                self._n_entries += 1
                if self._n_entries > MOST_ENTRIES or len(self._found) >= MOST_FILES:
                    self._is_cut = True
                    return
                try:
                    if entry.is_dir(follow_symlinks=False):
                        if entry.name[:1] != "." and entry.name not in _SKIPPED and entry.name[-9:] != ".egg-info":
                            waiting.append(entry.path)
                    elif entry.name.endswith((".py", ".pyw")) and entry.is_file():
                        yield entry.path
                except OSError:
                    continue


def _scopes(processes: Iterable[ProcessRow]) -> dict[tuple[str, ...] | None, dict[str, None]]:
    """Return the folders in which processes of each scope were started."""
    found: dict[tuple[str, ...] | None, dict[str, None]] = {}
    for process in processes:
        found.setdefault(process.scope, {})[process.directory] = None
    return found


def _places_of(name: str, directories: Iterable[str], here: list[str]) -> list[str]:
    """Return the files and folders of the module or package *name*, as far as they can be known."""
    inside = name.replace(".", os.sep)
    found: list[str] = []
    for path in here:
        before, is_there, _after = path.partition(f"{os.sep}{inside}{os.sep}")
        if is_there:
            found.append(f"{before}{os.sep}{inside}")
        elif path.endswith(f"{os.sep}{inside}.py"):
            found.append(path)
    if not found:
        for directory in directories:
            for start in (directory, os.path.join(directory, "src")):
                place = os.path.join(start, inside)
                found += [each for each in (place, f"{place}.py") if os.path.isabs(each) and os.path.exists(each)]
    return list(dict.fromkeys(found))


def _is_in(path: str, folder: str) -> bool:
    return path.startswith(folder.rstrip(os.sep) + os.sep)
