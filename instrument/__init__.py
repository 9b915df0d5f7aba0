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


class _EagerImports:
    """A time in which top-level imports are not lazy, though `-X lazy_imports=all` asks for it (PEP 810, 3.15).

    Modules of this package import each other in here: they run within imports of the program, where a lazy import that
    begins then would be a cycle. The mode is that of the whole interpreter, so it is changed for that long only.
    """

    def __enter__(self) -> None:
        self._is_lazy = sys.version_info >= (3, 15) and _system.get_lazy_imports() == "all"
        if self._is_lazy:
            _system.set_lazy_imports("normal")

    def __exit__(self, *exception: object) -> None:
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
    with _EagerImports():
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
