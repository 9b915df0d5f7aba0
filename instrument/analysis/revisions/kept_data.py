"""The folder with the kept data of git revisions: one data file for each commit.

The folder is called `revisions` and is in the data folder. Commands that read or remove data read no folder in it, so
kept data stay when other data are removed.
"""

from __future__ import annotations

import contextlib
import os
from typing import NamedTuple

from instrument.analysis.revisions.git import ID
from instrument.data.schema import SUFFIX

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

FOLDER = "revisions"
#: A shorter part of an id is no name of a commit.
_SHORTEST = 7


class Kept(NamedTuple):
    """The kept data of a *commit*: the *path* of the file, its *size* in bytes, and the *moment* when it was kept."""

    commit: str
    path: str
    size: int
    moment: float


class KeptData:
    """The kept data in the data folder *directory*."""

    def __init__(self, directory: str) -> None:
        self.folder = os.path.join(directory, FOLDER)

    def path_of(self, commit: str) -> str:
        """Return the path of the data file of *commit*, whether there is one or not."""
        return os.path.join(self.folder, f"{commit}{SUFFIX}")

    def all(self) -> list[Kept]:
        """Return the kept data of each commit, the latest first."""
        found = []
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            for name in os.listdir(self.folder):
                commit, path = name.removesuffix(SUFFIX), os.path.join(self.folder, name)
                if name.endswith(SUFFIX) and ID.fullmatch(commit):
                    with contextlib.suppress(FileNotFoundError):
                        status = os.stat(path)
                        found.append(Kept(commit, path, status.st_size, status.st_mtime))
        return sorted(found, key=lambda kept: (-kept.moment, kept.commit))

    def commit_of(self, text: str) -> str | None:
        """Return the one commit with kept data whose id begins with *text*, of 7 characters or more; None without."""
        if len(text) < _SHORTEST:
            return None
        found = [kept.commit for kept in self.all() if kept.commit.startswith(text.lower())]
        return found[0] if len(found) == 1 else None

    def first_of(self, commits: Iterable[str]) -> str | None:
        """Return the first of *commits* that has kept data; None if none has."""
        known = {kept.commit for kept in self.all()}
        return next((commit for commit in commits if commit in known), None) if known else None

    def remove(self, commit: str) -> None:
        """Remove the data of *commit*; raise OSError if there are none, or if the file cannot be removed."""
        os.unlink(self.path_of(commit))
        with contextlib.suppress(OSError):
            os.rmdir(self.folder)  # it stays unless it is empty
