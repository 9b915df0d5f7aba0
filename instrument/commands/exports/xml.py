"""Writes the counts as Cobertura XML: see `report.exports.cobertura`."""

from __future__ import annotations

import os
import sys

from instrument.commands._data_options import positive
from instrument.commands.exports import _base
from instrument.report.exports import cobertura
from instrument.report.text import say, shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command to *parser*."""
    _base.add_arguments(parser, "coverage.xml")
    _base.add_unit(parser)
    parser.add_argument(
        "--max-size",
        metavar="BYTES",
        type=positive,
        default=cobertura.LIMIT,
        help="split larger documents into coverage.xml, coverage-2.xml and so on (default: %(default)s, as GitLab)",
    )


def execute(options: argparse.Namespace) -> int:
    """Write the documents that *options* describe, and return the exit status.

    On standard output they are one document, of any size.
    """
    files = _base.exported(options)
    if options.output == _base.STANDARD_OUTPUT:
        _base.write_chunks(cobertura.write(files, sys.maxsize), options.output)
        return 0
    paths = []
    for number, document in enumerate(cobertura.write(files, options.max_size), 1):
        paths.append(_numbered(options.output, number))
        _base.write_chunks([document], paths[-1])
    _base.say_written(", ".join(paths), len(files.files), files.unit)
    number = len(paths)
    while os.path.lexists(later := _numbered(options.output, number := number + 1)):
        say([f"{shown(later)} is of an earlier export, and is not part of this one: remove it"], sys.stderr)
    return 0


def _numbered(path: str, number: int) -> str:
    """Return the path of the document *number*, from 1 on; the first has the path *path*."""
    root, extension = os.path.splitext(path)
    return path if number == 1 else f"{root}-{number}{extension}"
