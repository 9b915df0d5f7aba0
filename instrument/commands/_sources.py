"""What the commands say of source files: is this still what was measured, and what could have run in it?

The path of a source and the version that was measured come in; what is known of the file as it is now goes out. A file
that was named by a data file from anywhere is only ever read.
"""

from __future__ import annotations

import dis
import tokenize
import types
import warnings

from instrument.data.store import version_of
from instrument.report import text
from instrument.trust import read_regular

# Sources are smaller; this keeps what pretends to be one out of memory.
LARGEST = 1 << 26

CURRENT, STALE, MISSING, UNKNOWN = "current", "stale", "missing", "unknown"


class Source:
    """The source file at `path`: whether it is the version that was measured, and if so, its `executable` lines.

    `state` is one of the four words above; `reason` is empty only if it is current and could be compiled.
    """

    def __init__(self, path: str, version: str) -> None:
        self.path = path
        self.data = b""
        self.executable: frozenset[int] = frozenset()
        self.state, self.reason = self._compare(version)
        if self.state == CURRENT:
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    lines = text.executable_lines(path)
                self.executable = frozenset(line for line in lines if line)
            except (OSError, SyntaxError, ValueError, tokenize.TokenError, RecursionError, MemoryError) as error:
                self.reason = f"it cannot be compiled by this Python: {error}"

    def _compare(self, version: str) -> tuple[str, str]:
        """Return the state of the file, and the reason for it in words."""
        if not version.startswith("sha256:"):
            return UNKNOWN, f"it is not known which version was measured ({version})"
        try:
            self.data = read_source(self.path)
        except (OSError, ValueError) as error:
            return MISSING, f"it cannot be read: {getattr(error, 'strerror', None) or error}"
        now = version_of(self.data)
        if now != version:
            return STALE, f"it has changed since it was measured (then {version[:19]}…, now {now[:19]}…)"
        return CURRENT, ""

    def functions(self) -> dict[tuple[str, int], set[int]]:
        """Return qualified name and first line of each function in the file, with the lines inside of it."""
        found: dict[tuple[str, int], set[int]] = {}
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                waiting = [compile(self.data, self.path, "exec", dont_inherit=True)]
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return found
        while waiting:
            code = waiting.pop()
            if code.co_flags & 2 and not code.co_name.startswith("<"):  # CO_NEWLOCALS: neither module nor class body
                inside = {line for _start, line in dis.findlinestarts(code) if line}
                found[code.co_qualname, code.co_firstlineno] = inside - {code.co_firstlineno}
            waiting.extend(constant for constant in code.co_consts if isinstance(constant, types.CodeType))
        return found


def read_source(path: str) -> bytes:
    """Return the content of the source file at *path*, or raise OSError or ValueError with what kept it from that."""
    return read_regular(path, LARGEST)
