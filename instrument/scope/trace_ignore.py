"""Which modules and files are measured.

File and module names come in, yes or no goes out. The rules are those of the standard library's `trace`, to the letter:
its decisions are remembered by bare module name, first come first served, so with `ignoredirs` the first `__init__`
that is asked about decides for all of them. Which was first can only be told of code that is live: so code of names
that may be *ambiguous*, on both sides, is made live even where it is likely to be ignored.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable


#: Files of this name are on both sides of most `ignoredirs`; of other names few are.
_PACKAGE = "__init__"


def module_name(path: str) -> str:
    """Return the bare module name of *path*: its last part, without the extension.

    As `os.path` would, but without calling it: the measured program may use that too, and then we would be counted.
    """
    name = path.replace(os.altsep, os.sep) if os.altsep else path
    name = name[name.rfind(os.sep) + 1 :]
    dot = name.rfind(".")
    return name[:dot] if name[: max(dot, 0)].strip(".") else name


class Ignore:
    """The modules and directories that `trace` is told to ignore.

    *modules*: bare module names. *dirs*: directories whose files, at any depth, are ignored. `ambiguous`: names that
    files of both kinds are known to have, ignored and not.
    """

    def __init__(self, modules: Iterable[str] | None = None, dirs: Iterable[str] | None = None) -> None:
        self._mods = set(modules or ())
        self._inside_mods = tuple(f"{module}." for module in self._mods)
        self._inside_dirs = tuple(os.path.normpath(path) + os.sep for path in dirs or ())
        self._ignore = {"<string>": 1}
        self.ambiguous = {_PACKAGE}

    def names(self, filename: str | None, modulename: str) -> int:
        """Return 1 if the module is ignored, else 0, and remember the answer by *modulename*."""
        if modulename not in self._ignore:
            self._ignore[modulename] = self.judge(filename, modulename)
        return self._ignore[modulename]

    def judge(self, filename: str | None, modulename: str) -> int:
        """Return what `names` would answer for this file if it were the first of its module name; remember nothing."""
        if self._is_named(modulename):
            return 1
        if filename is None:  # built in
            return 1
        return int(self.is_inside(filename))

    def _is_named(self, modulename: str) -> bool:
        return modulename in self._mods or modulename.startswith(self._inside_mods)

    def is_inside(self, path: str) -> bool:
        """Return whether *path* is below a directory that is ignored."""
        return path.startswith(self._inside_dirs)

    def may_count(self, filename: str) -> bool:
        """Return whether code of *filename* may turn out to be counted, whoever is asked about first."""
        modulename = module_name(filename)
        if modulename in self._ignore:
            return not self._ignore[modulename]
        may_turn_out = modulename in self.ambiguous and self.depends_on_order(modulename)
        return may_turn_out or not self.judge(filename, modulename)

    def depends_on_order(self, modulename: str) -> bool:
        """Return whether files called *modulename* are ignored or not by which of them is called first, and none was
        yet.
        """
        return bool(self._inside_dirs) and modulename not in self._ignore and not self._is_named(modulename)
