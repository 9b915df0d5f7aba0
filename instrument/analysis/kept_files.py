"""KeptFiles: analyses of files, kept from one Analysis of a measurement to the next one.

Facts come in that the analysis of a file depends on. A kept analysis goes out if all are the same, else a new one.

Problem: who watches a running program analyses the same files each second, and few of them have run since.
Solution: a file is analysed again only if its counts, its source or another fact has changed. The state of the source
in the file system tells whether its content may have changed, because reading 1,000 files takes long.
"""

from __future__ import annotations

import os
import time
from typing import NamedTuple

from instrument.analysis.never_imported import NeverImported

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Set

    from instrument.analysis.file_analysis import FileAnalysis
    from instrument.model.measured_process import MeasuredProcess

#: Nanoseconds. A file may change twice without another time, within the resolution of the times of its file system.
_SHORTEST_AGE = 3_000_000_000
#: Seconds after which files that were never imported are searched again.
_SECONDS_OF_A_SEARCH = 10.0


class _Kept(NamedTuple):
    """The analysis of a *file*, with the *facts* that it depends on, and the state of its source."""

    facts: object
    state: tuple[int, ...] | None
    file: FileAnalysis


class _Search(NamedTuple):
    """A search for files that were never imported: its result *found*, and the *facts* and *moment* of its begin."""

    facts: object
    moment: float
    found: NeverImported


class KeptFiles:
    """Analyses of files. Each Analysis of a measurement gets the same KeptFiles, and calls `begin` first."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, str | None], _Kept] = {}
        self._used: set[tuple[str, str | None]] = set()
        self._processes: Set[str] = frozenset()
        self._search: _Search | None = None

    def begin(self, processes: Iterable[str]) -> None:
        """Begin an Analysis of the counts of *processes*, named by their ids. Forget files that the last one lacked.

        If a process of the last Analysis is missing, forget all: equal sums of counts may have other parts.
        """
        processes = frozenset(processes)
        used = self._used if self._processes <= processes else ()
        self._kept = {key: self._kept[key] for key in used if key in self._kept}
        self._used, self._processes = set(), processes

    def never_imported(self, processes: list[MeasuredProcess], measured: set[str]) -> NeverImported:
        """Return the files in the scope of *processes* that are not among the *measured* files.

        With the same arguments, the result of the last search is returned for some seconds.
        """
        facts, now = (frozenset(process.id for process in processes), frozenset(measured)), time.monotonic()
        if self._search is None or self._search.facts != facts or now - self._search.moment > _SECONDS_OF_A_SEARCH:
            self._search = _Search(facts, now, NeverImported(processes, measured))
        return self._search.found

    def forget(self, path: str, version: str | None) -> None:
        """Forget the analysis of this *version* of the file at *path*."""
        self._kept.pop((path, version), None)

    def get(self, path: str, version: str | None, facts: object, analyse: Callable[[], FileAnalysis]) -> FileAnalysis:
        """Return the analysis of this *version* of the file at *path*. Without a *version*, any content counts.

        The result is the kept analysis if its *facts* and its source are the same, else that of *analyse*.
        """
        key = path, version
        self._used.add(key)
        state, now = _state_of(path), time.time_ns()
        kept = self._kept.get(key)
        if kept is not None and kept.facts == facts and kept.state == state:
            return kept.file
        file = analyse()
        if state is None or now - max(state[-2:]) > _SHORTEST_AGE:
            self._kept[key] = _Kept(facts, state, file)
        else:
            self._kept.pop(key, None)
        return file


def _state_of(path: str) -> tuple[int, ...] | None:
    """Return numbers of which one changes if the file at *path* does; None if there is no file."""
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return None
    return found.st_dev, found.st_ino, found.st_mode, found.st_size, found.st_mtime_ns, found.st_ctime_ns
