"""Print what ran, and how often: file, lines, missing, hits, hottest line.

Data files, and folders of them, come in (also of running processes, and without combining them first); a table, or
JSON, goes to standard output. Lines are only called missing where the source is still the version that was measured,
and all of it was; what differs is named.
"""

from __future__ import annotations

import math
import re
import sys
import time

from instrument.commands._sources import (
    ANNOTATIONS,
    CURRENT,
    MISSING,
    MODULE,
    STALE,
    TYPE_PARAMETERS,
    Source,
    kind_by_name,
)
from instrument.data.querying import Totals
from instrument.errors import DataError
from instrument.report import text
from instrument.report.tables import Progress, matches, number_of, ranges, say, shown, shown_path, table

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Iterator
    from typing import Any

    from instrument.data.querying import MeasuredFile
    from instrument.data.store import Seen

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
_SORTS = ("file", "lines", "missing", "hits", "hottest")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command to *parser*."""
    parser.add_argument("paths", metavar="PATH", nargs="*", help="data files, and folders of them (.instrument)")
    parser.add_argument("-m", "--missing", action="store_true", help="list the lines that did not run")
    parser.add_argument("--sort", choices=_SORTS, default="file", help="what to sort by; numbers from the top")
    add_patterns(parser)
    parser.add_argument(
        "--unused-for",
        metavar="TIME",
        type=duration,
        help="list instead what was not used in this time, such as 30d (s, m, h, d, w), or never",
    )
    parser.add_argument("--json", action="store_true", help="print all that is known, for other programs")


def add_patterns(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that choose files to *parser*."""
    parser.add_argument("--include", metavar="PATTERN", action="append", default=[], help="only these source files")
    parser.add_argument("--omit", metavar="PATTERN", action="append", default=[], help="not these source files")


def duration(words: str) -> float:
    """Return the seconds that *words* such as `30d` or `1.5h` mean."""
    match = re.fullmatch(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)([smhdw])", words)
    if not match:
        import argparse

        raise argparse.ArgumentTypeError(f"{words!r} is no time; say 90s, 15m, 12h, 30d or 4w")
    return float(match[1]) * _UNITS[match[2]]


class Row:
    """What is to be said of one version of a source file."""

    def __init__(self, totals: Totals, file: MeasuredFile, partly: frozenset[str]) -> None:
        self.path, self.version = file.path, file.version
        self.counts: dict[int, Seen] = totals.lines(file)
        self.functions: dict[tuple[str, int], Seen] = totals.functions(file)
        self.source = Source(file.path, file.version)
        # What was not measured in full is never called missing.
        self.is_complete = self.source.state == CURRENT and not self.source.reason and file.path not in partly
        self.hits = sum(count for count, _first, _last in self.counts.values())
        self.hottest, self.heat = 0, 0
        for line, (count, _first, _last) in sorted(self.counts.items()):
            if count > self.heat:
                self.hottest, self.heat = line, count
        self.executable = frozenset[int]()
        if self.is_complete:
            never_missing = self.source.excluded | self.source.annotations
            self.executable = self.source.executable.union(self.counts) - never_missing
        self.missing = sorted(self.executable.difference(self.counts))
        self.n_lines, self.n_missing, self.where_missing = len(self.executable), len(self.missing), ""

    def shorten(self) -> Row:
        """Forget each line by itself, which the table has no use for and of which there are many; return the rest."""
        self.where_missing = ranges(self.missing, self.executable)
        self.counts, self.functions, self.missing, self.executable = {}, {}, [], frozenset()
        self.source.data, self.source.executable, self.source.kinds = b"", frozenset(), {}
        return self

    def kind(self, name: str, line: int) -> str:
        """Return the kind of the piece of code that is called *name* and begins on *line*: see `Source.kinds`."""
        return self.source.kinds.get((name, line)) or kind_by_name(name)

    def name(self) -> str:
        """Return what the table calls the file."""
        remark = "" if self.source.state == CURRENT else f" ({self.source.state})"
        return shown_path(self.path) + remark

    def key(self, sort: str) -> tuple[Any, ...]:
        """Return what to sort by."""
        numbers = {"lines": self.n_lines, "missing": self.n_missing, "hits": self.hits, "hottest": self.heat}
        return -numbers.get(sort, 0), self.path, self.version


def execute(options: argparse.Namespace) -> int:
    """Do what *options* ask for; return the exit status."""
    with Totals(options.paths, Progress("Reading")) as totals:
        name_refused(totals.refused)
        reasons = [reason for reason in totals.not_measured() if matches(reason[0], options.include, options.omit)]
        partly = frozenset(path for path, _reason in reasons)
        is_table = not options.json and options.unused_for is None
        rows: list[Row] = []
        for file in totals.files():
            if matches(file.path, options.include, options.omit):
                row = Row(totals, file, partly)
                rows.append(row.shorten() if is_table else row)
        if not rows and not reasons:
            raise DataError("nothing is left to report; see --include and --omit")
        rows.sort(key=lambda row: row.key(options.sort))
        if options.json:
            _print_json(totals, rows, reasons)
        elif options.unused_for is not None:
            say(_unused(rows, time.time() - options.unused_for, totals.began()))
        else:
            say(_table(rows, with_missing=options.missing))
        if not options.json:
            name_stale(row.source for row in rows)
            name_not_measured(reasons)
    return 0


def name_refused(refused: Iterable[tuple[str, str]]) -> None:
    """Say which data files were left out, and why."""
    lines = [f"Skipping data file {path!r}: {shown(reason)}" for path, reason in refused]
    if lines:
        lines.append(f"{number_of(len(lines), 'data file')} left out: these counts are incomplete")
    say(lines, sys.stderr)


def name_stale(sources: Iterable[Source]) -> None:
    """Say which *sources* are not what was measured, or cannot be compared with it."""
    words = {STALE: "Stale source", MISSING: "No source", CURRENT: "No lines known", "unknown": "Unknown source"}
    say(
        (f"{words[source.state]}: {source.path!r}: {source.reason}" for source in sources if source.reason),
        sys.stderr,
    )


def name_not_measured(reasons: Iterable[tuple[str, str]]) -> None:
    """Say which files ran uncounted, and why."""
    say(text.not_measured([(path, shown(reason)) for path, reason in reasons]), sys.stderr)


def _table(rows: list[Row], *, with_missing: bool) -> Iterator[str]:
    """Yield the lines of the table of *rows*."""
    head = ["File", "Lines", "Missing", "Hits", "Hottest line"]
    cells = [
        [
            row.name(),
            f"{row.n_lines}" if row.is_complete else "-",
            f"{row.n_missing}" if row.is_complete else "-",
            f"{row.hits}",
            f"{row.hottest}: {row.heat}" if row.heat else "-",
        ]
        for row in rows
    ]
    hottest = max(rows, key=lambda row: row.heat, default=None)
    total = [
        "Total",
        f"{sum(row.n_lines for row in rows)}",
        f"{sum(row.n_missing for row in rows)}",
        f"{sum(row.hits for row in rows)}",
        f"{hottest.heat}" if hottest else "-",
    ]
    if with_missing:
        head, total = [*head, ""], [*total, ""]
        for row, line in zip(rows, cells, strict=True):
            line.append(row.where_missing)
    yield from table(head, cells, total)


def _unused(rows: list[Row], since: float, began: float) -> Iterator[str]:
    """Yield what was not used after *since*, by file; data begins at *began*."""
    yield f"Not used since {_date(since)}:"
    if began > since:
        yield f"(The first process was started on {_date(began)}: what is older than that is not known.)"
    found = False
    for row in rows:
        if row.source.state != CURRENT:
            continue
        parts = [*_unused_functions(row, since), *_unused_lines(row, since)]
        if parts:
            found = True
            yield shown_path(row.path)
            yield from (f"    {what}  {when}" for what, when in parts)
    if not found:
        yield "    nothing: all that was measured was used"


def _unused_functions(row: Row, since: float) -> Iterator[tuple[str, str]]:
    """Yield the functions in *row* that were not called after *since*, and when they were last."""
    known = {function: last for function, (_count, _first, last) in row.functions.items()}
    for function, inside in row.source.functions().items() if row.is_complete else ():
        # Its lines know of calls, too, unless all is on one line: then silence says nothing if no call was recorded.
        if function not in known and (inside or known):
            known[function] = max((row.counts[line][2] for line in inside & row.counts.keys()), default=-math.inf)
    for (name, line), last in sorted(known.items(), key=lambda item: (item[0][1], item[0][0])):
        kind = row.kind(name, line)
        if last >= since or kind in (ANNOTATIONS, TYPE_PARAMETERS) or line in row.source.excluded:
            continue
        yield "module level" if kind == MODULE else f"{kind} {shown(name)} (line {line})", _last(last)


def _unused_lines(row: Row, since: float) -> Iterator[tuple[str, str]]:
    """Yield the lines in *row* that did not run after *since*, and when they last did, those of one day together."""
    days: dict[str, list[int]] = {}
    for line in row.missing:
        days.setdefault(_last(-math.inf), []).append(line)
    never_missing = row.source.excluded | row.source.annotations
    for line, (_count, _first, last) in row.counts.items():
        if last < since and line not in never_missing:
            days.setdefault(_last(last), []).append(line)
    for when, lines in sorted(days.items(), key=lambda item: (item[0] != "never", item[0])):
        words = "line" if len(lines) == 1 else "lines"
        yield f"{words} {ranges(lines, row.executable or row.counts)}", when


def _last(moment: float) -> str:
    return "never" if moment == -math.inf else f"last {_date(moment)}"


def _date(moment: float) -> str:
    try:
        return time.strftime("%Y-%m-%d", time.localtime(moment))
    except (OverflowError, ValueError, OSError):
        return f"{moment}"


def _print_json(totals: Totals, rows: list[Row], reasons: list[tuple[str, str]]) -> None:
    """Print all that is known; nothing but ASCII, and escapes for the rest."""
    import json

    files = [
        {
            "path": row.path,
            "version": row.version,
            "source": row.source.state,
            "executable": len(row.executable) if row.is_complete else None,
            "missing": row.missing if row.is_complete else None,
            "excluded": sorted(row.source.excluded & row.source.executable),
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
            ],
        }
        for row in rows
    ]
    json.dump(
        {
            "format": 1,
            "processes": totals.n_processes,
            "began": totals.began(),
            "files": files,
            "not_measured": [{"path": path, "reason": reason} for path, reason in reasons],
            "skipped": [{"path": path, "reason": reason} for path, reason in totals.refused],
        },
        sys.stdout,
    )
    print()
