"""Prints how often lines ran, in one of the formats that the modules of `instrument.report` declare.

Data files and folders of them come in, also those of running processes. Lines are called missing only if the source is
the version that was measured, and all of it was measured. The files in the scope that were never imported are included.
"""

from __future__ import annotations

import re
import sys
import time

from instrument.analysis.analysis import Analysis
from instrument.analysis.file_analysis import SORTS
from instrument.commands._data_options import (
    add_paths,
    add_patterns,
    paths_of,
    patterns_in_words,
    patterns_of,
    say_incomplete,
    say_unmatched,
)
from instrument.data.query import StoredMeasurement
from instrument.errors import DataError
from instrument.report import remarks
from instrument.report.formats import Choices, formats
from instrument.report.text import ProgressBar, say

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from instrument.report.formats import Format

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}

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
    parser.add_argument("--sort", choices=SORTS, help="what to sort by (default: file); numbers from the top")
    add_patterns(parser)
    parser.add_argument("--only-imported", action="store_true", help="leave out files that were never imported")
    parser.add_argument(
        "--unused-for",
        metavar="TIME",
        type=duration,
        help="list instead what was never used, or not in this time, such as 30d (s, m, h, d, w)",
    )
    known = formats()
    choice = parser.add_mutually_exclusive_group()
    choice.add_argument(
        "--format", choices=known, help="; ".join(f"{each.name}: {each.help}" for each in known.values())
    )
    choice.add_argument("--json", dest="format", action="store_const", const="json", help="the same as --format json")
    parser.set_defaults(usage_error=parser.error)


def duration(text: str) -> float:
    """Return the seconds of a *text* such as `30d` or `1.5h`; raise argparse.ArgumentTypeError for other texts."""
    match = re.fullmatch(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)([smhdw])", text)
    if not match:
        import argparse

        raise argparse.ArgumentTypeError(f"{text!r} is no time; say 90s, 15m, 12h, 30d or 4w")
    return float(match[1]) * _UNITS[match[2]]


def execute(options: argparse.Namespace) -> int:
    """Print the report that *options* describe, and return the exit status."""
    report = _format_of(options)
    patterns = patterns_of(options)
    with StoredMeasurement(paths_of(options), ProgressBar("Reading")) as stored:
        say_incomplete(stored)
        analysis = Analysis(stored, patterns, keeps_lines=report.needs_lines)
        if not options.only_imported:
            analysis.add_never_imported()
    say_unmatched(patterns, analysis.paths)
    if not analysis.files and not analysis.not_measured:
        raise DataError(f"nothing is left to report{patterns_in_words(options)}")
    since = None if options.unused_for is None else time.time() - options.unused_for
    choices = Choices(sort=options.sort or "file", with_missing=options.missing, since=since)
    report.write(analysis, sys.stdout, choices)
    if not report.has_remarks:
        say(remarks.stale_sources(file.source for file in analysis.sorted_files(choices.sort)), sys.stderr)
        say(remarks.not_measured(analysis.not_measured), sys.stderr)
        say(remarks.of_analysis(analysis), sys.stderr)
    return 0


def _format_of(options: argparse.Namespace) -> Format:
    """Return the format that *options* choose; end with a usage error if an option does not fit it."""
    name = options.format or ("table" if options.unused_for is None else "unused")
    report = formats()[name]
    given = {"sort": options.sort, "missing": options.missing or None, "unused-for": options.unused_for}
    for option, value in given.items():
        if value is not None and option not in report.takes:
            options.usage_error(f"--{option} has no effect on --format {name}")
        if value is None and option in report.needs:
            options.usage_error(f"--format {name} needs --{option}")
    return report
