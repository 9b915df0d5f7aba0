"""NeverImported: the source files in the scope of a measurement that were never imported.

Measured processes and files come in; paths go out. The search reads folders, and executes nothing. It ends after a
number of files and folder entries, so that it ends soon in any folder.
"""

from __future__ import annotations

import os
import re

from instrument.analysis.local_paths import can_encode, import_root
from instrument.scope.project import INSTALLED, Scope

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import TypeAlias

    from instrument.model.measured_process import MeasuredProcess

    #: The items of a scope, and the folders in which processes of that scope were started, in order.
    Scopes: TypeAlias = dict[tuple[str, ...] | None, dict[str, None]]

# Names of folders without sources of the project. Hidden folders and virtual environments are skipped, too.
_SKIPPED = frozenset({*INSTALLED, "node_modules", "__pycache__", "__pypackages__"})
# Names of folders with build results, unless they are packages.
_BUILT = frozenset({"build", "dist", "htmlcov"})
_MARKS_OF_AN_ENVIRONMENT = frozenset({"pyvenv.cfg", "conda-meta"})

#: The search ends after so many files were found, or so many entries of folders were read.
MOST_FILES = 2000
MOST_ENTRIES = 100_000


class NeverImported:
    """The source files in the scope of *processes* that are not among the *measured* files.

    `paths` has their paths, sorted. `not_searched` maps folders that were not searched to the reason.
    `has_unknown_scope` is True if data has no scope, as in format 1. `is_cut_off` is True if
    the search ended early, after `n_entries` entries of folders.
    """

    def __init__(self, processes: Iterable[MeasuredProcess], measured: Iterable[str]) -> None:
        self.not_searched: dict[str, str] = {}
        self.n_entries = 0
        self.is_cut_off = self.has_unknown_scope = False
        #: Real paths, because several paths may lead to one file.
        self._measured = {os.path.realpath(path) for path in measured if os.path.isabs(path) and can_encode(path)}
        self._path_by_real_path: dict[str, str] = {}
        here = [path for path in sorted(self._measured) if os.path.isfile(path)]
        for scope, folders in _scopes(processes).items():
            if scope is None:
                self.has_unknown_scope = True
            elif "\0" not in "".join((*scope, *folders)):  # no path has that, so the data is not of this package
                self._search_scope(scope, folders, here)
        self.paths = sorted(self._path_by_real_path.values())

    def _search_scope(self, scope: tuple[str, ...], folders: Iterable[str], here: list[str]) -> None:
        """Search the files of one *scope*, of processes that were started in *folders*; *here* has measured files."""
        for path in (*scope, *folders):
            if not can_encode(path):
                self.not_searched[path] = "the encoding of paths of this locale cannot spell it"
        directories = [folder for folder in folders if can_encode(folder)]
        items = tuple(item for item in scope if item != "1" and can_encode(item))
        if "1" in scope or not scope:  # the project's own code is in the scope
            own = Scope()
            self._add(own, None, self._roots_of_own_code(own, directories, here))
        items_scope = Scope(items)
        for item in items:
            if os.path.isabs(item):
                self._add(items_scope, None, [item])
                if not os.path.exists(item):
                    self.not_searched[item] = "it is not here"
            elif all(map(str.isidentifier, item.split("."))):
                self._add(items_scope, item, _paths_of_module(item, directories, here))

    def _roots_of_own_code(self, own: Scope, directories: Iterable[str], here: list[str]) -> list[str]:
        """Return the folders to search for the project's own code.

        They are the *directories* where the processes were started, if they have code of the project that ran. For code
        of the project that ran elsewhere, they are the packages that it is in.
        """
        ran = [path for path in here if own.selects(None, path)]
        home = os.path.realpath(os.path.expanduser("~"))
        roots: list[str] = []
        for directory in directories:
            root = os.path.realpath(directory) if os.path.isabs(directory) else ""
            if not os.path.isdir(root):
                self.not_searched[directory] = "it is not here"
            elif any(_is_in(path, root) for path in ran):
                if root in (home, os.path.dirname(root)):
                    self.not_searched[directory] = (
                        "it is a home folder or the root folder, too large to search; "
                        "name the project's folder as the scope"
                    )
                else:
                    roots.append(root)
        for path in ran:
            folder = import_root(path)
            if folder != os.path.dirname(path) and not any(_is_in(path, root) for root in roots):
                roots.append(os.path.join(folder, os.path.relpath(path, folder).split(os.sep)[0]))
        return list(dict.fromkeys(roots))

    def _add(self, scope: Scope, item: str | None, roots: Iterable[str]) -> None:
        """Add the files in *roots* that *scope* selects. With *item*, the files are modules of the package *item*."""
        for root in roots:
            for path in self._files(root):
                real = os.path.realpath(path)
                if real in self._measured or real in self._path_by_real_path:
                    continue
                if scope.selects(item, path):
                    self._path_by_real_path[real] = path

    def _files(self, root: str) -> Iterator[str]:
        """Yield the Python sources in the folder *root*, or *root* itself if it is a source, until the search ends."""
        if os.path.isfile(root):
            if root.endswith((".py", ".pyw")):
                yield root
            return
        remaining = [root]
        while remaining:
            folder = remaining.pop()
            try:
                with os.scandir(folder) as entries:
                    sorted_entries = sorted(entries, key=lambda entry: entry.name)
            except OSError as error:
                self.not_searched[folder] = f"{error.strerror or error}"
                continue
            names = {entry.name for entry in sorted_entries}
            is_built = os.path.basename(folder) in _BUILT and "__init__.py" not in names
            if folder != root and (is_built or names & _MARKS_OF_AN_ENVIRONMENT):
                continue
            for entry in sorted_entries:
                self.n_entries += 1
                if self.n_entries > MOST_ENTRIES or len(self._path_by_real_path) >= MOST_FILES:
                    self.is_cut_off = True
                    return
                try:
                    if entry.is_dir(follow_symlinks=False):
                        if entry.name[:1] != "." and entry.name not in _SKIPPED and entry.name[-9:] != ".egg-info":
                            remaining.append(entry.path)
                    elif entry.name.endswith((".py", ".pyw")) and entry.is_file():
                        yield entry.path
                except OSError:
                    continue


def _scopes(processes: Iterable[MeasuredProcess]) -> Scopes:
    """Return the scopes of *processes*, each with the folders in which processes of it were started."""
    scopes: Scopes = {}
    for process in processes:
        scopes.setdefault(process.scope, {})[process.directory] = None
    return scopes


def _paths_of_module(name: str, directories: Iterable[str], here: list[str]) -> list[str]:
    """Return the files and folders of the module or package *name*.

    They follow from *here*, the real paths of measured files that exist on this machine. If none is of this module,
    look for *name* in *directories*, and in the folder `src` of each.
    """
    relative = name.replace(".", os.sep)
    paths: list[str] = []
    for path in here:
        folders = [
            path[: match.end()] for match in re.finditer(f"{re.escape(os.sep + relative)}(?={re.escape(os.sep)})", path)
        ]
        if folders:
            # A checkout may have the name of the package in it, so a folder without `__init__.py` comes second.
            is_package = [os.path.isfile(os.path.join(folder, "__init__.py")) for folder in folders]
            paths.append(folders[is_package.index(True) if any(is_package) else 0])
        elif path.endswith(f"{os.sep}{relative}.py"):
            paths.append(path)
    if not paths:
        for directory in directories:
            for folder in (directory, os.path.join(directory, "src")):
                path = os.path.join(folder, relative)
                paths += [each for each in (path, f"{path}.py") if os.path.isabs(each) and os.path.exists(each)]
    return list(dict.fromkeys(paths))


def _is_in(path: str, folder: str) -> bool:
    return path.startswith(folder.rstrip(os.sep) + os.sep)
