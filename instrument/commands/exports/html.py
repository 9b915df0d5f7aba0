"""Writes the counts as web pages: an index of all files, and a page for each source file.

Data files and folders of them come in, also those of running processes. A folder of pages goes out, or one file with
all pages. Both can be opened from the disk: they need no server and no other address.
"""

from __future__ import annotations

import sys

from instrument.analysis.contexts.by_file import PatternsByFile
from instrument.analysis.file_analysis import EVENTS, EXECUTIONS
from instrument.commands._data_options import add_paths, add_patterns
from instrument.commands.exports._base import analysis_in, stored_of
from instrument.commands.per_test._base import say_what_is_missing
from instrument.report import remarks
from instrument.report.html.writing import Choices, Report, require_libraries
from instrument.report.text import ProgressBar, number_of, say, shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

#: The folder of the report if the user names none.
FOLDER = "counts-html"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command to *parser*."""
    add_paths(parser)
    place = parser.add_mutually_exclusive_group()
    place.add_argument(
        "-o", "--output", metavar="FOLDER", default=FOLDER, help=f"the folder of the pages (default: {FOLDER})"
    )
    place.add_argument("--single", metavar="FILE", help="write all pages to this one file")
    add_patterns(parser)
    parser.add_argument("--only-imported", action="store_true", help="leave out files that were never imported")
    parser.add_argument("--skip-covered", action="store_true", help="leave out files without missing code")
    parser.add_argument(
        "--no-contexts",
        action="store_true",
        help="leave out the lists of tests that ran a line, which pages have if the data have contexts",
    )
    parser.add_argument(
        "--unit",
        choices=(EVENTS, EXECUTIONS),
        help="executions: count each statement once (default, if the data have them); "
        "events: count as trace does, so that a statement over several lines may count several times",
    )
    parser.add_argument("--title", metavar="TEXT", default=Choices().title, help="the title of the pages")


def execute(options: argparse.Namespace) -> int:
    """Write the pages that *options* ask for, and return the exit status."""
    require_libraries()
    choices = Choices(options.title, options.unit, options.skip_covered)
    with stored_of(options) as stored:
        analysis = analysis_in(stored, options)
        tests = None if options.no_contexts else PatternsByFile(stored)
        if tests is not None and not tests.has_contexts:
            tests = None
        report = Report(analysis, choices, ProgressBar("Writing"), tests=tests)
        if options.single is None:
            path = report.write_folder(options.output)
        else:
            report.write_file(options.single)
            path = options.single
    if tests is not None:
        say_what_is_missing(tests)
    say(remarks.stale_sources(file.source for file in analysis.files), sys.stderr)
    say([f"{number_of(report.n_pages, 'page')} written: {shown(path)}"], sys.stderr)
    return 0
