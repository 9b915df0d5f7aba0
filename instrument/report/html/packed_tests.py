"""Packs the tests of the lines of a file as short texts, which the script of the pages unpacks (`static/tests.js`).

The patterns of a file come in, each with the contexts that have it (`analysis.contexts.by_file`). A text goes out, of
letters that need no escape in a script: base64 of a zlib stream of numbers. The names of all tests are one more text.

Problem: 5,000 tests that run 2,000 lines each are 10 million pairs of a test and a line, and pages are read from disks.
Solution: lines are named once for each function, counts once for each pattern, and contexts by differences. Contexts
that are neighbours share patterns, so most differences are 1, and zlib has little to keep.

Each number has seven bits in each byte, the lowest first. The highest bit of a byte says that more follow. A function
has these numbers, and its name in UTF-8:

- the length of the name in bytes, the name, and the first line of the function
- how many lines it has, and these lines, as differences
- how many patterns it has
- for each pattern: how often the function was entered, how often each of the lines ran, and how many contexts have it
- the contexts of each pattern, as differences. A difference of 0 is the same context once more
"""

from __future__ import annotations

import base64
import json
import zlib
from array import array
from typing import NamedTuple

from instrument.analysis.contexts.by_file import PatternWork
from instrument.analysis.contexts.names import PHASES
from instrument.report.text import shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from instrument.model.measurement import FunctionKey

#: Stands for the function of counts that no context has.
_NO_FUNCTION = ("", 0)
#: The name of the context that has them: a process saved no contexts, or the plans of a pattern are missing.
UNKNOWN = "test not known"
#: The greatest number in one byte.
_GREATEST = 127


class ContextNames(NamedTuple):
    """The names of `tests`, and of contexts outside of tests, in the order of their numbers: see `PatternsByFile`."""

    tests: Sequence[str]
    others: Sequence[str]

    @property
    def unknown(self) -> int:
        """The number of the context UNKNOWN, behind all others."""
        return len(PHASES) * len(self.tests) + len(self.others)


def packed_names(names: ContextNames) -> str:
    """Return the text for *names*: a document of JSON. Characters that nobody would see are escapes in it."""
    others = [shown(name) or "other code" for name in names.others]
    document = {"tests": [shown(name) for name in names.tests], "others": [*others, UNKNOWN]}
    return _text(json.dumps(document, separators=(",", ":")).encode("ascii"))


def packed_patterns(patterns: Iterable[PatternWork], counts: Mapping[int, int], unknown: int) -> str:
    """Return the text for the *patterns* of a file; an empty text if there are none.

    *counts* says how often each line of the file ran. If the patterns have less, the context *unknown* has the rest.
    """
    functions: dict[FunctionKey, list[PatternWork]] = {}
    rest = {line: n for line, n in counts.items() if line}
    for pattern in patterns:
        functions.setdefault(pattern.function, []).append(pattern)
        for line, n in pattern.lines.items():
            rest[line] = rest.get(line, 0) - n * len(pattern.contexts)
    if not functions:
        return ""
    rest = {line: n for line, n in rest.items() if n > 0}
    if rest:
        functions[_NO_FUNCTION] = [PatternWork(_NO_FUNCTION, 0, rest, array("I", [unknown]))]
    packed = bytearray()
    for function, of_function in functions.items():
        _add_function(packed, function, of_function)
    return _text(bytes(packed))


def _add_function(packed: bytearray, function: FunctionKey, patterns: list[PatternWork]) -> None:
    """Add the numbers of *function*, which has these *patterns*, to *packed*."""
    lines = sorted({line for pattern in patterns for line in pattern.lines if line})
    name = shown(function[0]).encode()
    _add(packed, [len(name)])
    packed += name
    _add(packed, [function[1], len(lines), *_differences(lines), len(patterns)])
    for pattern in patterns:
        of_lines = [pattern.lines.get(line, 0) for line in lines]
        _add(packed, [pattern.entered, *of_lines, len(pattern.contexts)])
    for pattern in patterns:
        _add(packed, _differences(pattern.contexts))


def _differences(numbers: Sequence[int]) -> list[int]:
    """Return the first of *numbers*, which are sorted, and how much greater each one is than the one before."""
    return [number - before for before, number in zip([0, *numbers], numbers)]


def _add(packed: bytearray, numbers: list[int]) -> None:
    """Add *numbers*, from 0 on, to *packed*."""
    if max(numbers, default=0) <= _GREATEST:
        packed += bytes(numbers)
        return
    for number in numbers:
        remaining = number
        while remaining > _GREATEST:
            packed.append(remaining & _GREATEST | (_GREATEST + 1))
            remaining >>= 7
        packed.append(remaining)


def _text(data: bytes) -> str:
    return base64.b64encode(zlib.compress(data, 9)).decode("ascii")
