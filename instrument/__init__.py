"""Exact execution counts for Python at close to no cost.

Each measured process imports this module when it starts, so it imports the modules of its public names only when a name
is used.

PYTEST_DONT_REWRITE: see `instrument.guest.own_loader`.
"""

import sys

from instrument import guest
from instrument.guest import own_builtins, own_loader

__doc__ = __doc__ or "PYTEST_DONT_REWRITE"  # -OO removes docstrings, and pytest warns of imported modules without it
__builtins__ = own_builtins.ours  # type: ignore[assignment]  # this module is loaded before there is our loader
vars(guest)["__builtins__"] = own_builtins.ours
own_loader.read_stored()
own_loader.use_for_folders(__path__)
own_loader.use_for_folders(guest.__path__)
own_loader.modules.update(
    (module.__name__, module) for module in (sys.modules[__name__], guest, own_builtins, own_loader)
)

# ruff: noqa: E402
from instrument.guest.own_imports import OwnImports
from instrument.version import __version__

TYPE_CHECKING = False
if TYPE_CHECKING:
    from instrument.in_process import counting, reset, snapshot
    from instrument.sections.growth import assert_growth
    from instrument.starting import start
    from instrument.trace import CoverageResults, Trace

__all__ = ["CoverageResults", "Trace", "__version__", "assert_growth", "counting", "reset", "snapshot", "start"]

#: The modules of the public names.
_MODULES_OF_NAMES = {
    "CoverageResults": "instrument.trace",
    "Trace": "instrument.trace",
    "assert_growth": "instrument.sections.growth",
    "counting": "instrument.in_process",
    "load_ipython_extension": "instrument.notebook.magics",
    "reset": "instrument.in_process",
    "snapshot": "instrument.in_process",
    "start": "instrument.starting",
    "unload_ipython_extension": "instrument.notebook.magics",
}
#: Modules and folders that can be used as attributes of this package without an import of their own.
_SUBMODULES = ("decode", "errors", "flow", "guest", "hooks", "link", "model", "report", "rewrite", "session", "trace")


def __getattr__(name: str) -> object:
    """Return the public object or the submodule *name*, imported now; raise AttributeError if there is none."""
    if name in _SUBMODULES:
        module_name = f"instrument.{name}"
    elif name in _MODULES_OF_NAMES:
        module_name = _MODULES_OF_NAMES[name]
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    had_future = "__future__" in sys.modules
    with OwnImports():
        __import__(module_name)
    if not had_future:  # the program's own import of it is executed, and counted
        sys.modules.pop("__future__", None)
    module = sys.modules.get(module_name) or own_loader.modules[module_name]  # a late module is there only
    if name in _SUBMODULES:
        return module
    globals()[name] = value = getattr(module, name)
    return value


def __dir__() -> list[str]:
    """Return all names, also of objects that are imported when they are used."""
    return sorted({*globals(), *_MODULES_OF_NAMES, *_SUBMODULES})
