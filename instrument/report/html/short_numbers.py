"""Writes counts for people, and puts them on a scale of heat. Integers come in, texts and levels go out."""

from __future__ import annotations

import math

#: The levels of heat of lines that ran, from 1 on. Level 0 is for lines that did not run.
N_LEVELS = 8

#: Greater numbers than this are shortened.
_GREATEST_EXACT = 9999

_UNITS = "kMGTPEZY"


def short(count: int) -> str:
    """Return *count* in at most five characters, as in `9999`, `1.2 M` and `123 k`; two or more digits are exact."""
    if count <= _GREATEST_EXACT:
        return f"{count}"
    scale = 1
    for unit in _UNITS:
        scale *= 1000
        tenths = (20 * count + scale) // (2 * scale)
        if tenths < 100:
            return f"{tenths // 10}.{tenths % 10}\N{NO-BREAK SPACE}{unit}"
        whole = (2 * count + scale) // (2 * scale)
        if whole < 1000:
            return f"{whole}\N{NO-BREAK SPACE}{unit}"
    return f"{count:.0e}"


def exact(count: int) -> str:
    """Return all digits of *count*, with a comma before each group of three."""
    return f"{count:,}"


def heat(count: int, hottest: int) -> int:
    """Return the level of *count* on a logarithmic scale from 1 to *hottest*: 1 to N_LEVELS, and 0 if *count* is 0."""
    if count <= 0:
        return 0
    if count >= hottest:
        return N_LEVELS if hottest > 1 else 1
    return 1 + min(int((N_LEVELS - 1) * math.log(count) / math.log(hottest)), N_LEVELS - 2)


def least_counts(hottest: int) -> list[int]:
    """Return the least count of each level from 1 to N_LEVELS, for a scale that ends at *hottest*."""
    least: list[int] = []
    for level in range(1, N_LEVELS + 1):
        guess = max(round(hottest ** ((level - 1) / (N_LEVELS - 1))), 1)
        while heat(guess, hottest) < level and guess < hottest:
            guess += 1
        while guess > 1 and heat(guess - 1, hottest) >= level:
            guess -= 1
        least.append(guess)
    return least
