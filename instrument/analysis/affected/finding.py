"""Finds the affected tests of data files, with their records and the git repository of a folder.

Paths of data come in, and the name of a commit. A Verdict goes out. If the effect of the changes is not known, the
verdict is that all tests must run, and says why.
"""

from __future__ import annotations

from typing import NamedTuple

from instrument.analysis.affected.project import Project
from instrument.analysis.affected.recorded_runs import read_all
from instrument.analysis.affected.verdict import Verdict
from instrument.analysis.contexts.names import context_of
from instrument.analysis.revisions.git import Repository
from instrument.errors import DataError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from instrument.analysis.patterns import FilePatterns
    from instrument.data.query import StoredMeasurement


class Finding(NamedTuple):
    """A verdict, the commits that the counts were saved at, and the options of pytest of each test run then."""

    verdict: Verdict
    commits: list[str]
    options: list[dict[str, str]]


def find_affected(stored: StoredMeasurement, folder: str, base: str, ignored: FilePatterns) -> Finding:
    """Return the tests in *stored* that changes affect, in the git repository of *folder*.

    The changes are those since the counts were saved and, unless it is empty, since the commit *base*. Files that
    *ignored* does not match play no role. Raise DataError if there is no commit *base*.
    """
    try:
        repository = Repository(folder)
    except DataError as error:
        if base:
            raise
        return Finding(_all(stored, f"{error}"), [], [])
    base = repository.commit(base) if base else ""
    try:
        runs = read_all(stored.paths)
        if not runs:
            reason = "the data have no record of a test run; save one by `pytest --instrument --instrument-contexts`"
            return Finding(_all(stored, reason), [], [])
        for run in runs:
            if run.state.commit:
                repository.commit(run.state.commit)
        project = Project(stored, runs, repository, base=base, ignored=ignored, data_folders=stored.paths)
        verdict = project.verdict()
    except DataError as error:
        return Finding(_all(stored, f"{error}"), [], [])
    commits = list(dict.fromkeys(run.state.commit for run in runs if run.state.commit))
    return Finding(verdict, commits, [run.options for run in runs])


def _all(stored: StoredMeasurement, reason: str) -> Verdict:
    """Return the verdict that all tests must run for this *reason*."""
    tests = {context.name for context in map(context_of, stored.contexts().names()) if context.is_test}
    return Verdict(sorted(tests), {}, {}, [reason])
