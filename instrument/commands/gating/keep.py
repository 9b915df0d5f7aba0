"""Keeps the data of a git revision, lists the kept data, and removes them.

Data files and folders come in. One data file goes out, in the folder `revisions` of the data folder, with the id of the
commit as its name. `instrument gate` finds it by the revision.
"""

from __future__ import annotations

import os
import sys

from instrument.analysis.revisions.git import ID, SHORT, Repository
from instrument.analysis.revisions.kept_data import KeptData
from instrument.analysis.revisions.same_sources import other_sources
from instrument.commands._data_options import add_paths, positive, say_incomplete
from instrument.commands.combine import write_sum
from instrument.commands.gating._runs import say_if_added_up
from instrument.config import read_directory
from instrument.data.query import StoredMeasurement
from instrument.errors import DataError, NoRepositoryError
from instrument.report.tables import table
from instrument.report.text import ProgressBar, date, number_of, say, shown, terminal_width

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

#: The most files that a message names.
_MOST_NAMED = 10


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command to *parser*."""
    add_paths(parser)
    parser.add_argument(
        "--as",
        dest="revision",
        metavar="REVISION",
        help="keep the data as those of this revision; the sources are not compared with it",
    )
    parser.add_argument("--most", metavar="N", type=positive, help="then remove all kept data but the latest N")
    parser.add_argument("--list", action="store_true", help="list the revisions whose data are kept, and keep nothing")
    parser.add_argument(
        "--erase",
        metavar="REVISION",
        action="append",
        default=[],
        help="remove the kept data of this revision, and keep nothing",
    )


def execute(options: argparse.Namespace) -> int:
    """Keep, list or remove data as *options* say; return the exit status."""
    directory = read_directory() if options.dir is None else options.dir
    kept = KeptData(directory)
    if options.list:
        _list(kept)
    elif options.erase:
        for commit in dict.fromkeys([_commit_with_data(kept, revision) for revision in options.erase]):
            _remove(kept, commit)
    else:
        _keep(kept, options.paths or [directory], options.revision)
    if options.most is not None:
        for each in kept.all()[options.most :]:
            _remove(kept, each.commit)
    return 0


def _keep(kept: KeptData, paths: list[str], revision: str | None) -> None:
    """Keep the data at *paths* as those of *revision*, or of the commit that is checked out.

    Raise DataError if there are no data, or if no revision is named and sources that ran are not as in the commit.
    """
    repository = Repository()
    commit = repository.commit_of("HEAD" if revision is None else revision)
    if commit is None:
        raise DataError(
            "the repository has no commit yet; commit the sources, and run the tests again"
            if revision is None
            else f"git knows no revision {revision!r}; name a branch, a tag or a commit"
        )
    if revision is None:
        with StoredMeasurement(paths, ProgressBar("Reading")) as stored:
            say_incomplete(stored)
            _check_sources(other_sources(stored.files(), repository), commit)
    say_if_added_up(paths)
    path = kept.path_of(commit)
    verb = "Replaced" if os.path.lexists(path) else "Kept"
    try:
        os.makedirs(kept.folder, mode=0o700, exist_ok=True)
        result = write_sum(paths, path, keeps_output=False)
    except OSError as error:
        raise DataError(f"{path!r} cannot be written: {error.strerror or error}") from error
    title = f" ({shown(text)})" if (text := repository.title_of(commit)) else ""
    processes = number_of(result.n_processes, "process")
    say([f"{verb} the data of {commit[:SHORT]}{title}, {processes}, in {shown(path)}"], sys.stderr)


def _check_sources(reasons: dict[str, str], commit: str) -> None:
    """Raise DataError if there are *reasons* why sources, by path, are not as in *commit*."""
    if not reasons:
        return
    first = [f"{shown(path)}: {reason}" for path, reason in sorted(reasons.items())[:_MOST_NAMED]]
    more = f"; and {len(reasons) - _MOST_NAMED} more" if len(reasons) > _MOST_NAMED else ""
    raise DataError(
        f"the data are not those of the commit {commit[:SHORT]}: {'; '.join(first)}{more}. Commit the sources and run "
        "the tests again, or name the revision by --as"
    )


def _commit_with_data(kept: KeptData, revision: str) -> str:
    """Return the commit with kept data that *revision* names; raise DataError if there is none."""
    commit = kept.commit_of(revision)
    if commit is None:
        try:
            commit = Repository().commit_of(revision)
        except NoRepositoryError:
            commit = None
    if commit is None or not os.path.lexists(kept.path_of(commit)):
        raise DataError(f"no data are kept of {revision!r}; `instrument keep --list` names the revisions")
    return commit


def _remove(kept: KeptData, commit: str) -> None:
    """Remove the kept data of *commit*, and say so; raise DataError if that is impossible."""
    try:
        kept.remove(commit)
    except OSError as error:
        raise DataError(f"{kept.path_of(commit)!r} cannot be removed: {error.strerror or error}") from error
    say([f"Removed the data of {commit[:SHORT]}"], sys.stderr)


def _list(kept: KeptData) -> None:
    """Print a table of the kept data, the latest first."""
    try:
        repository = Repository()
    except NoRepositoryError:
        repository = None
    rows = []
    for each in kept.all():
        title = repository.title_of(each.commit) if repository is not None and ID.fullmatch(each.commit) else ""
        rows.append([each.commit[:SHORT], date(each.moment, with_time=True), f"{each.size}", shown(title)])
    if not rows:
        say(
            [f"No data are kept in {shown(kept.folder)}; `instrument keep` keeps those of the current commit"],
            sys.stderr,
        )
        return
    say(table(["Commit", "Kept", "Bytes", ""], rows, None, terminal_width()))
