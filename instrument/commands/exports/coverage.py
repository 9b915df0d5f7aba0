"""Writes the counts as a data file of coverage.py: see `report.exports.coverage_data`."""

from __future__ import annotations

import sys

from instrument.commands.exports import _base
from instrument.errors import DataError
from instrument.report.exports import coverage_data
from instrument.report.text import say

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command to *parser*."""
    # `coverage combine` finds a file of this name, and data that coverage.py itself wrote stays.
    _base.add_arguments(parser, ".coverage.instrument", has_counts=False)


def execute(options: argparse.Namespace) -> int:
    """Write the data file that *options* describe, and return the exit status."""
    if options.output == _base.STANDARD_OUTPUT:
        raise DataError("a data file of coverage.py is no text for standard output: name a file with --output")
    files = _base.exported(options)
    for path in coverage_data.unnameable(files):
        say([f"Left out: {path!r}: coverage.py stores only paths that are valid Unicode"], sys.stderr)
    _base.write_chunks([coverage_data.content(files)], options.output)
    _base.say_written(options.output, len(files.files), "arcs" if coverage_data.has_arcs(files) else "lines")
    return 0
