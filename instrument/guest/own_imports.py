"""Import modules of this package, and extension modules, so that the program does not notice.

The program's own import of a module that only this package has imported must be executed, and counted, as in a plain
run. So such modules leave `sys.modules` again.
"""

# No `from __future__ import annotations`: see instrument.guest.
import _collections_abc
import sys
from _frozen_importlib import ModuleSpec
from _thread import _count

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

_get_lazy_imports: "Any" = getattr(sys, "get_lazy_imports", str)  # from 3.15 on
_set_lazy_imports: "Any" = getattr(sys, "set_lazy_imports", None)
#: Extension modules that this package imports, and the standard library's `trace` does not.
_EXTENSIONS = ("_bisect", "_sha2", "_sha256", "array", "zlib")

#: All modules that only this package has. Their code is never measured.
own_modules: "list[object]" = []


class OwnImports:
    """A context in which modules of this package are imported.

    Top-level imports are not lazy in it, even with `-X lazy_imports=all` (PEP 810, since 3.15). They run within imports
    of the program, where a lazy import that is resolved would be a circular one. The mode belongs to the whole
    interpreter, so it is changed for as short a time as possible.

    At its end, extension modules that it has imported leave `sys.modules`, so that the program's finders are asked for
    them. With *forget* false they stay: other threads may be importing the same modules.
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


def forget_imports_since(names: "set[str]", lazy_names: "Iterable[str]") -> None:
    """Move modules that are not in *names* from `sys.modules` to `own_modules`, except those of this package.

    *names* and *lazy_names* are the content of `sys.modules` and `sys.lazy_modules` at an earlier time. A module that
    no import system would find again stays: one without a file in Python and without a spec of importlib's.
    """
    modules = sys.modules
    for name in [name for name in modules if name not in names]:
        if name.partition(".")[0] == "instrument":
            continue
        attributes = getattr(modules[name], "__dict__", {})  # `getattr` on the module could call its `__getattr__`
        file = attributes.get("__file__")
        if (isinstance(file, str) and file.endswith(".py")) or type(attributes.get("__spec__")) is ModuleSpec:
            own_modules.append(modules.pop(name))
    if hasattr(sys, "lazy_modules"):  # since 3.15, for diagnosis: the modules that the program imports lazily
        sys.lazy_modules.intersection_update(lazy_names)


def extension(name: str) -> "Any":
    """Return the extension module *name*, imported with stand-ins for the modules in Python that it imports.

    This package uses no function of the modules that `_pickle` and `array` import. [3.12, callgrind: 20 and 14 million
    instructions for these imports; a whole start of Python takes 33 million] A module that is loaded already has no
    stand-in. If there is another thread, which may be importing the same modules, no module has one.
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
