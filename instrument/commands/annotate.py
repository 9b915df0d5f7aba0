"""Writes each source file with the count of each line beside it, as the standard library's `trace` does.

Data files and folders of them come in. A `.cover` listing goes out for each source that is the measured version, beside
the source or to a folder. A listing is complete or absent. It replaces a symbolic link rather than the link's target,
and stays in that folder, whatever names a data file has.
"""

from __future__ import annotations

import os
import sys

from instrument.analysis.analysis import Analysis
from instrument.analysis.source_file import CURRENT
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
from instrument.guest.atomic_files import write_file
from instrument.report import remarks
from instrument.report.text import ProgressBar, number_of, say, shown
from instrument.trace_results.cover_listing import listing_of, path_of_listing

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from instrument.analysis.file_analysis import FileAnalysis


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command to *parser*."""
    add_paths(parser)
    parser.add_argument(
        "-d", "-o", "--directory", metavar="DIR", help="write to this folder, as <package>.<module>.cover"
    )
    add_patterns(parser)
    parser.add_argument("--only-imported", action="store_true", help="write none for files that were never imported")


def execute(options: argparse.Namespace) -> int:
    """Write the listings that *options* ask for, and return the exit status."""
    patterns = patterns_of(options)
    with StoredMeasurement(paths_of(options), ProgressBar("Reading")) as stored:
        say_incomplete(stored)
        analysis = Analysis(stored, patterns, needs_flow=False)
        if not options.only_imported:
            analysis.add_never_imported()
    say_unmatched(patterns, analysis.paths)
    written: set[str] = set()
    n_failed = 0
    for file in analysis.files:
        if not _has_listing(file):
            say(remarks.stale_sources([file.source]), sys.stderr)
            continue
        path = path_of_listing(file.path, options.directory, written)
        if options.directory is not None:
            _make(options.directory)
        try:
            _write(path, listing_of(file))
            written.add(path)
        except (OSError, ValueError, SyntaxError) as error:
            n_failed += 1
            say([f"Cannot write {path!r}: {getattr(error, 'strerror', None) or error}"], sys.stderr)
    say(remarks.not_measured(analysis.not_measured), sys.stderr)
    say(remarks.of_analysis(analysis), sys.stderr)
    if not analysis.files:
        raise DataError(f"there is no listing to write: the data have no counted file{patterns_in_words(options)}")
    if not written and not n_failed:
        raise DataError(
            "there is no listing to write: no source file is the version that was measured, as the lines above say; "
            "run the program again with the present sources"
        )
    beside = "beside its source" if len(written) == 1 else "beside their sources"
    destination = beside if options.directory is None else f"in {shown(options.directory)}"
    say([f"{number_of(len(written), 'listing')} written {destination}"], sys.stderr)
    return 1 if n_failed else 0


def _has_listing(file: FileAnalysis) -> bool:
    """Return whether *file* is the measured version, and its counts are known."""
    counts = file.counts
    has_no_counts = file.measured_at and not counts.lines and not counts.given_out
    return file.source.state == CURRENT and not (has_no_counts and file.source.has_code)


def _make(folder: str) -> None:
    """Make the *folder* for listings if it does not exist; raise DataError if it cannot be made."""
    try:
        os.makedirs(folder, exist_ok=True)
    except OSError as error:
        reason = "it is no folder" if isinstance(error, FileExistsError) else error.strerror or error
        raise DataError(f"no listings can be written to {folder!r}: {reason}") from error


def _write(path: str, data: bytes) -> None:
    """Make *data* the content of the file at *path*; raise OSError, and leave it unchanged, if that fails."""
    if os.path.isdir(path) and not os.path.islink(path):
        raise IsADirectoryError("it is a folder")
    write_file(path, data, mode=0o666)
