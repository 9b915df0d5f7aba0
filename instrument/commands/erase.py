"""Removes data files.

Input: data folders and data files. Output: the data files are removed; files of other formats stay. Without `--force`
the data of processes that may still run stays, too. Their next flush would write all their counts again.
"""

from __future__ import annotations

import contextlib
import os
import re
import sys
import time

from instrument.config import read_directory
from instrument.data.data_files import data_files, is_of_ended_process, is_ours, records_in
from instrument.plans.plan_folder import FOLDER

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

#: Names of plan files, and of temporary ones.
_OF_PLANS = re.compile(r"\.?[0-9a-f]{40}(-[0-9a-f]+)?\.(plan|tmp)")
# Seconds. A process that is about to write its data file has used its plan files a moment before.
_YOUNG = 60.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command to *parser*."""
    from instrument.commands._data_options import add_paths

    add_paths(parser)
    parser.add_argument("--force", action="store_true", help="also remove the data of processes that may still run")


def execute(options: argparse.Namespace) -> int:
    """Remove the data files that *options* name; return 1 if one cannot be removed, else 0."""
    from instrument.commands._data_options import paths_of

    paths = paths_of(options)
    return _erase(paths or [read_directory()], is_named=bool(paths), force=options.force)


def begin_anew(directory: str, *, is_quiet: bool = False) -> None:
    """Remove the data files in *directory*, except those of processes that may still run.

    Say how many were removed. If *is_quiet*, say so only if some are kept.
    """
    if os.path.isdir(directory):
        hint = "reports include them; `instrument erase --force` also removes them"
        _erase([directory], is_named=True, force=False, hint=hint, is_quiet=is_quiet)


def _erase(
    paths: list[str],
    *,
    is_named: bool,
    force: bool,
    hint: str = "--force also removes them",
    is_quiet: bool = False,
) -> int:
    """Remove the data files at *paths*; return 1 if one cannot be removed, else 0.

    *is_named* says that the user named the paths. *hint* says how to remove files of processes that may still run.
    If *is_quiet*, say how many were removed only if such files are kept.
    """
    files, missing = data_files(paths)
    n_removed = n_running = n_failed = 0
    for path, reason in missing:
        # If the default folder does not exist, there is nothing to remove.
        if is_named or os.path.lexists(path):
            n_failed += 1
            _say(f"{path!r} cannot be read: {reason}")
    may_be_written = {} if force else _may_be_written(files)
    for path in files:
        try:
            if not _is_data_file(path):
                n_failed += path in paths  # the user named this file
                _say(f"{path!r} is left as it is: it is no data file of instrument")
            elif may_be_written.get(path):
                n_running += 1
            else:
                os.unlink(path)
                n_removed += 1
                with contextlib.suppress(OSError):
                    os.unlink(path + "-journal")
        except FileNotFoundError:
            pass  # another process removed it
        except _UnreadableError as error:
            n_failed += 1
            _say(f"{path!r} is left as it is: it cannot be read: {error}")
        except OSError as error:
            n_failed += 1
            _say(f"{path!r} cannot be removed: {error.strerror or error}")
    for path in paths:
        _remove_records(path)
        _remove_unneeded_plans(path)
    note = f"; {n_running} of processes that may still be running are kept ({hint})" if n_running else ""
    if note or not is_quiet:
        from instrument.report.text import number_of, shown

        _say(f"{number_of(n_removed, 'data file')} removed from {', '.join(map(shown, paths))}{note}")
    return 1 if n_failed else 0


def _say(message: str) -> None:
    """Print *message* on standard error."""
    from instrument.report.text import say

    say([message], sys.stderr)


def _may_be_written(files: list[str]) -> dict[str, bool]:
    """Return whether the process of a data file may still run, for each of *files* whose name does not tell."""
    uncertain = [path for path in files if not is_of_ended_process(path)]
    if not uncertain:  # so after most runs, and then SQLite need not be loaded
        return {}
    from instrument.data.merge import Merge
    from instrument.data.scratch import Scratch

    with Scratch() as scratch, Merge(os.path.join(scratch, "sum.sqlite"), scratch) as merge:
        return {path: merge.may_be_written(path) for path in uncertain if _begins_like_data(path)}


def _begins_like_data(path: str) -> bool:
    """Return whether *path* is a data file that can be read."""
    try:
        return is_ours(path)
    except OSError:
        return False


def _remove_records(folder: str) -> None:
    """Remove the records of test runs in the data folder *folder*: their counts are removed, in whole or in part."""
    for name in records_in(folder):
        with contextlib.suppress(OSError):
            os.unlink(os.path.join(folder, name))


def _remove_unneeded_plans(folder: str) -> None:
    """Remove the plan files in the data folder *folder* if no data file is left in it, except young ones."""
    plans = os.path.join(folder, FOLDER)
    files, missing = data_files([folder])
    if files or missing or os.path.islink(plans):
        return
    with contextlib.suppress(OSError):
        for name in os.listdir(plans):
            path = os.path.join(plans, name)
            if _OF_PLANS.fullmatch(name) and os.lstat(path).st_mtime < time.time() - _YOUNG:
                os.unlink(path)
        os.rmdir(plans)


class _UnreadableError(Exception):
    """A file cannot be read, so it may or may not be a data file."""


def _is_data_file(path: str) -> bool:
    """Return whether the file at *path* is a data file. Raise _UnreadableError if it cannot be read."""
    try:
        return is_ours(path)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise _UnreadableError(error.strerror or f"{error}") from error
