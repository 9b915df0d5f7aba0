"""Writes the counts as a profile in Callgrind's format: see `report.exports.callgrind`."""

from __future__ import annotations

from instrument.commands.exports import _base
from instrument.report.exports import callgrind

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command to *parser*."""
    _base.add_arguments(parser, "callgrind.out.instrument")
    _base.add_unit(parser)


def execute(options: argparse.Namespace) -> int:
    """Write the profile that *options* describe, and return the exit status."""
    files = _base.exported(options)
    _base.write_lines(callgrind.write(files), options.output)
    _base.say_written(options.output, len(files.files), files.unit)
    return 0
