"""How modules of this package are imported, while a program is measured or about to be."""

# No `from __future__ import annotations`: this is imported before the program, which may be the first to import that.
import _collections_abc
import sys
from _thread import _count

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


def extension(name: str) -> "Any":
    """Return the extension module *name*, imported with stand-ins for what it imports of the standard library.

    `_pickle` and `array` import modules in Python, of which we use nothing. [3.12, callgrind: 20 and 14 million
    instructions, where a whole start of Python takes 33 million] Where another thread is, which may be importing the
    same, and where a module is there already, there are no stand-ins.
    """
    import _functools  # type: ignore[import-not-found]

    modules = sys.modules
    stand_ins = {**_STAND_INS, "functools": _functools}
    absent = [stand_in for stand_in in stand_ins if stand_in not in modules and not _count()]
    modules.update((stand_in, stand_ins[stand_in]) for stand_in in absent)
    try:
        __import__(name)
        return modules[name]
    finally:
        for stand_in in absent:
            modules.pop(stand_in, None)


_compat_pickle: "Any" = type(sys)("_compat_pickle")
_compat_pickle.NAME_MAPPING, _compat_pickle.IMPORT_MAPPING = {}, {}
_compat_pickle.REVERSE_NAME_MAPPING, _compat_pickle.REVERSE_IMPORT_MAPPING = {}, {}
_STAND_INS = {"_compat_pickle": _compat_pickle, "collections": _collections_abc, "collections.abc": _collections_abc}
