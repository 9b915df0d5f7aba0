"""Exact execution counts for Python at close to no cost."""

# Processes that are measured import this at their start: what is not needed then is imported when it is asked for.
import sys

from instrument.version import __version__

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from instrument.live import counting, reset, snapshot
    from instrument.trace import CoverageResults, Trace

__all__ = ["CoverageResults", "Trace", "__version__", "counting", "reset", "snapshot"]

_HOMES = {
    "CoverageResults": "instrument.trace",
    "Trace": "instrument.trace",
    "counting": "instrument.live",
    "reset": "instrument.live",
    "snapshot": "instrument.live",
}
_system: "Any" = sys
_ROOMS = ("counts", "errors", "flow", "isolation", "report", "rewrite", "runtime", "trace")


#: Extensions that modules of this package import, and the standard library's `trace` does not.
_EXTENSIONS = ("_bisect", "_sha2", "_sha256", "array", "zlib")


class _OwnImports:
    """A time in which modules of this package are imported.

    Top-level imports are not lazy then, though `-X lazy_imports=all` asks for it (PEP 810, 3.15): what we import runs
    within imports of the program, where a lazy import that begins then would be a cycle. The mode is that of the whole
    interpreter, so it is changed for that long only.

    Extensions that only we have imported are left to the program to import: its finders are asked for them, as without
    us.
    """

    def __enter__(self) -> None:
        self._absent = [name for name in _EXTENSIONS if name not in sys.modules]
        self._is_lazy = sys.version_info >= (3, 15) and _system.get_lazy_imports() == "all"
        if self._is_lazy:
            _system.set_lazy_imports("normal")

    def __exit__(self, *exception: object) -> None:
        for name in self._absent:
            sys.modules.pop(name, None)
        if self._is_lazy:
            _system.set_lazy_imports("all")


def __getattr__(name: str) -> object:
    """Return what is public, or a room of this package, once it is asked for."""
    if name in _ROOMS:
        home = f"instrument.{name}"
    elif name in _HOMES:
        home = _HOMES[name]
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = "__future__" in sys.modules
    with _OwnImports():
        __import__(home)
    if not found:  # the program imports its own, and has it counted
        sys.modules.pop("__future__", None)
    module = sys.modules[home]
    if name in _ROOMS:
        return module
    globals()[name] = value = getattr(module, name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES, *_ROOMS})
