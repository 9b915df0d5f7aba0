"""Remove the data files in a folder.

Folders, and data files, come in. Only files that begin as ours do are removed, and of these not what may still be
written: a running process counts on, and would bring back with its next flush all that it has counted so far. With
`--force` they are removed all the same.
"""

from __future__ import annotations

import contextlib
import os
import sys

from instrument.commands.report import add_paths, paths_of
from instrument.data.combining import Combination, data_files
from instrument.data.querying import default_directory
from instrument.data.reading import Scratch, is_ours
from instrument.report.tables import number_of, say, shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command to *parser*."""
    add_paths(parser)
    parser.add_argument("--force", action="store_true", help="also remove data of processes that may be running")


def execute(options: argparse.Namespace) -> int:
    """Do what *options* ask for; return the exit status."""
    named = paths_of(options)
    return _erase(named or [default_directory()], is_named=bool(named), force=options.force)


def begin_anew(directory: str) -> None:
    """Remove the data in *directory*, if there is any, but for that of processes that may still be running."""
    if os.path.isdir(directory):
        how = "reports still add them; `instrument erase --force` removes them, too"
        _erase([directory], is_named=True, force=False, how_to_force=how)


def _erase(paths: list[str], *, is_named: bool, force: bool, how_to_force: str = "--force removes them, too") -> int:
    """Remove the data files that *paths* name; return the exit status.

    *how_to_force* says how to remove also what is kept, of processes that may still be running.
    """
    files, missing = data_files(paths)
    removed = running = failed = 0
    for path, reason in missing:
        # Without the usual folder there is nothing to remove.
        if is_named or os.path.lexists(path):
            failed += 1
            say([f"{path!r} cannot be read: {reason}"], sys.stderr)
    with Scratch() as scratch, Combination(os.path.join(scratch, "sum.sqlite"), scratch) as combination:
        for path in files:
            try:
                if not _is_ours(path):
                    failed += path in paths  # the user named it
                    say([f"{path!r} is left as it is: it is no data file of instrument"], sys.stderr)
                elif not force and combination.may_be_written(path):
                    running += 1
                else:
                    os.unlink(path)
                    removed += 1
                    with contextlib.suppress(OSError):
                        os.unlink(path + "-journal")
            except FileNotFoundError:
                pass  # somebody else removed it
            except _UnreadableError as error:
                failed += 1
                say([f"{path!r} is left as it is: it cannot be read: {error}"], sys.stderr)
            except OSError as error:
                failed += 1
                say([f"{path!r} cannot be removed: {error.strerror or error}"], sys.stderr)
    kept = f"; {running} of processes that may still be running are kept ({how_to_force})" if running else ""
    say([f"{number_of(removed, 'data file')} removed from {', '.join(map(shown, paths))}{kept}"], sys.stderr)
    return 1 if failed else 0


class _UnreadableError(Exception):
    """A file cannot be read, so nobody knows whether it is a data file."""


def _is_ours(path: str) -> bool:
    """Return whether the file at *path* is a data file; raise _UnreadableError if it cannot be read."""
    try:
        return is_ours(path)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise _UnreadableError(error.strerror or f"{error}") from error
