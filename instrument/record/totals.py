"""Totals: how often each line and each function of each source ran, and when it was first and last seen running."""

from __future__ import annotations

from instrument.guest.own_imports import extension

TYPE_CHECKING = False
if TYPE_CHECKING:
    from array import array
    from collections.abc import Iterable
    from typing import TypeAlias

    from instrument.model.counts import Counts

    #: Path and version of a source file.
    FileKey: TypeAlias = tuple[str, str]
    #: A count, and the times at which it was first and last seen to grow.
    Total: TypeAlias = tuple[int, float, float]
else:
    array = extension("array").array


class Totals:
    """How often each line and each function of each source ran, and when it was first and last seen running."""

    def __init__(self) -> None:
        self.lines: dict[FileKey, Series] = {}
        self.functions: dict[FileKey, Series] = {}

    def add(self, source: FileKey, function: tuple[str, int], counts: Counts, now: float) -> None:
        """Add the *counts* of one code object of *source*, which were read *now*."""
        if counts.lines:
            lines = self.lines.get(source)
            if lines is None:
                lines = self.lines[source] = Series()
            for line, n in counts.lines.items():
                lines.add(line, n, now)
        if counts.entered:
            functions = self.functions.get(source)
            if functions is None:
                functions = self.functions[source] = Series()
            functions.add(function, counts.entered, now)

    def mark_all(self) -> None:
        """Let all count as changed."""
        for kind in (self.lines, self.functions):
            for series in kind.values():
                series.mark_all()


class Series:
    """Totals by line, or by function: plain numbers in arrays, which cost the garbage collector nothing."""

    __slots__ = ("_first", "_last", "_n", "_places", "changed")

    def __init__(self) -> None:
        self._places: dict[object, int] = {}
        self._n: array[int] = array("q")
        self._first: array[float] = array("d")
        self._last: array[float] = array("d")
        #: What has changed since it was last written.
        self.changed: set[object] = set()

    def add(self, key: object, n: int, now: float) -> None:
        """Add *n* to the total of *key*."""
        place = self._places.get(key)
        if place is None:
            self._places[key] = len(self._n)
            self._n.append(n)
            self._first.append(now)
            self._last.append(now)
        else:
            self._n[place] += n
            self._last[place] = now
        self.changed.add(key)

    def mark_all(self) -> None:
        """Let all count as changed."""
        self.changed.update(self._places)

    def totals(self, keys: Iterable[object]) -> dict[object, Total]:
        """Return the totals of *keys*."""
        places, n, first, last = self._places, self._n, self._first, self._last
        return {key: (n[place], first[place], last[place]) for key in keys for place in (places[key],)}

    def counts(self) -> list[tuple[object, int]]:
        """Return the total number of each key."""
        return list(zip(self._places, self._n))
