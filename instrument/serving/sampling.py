"""Takes samples of running processes: asks them to write, reads the data folder, and computes rates.

A data folder and patterns of source files come in. Each sample goes to a Samples value, which other threads read.
"""

from __future__ import annotations

import os
import time
from statistics import fmean

from instrument.analysis.analysis import Analysis
from instrument.analysis.exclusions import Exclusions
from instrument.analysis.kept_files import KeptFiles
from instrument.data.data_files import data_files
from instrument.data.flush_requests import FlushRequest, running_with_data
from instrument.data.query import StoredMeasurement
from instrument.diagnosis.flush_answers import flush_request_of, has_data, wait_for_answers
from instrument.errors import DataError, RequestError
from instrument.report.html.numbers import counts_of
from instrument.report.html.writing import Choices, Report
from instrument.report.text import shown
from instrument.serving.rates import Counts, History, Rates, rates_between
from instrument.serving.samples import Sample, Samples

TYPE_CHECKING = False
if TYPE_CHECKING:
    from instrument.analysis.patterns import FilePatterns
    from instrument.serving.rates import CodeKey

#: Seconds between two samples. A measured process checks for flush requests about once a second.
INTERVAL = 1.0
#: Seconds to wait for the answers of processes.
_TIMEOUT = 5.0
#: The reader takes at most this part of the time of one core, but for the first sample, which reads all sources.
_SHARE = 1 / 3


class Sampler:
    """Takes samples of the processes that write to *directory*, and puts each into *samples*.

    Only the source files that *patterns* choose are in them, and with *only_imported* no file that never ran. Lines are
    excluded as pyproject.toml says now; raise ConfigError if it says something impossible.
    """

    def __init__(
        self, samples: Samples, directory: str, patterns: FilePatterns, choices: Choices, *, only_imported: bool
    ) -> None:
        self._samples, self._directory = samples, directory
        self._patterns, self._choices, self._only_imported = patterns, choices, only_imported
        self._exclusions, self._kept = Exclusions.configured(), KeptFiles()
        self._host = os.path.basename(flush_request_of(directory, 0).path).rpartition("-")[0]
        #: By the number of a process: whether the data of that number is its own.
        self._has_data: dict[int, bool] = {}
        self._open_requests: list[FlushRequest] = []
        self._history = History()
        self._before: Counts | None = None
        self._state_of_files: list[tuple[str, int, int]] = []

    def next(self) -> float:
        """Take a sample; return after how many seconds the next one is due. Without data there is no sample yet."""
        began, cpu = time.monotonic(), time.thread_time()
        notices = self._flush()
        flushed = time.monotonic()
        state = _state_of(self._directory)
        latest = self._samples.latest()
        if latest is None or state != self._state_of_files or latest.running:
            try:
                self._read(notices, flushed, began, cpu)
                self._state_of_files = state
            except DataError as error:
                self._fail(error)
        shortest = INTERVAL if latest is None else max(INTERVAL, (time.thread_time() - cpu) / _SHARE)
        return max(began + shortest - time.monotonic(), 0.05)

    def withdraw(self) -> None:
        """Withdraw the flush requests that no process has answered."""
        for request in self._open_requests:
            request.withdraw_without_trace()

    def _fail(self, error: DataError) -> None:
        """Say why there is no new sample."""
        reason = shown(f"{error}")
        latest = self._samples.latest()
        if latest is None:
            self._samples.reason = reason
        else:
            self._samples.put(latest._replace(notices=(f"The data cannot be read: {reason}",)))

    def _flush(self) -> list[str]:
        """Have the running processes write their counts; return a remark if one does not."""
        try:
            processes = running_with_data(self._directory, self._host)
            for process in processes:
                if process.pid not in self._has_data:  # else the data is of an earlier process of the same number
                    self._has_data[process.pid] = has_data(process)
            self._open_requests = [process for process in processes if self._has_data[process.pid]]
            for process in self._open_requests:
                process.send()
            wait_for_answers(self._open_requests, _TIMEOUT)
            self._open_requests = []
        except RequestError as error:
            if not os.path.isdir(self._directory):  # no process has written yet
                return []
            self.withdraw()
            return [shown(f"{error}")]
        return []

    def _read(self, notices: list[str], flushed: float, began: float, cpu: float) -> None:
        """Read the data, and put a sample of them into the place of the newest one.

        The processes have written until *flushed*. The sample *began* at that time, when this thread had used *cpu*
        seconds.
        """
        latest = self._samples.latest()
        with StoredMeasurement([self._directory]) as stored:
            analysis = Analysis(stored, self._patterns, exclusions=self._exclusions, kept=self._kept)
            running = stored.running
            is_final = not running and not stored.unwritten
            # Processes write at different times within the second; a rate needs the time of its counts.
            age = time.time() - fmean(process.updated for process in running) if running else 0.0
        moment = time.monotonic() - age if running else flushed
        if not self._only_imported:
            analysis.add_never_imported()
        if not analysis.files:
            raise DataError("the data have no counted file that the patterns choose")
        earlier = latest.report if latest else None
        report = Report(analysis, self._choices, lambda _n, _total: None, earlier)
        counts = _counts(report, moment, latest)
        rates = Rates({}, {})
        if self._before is not None:
            rates = rates_between(self._before, counts)
            self._history.add(moment, rates.functions)
        self._before = counts
        pause = INTERVAL
        if latest is not None:
            pause = max(INTERVAL, time.monotonic() - began, (time.thread_time() - cpu) / _SHARE)
        self._samples.put(
            Sample(
                latest.number + 1 if latest else 1,
                moment,
                pause,
                report,
                report.index(),
                counts.functions,
                counts.lines,
                rates,
                self._history.moments(),
                len(running),
                is_final,
                tuple(notices),
            )
        )


def _counts(report: Report, moment: float, latest: Sample | None) -> Counts:
    """Return the counts of all functions and lines of *report*, which were written at *moment*.

    Those of files that have not changed are taken from the sample *latest*.
    """
    parts, earlier = report.parts, latest.report.parts if latest else {}
    functions: dict[CodeKey, int] = {**latest.functions} if latest else {}
    lines: dict[CodeKey, int] = {**latest.lines} if latest else {}
    for name, part in earlier.items():
        if parts.get(name) is not part:
            for function, line in part.file.counts.functions.counts():
                functions.pop((name, line, function), None)
            for line in counts_of(part.file, part.unit):
                lines.pop((name, line, ""), None)
    for name, part in parts.items():
        if earlier.get(name) is not part:
            calls = part.file.counts.functions.counts()
            functions.update(((name, line, function), n) for (function, line), n in calls.items())
            lines.update(((name, line, ""), n) for line, n in counts_of(part.file, part.unit).items())
    return Counts(moment, functions, lines)


def _state_of(directory: str) -> list[tuple[str, int, int]]:
    """Return name, time and size of each data file in *directory*."""
    state = []
    for path in data_files([directory])[0]:
        try:
            found = os.stat(path)
        except OSError:  # it was removed
            continue
        state.append((path, found.st_mtime_ns, found.st_size))
    return state
