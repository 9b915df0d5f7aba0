"""Finds the function that a comprehension or generator expression is part of.

Only on some versions of Python they have code of their own.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from instrument.model.measurement import FunctionKey

_COMPREHENSIONS = ("<listcomp>", "<setcomp>", "<dictcomp>", "<genexpr>")


def owner_of(function: FunctionKey, functions: Iterable[FunctionKey]) -> FunctionKey:
    """Return the one of *functions* that *function* is part of: itself, unless it is a comprehension."""
    name, line = function
    while name.rpartition(".")[2] in _COMPREHENSIONS:
        name = name.rpartition(".")[0].removesuffix(".<locals>") or "<module>"
        above = [each for each in functions if each[0] == name and each[1] <= line]
        if above:
            name, line = max(above, key=lambda each: each[1])
    return name, line
