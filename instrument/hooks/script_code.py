"""Compiles the main script and lines of `.pth` files, or takes their code from the cache.

The path and the text of a script come in, or a line; its code object goes out.

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

#: The name of an entry in the cache begins with one of these; the path of the script follows, or a hash of the line.
_SCRIPT = "script "
_SITE_LINE = "line of site "


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
    return _code(_SCRIPT + path, path, text, _hash_of(text), cache)


def code_of_site_line(line: str, cache: Cache) -> CodeType:
    """Return the code of *line*, of a `.pth` file, as `exec` compiles it; raise any error of `compile`.

    `site` executes such lines, in a virtual environment twice. Print the warnings that `compile` prints.
    """
    if not _may_cache():
        return _compiled("<string>", line)
    line_hash = _hash_of(line.encode())  # it raises the same error as `compile`
    return _code(_SITE_LINE + line_hash.hex(), "<string>", line, line_hash, cache)


def _hash_of(text: bytes) -> bytes:
    return source_hash(1, text) + source_hash(2, text)


def _code(name: str, path: str, text: bytes | str, text_hash: bytes, cache: Cache) -> CodeType:
    """Return the code of *text*, compiled for *path*; take it from the entry *name* of *cache*, or store it there."""
    key = text_hash, sys.flags.optimize, getattr(sys.flags, "int_max_str_digits", 0)
    entry = cache.load(name)
    if entry is not None and entry[0] == key:
        stored: CodeType = loads(entry[1])
        return stored
    code = _compiled(path, text)
    if not _warns(path, text):
        cache.store(name, (key, dumps(code)))
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


def _compiled(path: str, text: bytes | str) -> CodeType:
    return compile(text, path, "exec", dont_inherit=True)


def _warns(path: str, text: bytes | str) -> bool:
    """Return whether compiling *text* prints a warning."""
    stream, detector = sys.stderr, _WriteDetector()
    sys.stderr = detector
    try:
        _compiled(path, text)
    finally:
        sys.stderr = stream
    return detector.is_written
