"""Writes the counts as an LCOV tracefile: see `report.exports.lcov`."""

from __future__ import annotations

from instrument.commands.exports import _base
from instrument.report.exports import lcov

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command to *parser*."""
    _base.add_arguments(parser, "lcov.info")
    _base.add_unit(parser)
    parser.add_argument(
        "--function-ends", action="store_true", help="write the last line of each function, too, for lcov 2"
    )


def execute(options: argparse.Namespace) -> int:
    """Write the tracefile that *options* describe, and return the exit status."""
    files = _base.exported(options)
    _base.write_lines(lcov.write(files, with_ends=options.function_ends), options.output)
    _base.say_written(options.output, len(files.files), files.unit)
    return 0
