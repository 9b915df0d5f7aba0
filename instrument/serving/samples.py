"""Holds the newest sample of a measurement: its report, its rates, and the lines of each file that have changed.

A Report comes in with each sample. Several threads read the newest sample while the next one is taken.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from instrument.report.html.file_page import FilePage, Line
    from instrument.report.html.index_page import IndexPage
    from instrument.report.html.writing import Report
    from instrument.serving.rates import CodeKey, Rates

#: Files whose changed lines are known. For others all lines are sent.
_N_WATCHED = 32


class Sample(NamedTuple):
    """The counts at one moment.

    - number: from 1 on; a later sample has a greater number
    - moment: when the counts were written, on the monotonic clock
    - pause: seconds from one sample to the next
    - report, index_page: the report on the counts, and its index
    - functions, lines: all counts
    - rates: those since the sample before
    - moments: the rates of functions at the last moments, see `History`
    - running: how many measured processes run
    - is_final: whether all processes have ended
    - notices: remarks for the reader of the page
    """

    number: int
    moment: float
    pause: float
    report: Report
    index_page: IndexPage
    functions: Mapping[CodeKey, int]
    lines: Mapping[CodeKey, int]
    rates: Rates
    moments: tuple[tuple[float, dict[CodeKey, float]], ...]
    running: int
    is_final: bool
    notices: tuple[str, ...]


class _Watched:
    """A file of which somebody reads the page: its page, and the number of the sample that last changed each line."""

    def __init__(self, report: Report, page: FilePage, number: int) -> None:
        self.report, self.page, self.number = report, page, number
        self.changed = [number] * len(page.lines)

    def renew(self, report: Report, page: FilePage, number: int) -> None:
        """Compare the lines of *page*, the one at the sample *number*, with those before."""
        before = self.page.lines
        self.report, self.page, self.number = report, page, number
        self.changed = [
            self.changed[n] if n < len(before) and line == before[n] else number for n, line in enumerate(page.lines)
        ]


class Samples:
    """The newest sample, for several threads. `reason` says why there is none yet."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._latest: Sample | None = None
        self._watched: OrderedDict[str, _Watched] = OrderedDict()
        self.reason = "The data are read for the first time."

    def latest(self) -> Sample | None:
        """Return the newest sample, None if there is none yet."""
        return self._latest

    def put(self, sample: Sample) -> None:
        """Make *sample* the newest one."""
        self._latest = sample

    def page(self, sample: Sample, name: str) -> FilePage:
        """Return the page called *name*, which the report of *sample* has."""
        with self._lock:
            return self._renewed(sample, name).page

    def changed_lines(self, sample: Sample, name: str, since: int) -> list[Line]:
        """Return the lines of the page called *name* that have changed after the sample with the number *since*."""
        with self._lock:
            watched = self._renewed(sample, name)
            return [line for line, number in zip(watched.page.lines, watched.changed, strict=True) if number > since]

    def _renewed(self, sample: Sample, name: str) -> _Watched:
        watched = self._watched.get(name)
        if watched is None:
            watched = self._watched[name] = _Watched(sample.report, sample.report.page(name), sample.number)
            if len(self._watched) > _N_WATCHED:
                self._watched.popitem(last=False)
        elif watched.report is not sample.report and sample.number > watched.number:
            watched.renew(sample.report, sample.report.page(name), sample.number)
        self._watched.move_to_end(name)
        return watched
