"""Finds the data of the runs that `instrument gate` compares: files, folders, and revisions of git with kept data.

The texts of the command line come in; Runs go out (`analysis.gate.runs`).
"""

from __future__ import annotations

import os
import sys

from instrument.analysis.affected.recorded_runs import read_all
from instrument.analysis.gate.runs import Run
from instrument.analysis.revisions.git import SHORT, Repository
from instrument.analysis.revisions.kept_data import KeptData
from instrument.commands._data_options import say_incomplete
from instrument.data.data_files import data_files
from instrument.data.query import StoredMeasurement
from instrument.errors import DataError, NoRepositoryError
from instrument.report.text import ProgressBar, number_of, say, shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from instrument.analysis.patterns import FilePatterns

#: The most commits that a message names.
_MOST_NAMED = 5
#: Fewer runs are not added up.
_FEWEST_ADDED = 2
_HOW_TO_KEEP = "check it out, run its tests by `pytest --instrument --instrument-contexts`, and say `instrument keep`"


class Sources:
    """Finds data: at paths, or among the kept data in the data folder *directory*.

    If *takes_nearest*, a revision without kept data stands for the latest commit before it that has some.
    """

    def __init__(self, directory: str, *, takes_nearest: bool) -> None:
        self._directory = directory
        self._kept = KeptData(directory)
        self._takes_nearest = takes_nearest

    def find(self, text: str, name: str) -> tuple[str, str]:
        """Return the path of the data that *text* names, and a note about it for the reader, often an empty text.

        *text* is a path, or a revision with kept data. If it is both, the path is taken if it has data. *name* is BASE
        or HEAD. Raise DataError if there are no data.
        """
        repository = None
        try:
            repository = Repository()
            commit = repository.commit_of(text)
            reason = f"git knows no revision {text!r}"
        except NoRepositoryError as error:
            commit, reason = None, f"{error}"
        if os.path.lexists(text):
            if commit is None:
                return text, ""
            both = f"{name}: {text!r} is a path and a revision of git"
            if data_files([text])[0]:
                return text, f"{both}; the data at the path are compared. {text}~0 names the revision"
            try:
                path, note = self._of_commit(text, commit, repository, name)
            except DataError as error:
                raise DataError(f"{error}. {both}, and the path has no data") from error
            taken = f"{both}, and the path has no data; those of the revision are compared"
            return path, f"{taken}. {note}" if note else taken
        commit = commit or self._kept.commit_of(text)
        if commit is None:
            raise DataError(
                f"{name}: there are no data at {text!r}, and {reason}; name a data file, a folder of data files, or a "
                "revision whose data `instrument keep` has kept"
            )
        return self._of_commit(text, commit, repository, name)

    def _of_commit(self, text: str, commit: str, repository: Repository | None, name: str) -> tuple[str, str]:
        """Return the path of the kept data of *commit*, named *text*, and a note; raise DataError without data."""
        if os.path.lexists(path := self._kept.path_of(commit)):
            return path, ""
        earlier = None
        if repository is not None:
            earlier = self._kept.first_of(repository.history_of(commit))
        if earlier is None or not self._takes_nearest:
            raise DataError(f"{name}: no data are kept of {_named(text, commit)}{self._way_out(earlier)}")
        title = repository.title_of(earlier) if repository is not None else ""
        return self._kept.path_of(earlier), (
            f"{name}: no data are kept of {_named(text, commit)}; the data are those of the commit {earlier[:SHORT]} "
            f"before it ({shown(title)})"
        )

    def _way_out(self, earlier: str | None) -> str:
        """Return the end of the message about a revision without kept data; *earlier* is a commit before it."""
        kept = [each.commit[:SHORT] for each in self._kept.all()]
        others = f" and {len(kept) - _MOST_NAMED} more" if len(kept) > _MOST_NAMED else ""
        of = f"data are kept of {', '.join(kept[:_MOST_NAMED])}{others}" if kept else "none are kept of any revision"
        nearest = (
            f"--nearest takes those of {earlier[:SHORT]}, which is before it. Or " if earlier else "To make some, "
        )
        return f" in {self._kept.folder!r}; {of}. {nearest}{_HOW_TO_KEEP}"


def _named(text: str, commit: str) -> str:
    """Return the revision *text* for messages, with the id of its *commit*."""
    return text if commit.startswith(text) else f"{text} ({commit[:SHORT]})"


def read_run(path: str, name: str, patterns: FilePatterns, note: str = "") -> Run:
    """Return the run in the data at *path*, with a *note* for the reader; raise DataError if there are no data.

    *name* is the name of the run in messages.
    """
    if not os.path.lexists(path):
        raise DataError(f"{name}: there are no data at {path!r}; name a data file, or a folder of data files")
    with StoredMeasurement([path], ProgressBar(f"Reading {name}")) as stored:
        say_incomplete(stored)
        run = Run(stored, patterns, name)
    if note:
        run.gaps.insert(0, note)
    say_if_added_up([path], name)
    return run


def say_if_added_up(paths: Sequence[str], name: str = "") -> None:
    """Say on standard error if the folders among *paths* have the counts of several test runs, added up.

    `pytest --instrument-affected` adds up, and so does `--instrument-append`. *name* is that of the run in messages.
    """
    try:
        records = read_all(path for path in paths if os.path.isdir(path))
    except DataError:  # without a record, it is not known which tests ran
        return
    if len(records) < _FEWEST_ADDED:
        return
    n_all, n_last = len(set().union(*(record.outcomes for record in records))), len(records[-1].outcomes)
    last = f"; the last ran {n_last} of {number_of(n_all, 'test')}, as with --instrument-affected"
    text = (
        f"instrument: {name and f'{name}: '}the data have the counts of {len(records)} test runs, added up"
        f"{last if n_last < n_all else ''}. A gate needs those of one run of all tests: "
        "`pytest --instrument --instrument-contexts`"
    )
    say([text], sys.stderr)
