"""Which modules and files the recorder measures.

The items of a scope come in, dotted names and absolute paths; yes or no goes out for each module, remembered. Without
items, and by the item OWN, the project's own code is measured: what is neither the standard library's, nor installed in
a site-packages, nor one of the scripts that are installed with packages.

While the program runs nothing of the standard library that may be measured itself is called: paths are taken apart by
methods of strings, links are resolved by the system.
"""

from __future__ import annotations

import os
import sys

from instrument.config.values import OWN
from instrument.guest.own_builtins import system as _system

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

#: Folders of these names hold what was installed.
INSTALLED = ("site-packages", "dist-packages")

_SEP = os.sep
_ALTSEP = os.altsep
_getcwd = _system.getcwd
_readlink = getattr(_system, "readlink", None)
_modules = sys.modules
_OURS = __file__[: -len(f"{_SEP}scope{_SEP}project.py")]
_MAX_LINKS = 40


class Scope:
    """What the *items* select: dotted names of modules and packages, absolute paths of files and folders, or own code.

    Relative file names start from the folder that is the working directory now. *main* is the name that the main
    program would be imported by, if not this process runs it.
    """

    def __init__(self, items: Iterable[str] = (), main: str | None = None) -> None:
        self.items = tuple(items)
        self._main = main
        try:
            self._folder = _getcwd()
        except OSError:  # it was deleted
            self._folder = ""
        self._has_own = OWN in self.items
        self._names = [item for item in self.items if item != OWN and not _is_absolute(item)]
        self._paths = [(item, _spellings(item)) for item in self.items if _is_absolute(item)]
        self._library = _library_folders()
        self._scripts = _scripts_folders()
        self._ours = _spellings(_OURS)
        self._folders: dict[str, str] = {}  # without links
        self._known: dict[tuple[str | None, str], tuple[bool, str]] = {}
        self._matched: set[str] = set()

    def selects(self, name: str | None, file: str) -> bool:
        """Return whether the module *name*, of the source *file*, is measured."""
        known = self._known.get((name, file))
        return (self._judge(name, file) if known is None else known)[0]

    def explain(self, name: str | None, file: str) -> str:
        """Return why the module *name*, of the source *file*, is measured or is not, in words."""
        known = self._known.get((name, file))
        return (self._judge(name, file) if known is None else known)[1]

    def unmatched(self) -> tuple[str, ...]:
        """Return the items that have selected nothing so far; OWN is none of them."""
        return tuple(item for item in self.items if item not in self._matched and item != OWN)

    def has_matched_own(self) -> bool:
        """Return whether any of the project's own code was selected."""
        return OWN in self._matched

    def _judge(self, name: str | None, file: str) -> tuple[bool, str]:
        answer = self._decide(name, file)
        self._known[name, file] = answer
        return answer

    def _decide(self, name: str | None, file: str) -> tuple[bool, str]:
        if not file or (file[0] == "<" and file[-1] == ">"):
            return False, "it comes from no file"
        path = self._absolute(file)
        spellings = (path, self._without_links(path))
        if _is_below(spellings, self._ours):
            return False, "it is a part of instrument itself"
        if not self.items:
            return self._is_own(name, spellings)
        for item, roots in self._paths:
            if _is_below(spellings, roots):
                self._matched.add(item)
                return True, f"it is in {item}" if path != item else f"the scope names {item}"
        called = self._main or _name_of_main(path) if name == "__main__" else name
        if called is not None:
            for item in self._names:
                if called == item or called[: len(item) + 1] == item + ".":
                    self._matched.add(item)
                    return True, f"it is {item}" if called == item else f"it is in the package {item}"
        if self._has_own:
            is_own, why = self._is_own(name, spellings)
            return is_own, why if is_own or len(self.items) == 1 else f"{why}; nor is it in another part of the scope"
        return False, f"it is in none of {', '.join(self.items)}"

    def _is_own(self, name: str | None, spellings: tuple[str, str]) -> tuple[bool, str]:
        for path in spellings:
            for folder in INSTALLED:
                if f"{_SEP}{folder}{_SEP}" in path:
                    return False, f"it is installed in a {folder} folder, and no scope names it"
        for folder in self._library:
            if _is_below(spellings, (folder,)):
                return False, f"it is in the standard library ({folder}), and no scope names it"
        for path in spellings:
            for folder in self._scripts:
                if _is_below((path,), (folder,)) and _SEP not in path[len(folder) + 1 :]:
                    return False, f"it is in the folder of installed scripts ({folder}), and no scope names it"
        if name in _MAIN and _starts_a_package(spellings[1]):
            return False, "it is the script that starts an installed package, and no scope names it"
        self._matched.add(OWN)
        return True, "it is the project's own code"

    def _without_links(self, path: str) -> str:
        """Return the absolute *path* of a file without links; those of its folder are resolved for all files in it."""
        if _readlink is None or _SEP != "/":
            return path
        end = path.rfind(_SEP)
        folder = path[:end]
        if folder not in self._folders:
            self._folders[folder] = _resolved(folder)
        found = f"{self._folders[folder].rstrip(_SEP)}{path[end:]}"
        try:
            _readlink(found)
        except (OSError, ValueError):
            return found
        return _resolved(path)

    def _absolute(self, file: str) -> str:
        if _ALTSEP:
            file = file.replace(_ALTSEP, _SEP)
        if not _is_absolute(file):
            file = f"{self._folder}{_SEP}{file}"
        return _normal(file)


def _name_of_main(path: str) -> str | None:
    """Return the name by which the main program, of the file *path*, would be imported."""
    spec = getattr(_modules.get("__main__"), "__spec__", None)
    name = getattr(spec, "name", None)
    if isinstance(name, str) and name != "__main__":
        return name
    name = path[path.rfind(_SEP) + 1 :]
    return name[:-3] if name[-3:] == ".py" else name


def _library_folders() -> list[str]:
    """Return the folders of the standard library, and the archive that may stand for it, in all spellings.

    Those of `sysconfig`, which takes long to import.
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
    found: dict[str, None] = {}
    for folder in folders:
        if folder:
            found.update(dict.fromkeys(_spellings(folder)))
    return list(found)


#: What the main program is called, in its own process and in those that multiprocessing starts.
_MAIN = ("__main__", "__mp_main__")
#: What pip, uv and setuptools write into the scripts that they make for the entry points of a package.
_MARKS = (b"-script.pyw", rb"-script\.pyw", b"removesuffix('.exe')", b"load_entry_point(", b"EASY-INSTALL-")
_HEAD = 2048


def _scripts_folders() -> list[str]:
    """Return the folders that scripts are installed in, in all spellings: those of `sysconfig`."""
    scripts = "Scripts" if _SEP == "\\" else "bin"
    found: dict[str, None] = {}
    for prefix in {sys.prefix, sys.exec_prefix, sys.base_prefix, sys.base_exec_prefix}:
        found.update(dict.fromkeys(_spellings(f"{prefix}{_SEP}{scripts}")))
    return list(found)


def _starts_a_package(path: str) -> bool:
    """Return whether the script *path* was made by an installer, to start a package: it can be in any folder."""
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
    return head[:2] == b"#!" and any(map(head.__contains__, _MARKS))


def _folder_of(path: str | None) -> str | None:
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


def _is_below(spellings: Iterable[str], roots: Iterable[str]) -> bool:
    """Return whether one of the *spellings* of a path is one of the *roots*, or in it."""
    for path in spellings:
        path = _same_case(path)
        for root in roots:
            root = _same_case(root)
            if path == root or path.startswith(root if root[-1:] == _SEP else root + _SEP):
                return True
    return False


def _spellings(path: str) -> tuple[str, ...]:
    """Return *path* as it is, and with its links resolved."""
    path = _normal(path)
    return tuple(dict.fromkeys((path, _resolved(path))))


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


def _resolved(path: str) -> str:
    """Return the absolute *path* with all links resolved that can be."""
    if _readlink is None or _SEP != "/":
        return path
    done: list[str] = []
    waiting = path.split("/")[::-1]
    n_links = 0
    while waiting:
        part = waiting.pop()
        if part in ("", "."):
            continue
        if part == "..":
            del done[-1:]
            continue
        done.append(part)
        try:
            target = _readlink("/" + "/".join(done))
        except (OSError, ValueError):
            continue
        n_links += 1
        if n_links > _MAX_LINKS:
            return path
        if target[:1] == "/":
            done.clear()
        else:
            done.pop()
        waiting.extend(target.split("/")[::-1])
    return "/" + "/".join(done)
