"""Prints the lines that ran between two snapshots: the counts of B less those of A, as a table or as JSON.

Two data files, or folders of them, come in. Counts of different versions of a file are never compared. A line that ran
less often in B than in A is named: then B is no later state of A.
"""

from __future__ import annotations

import sys

from instrument.analysis.difference import Difference
from instrument.commands._data_options import (
    add_patterns,
    patterns_in_words,
    patterns_of,
    say_incomplete,
    say_unmatched,
)
from instrument.data.query import StoredMeasurement
from instrument.errors import DataError
from instrument.report import difference_table, json_documents, remarks
from instrument.report.text import say

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command to *parser*."""
    parser.add_argument("a", metavar="A", help="the earlier data: a file or a folder")
    parser.add_argument("b", metavar="B", help="the later data: a file or a folder")
    add_patterns(parser)
    parser.add_argument("--json", action="store_true", help="print the difference of each line, for other programs")


def execute(options: argparse.Namespace) -> int:
    """Print the difference that *options* ask for; return the exit status, 1 if no file could be compared."""
    patterns = patterns_of(options)
    with StoredMeasurement([options.a]) as before, StoredMeasurement([options.b]) as after:
        say_incomplete(before, after)
        difference = Difference(before, after, patterns)
    say_unmatched(patterns, difference.paths)
    if not difference.all_files:
        raise DataError(f"nothing is left to compare{patterns_in_words(options)}")
    if options.json:
        json_documents.write_difference(difference)
    else:
        difference_table.write(difference)
    say(remarks.of_difference(difference), sys.stderr)
    given_out = ((path, functions) for (path, _version), functions in difference.given_out.items())
    say(remarks.given_out(given_out), sys.stderr)
    say(remarks.not_measured(difference.not_measured), sys.stderr)
    return 0 if difference.has_comparison() else 1
