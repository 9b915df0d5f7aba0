"""Write each source file with the count of each line beside it, as `trace` does.

Data files, and folders of them, come in; a `.cover` listing goes out for each source that is still the version that was
measured, beside it or in a folder. A listing is complete or absent, replaces a symbolic link rather than what it points
to, and is never written outside of that folder, whatever a data file calls its sources.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
import tokenize

from instrument.analysis.sources import CURRENT
from instrument.commands.report import (
    Row,
    Rows,
    add_paths,
    add_patterns,
    name_not_measured,
    name_refused,
    name_running,
    name_stale,
    paths_of,
    why_nothing_is_left,
)
from instrument.data.querying import Totals
from instrument.errors import DataError
from instrument.report import cover_listing
from instrument.report.tables import Progress, number_of, say, shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command to *parser*."""
    add_paths(parser)
    parser.add_argument("-d", "--directory", metavar="DIR", help="write to this folder, as <package>.<module>.cover")
    add_patterns(parser)
    parser.add_argument("--only-imported", action="store_true", help="write none for files that were never imported")


def execute(options: argparse.Namespace) -> int:
    """Do what *options* ask for; return the exit status."""
    written: set[str] = set()
    failed = 0
    with Totals(paths_of(options), Progress("Reading")) as totals:
        name_refused(totals.refused)
        name_running(totals)
        found = Rows(totals, options)
        if not options.only_imported:
            found.add_never_imported(options)
        say(found.unmatched(options), sys.stderr)
        for row in found.rows:
            is_unknown = row.paths and not row.counts and not row.given_out
            if row.source.state != CURRENT or (is_unknown and row.source.has_code):
                name_stale([row.source])
                continue
            path = _place(row.path, options.directory, written)
            if options.directory is not None:
                _make(options.directory)
            try:
                _write(path, _listing(row))
                written.add(path)
            except (OSError, ValueError, SyntaxError) as error:
                failed += 1
                say([f"Cannot write {path!r}: {getattr(error, 'strerror', None) or error}"], sys.stderr)
        name_not_measured(found.reasons)
        say(found.remarks, sys.stderr)
    if not found.rows:
        raise DataError(f"there is no listing to write: nothing is left to list{why_nothing_is_left(options)}")
    if not written and not failed:
        raise DataError("there is no listing to write: no source file is the version that was measured")
    beside = "beside its source" if len(written) == 1 else "beside their sources"
    where = beside if options.directory is None else f"in {shown(options.directory)}"
    say([f"{number_of(len(written), 'listing')} written {where}"], sys.stderr)
    return 1 if failed else 0


def _make(folder: str) -> None:
    """Make the *folder* for listings, unless it is there; raise DataError if it cannot be made."""
    try:
        os.makedirs(folder, exist_ok=True)
    except OSError as error:
        reason = "it is no folder" if isinstance(error, FileExistsError) else error.strerror or error
        raise DataError(f"no listings can be written to {folder!r}: {reason}") from error


def _place(path: str, directory: str | None, taken: set[str]) -> str:
    """Return where the listing of the source at *path* goes: not where others of this run are already."""
    if directory is None:
        return os.path.join(os.path.dirname(path), cover_listing.module_name(path) + ".cover")
    try:
        relative = os.path.relpath(path)
    except (OSError, ValueError):
        relative = os.pardir
    # A name without separators, so it cannot lead out of the folder.
    name = cover_listing.full_module_name(path if relative.startswith(os.pardir) else relative)
    place, n = os.path.join(directory, f"{name}.cover"), 2
    while place in taken:
        place, n = os.path.join(directory, f"{name}~{n}.cover"), n + 1
    return place


def _listing(row: Row) -> bytes:
    """Return the listing of *row*, in the encoding of its source."""
    encoding, _lines = tokenize.detect_encoding(io.BytesIO(row.source.data).readline)
    # Lines as `linecache` reads them: universal newlines, and one at the end.
    with io.TextIOWrapper(io.BytesIO(row.source.data), encoding) as source:
        lines = source.readlines()
    if lines and not lines[-1].endswith("\n"):
        lines[-1] += "\n"
    counts = {line: count for line, (count, _first, _last) in row.counts.items()}
    data = io.BytesIO()
    with io.TextIOWrapper(data, encoding) as listing:
        cover_listing.write_listing(listing, lines, row.executable, counts)
        listing.flush()
        return data.getvalue()


def _write(path: str, data: bytes) -> None:
    """Make *data* the content of the file at *path*, or leave that as it is."""
    temporary = os.path.join(os.path.dirname(path), f".instrument-{os.urandom(8).hex()}.tmp")
    try:
        with open(temporary, "xb") as file:
            file.write(data)
        if os.path.isdir(path) and not os.path.islink(path):
            raise IsADirectoryError("it is a folder")
        os.replace(temporary, path)
    finally:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
