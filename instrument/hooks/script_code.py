"""Compiles the main script, or takes its code from the cache.

The path and the text of a script come in; its code object goes out.

Problem: the function `compile` first makes all types of the module `_ast`, some 120 classes. The interpreter compiles a
script without them. [3.12, callgrind: 9 million instructions, of 44 for a whole plain process]
Solution: keep the marshalled code of the script in the cache, by its text, and by all else that compiling depends on.
Compiling may print warnings, which a run with code from the cache would lack. So code is stored only if a second
compilation prints nothing. If an option of the interpreter changes which warnings appear, no code is stored or taken.
"""

from __future__ import annotations

import os
import sys
from _imp import source_hash
from marshal import dumps, loads

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import CodeType

    from instrument.link.cache import Cache

#: The name of an entry in the cache begins with this; the path of the script follows.
_SCRIPT = "script "


class _WriteDetector:
    """Stands for standard error, and notes whether anything was written."""

    def __init__(self) -> None:
        self.is_written = False

    def write(self, text: str) -> None:
        """Note that something was written."""
        self.is_written = True

    def flush(self) -> None:
        """Do nothing."""


def code_of_script(path: str, text: bytes, cache: Cache) -> CodeType:
    """Return the code of the script at *path* with this *text*; raise any error of `compile`.

    Print the warnings that `compile` prints.
    """
    if not _may_cache():
        return _compiled(path, text)
    key = source_hash(1, text) + source_hash(2, text), sys.flags.optimize, getattr(sys.flags, "int_max_str_digits", 0)
    entry = cache.load(_SCRIPT + path)
    if entry is not None and entry[0] == key:
        stored: CodeType = loads(entry[1])
        return stored
    code = _compiled(path, text)
    if not _warns(path, text):
        cache.store(_SCRIPT + path, (key, dumps(code)))
    return code


def _may_cache() -> bool:
    """Return whether no option of the interpreter changes the code or the warnings, and warnings go to `sys.stderr`.

    If the module `warnings` is loaded, its functions may have been replaced.
    """
    has_options = sys.warnoptions or sys.flags.dev_mode or sys.flags.bytes_warning or _omits_columns()
    return not has_options and "warnings" not in sys.modules


def _omits_columns() -> bool:
    """Return whether the interpreter compiles without columns (`-X no_debug_ranges`)."""
    return "no_debug_ranges" in sys._xoptions or "PYTHONNODEBUGRANGES" in os.environ


def _compiled(path: str, text: bytes) -> CodeType:
    return compile(text, path, "exec", dont_inherit=True)


def _warns(path: str, text: bytes) -> bool:
    """Return whether compiling *text* prints a warning."""
    stream, detector = sys.stderr, _WriteDetector()
    sys.stderr = detector
    try:
        _compiled(path, text)
    finally:
        sys.stderr = stream
    return detector.is_written
