"""Prints how often lines ran: a table by source file, a list of unused code, or JSON.

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
from instrument.report import file_table, json_documents, remarks, unused_list
from instrument.report.text import ProgressBar, say

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

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
    parser.add_argument("--sort", choices=SORTS, default="file", help="what to sort by; numbers from the top")
    add_patterns(parser)
    parser.add_argument("--only-imported", action="store_true", help="leave out files that were never imported")
    parser.add_argument(
        "--unused-for",
        metavar="TIME",
        type=duration,
        help="list instead what was never used, or not in this time, such as 30d (s, m, h, d, w)",
    )
    parser.add_argument("--json", action="store_true", help="print all that is known, for other programs")


def duration(text: str) -> float:
    """Return the seconds of a *text* such as `30d` or `1.5h`; raise argparse.ArgumentTypeError for other texts."""
    match = re.fullmatch(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)([smhdw])", text)
    if not match:
        import argparse

        raise argparse.ArgumentTypeError(f"{text!r} is no time; say 90s, 15m, 12h, 30d or 4w")
    return float(match[1]) * _UNITS[match[2]]


def execute(options: argparse.Namespace) -> int:
    """Print the report that *options* describe, and return the exit status."""
    patterns = patterns_of(options)
    is_table = not options.json and options.unused_for is None
    with StoredMeasurement(paths_of(options), ProgressBar("Reading")) as stored:
        say_incomplete(stored)
        analysis = Analysis(stored, patterns, keeps_lines=not is_table)
        if not options.only_imported:
            analysis.add_never_imported()
    say_unmatched(patterns, analysis.paths)
    if not analysis.files and not analysis.not_measured:
        raise DataError(f"nothing is left to report{patterns_in_words(options)}")
    since = None if options.unused_for is None else time.time() - options.unused_for
    if options.json:
        json_documents.write_analysis(analysis, since=since, sort=options.sort)
        return 0
    if since is not None:
        unused_list.write(analysis, since=since, sort=options.sort)
    else:
        file_table.write(analysis, sort=options.sort, with_missing=options.missing)
    say(remarks.stale_sources(file.source for file in analysis.sorted_files(options.sort)), sys.stderr)
    say(remarks.not_measured(analysis.not_measured), sys.stderr)
    say(remarks.of_analysis(analysis), sys.stderr)
    return 0
