"""Show the hottest lines and functions of the running processes, refreshed live, with rates.

A directory of data comes in; a table goes out, of what ran most often since the table before: all processes on this
machine that write there are asked to do so, without a signal, and their counts are added up. On a terminal the table is
renewed until `q` or Ctrl-C; elsewhere, or with `--once`, there is one.
"""

from __future__ import annotations

import os
import shutil
import sys
from time import monotonic, sleep, time

from instrument import config
from instrument.analysis.sources import read_source
from instrument.commands.snapshot import has_data, patience, process_of, wait
from instrument.data import requests, sqlite
from instrument.data.reading import Copy, Scratch, check, harden
from instrument.data.requests import RequestError, Running
from instrument.data.running import about_to_write
from instrument.data.schema import from_text
from instrument.data.store import version_of
from instrument.errors import DataError
from instrument.report.tables import say, shortened

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Iterator

    #: Path, version, line; and the name if it is that of a function.
    Place = tuple[str, str, int, str]

_TIMEOUT = 20.0
_POLL = 0.1
# What rates and totals take in a row.
_BEFORE_NAMES = 29


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--dir", metavar="DIR", help="directory of the data (default: INSTRUMENT_DIR, or .instrument)")
    parser.add_argument("--interval", type=float, default=2.0, metavar="SECONDS", help="(default: %(default)g)")
    parser.add_argument("--once", action="store_true", help="print one table and end")
    parser.add_argument(
        "-n", type=int, default=None, metavar="N", help="so many lines, and as many functions (default: 10)"
    )
    parser.add_argument("pids", nargs="*", type=int, metavar="PID", help="only these processes (default: all)")


def execute(options: argparse.Namespace) -> int:
    """Print tables."""
    directory = config.read_settings({"dir": options.dir}).directory
    if options.interval <= 0:
        raise RequestError(f"--interval is {options.interval:g}; it must be more than 0 seconds")
    if options.n is not None and options.n < 1:
        raise RequestError(f"-n is {options.n}; it must be 1 or more")
    once = options.once or not sys.stdout.isatty()
    with Scratch() as folder:
        samples = Samples(directory, options.pids, folder)
        try:
            samples.next()
        finally:
            samples.withdraw()
        if once:
            sleep(options.interval)
            samples.next()
            print("\n".join(table(samples, options.n or 10)))
            return 0
        with _Keys() as keys:
            while True:  # until Ctrl-C, which `keys` takes for a q
                size = shutil.get_terminal_size()
                n = options.n or max(1, (size.lines - 6) // 2)
                rows = [_cut(row, size.columns - 1) for row in table(samples, n, size.columns - 1)]
                rows[0] = f"{_cut(rows[0], size.columns - 11)}  q quits"
                sys.stdout.write("\x1b[H" + "".join(f"{row}\x1b[K\n" for row in rows[: size.lines - 1]) + "\x1b[J")
                sys.stdout.flush()
                if keys.wait(options.interval) == "q":
                    return 0
                samples.next()
    return 0


class Samples:
    """What the processes that write to *directory* have counted, at the last two moments they were asked."""

    def __init__(self, directory: str, pids: list[int], folder: str) -> None:
        self.directory = directory
        self.pids = pids
        self.n_processes = 0
        self.lines: dict[Place, tuple[float, int]] = {}
        self.functions: dict[Place, tuple[float, int]] = {}
        self._folder = folder
        self._host = os.path.basename(process_of(directory, 0).place).rpartition("-")[0]
        self._data: dict[str, _Data] = {}
        self._has_data: dict[int, bool] = {}
        self._has_said = False
        self._asked: list[Running] = []
        self._n = 0  # how often the processes were asked

    def next(self) -> None:
        """Ask all processes again; `lines` and `functions` are then how often each ran a second, and in all."""
        processes = self._running()
        end = monotonic() + _TIMEOUT
        # A process that has only begun is asked to write, and is shown as soon as it has.
        while not processes and (waiting := self._begun()) and monotonic() < end:
            if not self._has_said:
                self._has_said = True
                say([f"{name}; the first counts are shown when it has written" for name in waiting], sys.stderr)
            sleep(_POLL)
            processes = self._running()
        if not processes:
            which = f"of the processes {', '.join(map(str, self.pids))} none runs and" if self.pids else "no process"
            raise RequestError(f"{which} writes to {self.directory!r}")
        seconds = _TIMEOUT
        if self.pids and not self._n:
            seconds = min(patience(process, self.directory, _TIMEOUT) for process in processes)
        asked = time()
        for process in processes:
            process.ask()
        wait(processes, seconds)
        now = time()
        self.n_processes = len(processes)
        for path in [file for process in processes if (file := process.data_file()) is not None]:
            self._data.setdefault(requests.first_name(path), _Data(path)).follow(path)
        self.lines, self.functions = {}, {}
        for data in self._data.values():
            data.read(self._folder, asked, now)
            for counts, before, total in (
                (data.lines, data.lines_before, self.lines),
                (data.functions, data.functions_before, self.functions),
            ):
                for place, n in counts.items():
                    grown = 0 if not self._n else n - before.get(place, 0)
                    rate, all_of_it = total.get(place, (0.0, 0))
                    total[place] = rate + grown / data.seconds, all_of_it + n
        self._n += 1

    def _begun(self) -> list[str]:
        """Ask the processes that have no data yet, and return which they are, in words."""
        found: list[str] = []
        for process in about_to_write(self.directory):
            if not self.pids or process.pid in self.pids:
                found.append(f"process {process.pid} ({process.command()!r}) is running")
                asked = process_of(self.directory, process.pid)
                if not asked.state():
                    asked.ask()
                    self._asked.append(asked)
        return found

    def withdraw(self) -> None:
        """Take back what processes were asked that have not answered."""
        for process in self._asked:
            process.give_up()

    def refused(self) -> list[tuple[str, str]]:
        """Return the data files that cannot be read, and why."""
        return [(data.path, data.reason) for data in self._data.values() if data.reason]

    def why_nothing(self) -> str:
        """Return why there is nothing to show, in words."""
        return "the first rates are shown after one interval" if self._n == 1 else "nothing ran in this interval"

    def _running(self) -> list[Running]:
        if self.pids:
            return [one for one in (process_of(self.directory, pid) for pid in self.pids) if one.is_alive()]
        try:
            found = requests.running(self.directory, self._host)
        except RequestError:
            if not any(True for _ in about_to_write(self.directory)):
                raise
            return []
        for process in found:
            if process.pid not in self._has_data:  # else the data is that of an earlier process of the same number
                self._has_data[process.pid] = has_data(process)
        return [process for process in found if self._has_data[process.pid]]


class _Data:
    """The data of one process, at two moments."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.seconds = 1.0
        #: Why the data cannot be read; empty if it can.
        self.reason = ""
        self.lines: dict[Place, int] = {}
        self.functions: dict[Place, int] = {}
        self.lines_before: dict[Place, int] = {}
        self.functions_before: dict[Place, int] = {}
        self._copy: Copy | None = None
        self._when = 0.0

    def follow(self, path: str) -> None:
        """Read from *path* from now on: the process may have given its file up, and gone on in another."""
        if path != self.path:
            self.path, self._copy = path, None

    def read(self, folder: str, asked: float, now: float) -> None:
        """Read what the process has written; it was *asked* to, and had done so by *now*."""
        self.lines_before, self.functions_before = self.lines, self.functions
        when = now
        try:
            if self._copy is None or not self._copy.is_current():
                self._copy = Copy(self.path, folder)
                updated = self._load(self._copy)
                if updated >= asked:
                    when = updated
            self.reason = ""
        except (DataError, sqlite.load().Error) as error:
            if os.path.lexists(self.path):
                self.reason = " ".join(f"{error}".replace(self._copy.uri() if self._copy else "\0", "").split())
            self._copy = None  # if it was removed, the process goes on in a new file
            self.lines, self.functions = self.lines_before, self.functions_before
        self.seconds = max(when - self._when, 0.001) if self._when else 1.0
        self._when = when

    def _load(self, copy: Copy) -> float:
        connection = sqlite.load().connect(":memory:", uri=True, isolation_level=None)
        try:
            harden(connection)
            connection.execute("ATTACH ? AS source", (copy.uri(),))
            check(connection)
            self.lines = dict(_rows(connection.execute(_LINES)))
            self.functions = dict(_rows(connection.execute(_FUNCTIONS)))
            [updated] = connection.execute("SELECT max(updated) FROM source.process").fetchone()
            return float(updated)
        finally:
            connection.close()


_LINES = "SELECT path, version, line, '', count FROM source.line AS row JOIN source.file AS f ON f.id = row.file"
_FUNCTIONS = (
    "SELECT path, version, line, name, count FROM source.function AS row JOIN source.file AS f ON f.id = row.file"
)


def _rows(rows: Iterable[tuple[str | bytes, str | bytes, int, str | bytes, int]]) -> Iterator[tuple[Place, int]]:
    for path, version, line, name, count in rows:
        yield (from_text(path), from_text(version), line, from_text(name)), count


# The table ############################################################################################################


def table(samples: Samples, n: int, width: int | None = None) -> list[str]:
    """Return the rows of the table of the *n* hottest functions and lines, with paths shortened for *width* columns.

    What did not run since the table before is left out.
    """
    texts: dict[tuple[str, str], list[str]] = {}
    what = "process" if samples.n_processes == 1 else "processes"
    rows = [f"{samples.n_processes} {what} writing to {samples.directory}"]
    rows += [_printable(f"Skipping data file {path!r}: {reason}") for path, reason in samples.refused()]
    room = None if width is None else max(20, (width - _BEFORE_NAMES) * 3 // 5)
    for title, totals in (("calls", samples.functions), ("line", samples.lines)):
        rows += ["", f"{title + '/s':>12} {'total':>14}  {'function' if title == 'calls' else 'source'}"]
        ran = [item for item in totals.items() if item[1][0] > 0 and item[0][2]]
        hottest = sorted(ran, key=lambda item: (-item[1][0], -item[1][1], item[0]))[:n]
        if not hottest:
            rows.append(f"{'':28}  ({samples.why_nothing()})")
        for (path, version, line, name), (rate, total) in hottest:
            place = f"{_shorter(path)}:{line}"
            if room is not None:
                place = shortened(place, room)
            text = name or _source(texts, path, version, line)
            rows.append(f"{rate:12,.0f} {total:14,}  {place}  {text}")
    return [_printable(row) for row in rows]


def _cut(row: str, width: int) -> str:
    """Return *row* in *width* columns, with a mark if not all of it fits."""
    return row if len(row) <= width else f"{row[: max(0, width - 1)]}…"


def _shorter(path: str) -> str:
    """Return *path* as it is from here if that is below."""
    here = os.getcwd() + os.sep
    return path[len(here) :] if path.startswith(here) else path


def _source(texts: dict[tuple[str, str], list[str]], path: str, version: str, line: int) -> str:
    """Return what *line* of the *version* of the source at *path* is, as far as that can be known."""
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
    """Return *row* without what could mean something to a terminal."""
    return "".join(letter if letter.isprintable() else "?" for letter in row.expandtabs())


class _Keys:
    """The keys of the terminal one by one, while this is entered, if there is one to read from."""

    def __enter__(self) -> _Keys:
        self._before: list[object] | None = None
        try:
            import termios
            import tty

            self._before = termios.tcgetattr(sys.stdin.fileno())
            tty.setcbreak(sys.stdin.fileno())
        except (ImportError, OSError, ValueError):
            pass
        except Exception as error:  # termios.error is no OSError
            if type(error).__name__ != "error":
                raise
        sys.stdout.write("\x1b[?1049h\x1b[?25l")
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> bool:
        if self._before is not None:
            import termios

            termios.tcsetattr(sys.stdin.fileno(), termios.TCSADRAIN, self._before)  # type: ignore[arg-type]
        sys.stdout.write("\x1b[?25h\x1b[?1049l")
        sys.stdout.flush()
        return kind is not None and issubclass(kind, KeyboardInterrupt)

    def wait(self, seconds: float) -> str:
        """Return the key that is pressed within so many *seconds*, '' if none is."""
        end = monotonic() + seconds
        if self._before is None:
            sleep(seconds)
            return ""
        import select

        while (rest := end - monotonic()) > 0:
            if select.select([sys.stdin], [], [], rest)[0]:
                key = os.read(sys.stdin.fileno(), 1).decode("latin-1")
                if key in ("q", "Q", ""):
                    return "q"
        return ""
