"""Scopes: the modules that the recorder, or a `counting`, measures.

The items of a scope come in: dotted names and absolute paths. The decision for each module goes out, and is remembered.
Without items, and for the item OWN, the project's own code is selected. Modules of the standard library are not own
code, nor are packages in a site-packages folder, nor the scripts that are installed with packages.

The standard library may be measured itself, so no function in Python of it is called while the program runs. Strings
take paths apart, and system calls resolve links.
"""

from __future__ import annotations

import os
import sys

from instrument.config.values import OWN
from instrument.guest.own_builtins import system as _system

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

#: Folders with these names hold installed packages.
INSTALLED = ("site-packages", "dist-packages")

_SEP = os.sep
_ALTSEP = os.altsep
_getcwd = _system.getcwd
_readlink = getattr(_system, "readlink", None)
_modules = sys.modules
_OURS = __file__[: -len(f"{_SEP}scope{_SEP}project.py")]
_MAX_LINKS = 40
_PART_OF_OURS = "it is a part of instrument itself"


class Scope:
    """The modules that *items* select: dotted names of modules and packages, absolute paths of files and folders, OWN.

    Relative file names start from the present working directory. *main* is the name that the main program would be
    imported by; it is only needed if another process runs the main program.
    """

    def __init__(self, items: Iterable[str] = (), main: str | None = None) -> None:
        self.items = tuple(items)
        self._main = main
        try:
            self._folder = _getcwd()
        except OSError:  # it was deleted
            self._folder = ""
        self._has_own = OWN in self.items
        #: Names of modules, each with the beginning of the names of its submodules.
        self._names = [(item, f"{item}.") for item in self.items if item != OWN and not _is_absolute(item)]
        self._in_none = False, f"it is in none of {', '.join(self.items)}"
        no_links: set[str] = set()
        self._paths = [(item, _starts(_spellings(item, no_links))) for item in self.items if _is_absolute(item)]
        #: Whether the decision may depend on the file of a module, and not only on its name.
        self._depends_on_file = self._has_own or bool(self._paths) or not self.items
        self._library = [(folder, _starts((folder,))) for folder in _library_folders(no_links)]
        self._scripts = _scripts_folders(no_links)
        self._ours = _starts(_spellings(_OURS, no_links))
        #: Folders with their links resolved, by the path as it is.
        self._folders: dict[str, str] = {}
        #: Whether files in a folder are part of this package, by the folder as the file names it.
        self._are_ours: dict[str, bool] = {}
        #: Whether a module is selected, and why, by its name and file.
        self._decisions: dict[tuple[str | None, str], tuple[bool, str]] = {}
        #: The items that have selected a module.
        self._matched: set[str] = set()

    def selects(self, name: str | None, file: str) -> bool:
        """Return whether the module *name*, of the source *file*, is measured."""
        decision = self._decisions.get((name, file))
        return (self._decide(name, file) if decision is None else decision)[0]

    def explain(self, name: str | None, file: str) -> str:
        """Return the reason why the module *name*, of the source *file*, is measured, or why it is not."""
        decision = self._decisions.get((name, file))
        return (self._decide(name, file) if decision is None else decision)[1]

    def unmatched(self) -> tuple[str, ...]:
        """Return the items, without OWN, that have selected no module so far."""
        return tuple(item for item in self.items if item not in self._matched and item != OWN)

    def has_matched_own(self) -> bool:
        """Return whether the item OWN, or the absence of items, has selected a module so far."""
        return OWN in self._matched

    def _decide(self, name: str | None, file: str) -> tuple[bool, str]:
        """Return whether the module is measured, and the reason; remember both."""
        decision = self._decisions[name, file] = self._by_items(name, file)
        return decision

    def _by_items(self, name: str | None, file: str) -> tuple[bool, str]:
        """Return whether an item selects the module, and the reason."""
        if not file or (file[0] == "<" and file[-1] == ">"):
            return False, "it comes from no file"
        if not self.items:
            return self._without_items(name, file)
        spellings = self._spellings_of(file) if self._depends_on_file else ()
        if _is_below(spellings, self._ours) if spellings else self._is_ours(file):
            return False, _PART_OF_OURS
        for item, starts in self._paths:
            if _is_below(spellings, starts):
                self._matched.add(item)
                return True, f"it is in {item}" if spellings[0] != item else f"the scope names {item}"
        # A name selects a module however its file is spelled.
        dotted_name = self._main or _name_of_main(self._absolute(file)) if name == "__main__" else name
        if dotted_name is not None:
            for item, start in self._names:
                if dotted_name == item or dotted_name.startswith(start):
                    self._matched.add(item)
                    return True, f"it is {item}" if dotted_name == item else f"it is in the package {item}"
        if self._has_own:
            is_own, reason = self._is_own(name, spellings)
            if is_own or len(self.items) == 1:
                return is_own, reason
            return False, f"{reason}; nor is it in another part of the scope"
        return self._in_none

    def _without_items(self, name: str | None, file: str) -> tuple[bool, str]:
        """Return whether the module is the project's own code, and the reason; there are no items."""
        path = self._absolute(file)
        if not _is_below((path,), self._ours) and (place := self._place_of_others((path,))):
            return False, place  # so its links need not be resolved
        spellings = self._spellings_of(file)
        return (False, _PART_OF_OURS) if _is_below(spellings, self._ours) else self._is_own(name, spellings)

    def _spellings_of(self, file: str) -> tuple[str, ...]:
        """Return the absolute path of *file* as it is and, if that differs, with links resolved.

        The link that the file itself may be is resolved only if the decision may depend on it.
        """
        path = self._absolute(file)
        resolved = self._without_links(path, self._depends_on_file)
        return (path,) if resolved == path else (path, resolved)

    def _is_ours(self, file: str) -> bool:
        """Return whether *file* is a part of this package. Source files in one folder are examined once."""
        folder = file[: file.rfind(_SEP) + 1] if file[-3:] == ".py" and not _ALTSEP else file
        is_ours = self._are_ours.get(folder)
        if is_ours is None:
            is_ours = self._are_ours[folder] = _is_below(self._spellings_of(file), self._ours)
        return is_ours

    def _is_own(self, name: str | None, spellings: tuple[str, ...]) -> tuple[bool, str]:
        """Return whether the module is the project's own code, and the reason.

        *spellings* are the path of its file as it is and, if that differs, with its links resolved.
        """
        place = self._place_of_others(spellings)
        if place:
            return False, place
        for path in spellings:
            for folder in self._scripts:
                if _is_below((path,), _starts((folder,))) and _SEP not in path[len(folder) + 1 :]:
                    return False, f"it is in the folder of installed scripts ({folder}), and no scope names it"
        if name in _MAIN_NAMES and _starts_a_package(spellings[-1]):
            return False, "it is the script that starts an installed package, and no scope names it"
        self._matched.add(OWN)
        return True, "it is the project's own code"

    def _place_of_others(self, spellings: tuple[str, ...]) -> str:
        """Return in which folder of installed packages or of the standard library a file is, as a reason; else ""."""
        for path in spellings:
            for folder in INSTALLED:
                if f"{_SEP}{folder}{_SEP}" in path:
                    return f"it is installed in a {folder} folder, and no scope names it"
        for folder, starts in self._library:
            if _is_below(spellings, starts):
                return f"it is in the standard library ({folder}), and no scope names it"
        return ""

    def _without_links(self, path: str, of_file: bool) -> str:
        """Return the absolute *path* of a file with the links of its folder resolved, and with *of_file* its own.

        Links of a folder are resolved once.
        """
        if _readlink is None or _SEP != "/":
            return path
        end = path.rfind(_SEP)
        folder = path[:end]
        if folder not in self._folders:
            self._folders[folder] = _resolved(folder, set())
        resolved = f"{self._folders[folder].rstrip(_SEP)}{path[end:]}"
        if not of_file:
            return resolved
        try:
            _readlink(resolved)
        except (OSError, ValueError):  # the file itself is no link
            return resolved
        return _resolved(path, set())

    def _absolute(self, file: str) -> str:
        """Return the absolute path of *file*, without empty parts, `.` and `..`."""
        if _ALTSEP:
            file = file.replace(_ALTSEP, _SEP)
        if not _is_absolute(file):
            file = f"{self._folder}{_SEP}{file}"
        return _normal(file)


def _name_of_main(path: str) -> str | None:
    """Return the dotted name that the main program, of the file *path*, would be imported by."""
    spec = getattr(_modules.get("__main__"), "__spec__", None)
    name = getattr(spec, "name", None)
    if isinstance(name, str) and name != "__main__":
        return name
    name = path[path.rfind(_SEP) + 1 :]
    return name[:-3] if name[-3:] == ".py" else name


def _library_folders(no_links: set[str]) -> list[str]:
    """Return the folders of the standard library, and the archive that may replace them, in all spellings.

    They are the folders that `sysconfig` returns. It is not imported, as that takes long. *no_links*: see `_resolved`.
    """
    version = f"python{sys.version_info[0]}.{sys.version_info[1]}{getattr(sys, 'abiflags', '')}"
    plain = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    folders = [getattr(sys, "_stdlib_dir", None), _folder_of(getattr(os, "__file__", None))]
    for prefix in (sys.base_prefix, sys.base_exec_prefix, sys.prefix, sys.exec_prefix):
        if _SEP == "\\":
            folders += [f"{prefix}\\Lib", f"{prefix}\\DLLs"]
            folders.append(f"{prefix}\\python{sys.version_info[0]}{sys.version_info[1]}.zip")
        else:
            for lib in ("lib", getattr(sys, "platlibdir", "lib")):
                folders += [f"{prefix}/{lib}/{version}", f"{prefix}/{lib}/{plain}"]
                folders.append(f"{prefix}/{lib}/python{sys.version_info[0]}{sys.version_info[1]}.zip")
    spellings: dict[str, None] = {}  # ordered, without duplicates
    for folder in dict.fromkeys(folders):
        if folder:
            spellings.update(dict.fromkeys(_spellings(folder, no_links)))
    return list(spellings)


#: Names of the main module: in the main process, and in processes that `multiprocessing` starts.
_MAIN_NAMES = ("__main__", "__mp_main__")
#: Texts in the scripts that pip, uv and setuptools create for the entry points of a package.
_TEXTS_OF_INSTALLERS = (
    b"-script.pyw",
    rb"-script\.pyw",
    b"removesuffix('.exe')",
    b"load_entry_point(",
    b"EASY-INSTALL-",
)
#: So many bytes of a script are searched for them.
_HEAD = 2048


def _scripts_folders(no_links: set[str]) -> list[str]:
    """Return the folders of installed scripts that `sysconfig` knows, in all spellings; *no_links*: see `_resolved`."""
    scripts = "Scripts" if _SEP == "\\" else "bin"
    spellings: dict[str, None] = {}  # ordered, without duplicates
    for prefix in {sys.prefix, sys.exec_prefix, sys.base_prefix, sys.base_exec_prefix}:
        spellings.update(dict.fromkeys(_spellings(f"{prefix}{_SEP}{scripts}", no_links)))
    return list(spellings)


def _starts_a_package(path: str) -> bool:
    """Return whether an installer created the script at *path* to start a package; it can be in any folder."""
    if path[-3:] == ".py":
        return False
    try:
        descriptor = _system.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0))
    except (OSError, ValueError):
        return False
    try:
        head = _system.read(descriptor, _HEAD)
    except OSError:
        return False
    finally:
        _system.close(descriptor)
    return head[:2] == b"#!" and any(map(head.__contains__, _TEXTS_OF_INSTALLERS))


def _folder_of(path: str | None) -> str | None:
    """Return the folder of *path*; None if *path* names none."""
    return path[: path.rfind(_SEP)] if path and _SEP in path else None


# Paths ################################################################################################################

if _SEP == "\\":

    def _is_absolute(path: str) -> bool:
        return path[:2] == "\\\\" or path[1:3] in (":\\", ":/")

    def _same_case(path: str) -> str:
        return path.lower()

else:

    def _is_absolute(path: str) -> bool:
        return path[:1] == "/"

    def _same_case(path: str) -> str:
        return path


def _starts(roots: Iterable[str]) -> tuple[str, ...]:
    """Return how paths begin that are below one of *roots*."""
    return tuple(root if root[-1:] == _SEP else root + _SEP for root in map(_same_case, roots))


def _is_below(spellings: Iterable[str], starts: tuple[str, ...]) -> bool:
    """Return whether one of the *spellings* of a path is one of the roots with these *starts*, or is below one."""
    for path in spellings:  # noqa: SIM110 - a generator takes twice as long, and each import asks
        if (_same_case(path) + _SEP).startswith(starts):
            return True
    return False


def _spellings(path: str, no_links: set[str]) -> tuple[str, ...]:
    """Return *path* as it is and, if that differs, with its links resolved; *no_links*: see `_resolved`."""
    path = _normal(path)
    return tuple(dict.fromkeys((path, _resolved(path, no_links))))


def _normal(path: str) -> str:
    """Return the absolute *path* without empty parts, `.` and `..`."""
    if path[:1] == _SEP == "/" and "//" not in path and "/." not in path and path[-1:] != "/":
        return path
    start = path[: 3 if path[1:2] == ":" else 1]
    parts: list[str] = []
    for part in path[len(start) :].split(_SEP):
        if part == "..":
            del parts[-1:]
        elif part not in ("", "."):
            parts.append(part)
    if path[:2] == "\\\\":
        start = "\\\\"
    return start + _SEP.join(parts)


def _resolved(path: str, no_links: set[str]) -> str:
    """Return the absolute *path* with its links resolved; *path* itself if they form a circle.

    *no_links* are paths that were found to be no links a moment ago. This adds others.
    """
    if _readlink is None or _SEP != "/":
        return path
    resolved: list[str] = []
    remaining = path.split("/")[::-1]  # parts in reverse order
    n_links = 0
    while remaining:
        part = remaining.pop()
        if part in ("", "."):
            continue
        if part == "..":
            del resolved[-1:]
            continue
        resolved.append(part)
        beginning = "/" + "/".join(resolved)
        if beginning in no_links:
            continue
        try:
            target = _readlink(beginning)
        except (OSError, ValueError):
            no_links.add(beginning)
            continue
        n_links += 1
        if n_links > _MAX_LINKS:
            return path
        if target[:1] == "/":
            resolved.clear()
        else:
            resolved.pop()
        remaining.extend(target.split("/")[::-1])
    return "/" + "/".join(resolved)
