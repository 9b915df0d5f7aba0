"""Prints the tests that run a line or a function, and how often: as a table, or as JSON.

Data with contexts come in (`pytest --instrument-contexts`). Tests are ranked by their counts. Counts of code that ran
outside of tests, such as that of imports, are named apart.
"""

from __future__ import annotations

import sys

from instrument.analysis.contexts.names import context_of
from instrument.analysis.contexts.places import find_place
from instrument.commands._data_options import add_paths, paths_of, positive, say_incomplete
from instrument.commands.per_test._base import HOW_TO_COUNT_TESTS, contexts_of, say_what_is_missing
from instrument.data.query import StoredMeasurement
from instrument.report import test_tables
from instrument.report.text import ProgressBar, say, shown_path

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command to *parser*."""
    parser.add_argument(
        "place",
        metavar="FILE:LINE|FUNCTION",
        help="a line, or a function by its qualified name, with or without that of its module",
    )
    add_paths(parser)
    parser.add_argument("--top", metavar="N", type=positive, help="print only the N tests with the highest counts")
    parser.add_argument("--json", action="store_true", help="print all tests, with their phases, for other programs")


def execute(options: argparse.Namespace) -> int:
    """Print the tests that *options* ask for; return the exit status, 1 if no test runs the place."""
    with StoredMeasurement(paths_of(options), ProgressBar("Reading"), way_out=HOW_TO_COUNT_TESTS) as stored:
        say_incomplete(stored)
        work = contexts_of(stored)
        place = find_place(options.place, stored)
        if place.line:
            sums = work.of_line(place.files, place.line)
        else:
            sums = {}
            for function in place.functions:
                for name, n in work.of_function(place.files, function).items():
                    sums[name] = sums.get(name, 0) + n
        n_tests = len({context.name for context in map(context_of, work.names()) if context.is_test})
        ranking = test_tables.Ranking(place, {context_of(name): n for name, n in sums.items()}, n_tests)
    if options.json:
        test_tables.write_ranking_as_json(ranking)
    else:
        test_tables.write_ranking(ranking, options.top)
    if place.is_stale:
        say([f"{shown_path(place.path)} has changed since it ran: the counts are of an earlier version"], sys.stderr)
    say_what_is_missing(work)
    return 0 if ranking.tests else 1
