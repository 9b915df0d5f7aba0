"""The rules by which the standard library's `trace` ignores modules, to the letter.

The file and the bare name of a module come in; whether it is ignored goes out. `trace` remembers its decisions by bare
name. So with `ignoredirs`, the first `__init__` module that is entered decides for all `__init__` modules.

Only live code tells which module was entered first. So code is made live if its name is *ambiguous*, even if the code
is likely to be ignored. A name is ambiguous if ignored and measured files share it.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable


#: Most `ignoredirs` have files with this name inside and outside; few other names are shared.
_PACKAGE = "__init__"
_SEP, _ALTSEP = os.sep, os.altsep


def module_name(path: str) -> str:
    """Return the bare module name of *path*: its last part, without the extension, as `os.path` has it.

    `os.path` is not called, as it may be measured itself: the counts would include these calls.
    """
    name = path.replace(_ALTSEP, _SEP) if _ALTSEP else path
    name = name[name.rfind(_SEP) + 1 :]
    dot = name.rfind(".")
    return name[:dot] if name[: max(dot, 0)].strip(".") else name


class Ignore:
    """The modules and directories that a `Trace` ignores.

    *modules* are bare names, *dirs* directories whose files are ignored at any depth. `ambiguous` has the bare names
    that ignored and measured files are known to share.
    """

    def __init__(self, modules: Iterable[str] | None = None, dirs: Iterable[str] | None = None) -> None:
        self._mods = set(modules or ())
        self._inside_mods = tuple(f"{module}." for module in self._mods)
        self._inside_dirs = tuple(os.path.normpath(path) + os.sep for path in dirs or ())
        self._ignore = {"<string>": 1}
        self.ambiguous = {_PACKAGE}

    def names(self, filename: str | None, modulename: str) -> int:
        """Return 1 if the module is ignored, else 0; remember the answer for all modules called *modulename*."""
        if modulename not in self._ignore:
            self._ignore[modulename] = self.judge(filename, modulename)
        return self._ignore[modulename]

    def judge(self, filename: str | None, modulename: str) -> int:
        """Return the result of `names` if the file is the first one called *modulename*; remember nothing."""
        if self._is_named(modulename):
            return 1
        if filename is None:  # a built-in module
            return 1
        return int(self.is_inside(filename))

    def _is_named(self, modulename: str) -> bool:
        return modulename in self._mods or modulename.startswith(self._inside_mods)

    def is_inside(self, path: str) -> bool:
        """Return whether *path* is below an ignored directory."""
        return path.startswith(self._inside_dirs)

    def may_count(self, filename: str) -> bool:
        """Return whether code of *filename* may turn out to be measured, whichever module is entered first."""
        modulename = module_name(filename)
        if modulename in self._ignore:
            return not self._ignore[modulename]
        may_turn_out = modulename in self.ambiguous and self.depends_on_order(modulename)
        return may_turn_out or not self.judge(filename, modulename)

    def depends_on_order(self, modulename: str) -> bool:
        """Return whether the first module that is entered will decide for all files called *modulename*.

        Return False if one has decided already.
        """
        return bool(self._inside_dirs) and modulename not in self._ignore and not self._is_named(modulename)
