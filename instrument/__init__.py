"""Exact execution counts for Python at close to no cost."""

# Processes that are measured import this at their start: what is not needed then is imported when it is asked for.
import sys

from instrument import guest
from instrument.guest import own_builtins, own_loader

__builtins__ = own_builtins.ours  # type: ignore[assignment]
own_loader.load_together()
own_loader.give_to_modules_in(__path__)
own_loader.give_to_modules_in(guest.__path__)  # it was imported before there was the loader

# ruff: noqa: E402
from instrument.guest.own_imports import OwnImports
from instrument.version import __version__

TYPE_CHECKING = False
if TYPE_CHECKING:
    from instrument.in_process import counting, reset, snapshot
    from instrument.starting import start
    from instrument.trace import CoverageResults, Trace

__all__ = ["CoverageResults", "Trace", "__version__", "counting", "reset", "snapshot", "start"]

_HOMES = {
    "CoverageResults": "instrument.trace",
    "Trace": "instrument.trace",
    "counting": "instrument.in_process",
    "reset": "instrument.in_process",
    "snapshot": "instrument.in_process",
    "start": "instrument.starting",
}
_ROOMS = ("decode", "errors", "flow", "guest", "hooks", "link", "model", "report", "rewrite", "session", "trace")


def __getattr__(name: str) -> object:
    """Return what is public, or a room of this package, once it is asked for."""
    if name in _ROOMS:
        home = f"instrument.{name}"
    elif name in _HOMES:
        home = _HOMES[name]
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = "__future__" in sys.modules
    with OwnImports():
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
