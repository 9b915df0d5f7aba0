"""Print what ran, and how often: file, lines, missing, ran, hits, hottest line.

Data files, and folders of them, come in (also of running processes, and without combining them first); a table, or
JSON, goes to standard output. Lines are only called missing where the source is still the version that was measured,
and all of it was; what differs is named. Files in the scope of a process that were never imported are shown, too.
"""

from __future__ import annotations

import math
import os
import re
import sys
import time

from instrument.analysis.files import SAID, NeverImported, copy_that_ran, installed_copy, local_paths, same_source
from instrument.analysis.sources import (
    ANNOTATIONS,
    CURRENT,
    FUNCTION,
    MISSING,
    MODULE,
    STALE,
    TYPE_PARAMETERS,
    Source,
    kind_by_name,
)
from instrument.config.project_file import PATTERNS, TABLE
from instrument.data import schema
from instrument.data.querying import Totals, count_runs
from instrument.data.store import version_of
from instrument.errors import DataError
from instrument.report import cover_listing
from instrument.report.tables import (
    Progress,
    is_among,
    matches,
    number_of,
    percentage,
    ranges,
    say,
    shown,
    shown_path,
    split_patterns,
    table,
    terminal_width,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Iterator, Set
    from typing import Any

    from instrument.data.querying import MeasuredFile
    from instrument.data.running import Process, ProcessRow
    from instrument.data.store import Seen

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
# With times of less than two days, dates are shown with the time of day.
_WITH_TIME = 2 * 86400.0
_SORTS = ("file", "lines", "missing", "hits", "hottest")


COLUMNS = """\
columns of the table:
  Lines         how many lines of the file can run
  Missing       how many of them never ran (--missing lists them)
  Ran           how many of them ran, in percent
  Hits          how often lines of the file ran, all lines added up
  Hottest line  the line that ran most often, and how often

Annotations are never missing, nor is what coverage.py excludes: `# pragma: no cover`,
`if TYPE_CHECKING:`, and functions whose body is `...`. Nor are lines of functions that may
have run elsewhere, uncounted: these are named.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command to *parser*."""
    parser.epilog = COLUMNS
    add_paths(parser)
    parser.add_argument("-m", "--missing", action="store_true", help="list the lines that did not run")
    parser.add_argument("--sort", choices=_SORTS, default="file", help="what to sort by; numbers from the top")
    add_patterns(parser)
    parser.add_argument("--only-imported", action="store_true", help="leave out files that were never imported")
    parser.add_argument(
        "--unused-for",
        metavar="TIME",
        type=duration,
        help="list instead what was never used, or not in this time, such as 30d (s, m, h, d, w)",
    )
    parser.add_argument("--json", action="store_true", help="print all that is known, for other programs")


def add_paths(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that name data to *parser*."""
    parser.add_argument("paths", metavar="PATH", nargs="*", help="data files or folders of them (default: .instrument)")
    parser.add_argument("--dir", metavar="FOLDER", help="the folder of the data, as one more PATH")


def paths_of(options: argparse.Namespace) -> list[str]:
    """Return the data files and folders that *options* name; none for the usual folder."""
    return [*options.paths, *([options.dir] if options.dir is not None else [])]


def add_patterns(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that choose files to *parser*."""
    words = "source files: patterns of paths, or folders, with commas between them"
    more: dict[str, Any] = {"metavar": "PATTERN,…", "action": "append", "default": [], "type": _OfOption}
    parser.add_argument("--include", help=f"only these {words}", **more)
    parser.add_argument("--omit", help=f"not these {words}", **more)


class _OfOption(str):
    """A pattern from the command line; others are from the file with the settings."""

    __slots__ = ()


def _origin(key: str, pattern: str) -> str:
    """Return where the *pattern* was said, which is one of `include` or `omit`, the *key*."""
    return f"--{key}" if isinstance(pattern, _OfOption) else f"{TABLE} of pyproject.toml, key {key!r}:"


def why_nothing_is_left(options: argparse.Namespace) -> str:
    """Return the patterns of *options* and where each was said, to follow a message; an empty text without any."""
    said = [f"{_origin(key, each)} {each!r}" for key in PATTERNS for each in getattr(options, key)]
    return f": the patterns are {', '.join(said)}" if said else ""


def duration(words: str) -> float:
    """Return the seconds that *words* such as `30d` or `1.5h` mean."""
    match = re.fullmatch(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)([smhdw])", words)
    if not match:
        import argparse

        raise argparse.ArgumentTypeError(f"{words!r} is no time; say 90s, 15m, 12h, 30d or 4w")
    return float(match[1]) * _UNITS[match[2]]


class Row:
    """What is to be said of one version of a source file.

    `paths` are those that it was measured at, none if it was never imported; `path` is where it is on this machine.
    If *is_optimized*, it was measured in processes with -O: what those leave out is not missing.
    `given_out` are the functions that may have run elsewhere, uncounted, by qualified name and first line, and what got
    them. `uncertain` are their lines, and `uncertain_functions` these functions and those nested in them.
    """

    def __init__(
        self,
        path: str,
        version: str | None,
        paths: Iterable[str],
        partly: frozenset[str],
        *,
        is_optimized: bool = False,
    ) -> None:
        self.path, self.paths = path, sorted(paths)
        self.counts: dict[int, Seen] = {}
        self.functions: dict[tuple[str, int], Seen] = {}
        self.given_out: dict[tuple[str, int], set[str]] = {}
        self.uncertain: Set[int] = frozenset()
        self.uncertain_functions: Set[tuple[str, int]] = frozenset()
        self.source = Source(path, version, is_optimized=is_optimized)
        self.version = version or version_of(self.source.data)
        # What was not measured in full is never called missing.
        self.is_complete = self.source.state == CURRENT and not self.source.reason and partly.isdisjoint(self.paths)

    def add(
        self,
        counts: dict[int, Seen],
        functions: dict[tuple[str, int], Seen],
        given_out: dict[tuple[str, int], set[str]] | None = None,
    ) -> None:
        """Add *counts* of lines, and those of *functions*, and what got each function that was *given_out*."""
        # The code of an empty file runs on line 0, which is no line.
        _add(self.counts, {line: seen for line, seen in counts.items() if line})
        _add(self.functions, functions)
        for function, takers in (given_out or {}).items():
            self.given_out.setdefault(function, set()).update(takers)

    def conclude(self) -> Row:
        """Work out what follows of the counts, once all are added; return this row."""
        self.hits = sum(count for count, _first, _last in self.counts.values())
        self.hottest, self.heat = 0, 0
        for line, (count, _first, _last) in sorted(self.counts.items()):
            if count > self.heat:
                self.hottest, self.heat = line, count
        self._find_uncertain()
        self.executable = frozenset[int]()
        if self.is_complete:
            lines = self.source.executable - self.uncertain
            self.executable = lines.union(self.counts) - self.source.never_missing - {0}
        self.missing = sorted(self.executable.difference(self.counts))
        self.n_lines, self.n_missing, self.where_missing = len(self.executable), len(self.missing), ""
        return self

    def _find_uncertain(self) -> None:
        """Find the lines of the functions that were given out. A function may be in the source by no such name, as one
        that another Python has compiled: then any line may be one of its lines.
        """
        if self.given_out and self.source.state == CURRENT and not self.source.reason:
            self.uncertain, self.uncertain_functions = self.source.lines_within(self.given_out)
            if not self.given_out.keys() <= self.uncertain_functions:
                self.is_complete = False

    def shorten(self) -> Row:
        """Forget each line by itself, which the table has no use for and of which there are many; return the rest."""
        self.where_missing = ranges(self.missing, self.executable)
        self.counts, self.functions, self.missing, self.executable = {}, {}, [], frozenset()
        self.source.data, self.source.executable, self.source.kinds = b"", frozenset(), {}
        return self

    def kind(self, name: str, line: int) -> str:
        """Return the kind of the piece of code that is called *name* and begins on *line*: see `Source.kinds`."""
        return self.source.kinds.get((name, line)) or kind_by_name(name)

    def uncalled(self) -> dict[tuple[str, int], int | None]:
        """Return how often functions ran that have no counts: 0, or None if only their lines are known to have run, or
        they may have run elsewhere.
        """
        if not self.is_complete:
            return {}
        return {
            function: None if inside & self.counts.keys() or function in self.uncertain_functions else 0
            for function, inside in self.source.functions().items()
            if function not in self.functions and (inside or self.functions or not self.paths)
        }

    def name(self) -> str:
        """Return what the table calls the file."""
        remark = "" if self.source.state == CURRENT else f" ({self.source.state})"
        return shown_path(self.path) + remark

    def hottest_line(self) -> str:
        """Return number and count of the line that ran most often, or why there is none."""
        if not self.paths:
            return "never imported"
        return f"{self.hottest}: {self.heat}" if self.heat else "-"

    def key(self, sort: str) -> tuple[Any, ...]:
        """Return what to sort by."""
        numbers = {"lines": self.n_lines, "missing": self.n_missing, "hits": self.hits, "hottest": self.heat}
        return -numbers.get(sort, 0), self.path, self.version


def _add(total: dict[Any, Seen], counts: dict[Any, Seen]) -> None:
    """Add *counts* to *total*."""
    for key, (count, first, last) in counts.items():
        before, first_before, last_before = total.get(key, (0, first, last))
        total[key] = min(before + count, schema.GREATEST), min(first, first_before), max(last, last_before)


class Rows:
    """What is to be said of all files in *totals* that *options* choose; `remarks` are for standard error."""

    def __init__(self, totals: Totals, options: argparse.Namespace, *, shorten: bool = False) -> None:
        self.remarks: list[str] = []
        self.rows: list[Row] = []
        self.processes = totals.processes()
        self._is_optimized = any(process.is_optimized for process in self.processes)
        files = totals.files()
        reasons = totals.not_measured()
        places = local_paths(files)
        self._paths = {places.get((file.path, file.version), file.path) for file in files}
        self._paths.update(path for path, _reason in reasons)
        self.reasons = [reason for reason in reasons if matches(reason[0], options.include, options.omit)]
        partly = frozenset(path for path, _reason in reasons)
        groups: dict[tuple[str, str], list[MeasuredFile]] = {}
        for file in files:
            groups.setdefault((places.get((file.path, file.version), file.path), file.version), []).append(file)
        for (path, version), group in groups.items():
            if matches(path, options.include, options.omit):
                row = Row(path, version, {file.path for file in group}, partly, is_optimized=self._is_optimized)
                for file in group:
                    row.add(totals.lines(file), totals.functions(file), totals.given_out(file))
                self._take(row, shorten=shorten)
        self.remarks += same_source(places)
        self._compare_versions()
        n_optimized = sum(process.is_optimized for process in self.processes)
        if n_optimized and self.rows:
            of_all = f" of {len(self.processes)}" if n_optimized < len(self.processes) else ""
            self.remarks.append(
                "Assert statements and code in `if __debug__:` are not called missing where they did not run: "
                f"{n_optimized}{of_all} {'process' if n_optimized == 1 and not of_all else 'processes'} ran with -O, "
                "which leaves them out"
            )
        self.remarks += given_out_in_words((row.path, row.given_out) for row in self.rows)

    def add_never_imported(self, options: argparse.Namespace, *, shorten: bool = False) -> None:
        """Add the files that were never imported."""
        found = NeverImported(self.processes, self._paths)
        self.remarks += found.remarks
        self._paths.update(found.paths)
        failed: list[str] = []
        by_version: dict[str, list[str]] = {}
        for row in self.rows:
            by_version.setdefault(row.version, []).append(row.path)
        ran: dict[str, str] = {}
        installed: dict[str, str] = {}
        for path in found.paths:
            if matches(path, options.include, options.omit):
                row = Row(path, None, (), frozenset(), is_optimized=self._is_optimized)
                if row.source.reason:
                    failed.append(path)
                elif row.source.has_code:
                    if copy := copy_that_ran(path, by_version.get(row.version, ())):
                        ran[path] = copy
                        continue
                    if copy := installed_copy(path):
                        installed[path] = copy
                    self._take(row, shorten=shorten)
        if failed:
            names = ", ".join(map(repr, failed[:SAID])) + (", …" if len(failed) > SAID else "")
            self.remarks.append(
                f"Left out: {number_of(len(failed), 'file')} never imported that this Python cannot compile: {names}"
            )
        if ran:
            path, copy = next(iter(ran.items()))
            self.remarks.append(
                f"Left out: {number_of(len(ran), 'file')} of which a copy ran, such as {path!r}, which ran as "
                f"{copy!r}; [tool.instrument.paths] can say that both folders are the same"
            )
        if installed:
            path, copy = next(iter(installed.items()))
            self.remarks.append(
                f"Never imported from here: {number_of(len(installed), 'file')} of which a copy is installed, such as "
                f"{path!r}; {copy!r} may have run in its place: a scope that names the package counts it"
            )

    def _take(self, row: Row, *, shorten: bool) -> None:
        row.conclude()
        self.rows.append(row.shorten() if shorten else row)

    def _compare_versions(self) -> None:
        """Remark that another version of Python may have other lines than the one that was measured."""
        ours = ".".join(map(str, sys.version_info[:2]))
        others = {version for process in self.processes if (version := _minor(process.python)) != ours}
        if others and self.rows:
            self.remarks.append(
                f"Measured by Python {', '.join(sorted(others))}, reported by {ours}: "
                "which lines can run may differ; a report by the same version is exact"
            )

    def unmatched(self, options: argparse.Namespace) -> Iterator[str]:
        """Yield a remark for each pattern of *options* that no file matches."""
        return unmatched_patterns(self._paths, options)


def unmatched_patterns(paths: Iterable[str], options: argparse.Namespace) -> Iterator[str]:
    """Yield a remark for each pattern of *options* that none of *paths* matches."""
    known = list(paths)
    for key, patterns in (("include", options.include), ("omit", options.omit)):
        for one in patterns:
            for pattern in split_patterns([one]):
                if not any(is_among(path, [pattern]) for path in known):
                    yield f"{_origin(key, one)} {pattern!r} matches no file in these data{_meant(pattern, known)}"


def _meant(pattern: str, paths: Iterable[str]) -> str:
    """Return what to write in place of *pattern*, which is for none of *paths*, if folders before it are left out."""
    whole = os.path.join("*", pattern)
    is_relative = not os.path.isabs(pattern) and pattern != "*"
    found = is_relative and any(is_among(path, [whole]) for path in paths)
    return f"; a pattern is for the whole path: {whole!r} matches" if found else ""


def _minor(version: str) -> str:
    return ".".join(version.split(".")[:2])


def execute(options: argparse.Namespace) -> int:
    """Do what *options* ask for; return the exit status."""
    with Totals(paths_of(options), Progress("Reading")) as totals:
        name_refused(totals.refused)
        name_running(totals)
        is_table = not options.json and options.unused_for is None
        found = Rows(totals, options, shorten=is_table)
        if not options.only_imported:
            found.add_never_imported(options, shorten=is_table)
        rows = found.rows
        say(found.unmatched(options), sys.stderr)
        if not rows and not found.reasons:
            raise DataError(f"nothing is left to report{why_nothing_is_left(options)}")
        rows.sort(key=lambda row: row.key(options.sort))
        since = None if options.unused_for is None else time.time() - options.unused_for
        if options.json:
            _print_json(totals, found, since)
        elif since is not None:
            say(_unused(rows, since, totals.began(), list(uncertain(totals, since))))
        else:
            say(_table(rows, with_missing=options.missing))
            say(_summary(found.processes))
            say(_not_all(totals))
        if not options.json:
            name_stale(row.source for row in rows)
            name_not_measured(found.reasons)
            say(found.remarks, sys.stderr)
    return 0


def name_refused(refused: Iterable[tuple[str, str]]) -> None:
    """Say which data files were left out, and why."""
    lines = [f"Skipping data file {path!r}: {shown(reason)}" for path, reason in refused]
    if lines:
        lines.append(f"{number_of(len(lines), 'data file')} left out: these counts are incomplete")
    say(lines, sys.stderr)


def name_running(totals: Totals) -> None:
    """Say which running processes have no counts in *totals* yet, and when they write them."""
    say(unwritten_in_words(totals.unwritten), sys.stderr)


def unwritten_in_words(processes: list[Process]) -> Iterator[str]:
    """Yield a line for each of these running *processes*: it has no counts in the data, and when it writes them."""
    for process in processes[:SAID]:
        yield (
            f"Not in these counts: process {process.pid} ({process.command()!r}) is running, "
            f"and {process.when_it_writes()}"
        )
    if len(processes) > SAID:
        yield f"Not in these counts: {number_of(len(processes) - SAID, 'more process')} that are running"


def uncertain(totals: Totals, since: float) -> Iterator[str]:
    """Yield why it is not certain what the processes in *totals* used after *since*."""
    if totals.unwritten:
        yield f"(Not certain: {number_of(len(totals.unwritten), 'running process')} wrote no counts yet.)"
    for process in totals.running[:SAID]:
        yield (
            f"(Not certain: process {process.pid} may be running. "
            f"What it used after {_date(process.updated, with_time=True)}, its last flush, is not known.)"
        )
    if len(totals.running) > SAID:
        yield f"(Not certain: {number_of(len(totals.running) - SAID, 'more process')} may be running.)"
    if totals.cut_off:
        yield (
            f"(Not certain: of {number_of(len(totals.cut_off), 'process')} that ended the last counts are missing. "
            "The lines of those are not known.)"
        )
    # A flush says that code ran since the flush before, and not when.
    spans = [
        (process.updated - process.started) / process.flushes
        for process in totals.processes()
        if process.flushes > 0 and process.started < since <= process.updated
    ]
    longest = max((span for span in spans if span > time.time() - since), default=0.0)
    if longest:
        yield (
            f"(Not certain: the times are those of flushes, up to {longest:.0f} s apart. "
            "Code that ran before that time may be taken for used.)"
        )


def given_out_in_words(files: Iterable[tuple[str, dict[tuple[str, int], set[str]]]]) -> Iterator[str]:
    """Yield a line that names the functions that were given out, if there are any: in *files*, by path."""
    names: list[str] = []
    takers: set[str] = set()
    for path, given_out in files:
        for (name, line), those in sorted(given_out.items(), key=lambda item: (item[0][1], item[0][0])):
            takers |= those
            names.append(f"{name} ({shown_path(path)}, line {line})")
    if names:
        more_of_them = ", …" if len(names) > SAID else ""
        yield (
            f"{number_of(len(names), 'function')} may also have run elsewhere, uncounted, and no line of "
            f"{'it' if len(names) == 1 else 'them'} is called missing: {', '.join(names[:SAID])}{more_of_them} "
            f"(given to {', '.join(sorted(takers))})"
        )


def name_stale(sources: Iterable[Source]) -> None:
    """Say which *sources* are not what was measured, or cannot be compared with it."""
    words = {STALE: "Stale source", MISSING: "No source", CURRENT: "No lines known", "unknown": "Unknown source"}
    say(
        (f"{words[source.state]}: {source.path!r}: {source.reason}" for source in sources if source.reason),
        sys.stderr,
    )


def name_not_measured(reasons: Iterable[tuple[str, str]]) -> None:
    """Say which files ran uncounted, and why."""
    say(cover_listing.not_measured([(path, shown(reason)) for path, reason in reasons]), sys.stderr)


def _table(rows: list[Row], *, with_missing: bool) -> Iterator[str]:
    """Yield the lines of the table of *rows*."""
    head = ["File", "Lines", "Missing", "Ran", "Hits", "Hottest line"]
    cells = [
        [
            row.name(),
            f"{row.n_lines}" if row.is_complete else "-",
            f"{row.n_missing}" if row.is_complete else "-",
            percentage(row.n_lines - row.n_missing, row.n_lines) if row.is_complete else "-",
            f"{row.hits}",
            row.hottest_line(),
        ]
        for row in rows
    ]
    n_lines, n_missing = sum(row.n_lines for row in rows), sum(row.n_missing for row in rows)
    total = [
        "Total",
        f"{n_lines}",
        f"{n_missing}",
        percentage(n_lines - n_missing, n_lines),
        f"{sum(row.hits for row in rows)}",
        "",
    ]
    if with_missing:
        head, total = [*head, ""], [*total, ""]
        for row, line in zip(rows, cells, strict=True):
            line.append(row.where_missing)
    yield from table(head, cells, total, terminal_width())


def _summary(processes: list[ProcessRow]) -> Iterator[str]:
    """Yield how many *processes* and runs were counted, and since when."""
    n_runs = count_runs(processes)
    since = _date(processes[0].started, with_time=True)
    yield f"Counts of {number_of(len(processes), 'process')} in {number_of(n_runs, 'run')}, since {since}"
    if n_runs > 1:
        yield "(counts of all runs are added up; `instrument erase` or `instrument run --fresh` begins anew)"


def _not_all(totals: Totals) -> Iterator[str]:
    """Yield of how many processes in *totals* the latest counts are not there, and why."""
    for processes, one, more in (
        (totals.running, "may still be running", "may still be running"),
        (totals.cut_off, "ended, and its last counts are missing", "ended, and their last counts are missing"),
    ):
        if len(processes) == 1:
            when = _date(processes[0].updated, with_time=True)
            yield f"(1 process {one}: what it ran after {when} is not in these counts)"
        elif processes:
            yield f"({len(processes)} processes {more}: what they ran after their latest writes is not in these counts)"


class Unused:
    """What of *row* was not used after *since*: by kind, name, line, and when it was last used, -inf for never."""

    def __init__(self, row: Row, since: float) -> None:
        self.functions = list(self._functions(row, since))
        self.lines = dict.fromkeys(row.missing, -math.inf)
        for line, (_count, _first, last) in row.counts.items():
            if last < since and line not in row.source.never_missing and line not in row.uncertain:
                self.lines[line] = last

    def _functions(self, row: Row, since: float) -> Iterator[tuple[str, str, int, float]]:
        known = {function: last for function, (_count, _first, last) in row.functions.items()}
        if not row.paths:
            known["<module>", 1] = -math.inf
        for function, inside in row.source.functions().items() if row.is_complete else ():
            # Its lines know of calls, too, unless all is on one line: then silence says nothing if no call was
            # recorded.
            if function not in known and (inside or known):
                known[function] = max((row.counts[line][2] for line in inside & row.counts.keys()), default=-math.inf)
        for (name, line), last in sorted(known.items(), key=lambda item: (item[0][1], item[0][0])):
            kind = row.kind(name, line)
            if (name, line) in row.given_out or (name, line) in row.uncertain_functions:
                continue
            if last < since and kind not in (ANNOTATIONS, TYPE_PARAMETERS) and line not in row.source.excluded:
                yield kind, name, line, last


def _unused(rows: list[Row], since: float, began: float, uncertain: Iterable[str]) -> Iterator[str]:
    """Yield what was not used after *since*, by file; data begins at *began*. *uncertain* are lines to follow that."""
    with_time = time.time() - since < _WITH_TIME
    yield f"Not used since {_date(since, with_time=with_time)}:"
    if began > since:
        first = _date(began, with_time=with_time)
        yield f"(The first process was started on {first}: what is older than that is not known.)"
    yield from uncertain
    found = False
    n_unknown = 0
    for row in rows:
        if row.source.state != CURRENT:
            n_unknown += 1
            continue
        unused = Unused(row, since)
        if not unused.functions and not unused.lines:
            continue
        found = True
        yield row.name() + ("" if row.paths else " (never imported)")
        for kind, name, line, last in unused.functions:
            what = "module level" if kind == MODULE else f"{kind} {shown(name)} (line {line})"
            yield f"    {what}  {_last(last, with_time=with_time)}"
        by_time: dict[str, list[int]] = {}
        for line, last in unused.lines.items():
            by_time.setdefault(_last(last, with_time=with_time), []).append(line)
        for when, lines in sorted(by_time.items(), key=lambda item: (item[0] != "never", item[0])):
            words = "line" if len(lines) == 1 else "lines"
            yield f"    {words} {ranges(lines, row.executable or row.counts)}  {when}"
    if n_unknown:
        what = "1 source is" if n_unknown == 1 else f"{n_unknown} sources are"
        yield f"    {what} not known as measured, so nothing can be said of the code there"
    elif not found:
        yield "    nothing: all that was measured was used"


def _last(moment: float, *, with_time: bool) -> str:
    return "never" if moment == -math.inf else f"last {_date(moment, with_time=with_time)}"


def _date(moment: float, *, with_time: bool) -> str:
    try:
        return time.strftime("%Y-%m-%d %H:%M:%S" if with_time else "%Y-%m-%d", time.localtime(moment))
    except (OverflowError, ValueError, OSError):
        return f"{moment}"


def _print_json(totals: Totals, found: Rows, since: float | None) -> None:
    """Print all that is known; nothing but ASCII, and escapes for the rest."""
    import json

    document = {
        "format": 1,
        "processes": totals.n_processes,
        "runs": count_runs(found.processes),
        "began": totals.began(),
        "files": [_described(row, since) for row in found.rows],
        "not_measured": [{"path": path, "reason": reason} for path, reason in found.reasons],
        "skipped": [{"path": path, "reason": reason} for path, reason in totals.refused],
        "unwritten": described_unwritten(totals),
        "running": [{"pid": each.pid, "host": each.host, "updated": each.updated} for each in totals.running],
        "cut_off": [{"pid": each.pid, "host": each.host, "updated": each.updated} for each in totals.cut_off],
        "remarks": found.remarks,
        "totals": {
            "lines": sum(row.n_lines for row in found.rows),
            "missing": sum(row.n_missing for row in found.rows),
            "hits": sum(row.hits for row in found.rows),
        },
    }
    if since is not None:
        document["unused_since"] = since
        document["uncertain"] = list(uncertain(totals, since))
    json.dump(document, sys.stdout)
    print()


def described_given_out(given_out: dict[tuple[str, int], set[str]]) -> list[dict[str, Any]]:
    """Return the functions that were *given_out*, and what got them, for JSON."""
    return [
        {"name": name, "line": line, "to": sorted(takers)}
        for (name, line), takers in sorted(given_out.items(), key=lambda item: (item[0][1], item[0][0]))
    ]


def described_unwritten(totals: Totals) -> list[dict[str, Any]]:
    """Return the running processes that have no counts in *totals*, for JSON."""
    return [
        {"pid": each.pid, "command": each.command(), "reason": f"it is running, and {each.when_it_writes()}"}
        for each in totals.unwritten
    ]


def _described(row: Row, since: float | None) -> dict[str, Any]:
    """Return all that is known of *row*, and what was not used after *since* if that is given."""
    described: dict[str, Any] = {
        "path": row.path,
        "measured_at": row.paths,
        "code_for_cached_bytecode": bool(row.paths),
        "version": row.version,
        "source": row.source.state,
        "reason": row.source.reason,
        "executable": len(row.executable) if row.is_complete else None,
        "missing": row.missing if row.is_complete else None,
        "excluded": sorted(row.source.excluded & row.source.executable),
        "given_out": described_given_out(row.given_out),
        "uncertain": sorted(row.uncertain & row.source.executable) if row.is_complete else None,
        "hits": row.hits,
        "lines": {
            line: {"count": count, "first": first, "last": last}
            for line, (count, first, last) in sorted(row.counts.items())
        },
        "functions": [
            {
                "name": name,
                "line": line,
                "kind": row.kind(name, line),
                "calls": count,
                "first": first,
                "last": last,
            }
            for (name, line), (count, first, last) in sorted(row.functions.items())
        ]
        + [
            {"name": name, "line": line, "kind": FUNCTION, "calls": calls, "first": None, "last": None}
            for (name, line), calls in sorted(row.uncalled().items())
        ],
    }
    if since is not None and row.source.state != CURRENT:
        described["unused"] = None  # nothing can be said of the code there
    elif since is not None:
        unused = Unused(row, since)
        described["unused"] = {
            "functions": [
                {"name": name, "line": line, "kind": kind, "last": None if last == -math.inf else last}
                for kind, name, line, last in unused.functions
            ],
            "lines": {line: None if last == -math.inf else last for line, last in sorted(unused.lines.items())},
        }
    return described
