"""Prints how often lines ran, in one of the formats that the modules of `instrument.report` declare.

Data files and folders of them come in, also those of running processes. Lines are called missing only if the source is
the version that was measured, and all of it was measured. The files in the scope that were never imported are included.
"""

from __future__ import annotations

import re
import sys
import time

from instrument.analysis.analysis import Analysis
from instrument.analysis.file_analysis import EVENTS, EXECUTIONS, SORTS
from instrument.commands._data_options import (
    add_paths,
    add_patterns,
    paths_of,
    patterns_in_words,
    patterns_of,
    positive,
    say_incomplete,
    say_unmatched,
)
from instrument.config.project_file import TABLE
from instrument.config.reports import read_number
from instrument.data.query import StoredMeasurement
from instrument.errors import ConfigError, DataError
from instrument.report import remarks
from instrument.report.formats import OPTIONS, Choices, formats
from instrument.report.summary.bounds import Bound, Bounds, failures
from instrument.report.text import ProgressBar, say

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from instrument.report.formats import Format

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}

COLUMNS = """\
columns of the table:
  Lines         how many lines of the file can run
  Missing       how many of them never ran (--missing lists them)
  Ran           how many of them ran, in percent
  Hits          how often lines of the file ran, all lines added up
  Hottest line  the line that ran most often, and how often
with --branch:
  Branch        how many ways lead on from lines with several of them, such as `if`
  BrMiss        how many of these ways were never taken; --missing lists them, as 12->17
                or 12->exit, unless one of the lines is missing
  Ran           as in coverage.py: the lines that ran and the ways that were taken, in
                percent of all lines and ways
with --cost:
  Instructions  how many bytecode instructions were executed

Annotations are never missing, nor is what coverage.py excludes: `# pragma: no cover`,
`if TYPE_CHECKING:`, and functions whose body is `...`. The keys exclude-lines and
exclude-also of pyproject.toml change this. Nor are lines of functions missing that may
have run elsewhere, uncounted: these are named.

On a terminal the table has colours if the library rich is installed (the extra `report`);
NO_COLOR=1 turns them off, and FORCE_COLOR=1 on. A mark beside the percentage says the
same: ✓ from 90 % on, ~ from 75 % on, ✗ below.
"""

#: The largest number of decimals of a percentage: a float has no more that tell anything.
_MOST_DECIMALS = 9


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command to *parser*."""
    parser.epilog = COLUMNS
    add_paths(parser)
    add_patterns(parser)
    parser.add_argument("--only-imported", action="store_true", help="leave out files that were never imported")
    _add_columns(parser.add_argument_group("columns"))
    _add_rows(parser.add_argument_group("rows"))
    _add_bounds(parser.add_argument_group("bounds", "If a bound is not kept, the exit status is 2."))
    known = formats()
    choice = parser.add_mutually_exclusive_group()
    choice.add_argument(
        "--format", choices=known, help="; ".join(f"{each.name}: {each.help}" for each in known.values())
    )
    choice.add_argument("--json", dest="format", action="store_const", const="json", help="the same as --format json")
    parser.set_defaults(usage_error=parser.error)


def _add_columns(group: argparse._ArgumentGroup) -> None:
    """Add to *group* the options that choose columns, and how their numbers are shown."""
    group.add_argument("-m", "--missing", action="store_true", help="list the lines that did not run")
    group.add_argument("--branch", action="store_true", help="show the ways of branches, and count them as lines")
    group.add_argument("--cost", action="store_true", help="show how many instructions were executed")
    group.add_argument(
        "--unit",
        choices=(EVENTS, EXECUTIONS),
        help="of hits: events, as trace counts, is the default; executions counts a statement over several lines once",
    )
    group.add_argument("--max-count", metavar="N", type=positive, help="show greater counts as N")
    group.add_argument("--thousands", action="store_true", help="separate the thousands of counts by commas")
    group.add_argument("--precision", metavar="N", type=decimals, help="decimals of percentages (default: 0)")


def _add_rows(group: argparse._ArgumentGroup) -> None:
    """Add to *group* the options that choose rows, and their order."""
    group.add_argument(
        "--sort",
        metavar="ORDER",
        choices=[*SORTS, *(f"-{sort}" for sort in SORTS)],
        help=f"{', '.join(SORTS)} (default: file); numbers from the top; with - in front, such as -hits, reversed",
    )
    group.add_argument("--top", metavar="N", type=positive, help="show only the first N rows; the total is of all")
    group.add_argument("--skip-covered", action="store_true", help="leave out files in which nothing is missing")
    group.add_argument("--skip-empty", action="store_true", help="leave out files in which no line can run")
    group.add_argument(
        "--unused-for",
        metavar="TIME",
        type=duration,
        help="list instead what was never used, or not in this time, such as 30d (s, m, h, d, w)",
    )


def _add_bounds(group: argparse._ArgumentGroup) -> None:
    """Add to *group* the options with bounds that the numbers must keep."""
    group.add_argument(
        "--fail-under", metavar="PERCENT", type=share, help="of the lines that ran; with --branch also of ways"
    )
    group.add_argument(
        "--fail-under-branch", metavar="PERCENT", type=share, help="of the ways of branches that were taken"
    )
    group.add_argument(
        "--fail-under-hits", metavar="N", type=positive, help="how often each line that can run must have run"
    )


def split(arguments: list[str]) -> tuple[list[str], list[str]]:
    """Return *arguments* with `--sort -ORDER` as one argument, and no arguments of a program.

    `argparse` takes the word after `--sort` for another option if it begins with `-`.
    """
    orders = {f"-{sort}" for sort in SORTS}
    joined: list[str] = []
    for argument in arguments:
        if joined and joined[-1] == "--sort" and argument in orders:
            joined[-1] = f"--sort={argument}"
        else:
            joined.append(argument)
    return joined, []


def duration(text: str) -> float:
    """Return the seconds of a *text* such as `30d` or `1.5h`; raise argparse.ArgumentTypeError for other texts."""
    match = re.fullmatch(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)([smhdw])", text)
    if not match:
        raise _type_error(f"{text!r} is no time; say 90s, 15m, 12h, 30d or 4w")
    return float(match[1]) * _UNITS[match[2]]


def share(text: str) -> float:
    """Return the percentage *text*, from 0 to 100; raise argparse.ArgumentTypeError for other texts."""
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number <= 100:
        raise _type_error(f"{text!r} is no percentage; say a number from 0 to 100, such as 87.5")
    return number


def decimals(text: str) -> int:
    """Return the number of decimals *text*; raise argparse.ArgumentTypeError for other texts."""
    if not re.fullmatch("[0-9]", text):
        raise _type_error(f"{text!r} is no number of decimals; say a number from 0 to {_MOST_DECIMALS}")
    return int(text)


def _type_error(message: str) -> Exception:
    import argparse

    return argparse.ArgumentTypeError(message)


def execute(options: argparse.Namespace) -> int:
    """Print the report that *options* describe, and return the exit status: 2 if a bound is not kept."""
    bounds = _bounds_of(options)
    report = _format_of(options, has_bounds=bool(bounds))
    choices = _choices_of(options)
    patterns = patterns_of(options)
    with StoredMeasurement(paths_of(options), ProgressBar("Reading")) as stored:
        say_incomplete(stored)
        analysis = Analysis(
            stored,
            patterns,
            keeps_lines=report.needs_lines or bounds.hits is not None,
            needs_flow=choices.need_flow() or bounds.branches is not None,
        )
        if not options.only_imported:
            analysis.add_never_imported()
    say_unmatched(patterns, analysis.paths)
    if not analysis.files and not analysis.not_measured:
        raise DataError(f"nothing is left to report{patterns_in_words(options)}")
    if choices.unit == EXECUTIONS and all(file.executions is None for file in analysis.files):
        raise DataError(
            "--unit executions: these data have no counts of executions; measure again with this release, or take "
            "--unit events"
        )
    report.write(analysis, sys.stdout, choices)
    if not report.has_remarks:
        say(remarks.stale_sources(file.source for file in analysis.sorted_files("file")), sys.stderr)
        say(remarks.not_measured(analysis.not_measured), sys.stderr)
        say(remarks.of_analysis(analysis), sys.stderr)
    failed = list(failures(analysis.sorted_files("file"), bounds, choices))
    say((f"instrument: {line}" for line in failed), sys.stderr)
    return 2 if failed else 0


def _choices_of(options: argparse.Namespace) -> Choices:
    """Return the choices that *options* and pyproject.toml make; raise ConfigError if a value there is impossible."""
    precision = options.precision
    if precision is None:
        precision = _number_of_file("precision", decimals) or 0
    return Choices(
        sort=options.sort or "file",
        with_missing=options.missing,
        since=None if options.unused_for is None else time.time() - options.unused_for,
        with_branches=options.branch,
        with_cost=options.cost,
        unit=options.unit or EVENTS,
        top=options.top,
        skip_covered=options.skip_covered,
        skip_empty=options.skip_empty,
        max_count=options.max_count,
        precision=int(precision),
        with_thousands=options.thousands,
    )


def _bounds_of(options: argparse.Namespace) -> Bounds:
    """Return the bounds that *options*, or else pyproject.toml, set; raise ConfigError if a value is impossible."""
    bounds: dict[str, Bound | None] = {}
    for key, parse in (("fail-under", share), ("fail-under-branch", share), ("fail-under-hits", positive)):
        value, origin = getattr(options, key.replace("-", "_")), f"--{key}"
        if value is None:
            value, origin = _number_of_file(key, parse), f"{TABLE} of pyproject.toml, {key} ="
        bounds[key] = None if value is None else Bound(value, origin)
    return Bounds(bounds["fail-under"], bounds["fail-under-branch"], bounds["fail-under-hits"])


def _number_of_file(key: str, parse: Callable[[str], float]) -> float | None:
    """Return the number under *key* of pyproject.toml, None without one; raise ConfigError if *parse* refuses it."""
    import argparse

    if (found := read_number(key)) is None:
        return None
    number, label = found
    try:
        return parse(f"{number}")
    except argparse.ArgumentTypeError as error:
        raise ConfigError(f"{label}: {error}") from None


def _format_of(options: argparse.Namespace, *, has_bounds: bool) -> Format:
    """Return the format that *options* choose; end with a usage error if an option does not fit it.

    Some options have an effect on bounds, so with bounds these fit any format.
    """
    name = options.format or ("table" if options.unused_for is None else "unused")
    report = formats()[name]
    for option in OPTIONS:
        value = getattr(options, option.replace("-", "_"))
        is_given = value is not None and value is not False
        if is_given and option not in report.takes and not (has_bounds and option in _OPTIONS_OF_BOUNDS):
            options.usage_error(f"--{option} has no effect on --format {name}")
        if not is_given and option in report.needs:
            options.usage_error(f"--format {name} needs --{option}")
    return report


#: The options that have an effect on bounds.
_OPTIONS_OF_BOUNDS = ("branch", "unit", "precision")
