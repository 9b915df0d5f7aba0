"""Writes all that is known as JSON: see `report.exports.json_export`."""

from __future__ import annotations

from instrument.commands.exports import _base
from instrument.report.exports import json_export

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command to *parser*."""
    _base.add_arguments(parser, "instrument.json")
    parser.add_argument("--schema", action="store_true", help="print the JSON Schema of the documents, and no counts")


def execute(options: argparse.Namespace) -> int:
    """Write the document that *options* describe, or the schema, and return the exit status."""
    if options.schema:
        print(json_export.schema_text(), end="")
        return 0
    analysis = _base.analysis_of(options)
    _base.write_chunks(json_export.write(analysis, options.max_count), options.output)
    _base.say_written(options.output, len(analysis.files), "all that is known")
    return 0
