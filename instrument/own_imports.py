"""How modules of this package are imported, while a program is measured or about to be."""

# No `from __future__ import annotations`: this is imported before the program, which may be the first to import that.
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_get_lazy_imports: "Any" = getattr(sys, "get_lazy_imports", str)  # from 3.15 on
_set_lazy_imports: "Any" = getattr(sys, "set_lazy_imports", None)
#: Extensions that modules of this package import, and the standard library's `trace` does not.
_EXTENSIONS = ("_bisect", "_sha2", "_sha256", "array", "zlib")


class OwnImports:
    """A time in which modules of this package are imported.

    Top-level imports are not lazy then, though `-X lazy_imports=all` asks for it (PEP 810, 3.15). They run within
    imports of the program, where a lazy import that begins then would be a cycle. The mode is that of the whole
    interpreter, so it is changed for that long only.

    Extensions that only this package has imported leave `sys.modules`: the program's finders are asked for them, as in
    a plain run. They stay where other threads may be importing the same: *forget* is false then.
    """

    def __init__(self, forget: bool = True) -> None:
        self._forgets = forget

    def __enter__(self) -> None:
        self._absent = [name for name in _EXTENSIONS if name not in sys.modules and self._forgets]
        self._is_lazy = _get_lazy_imports() == "all"
        if self._is_lazy:
            _set_lazy_imports("normal")

    def __exit__(self, *exception: object) -> None:
        for name in self._absent:
            sys.modules.pop(name, None)
        if self._is_lazy:
            _set_lazy_imports("all")
