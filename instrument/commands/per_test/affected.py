"""Prints the tests that changes since an earlier test run affect: their node ids, a table with reasons, or JSON.

Data with the counts of each test come in (`pytest --instrument-contexts`), and perhaps a commit. If it is not known
which tests are affected, all are printed, and standard error says why.
"""

from __future__ import annotations

import os

from instrument.analysis.affected.finding import Finding, find_affected
from instrument.analysis.affected.verdict import Verdict
from instrument.analysis.patterns import FilePatterns
from instrument.commands._data_options import say_incomplete
from instrument.commands.per_test._base import HOW_TO_COUNT_TESTS
from instrument.data.query import StoredMeasurement
from instrument.errors import DataError
from instrument.report import affected_tests
from instrument.report.text import ProgressBar

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

FORMATS = ("ids", "json")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command to *parser*."""
    parser.add_argument("base", metavar="BASE", nargs="?", default="", help="a commit that is compared, too")
    parser.add_argument(
        "--dir", metavar="FOLDER", action="append", help="the folder of the data (default: .instrument)"
    )
    parser.add_argument(
        "--ignore",
        metavar="PATTERN,…",
        action="append",
        default=[],
        help="changes of these files affect no test: patterns of paths, or folders, with commas between them",
    )
    parser.add_argument("--why", action="store_true", help="print a table with the reasons for each test")
    parser.add_argument("--format", choices=FORMATS, default="ids", help="node ids, one a line (default), or JSON")


def execute(options: argparse.Namespace) -> int:
    """Print the affected tests that *options* ask for; return the exit status."""
    finding = _finding(options)
    if options.format == "json":
        affected_tests.write_json(finding)
        return 0
    affected_tests.write_summary(finding)
    if options.why:
        affected_tests.write_reasons(finding)
    else:
        affected_tests.write_ids(finding)
    return 0


def _finding(options: argparse.Namespace) -> Finding:
    """Return the affected tests. Raise DataError if there are no data, unless JSON can say so."""
    try:
        with StoredMeasurement(options.dir or [], ProgressBar("Reading"), way_out=HOW_TO_COUNT_TESTS) as stored:
            say_incomplete(stored)
            return find_affected(stored, os.getcwd(), options.base, FilePatterns(omit=options.ignore))
    except DataError as error:
        if options.format != "json" or options.base:
            raise
        return Finding(Verdict([], {}, {}, [f"{error}"], frozenset()), [], [])
