"""The parts that the commands of this folder share: their options, the search for the counts, and the output.

Data files and folders of them come in. A file goes out, complete or not at all, or text on standard output. Messages go
to standard error.
"""

from __future__ import annotations

import os
import sys

from instrument.analysis.analysis import Analysis
from instrument.commands._data_options import (
    add_paths,
    add_patterns,
    paths_of,
    patterns_in_words,
    patterns_of,
    positive,
    say_incomplete,
    say_unmatched,
)
from instrument.data.query import StoredMeasurement
from instrument.errors import DataError
from instrument.guest.atomic_files import replace_file, write_all
from instrument.model.measurement import GREATEST_COUNT
from instrument.report import remarks
from instrument.report.exports.numbers import UNITS, Exported
from instrument.report.text import ProgressBar, number_of, say, shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterable

#: As FILE, standard output.
STANDARD_OUTPUT = "-"

#: No file with such a name is overwritten.
_SOURCE_SUFFIXES = (".py", ".pyi", ".pyw")

#: Bytes that are collected before they are written.
_SIZE_OF_WRITES = 1 << 16


def add_arguments(parser: argparse.ArgumentParser, default: str, *, has_counts: bool = True) -> None:
    """Add the arguments that these commands have to *parser*; *default* is the name of the file to write.

    A format without counts (*has_counts* False) has no argument for these.
    """
    add_paths(parser)
    parser.add_argument(
        "-o",
        "--output",
        metavar="FILE",
        default=default,
        help="write to this file; - is standard output (default: %(default)s)",
    )
    add_patterns(parser)
    parser.add_argument("--only-imported", action="store_true", help="leave out files that were never imported")
    parser.set_defaults(max_count=GREATEST_COUNT, unit=None)
    if has_counts:
        parser.add_argument(
            "--max-count",
            metavar="N",
            type=positive,
            help="write N in place of larger counts, for tools that fail on these, such as 2147483647",
        )


def add_unit(parser: argparse.ArgumentParser) -> None:
    """Add the argument that chooses the unit of counts to *parser*."""
    parser.add_argument(
        "--unit",
        choices=UNITS,
        help="count line events, as trace does, or executions of statements (default: executions, if they are known)",
    )


def analysis_of(options: argparse.Namespace) -> Analysis:
    """Return the analysis of the data that *options* name; raise DataError if there is nothing to write.

    Say on standard error which data, which sources and which patterns have no effect.
    """
    with stored_of(options) as stored:
        return analysis_in(stored, options)


def stored_of(options: argparse.Namespace) -> StoredMeasurement:
    """Return the measurement in the data that *options* name, for a `with` statement."""
    return StoredMeasurement(paths_of(options), ProgressBar("Reading"))


def analysis_in(stored: StoredMeasurement, options: argparse.Namespace) -> Analysis:
    """Return the analysis of *stored*, within its `with` statement: see `analysis_of`."""
    patterns = patterns_of(options)
    say_incomplete(stored)
    analysis = Analysis(stored, patterns)
    if not options.only_imported:
        analysis.add_never_imported()
    say_unmatched(patterns, analysis.paths)
    say(remarks.not_measured(analysis.not_measured), sys.stderr)
    say(remarks.of_analysis(analysis), sys.stderr)
    if not analysis.files:
        raise DataError(f"there is nothing to write: the data have no counted file{patterns_in_words(options)}")
    return analysis


def exported(options: argparse.Namespace) -> Exported:
    """Return the numbers of the files that *options* choose, in the unit of *options*.

    Name the sources that are left out on standard error; raise DataError if none remains.
    """
    files = Exported(analysis_of(options).files, options.unit, options.max_count)
    say(remarks.stale_sources(files.left_out), sys.stderr)
    if not files.files:
        raise DataError(
            "there is nothing to write: no source file is the version that was measured, as the lines above say; "
            "run the program again with the present sources"
        )
    return files


def write_lines(lines: Iterable[str], path: str) -> None:
    """Write *lines* to the file at *path*, or to standard output: see `write_chunks`."""
    write_chunks((f"{line}\n".encode() for line in lines), path)


def write_chunks(chunks: Iterable[bytes], path: str) -> None:
    """Make *chunks* the content of the file at *path*, or write them to standard output if *path* is `-`.

    Raise DataError if the file cannot be written; it is unchanged then.
    """
    if path == STANDARD_OUTPUT:
        sys.stdout.flush()
        for block in _blocks(chunks):
            sys.stdout.buffer.write(block)
        sys.stdout.buffer.flush()
        return

    def write(descriptor: int, _path: str) -> None:
        for block in _blocks(chunks):
            write_all(descriptor, block)

    replace(path, write)


def replace(path: str, write: Callable[[int, str], object]) -> None:
    """Make the file that *write* fills the file at *path*: see `replace_file`. Raise DataError if that fails.

    Raise it, too, if *path* names Python source: a user may have left out FILE in `-o FILE shop.py`.
    """
    if path.endswith(_SOURCE_SUFFIXES):
        raise DataError(f"{path!r} is not written: its name is that of Python source; name another file with --output")
    if os.path.exists(path) and not os.path.isfile(path):
        kind = "a folder" if os.path.isdir(path) else "no regular file"
        raise DataError(
            f"{path!r} cannot be written: it is {kind}; name a file with --output, or - for standard output"
        )
    try:
        replace_file(path, write, mode=0o666)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise DataError(f"{path!r} cannot be written: {reason}; name another file with --output") from error


def _blocks(chunks: Iterable[bytes]) -> Iterable[bytes]:
    """Yield *chunks*, many of them in one."""
    block = bytearray()
    for chunk in chunks:
        block += chunk
        if len(block) >= _SIZE_OF_WRITES:
            yield bytes(block)
            block.clear()
    yield bytes(block)


def say_written(path: str, n_files: int, content: str) -> None:
    """Say on standard error that *content* of *n_files* source files was written to *path*."""
    if path != STANDARD_OUTPUT:
        say([f"{shown(path)} written: {content} of {number_of(n_files, 'file')}"], sys.stderr)
