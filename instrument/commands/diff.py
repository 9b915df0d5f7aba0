"""Print what ran between two snapshots: the counts of B less those of A.

Two data files, or folders of them, come in; a table, or JSON, goes to standard output. Counts of different versions of
a file are never compared, and a line that ran less often in B than in A is named: then B is no later state of A.
"""

from __future__ import annotations

import sys

from instrument.analysis.files import local_paths, same_source
from instrument.commands.report import (
    add_patterns,
    described_given_out,
    described_unwritten,
    given_out_in_words,
    name_not_measured,
    name_refused,
    name_running,
    unmatched_patterns,
    why_nothing_is_left,
)
from instrument.data.querying import Totals
from instrument.errors import DataError
from instrument.report.tables import matches, ranges, say, shown_path, table, terminal_width

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Iterator

    from instrument.data.querying import MeasuredFile


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command to *parser*."""
    parser.add_argument("a", metavar="A", help="the earlier data: a file or a folder")
    parser.add_argument("b", metavar="B", help="the later data: a file or a folder")
    add_patterns(parser)
    parser.add_argument("--json", action="store_true", help="print the difference of each line, for other programs")


class Difference:
    """What ran in one version of a source file: lines and how often; `less` are those that ran less often in B."""

    def __init__(self, path: str, version: str, before: dict[int, int], after: dict[int, int]) -> None:
        self.path = path
        self.version = version
        both = {line: after.get(line, 0) - before.get(line, 0) for line in sorted(before.keys() | after.keys())}
        self.lines = {line: count for line, count in both.items() if count > 0}
        self.less = [line for line, count in both.items() if count < 0]
        self.hits = sum(self.lines.values())


def execute(options: argparse.Namespace) -> int:
    """Do what *options* ask for; return the exit status."""
    with Totals([options.a]) as before, Totals([options.b]) as after:
        name_refused([*before.refused, *after.refused])
        for totals in (before, after):
            name_running(totals)
        unwritten = [*described_unwritten(before), *described_unwritten(after)]
        differences, remarks = _compare(before, after, options)
        given_out = _given_out(after, options)
        not_measured = [reason for reason in after.not_measured() if matches(reason[0], options.include, options.omit)]
        skipped = [{"path": path, "reason": reason} for path, reason in [*before.refused, *after.refused]]
    if not differences and not remarks:
        raise DataError(f"nothing is left to compare{why_nothing_is_left(options)}")
    is_compared = any(each.lines or not each.less for each in differences)
    if options.json:
        import json

        files = [
            {"path": each.path, "version": each.version, "hits": each.hits, "lines": each.lines, "less": each.less}
            for each in differences
        ]
        json.dump(
            {
                "format": 1,
                "files": files,
                "remarks": remarks,
                "not_measured": [{"path": path, "reason": reason} for path, reason in not_measured],
                "given_out": [
                    {"path": path, "version": version, "functions": described_given_out(functions)}
                    for (path, version), functions in given_out.items()
                ],
                "skipped": skipped,
                "unwritten": unwritten,
            },
            sys.stdout,
        )
        print()
    elif any(each.lines for each in differences):
        say(_table([each for each in differences if each.lines]))
    else:
        say(["Nothing ran." if is_compared else "Nothing can be compared."])
    say(remarks, sys.stderr)
    say(given_out_in_words((path, functions) for (path, _version), functions in given_out.items()), sys.stderr)
    name_not_measured(not_measured)
    return 0 if is_compared else 1


def _compare(before: Totals, after: Totals, options: argparse.Namespace) -> tuple[list[Difference], list[str]]:
    """Return the differences by file and version, and what cannot be compared."""
    places = local_paths([*before.files(), *after.files()])
    earlier, later = _by_place(before, places), _by_place(after, places)
    remarks_of_patterns = unmatched_patterns({path for path, _version in (*earlier, *later)}, options)
    say(remarks_of_patterns, sys.stderr)
    differences: list[Difference] = []
    remarks: list[str] = []
    for key in sorted(earlier.keys() | later.keys()):
        path, version = key
        if not matches(path, options.include, options.omit):
            continue
        old, new = _counts(before, earlier.get(key, ())), _counts(after, later.get(key, ()))
        others = earlier if key in later else later
        known = {version for other, version in others if other == path}
        # A version that only B has is new there if B has all those of A, too.
        is_new = key in later and all((path, version) in later for version in known)
        if (key not in earlier or key not in later) and known and not is_new:
            where = "B" if key in later else "A"
            remarks.append(
                f"Not compared: {path!r}: version {version[:19]} is only in {where}, and another in the other"
            )
            continue
        difference = Difference(path, version, old, new)
        differences.append(difference)
        if difference.less:
            lines = ranges(difference.less)
            remarks.append(
                f"Not counted: {path!r}: lines {lines} ran less often in B than in A: B is no later state of A"
            )
    if differences or remarks:
        remarks += same_source(places)
    return differences, remarks


def _given_out(totals: Totals, options: argparse.Namespace) -> dict[tuple[str, str], dict[tuple[str, int], set[str]]]:
    """Return the functions in *totals* that were given out, by path and version of their source, and what got them."""
    found: dict[tuple[str, str], dict[tuple[str, int], set[str]]] = {}
    for file in totals.files():
        functions = totals.given_out(file)
        if functions and matches(file.path, options.include, options.omit):
            found[file.path, file.version] = functions
    return found


def _by_place(totals: Totals, places: dict[tuple[str, str], str]) -> dict[tuple[str, str], list[MeasuredFile]]:
    """Return the files of *totals* by path and version, the path being the one in *places* if there is one."""
    found: dict[tuple[str, str], list[MeasuredFile]] = {}
    for file in totals.files():
        key = places.get((file.path, file.version), file.path), file.version
        found.setdefault(key, []).append(file)
    return found


def _counts(totals: Totals, files: Iterable[MeasuredFile]) -> dict[int, int]:
    """Return how often each line of *files*, which are one and the same, ran."""
    counts: dict[int, int] = {}
    for file in files:
        for line, seen in totals.lines(file).items():
            if not line:
                continue  # the code of an empty file runs on line 0, which is no line
            counts[line] = counts.get(line, 0) + seen[0]
    return counts


def _table(differences: list[Difference]) -> Iterator[str]:
    """Yield the lines of the table of *differences*."""
    rows = []
    for each in differences:
        hottest = max(each.lines, key=lambda line: each.lines[line])
        row = [shown_path(each.path), f"{len(each.lines)}", f"{each.hits}", f"{hottest}: {each.lines[hottest]}"]
        rows.append([*row, ranges(each.lines)])
    n_lines = sum(len(each.lines) for each in differences)
    total = ["Total", f"{n_lines}", f"{sum(each.hits for each in differences)}", "", ""]
    yield from table(["File", "Lines that ran", "Hits", "Hottest line", ""], rows, total, terminal_width())
