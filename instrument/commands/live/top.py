"""Shows the hottest lines and functions of the running processes, with how often they run a second.

A data folder comes in. Each process on this machine that writes there is requested to flush, without a signal, and the
counts are added up. A table shows the lines and functions that ran most often since the table before. On a terminal it
is renewed until `q` or Ctrl-C; elsewhere, or with `--once`, there is one table. With `--json` a JSON document has the
same numbers.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from time import monotonic, sleep, time

from instrument import config
from instrument.analysis.source_file import read_source, version_of
from instrument.data import sqlite
from instrument.data.flush_requests import FlushRequest, first_name, running_with_data
from instrument.data.reader import Copy, check, harden
from instrument.data.running.processes import about_to_write
from instrument.data.schema import from_text
from instrument.data.scratch import Scratch
from instrument.diagnosis.flush_answers import flush_request_of, has_data, seconds_to_wait, wait_for_answers
from instrument.errors import DataError, RequestError
from instrument.report.text import say, shortened

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Iterator
    from typing import Any, TypeAlias

    #: Path, version, line, and the qualified name of a function that begins there, '' for the line itself.
    CodeKey: TypeAlias = tuple[str, str, int, str]

# Seconds.
_TIMEOUT = 20.0
_POLL = 0.1
# The width of rate and total in a row of the table.
_BEFORE_NAMES = 29


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command to *parser*."""
    parser.add_argument("--dir", metavar="DIR", help="directory of the data (default: INSTRUMENT_DIR, or .instrument)")
    parser.add_argument("--interval", type=float, default=2.0, metavar="SECONDS", help="(default: %(default)g)")
    parser.add_argument("--once", action="store_true", help="print one table and end")
    parser.add_argument("--json", action="store_true", help="print the numbers as one JSON document and end")
    parser.add_argument(
        "-n", type=int, default=None, metavar="N", help="so many lines, and as many functions (default: 10)"
    )
    parser.add_argument("pids", nargs="*", type=int, metavar="PID", help="only these processes (default: all)")


def execute(options: argparse.Namespace) -> int:
    """Print tables, and return the exit status."""
    directory = config.read_settings({"dir": options.dir}).directory
    if options.interval <= 0:
        raise RequestError(f"--interval is {options.interval:g}; it must be more than 0 seconds")
    if options.n is not None and options.n < 1:
        raise RequestError(f"-n is {options.n}; it must be 1 or more")
    once = options.once or options.json or not sys.stdout.isatty()
    with Scratch() as folder:
        samples = Samples(directory, options.pids, folder)
        try:
            samples.next()
        finally:
            samples.withdraw()
        if once:
            sleep(options.interval)
            samples.next()
            n = options.n or 10
            print(json.dumps(document(samples, n), indent=2) if options.json else "\n".join(table(samples, n)))
            return 0
        with _Keys() as keys:
            while True:  # until `q`, or Ctrl-C, which leaves the `with` statement
                _draw(samples, options.n)
                if keys.wait(options.interval) == "q":
                    return 0
                samples.next()
    return 0


def _draw(samples: Samples, n: int | None) -> None:
    """Draw the table on the terminal, with *n* lines and functions, or as many as fit if that is None."""
    size = shutil.get_terminal_size()
    n = n or max(1, (size.lines - 6) // 2)
    rows = [_cut(row, size.columns - 1) for row in table(samples, n, size.columns - 1)]
    rows[0] = f"{_cut(rows[0], size.columns - 11)}  q quits"
    sys.stdout.write("\x1b[H" + "".join(f"{row}\x1b[K\n" for row in rows[: size.lines - 1]) + "\x1b[J")
    sys.stdout.flush()


class Rate:
    """How often a line or function ran: a second in the last interval, and in total."""

    __slots__ = ("per_second", "total")

    def __init__(self, per_second: float = 0.0, total: int = 0) -> None:
        self.per_second = per_second
        self.total = total


class Samples:
    """The rates in the last interval of the processes that write to *directory*, or of *pids* among them.

    *folder* is for private copies of data files.
    """

    def __init__(self, directory: str, pids: list[int], folder: str) -> None:
        self.directory = directory
        self.pids = pids
        self.n_processes = 0
        self.lines: dict[CodeKey, Rate] = {}
        self.functions: dict[CodeKey, Rate] = {}
        self._folder = folder
        self._host = os.path.basename(flush_request_of(directory, 0).path).rpartition("-")[0]
        #: By the first data file of a process.
        self._data: dict[str, _ProcessData] = {}
        #: By the number of a process: whether the data of that number is its own.
        self._has_data: dict[int, bool] = {}
        self._has_told_of_waiting = False
        self._open_requests: list[FlushRequest] = []
        self._n_samples = 0

    def next(self) -> None:
        """Take a sample: have all processes flush, and compute `lines` and `functions`.

        Raise RequestError if no process writes to the folder, or one does not answer.
        """
        processes = self._processes_with_data() or self._wait_for_first_data()
        if not processes:
            subject = f"none of the processes {', '.join(map(str, self.pids))}" if self.pids else "no running process"
            raise RequestError(
                f"{subject} writes to {self.directory!r}; start one with `instrument run`, or name its data folder "
                "with --dir"
            )
        seconds = _TIMEOUT
        if self.pids and not self._n_samples:
            seconds = min(seconds_to_wait(process, self.directory, _TIMEOUT) for process in processes)
        requested = time()
        for process in processes:
            process.send()
        wait_for_answers(processes, seconds)
        answered = time()
        self.n_processes = len(processes)
        for path in [file for process in processes if (file := process.data_file()) is not None]:
            self._data.setdefault(first_name(path), _ProcessData(path)).follow(path)
        for data in self._data.values():
            data.read(self._folder, requested, answered)
        self.lines = self._rates([(data.lines, data.lines_before, data.seconds) for data in self._data.values()])
        self.functions = self._rates(
            [(data.functions, data.functions_before, data.seconds) for data in self._data.values()]
        )
        self._n_samples += 1

    def _rates(self, samples: list[tuple[dict[CodeKey, int], dict[CodeKey, int], float]]) -> dict[CodeKey, Rate]:
        """Return the rates of all processes together.

        *samples* has for each process its counts, those of the sample before, and the seconds in between. In the first
        sample all rates are 0.
        """
        rates: dict[CodeKey, Rate] = {}
        for counts, counts_before, seconds in samples:
            for key, count in counts.items():
                growth = count - counts_before.get(key, 0) if self._n_samples else 0
                rate = rates.setdefault(key, Rate())
                rate.per_second += growth / seconds
                rate.total += count
        return rates

    def _wait_for_first_data(self) -> list[FlushRequest]:
        """Request a flush of the processes without data; return the processes with data as soon as there are any."""
        end = monotonic() + _TIMEOUT
        processes: list[FlushRequest] = []
        while not processes and (waiting := self._request_first_data()) and monotonic() < end:
            if not self._has_told_of_waiting:
                self._has_told_of_waiting = True
                say([f"{clause}; the first counts are shown when it has written" for clause in waiting], sys.stderr)
            sleep(_POLL)
            processes = self._processes_with_data()
        return processes

    def _request_first_data(self) -> list[str]:
        """Request a flush of the running processes without data; return for each a clause that says that it runs."""
        clauses: list[str] = []
        for process in about_to_write(self.directory):
            if not self.pids or process.pid in self.pids:
                clauses.append(f"process {process.pid} ({process.command()!r}) is running")
                request = flush_request_of(self.directory, process.pid)
                if not request.state():  # an open request, of whichever command, does; a failed one would fail again
                    request.send()
                    self._open_requests.append(request)
        return clauses

    def withdraw(self) -> None:
        """Withdraw the requests to processes without data that were not answered."""
        for request in self._open_requests:
            request.withdraw_without_trace()

    def refused(self) -> list[tuple[str, str]]:
        """Return the data files that cannot be read, each with the reason."""
        return [(data.path, data.reason) for data in self._data.values() if data.reason]

    def reason_for_no_rates(self) -> str:
        """Return why there are no rates to show."""
        return (
            "the first rates are shown after one interval" if self._n_samples == 1 else "nothing ran in this interval"
        )

    def _processes_with_data(self) -> list[FlushRequest]:
        """Return the running processes that have data in the folder; of `pids` all that run."""
        if self.pids:
            return [one for one in (flush_request_of(self.directory, pid) for pid in self.pids) if one.is_alive()]
        try:
            processes = running_with_data(self.directory, self._host)
        except RequestError:
            if not any(True for _ in about_to_write(self.directory)):
                raise
            return []
        for process in processes:
            if process.pid not in self._has_data:  # else the data is of an earlier process of the same number
                self._has_data[process.pid] = has_data(process)
        return [process for process in processes if self._has_data[process.pid]]


class _ProcessData:
    """The counts of one process in the last two samples, and the seconds between the samples."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.seconds = 1.0
        #: Why the data cannot be read; empty if it can.
        self.reason = ""
        self.lines: dict[CodeKey, int] = {}
        self.functions: dict[CodeKey, int] = {}
        self.lines_before: dict[CodeKey, int] = {}
        self.functions_before: dict[CodeKey, int] = {}
        self._copy: Copy | None = None
        #: When the last sample was taken.
        self._time = 0.0

    def follow(self, path: str) -> None:
        """Read from *path* from now on: the process may have begun another data file."""
        if path != self.path:
            self.path, self._copy = path, None

    def read(self, folder: str, requested: float, answered: float) -> None:
        """Read the data of the process, after a flush was *requested* and *answered*, both times."""
        self.lines_before, self.functions_before = self.lines, self.functions
        time_of_sample = answered
        try:
            if self._copy is None or not self._copy.is_current():
                self._copy = Copy(self.path, folder)
                updated = self._load(self._copy)
                if updated >= requested:
                    time_of_sample = updated
            self.reason = ""
        except (DataError, sqlite.load().Error) as error:
            if os.path.lexists(self.path):
                self.reason = " ".join(f"{error}".replace(self._copy.uri() if self._copy else "\0", "").split())
            self._copy = None  # if it was removed, the process goes on in a new file
            self.lines, self.functions = self.lines_before, self.functions_before
        self.seconds = max(time_of_sample - self._time, 0.001) if self._time else 1.0
        self._time = time_of_sample

    def _load(self, copy: Copy) -> float:
        """Read the counts in *copy*, and return when they were written; raise DataError, or an error of SQLite."""
        connection = sqlite.load().connect(":memory:", uri=True, isolation_level=None)
        try:
            harden(connection)
            connection.execute("ATTACH ? AS source", (copy.uri(),))
            check(connection)
            self.lines = dict(_counts(connection.execute(_LINES)))
            self.functions = dict(_counts(connection.execute(_FUNCTIONS)))
            [updated] = connection.execute("SELECT max(updated) FROM source.process").fetchone()
            return float(updated)
        finally:
            connection.close()


_LINES = "SELECT path, version, line, '', count FROM source.line AS row JOIN source.file AS f ON f.id = row.file"
_FUNCTIONS = (
    "SELECT path, version, line, name, count FROM source.function AS row JOIN source.file AS f ON f.id = row.file"
)


def _counts(
    rows: Iterable[tuple[str | bytes, str | bytes, int, str | bytes, int]],
) -> Iterator[tuple[CodeKey, int]]:
    """Yield the key and the count of each of *rows*."""
    for path, version, line, name, count in rows:
        yield (from_text(path), from_text(version), line, from_text(name)), count


def hottest_of(rates: dict[CodeKey, Rate], n: int) -> list[tuple[CodeKey, Rate]]:
    """Return the *n* entries of *rates* with the highest rates in the last interval. No entry has rate 0."""
    # Line 0 is that of the code of an empty file.
    ran = [(key, rate) for key, rate in rates.items() if rate.per_second > 0 and key[2]]
    return sorted(ran, key=lambda item: (-item[1].per_second, -item[1].total, item[0]))[:n]


# The JSON document


def document(samples: Samples, n: int) -> dict[str, Any]:
    """Return the *n* hottest functions and lines of *samples* as plain values for JSON.

    - format: the version of this shape, 1
    - directory, processes: the data folder, and the number of running processes that write there
    - refused: the data files that cannot be read, with the path and the reason of each
    - functions, lines: path, version, line, per_second and total of each, the hottest first; functions have a name
    """
    return {
        "format": 1,
        "directory": samples.directory,
        "processes": samples.n_processes,
        "refused": [{"path": path, "reason": reason} for path, reason in samples.refused()],
        "functions": [_entry(key, rate) for key, rate in hottest_of(samples.functions, n)],
        "lines": [_entry(key, rate) for key, rate in hottest_of(samples.lines, n)],
    }


def _entry(key: CodeKey, rate: Rate) -> dict[str, Any]:
    """Return the line or the function *key* with its *rate* as plain values."""
    path, version, line, name = key
    named = {"name": name} if name else {}
    return {"path": path, "version": version, "line": line, **named, "per_second": rate.per_second, "total": rate.total}


# The table


def table(samples: Samples, n: int, width: int | None = None) -> list[str]:
    """Return the rows of the table of the *n* hottest functions and lines, with paths shortened for *width* columns.

    Functions and lines that did not run in the last interval are left out.
    """
    texts: dict[tuple[str, str], list[str]] = {}
    noun = "process" if samples.n_processes == 1 else "processes"
    rows = [f"{samples.n_processes} {noun} writing to {samples.directory}"]
    rows += [_printable(f"Skipping data file {path!r}: {reason}") for path, reason in samples.refused()]
    width_of_names = None if width is None else max(20, (width - _BEFORE_NAMES) * 3 // 5)
    for title, rates in (("calls", samples.functions), ("line", samples.lines)):
        rows += ["", f"{title + '/s':>12} {'total':>14}  {'function' if title == 'calls' else 'source'}"]
        hottest = hottest_of(rates, n)
        if not hottest:
            rows.append(f"{'':28}  ({samples.reason_for_no_rates()})")
        for (path, version, line, name), rate in hottest:
            position = f"{_relative(path)}:{line}"
            if width_of_names is not None:
                position = shortened(position, width_of_names)
            text = name or _source_line(texts, path, version, line)
            rows.append(f"{rate.per_second:12,.0f} {rate.total:14,}  {position}  {text}")
    return [_printable(row) for row in rows]


def _cut(row: str, width: int) -> str:
    """Return *row* cut to *width* characters, with a mark at the cut."""
    return row if len(row) <= width else f"{row[: max(0, width - 1)]}…"


def _relative(path: str) -> str:
    """Return *path* relative to the working directory if it is in there."""
    folder = os.getcwd() + os.sep
    return path[len(folder) :] if path.startswith(folder) else path


def _source_line(texts: dict[tuple[str, str], list[str]], path: str, version: str, line: int) -> str:
    """Return the text of *line* in this *version* of the source at *path*, or that the source has changed.

    *texts* caches the lines of sources, by path and version.
    """
    if (path, version) not in texts:
        texts[path, version] = []
        try:
            data = read_source(path)
            if version_of(data) == version:
                texts[path, version] = data.decode("utf-8", "replace").splitlines()
        except (OSError, ValueError):
            pass
    text = texts[path, version]
    return text[line - 1].strip() if 0 < line <= len(text) else "(source has changed)"


def _printable(row: str) -> str:
    """Return *row* with `?` for characters that are not printable, which could control a terminal."""
    return "".join(letter if letter.isprintable() else "?" for letter in row.expandtabs())


class _Keys:
    """Reads single keys from standard input, if it is a terminal, in a `with` statement.

    The terminal shows its alternate screen meanwhile. Ctrl-C ends the `with` statement without an error.
    """

    def __enter__(self) -> _Keys:
        self._attributes_before: list[object] | None = None
        try:
            import termios
            import tty

            self._attributes_before = termios.tcgetattr(sys.stdin.fileno())
            tty.setcbreak(sys.stdin.fileno())
        except (ImportError, OSError, ValueError):
            pass
        except Exception as error:  # termios.error is no OSError
            if type(error).__name__ != "error":
                raise
        sys.stdout.write("\x1b[?1049h\x1b[?25l")
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> bool:
        if self._attributes_before is not None:
            import termios

            termios.tcsetattr(sys.stdin.fileno(), termios.TCSADRAIN, self._attributes_before)  # type: ignore[arg-type]
        sys.stdout.write("\x1b[?25h\x1b[?1049l")
        sys.stdout.flush()
        return kind is not None and issubclass(kind, KeyboardInterrupt)

    def wait(self, seconds: float) -> str:
        """Return "q" as soon as that key is pressed; '' if it is not pressed within *seconds*."""
        end = monotonic() + seconds
        if self._attributes_before is None:
            sleep(seconds)
            return ""
        import select

        while (remaining := end - monotonic()) > 0:
            if select.select([sys.stdin], [], [], remaining)[0]:
                key = os.read(sys.stdin.fileno(), 1).decode("latin-1")
                if key in ("q", "Q", ""):
                    return "q"
        return ""
