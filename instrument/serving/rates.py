"""Computes how often functions and lines ran in a second, and keeps the rates of the last minutes.

Counts of two moments come in. Rates go out, and the lines of a plot over time.
"""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import TypeAlias

    #: The name of a page, a line, and the qualified name of a function that begins there, '' for the line itself.
    CodeKey: TypeAlias = tuple[str, int, str]

#: Seconds between two moments that are too few for a rate.
SHORTEST = 0.05
#: Moments that the plot has, and functions of which it keeps the rates at each.
N_MOMENTS, N_KEPT = 150, 200


class Counts(NamedTuple):
    """How often functions and lines ran up to a moment, in seconds of any clock."""

    moment: float
    functions: Mapping[CodeKey, int]
    lines: Mapping[CodeKey, int]


class Rates(NamedTuple):
    """How often functions and lines ran in a second; functions and lines that did not run are left out."""

    functions: dict[CodeKey, float]
    lines: dict[CodeKey, float]


def rates_between(before: Counts, after: Counts) -> Rates:
    """Return the rates between two moments. Counts that were removed in between have no rate."""
    seconds = max(after.moment - before.moment, SHORTEST)
    return Rates(_rates(before.functions, after.functions, seconds), _rates(before.lines, after.lines, seconds))


def _rates(before: Mapping[CodeKey, int], after: Mapping[CodeKey, int], seconds: float) -> dict[CodeKey, float]:
    return {key: (count - earlier) / seconds for key, count in after.items() if count > (earlier := before.get(key, 0))}


def hottest(rates: Mapping[CodeKey, float], n: int, page: str = "") -> list[CodeKey]:
    """Return the *n* keys with the highest of *rates*, only those of *page* if one is named."""
    keys = (key for key in rates if not page or key[0] == page)
    return sorted(keys, key=lambda key: (-rates[key], key))[:n]


class Series(NamedTuple):
    """The line of a plot: a function, and its rate at each moment."""

    key: CodeKey
    rates: list[float]


class History:
    """The rates of functions at the last moments, the oldest first."""

    def __init__(self) -> None:
        self._moments: deque[tuple[float, dict[CodeKey, float]]] = deque(maxlen=N_MOMENTS)

    def add(self, moment: float, rates: Mapping[CodeKey, float]) -> None:
        """Add the *rates* of functions at a *moment*; the lower rates are left out if there are many."""
        self._moments.append((moment, {key: rates[key] for key in hottest(rates, N_KEPT)}))

    def moments(self) -> tuple[tuple[float, dict[CodeKey, float]], ...]:
        """Return the moments and the rates at each, which no caller may change."""
        return tuple(self._moments)


def plot(moments: Iterable[tuple[float, Mapping[CodeKey, float]]], n: int, page: str = "") -> list[Series]:
    """Return the lines of the *n* functions that ran most often over all *moments*, only those of *page* if named."""
    moments = list(moments)
    sums: dict[CodeKey, float] = {}
    for _, rates in moments:
        for key, rate in rates.items():
            sums[key] = sums.get(key, 0.0) + rate
    return [Series(key, [rates.get(key, 0.0) for _, rates in moments]) for key in hottest(sums, n, page)]
