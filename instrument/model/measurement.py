"""Counts of source files, and of a whole measurement: values that add.

The counts of code objects come in (`FileCounts.add_code`), or rows of a data file. Files by path and version go out.
`FACTS` lists the kinds of counts that a file has. A new kind takes a Series of FileCounts, a clause of `add_code`, and
an entry of FACTS. Changes, JSON documents, and the tables, writers, merges and readers of data files follow FACTS. Then
`tests/model/test_roads.py` names each road that does not carry the new kind yet.

Every measured process loads this module at its start, so this module imports nothing of weight.

Problem: a large program has some 100,000 lines with counts. As tuples in dictionaries, they would each be an object
that the garbage collector traverses, which holds the program up.
Solution: `Series` keeps plain numbers in arrays. The collector does not look into arrays.
Alternatives: dictionaries of integers by field need three dictionaries, and about twice the memory.
"""

from __future__ import annotations

from _operator import itemgetter

from instrument.guest.own_imports import extension

TYPE_CHECKING = False
if TYPE_CHECKING:
    from array import array
    from collections.abc import Collection, Iterable, Iterator, KeysView
    from typing import Any, TypeAlias

    from instrument.model.counts import Counts
    from instrument.model.measured_process import MeasuredProcess

    #: The absolute path of a source file, and its version: "sha256:…" of its text, or another word if that is unknown.
    FileKey: TypeAlias = tuple[str, str]
    #: The qualified name of a function, and its first line.
    FunctionKey: TypeAlias = tuple[str, int]
else:
    array = extension("array").array

#: The greatest count. Sums end there: SQLite would turn a larger integer into floating point.
GREATEST_COUNT = (1 << 63) - 1


class Tally(tuple[int, float, float]):
    """A count, and when it was first and last seen to grow, in seconds since the epoch."""

    __slots__ = ()

    count: int = property(itemgetter(0))  # type: ignore[assignment]
    first: float = property(itemgetter(1))  # type: ignore[assignment]
    last: float = property(itemgetter(2))  # type: ignore[assignment]


class Series:
    """A mapping of keys to tallies. The keys are line numbers, or functions as `FunctionKey`."""

    __slots__ = ("_counts", "_firsts", "_lasts", "_positions")

    def __init__(self) -> None:
        #: Where the numbers of each key are in the three arrays.
        self._positions: dict[Any, int] = {}
        self._counts: array[int] = array("q")
        self._firsts: array[float] = array("d")
        self._lasts: array[float] = array("d")

    def count(self, key: Any, count: int, now: float) -> None:
        """Add *count* to the tally of *key*, as seen *now*. For a running process: it never reaches GREATEST_COUNT."""
        position = self._positions.get(key)
        if position is None:
            self._append(key, count, now, now)
        else:
            self._counts[position] += count
            self._lasts[position] = now

    def count_all(self, counts: dict[Any, int], now: float) -> None:
        """Do `count` for each key of *counts*. New keys take a few calls in C."""
        if self._positions.keys().isdisjoint(counts):
            first = len(self._counts)
            self._positions.update(zip(counts, range(first, first + len(counts))))
            self._counts.extend(counts.values())
            times = array("d", (now,)) * len(counts)
            self._firsts.extend(times)
            self._lasts.extend(times)
        else:
            for key, count in counts.items():
                self.count(key, count, now)

    def add(self, key: Any, count: int, first: float, last: float) -> None:
        """Add *count* to the tally of *key*, as seen between *first* and *last*."""
        position = self._positions.get(key)
        if position is None:
            self._append(key, count, first, last)
        else:
            self._counts[position] = min(self._counts[position] + count, GREATEST_COUNT)
            self._firsts[position] = min(self._firsts[position], first)
            self._lasts[position] = max(self._lasts[position], last)

    def _append(self, key: Any, count: int, first: float, last: float) -> None:
        self._positions[key] = len(self._counts)
        self._counts.append(count)
        self._firsts.append(first)
        self._lasts.append(last)

    def counts(self) -> dict[Any, int]:
        """Return the count of each key."""
        return dict(zip(self._positions, self._counts))

    def tallies(self, keys: Iterable[Any]) -> dict[Any, tuple[int, float, float]]:
        """Return count, first and last time of each of *keys*, as plain tuples, which the collector soon untracks."""
        keys = [*keys]
        if len(keys) == len(self._positions):
            return dict(zip(self._positions, zip(self._counts, self._firsts, self._lasts)))
        positions, counts, firsts, lasts = self._positions, self._counts, self._firsts, self._lasts
        return {key: (counts[at], firsts[at], lasts[at]) for key in keys for at in (positions[key],)}

    def columns(self) -> tuple[Collection[Any], array[int], array[float], array[float]]:
        """Return all keys, and counts, first and last times in their order. The caller must not change the arrays."""
        return self._positions.keys(), self._counts, self._firsts, self._lasts

    def keys(self) -> KeysView[Any]:
        """Return the keys, as a view on which set operations work."""
        return self._positions.keys()

    def items(self) -> Iterator[tuple[Any, Tally]]:
        """Yield each key with its tally."""
        return zip(self._positions, map(Tally, zip(self._counts, self._firsts, self._lasts)))

    def __getitem__(self, key: Any) -> Tally:
        at = self._positions[key]
        return Tally((self._counts[at], self._firsts[at], self._lasts[at]))

    def __iter__(self) -> Iterator[Any]:
        return iter(self._positions)

    def __contains__(self, key: object) -> bool:
        return key in self._positions

    def __len__(self) -> int:
        return len(self._positions)

    def __iadd__(self, other: Series) -> Series:
        for key, (count, first, last) in other.items():
            self.add(key, count, first, last)
        return self

    def __add__(self, other: Series) -> Series:
        total = Series()
        total += self
        total += other
        return total

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Series) and dict(self.items()) == dict(other.items())

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"<series {self.counts()}>"


class _Value:
    """A value that equals another if all fields do, which `__slots__` names."""

    __slots__: tuple[str, ...] = ()

    def __eq__(self, other: object) -> bool:
        fields = type(self).__slots__
        return type(self) is type(other) and all(getattr(self, field) == getattr(other, field) for field in fields)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        fields = ", ".join(f"{field}={getattr(self, field)!r}" for field in type(self).__slots__)
        return f"<{type(self).__name__} {fields}>"


class Fact:
    """One kind of counts of a source file: a Series of FileCounts, and a table of data files.

    - field: the name of the Series in FileCounts, and of its list in JSON documents
    - table: the name of the table
    - columns: the columns of the table that make the key, each with the type of its values, int or str
    - since: the version of the file format that has the table first: for a new fact, `data.schema.VERSION` + 1
    """

    __slots__ = ("columns", "field", "since", "table")

    def __init__(self, field: str, table: str, columns: tuple[tuple[str, type], ...], since: int) -> None:
        self.field = field
        self.table = table
        self.columns = columns
        self.since = since


FACTS = (
    Fact("lines", "line", (("line", int),), since=1),
    Fact("functions", "function", (("name", str), ("line", int)), since=1),
)


class FileCounts(_Value):
    """Counts of one version of a source file.

    `lines` has the tally of each line that ran, and `functions` that of each function that was entered. `given_out`
    maps each function that was given out to its receivers, such as "cloudpickle".
    """

    __slots__ = ("functions", "given_out", "lines")

    def __init__(self) -> None:
        self.lines = Series()
        self.functions = Series()
        self.given_out: dict[FunctionKey, set[str]] = {}

    def add_code(self, function: FunctionKey, counts: Counts, now: float) -> dict[str, Collection[Any]]:
        """Add the *counts* of the code object of *function*, as seen *now*, in the process that runs it.

        Return the keys whose counts have changed, by field.
        """
        changed: dict[str, Collection[Any]] = {"lines": counts.lines}
        self.lines.count_all(counts.lines, now)
        if counts.entered:
            self.functions.count(function, counts.entered, now)
            changed["functions"] = (function,)
        return changed

    def series(self) -> Iterator[tuple[Fact, Series]]:
        """Yield each fact with its series."""
        for fact in FACTS:
            yield fact, getattr(self, fact.field)

    def __add__(self, other: FileCounts) -> FileCounts:
        total = FileCounts()
        total += self
        total += other
        return total

    def __iadd__(self, other: FileCounts) -> FileCounts:
        for (_, mine), (_, theirs) in zip(self.series(), other.series()):
            mine += theirs
        for function, receivers in other.given_out.items():
            self.given_out.setdefault(function, set()).update(receivers)
        return self


class Measurement(_Value):
    """Counts of source files by version, of some processes.

    `files` holds the counts of each version of a file. `not_measured` maps the path of each file that ran uncounted, in
    whole or in part, to the reasons. `processes` maps the random id of each process to its row.
    """

    __slots__ = ("files", "not_measured", "processes")

    def __init__(self) -> None:
        self.files: dict[FileKey, FileCounts] = {}
        self.not_measured: dict[str, set[str]] = {}
        self.processes: dict[str, MeasuredProcess] = {}

    def file(self, key: FileKey) -> FileCounts:
        """Return the counts of the version *key* of a file, which are new and empty if there were none."""
        counts = self.files.get(key)
        if counts is None:
            counts = self.files[key] = FileCounts()
        return counts

    def __add__(self, other: Measurement) -> Measurement:
        total = Measurement()
        total += self
        total += other
        return total

    def __iadd__(self, other: Measurement) -> Measurement:
        """Add *other*; raise ValueError if it shares a process with this measurement, whose counts would count twice.

        A measurement of the running process has no entry in `processes`.
        """
        shared = self.processes.keys() & other.processes.keys()
        if shared:
            raise ValueError(f"the counts of {len(shared)} processes are in both measurements")
        for key, counts in other.files.items():
            mine = self.file(key)
            mine += counts
        for path, reasons in other.not_measured.items():
            self.not_measured.setdefault(path, set()).update(reasons)
        self.processes.update(other.processes)
        return self
