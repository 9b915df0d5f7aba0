"""Exact execution counts for Python at close to no cost."""

import sys

_found = "__future__" in sys.modules

from instrument.trace import CoverageResults, Trace  # noqa: E402
from instrument.version import __version__  # noqa: E402

if not _found:  # the program imports its own, and has it counted
    sys.modules.pop("__future__", None)

__all__ = ["CoverageResults", "Trace", "__version__"]
