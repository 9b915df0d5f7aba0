"""Answers questions about a git repository by the command `git`, which must be installed.

A folder and names of revisions come in; commits and paths go out. Nothing in the repository is changed.
"""

from __future__ import annotations

import os
import re
import subprocess

from instrument.errors import NoRepositoryError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

#: The id of a commit, in full.
ID = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")
#: How many characters of an id a message shows.
SHORT = 10


class Repository:
    """The git repository that *folder* is in. `root` is the absolute path of its working tree.

    Raise NoRepositoryError if there is none, or if git is not installed.
    """

    def __init__(self, folder: str = os.curdir) -> None:
        self._folder = folder
        self.root = os.path.realpath(self._output("rev-parse", "--show-toplevel").rstrip("\n"))

    def commit_of(self, revision: str) -> str | None:
        """Return the id of the commit that *revision* names, such as a branch; None if it names none."""
        done = self._git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
        text = os.fsdecode(done.stdout).strip()
        return text if done.returncode == 0 and ID.fullmatch(text) else None

    def title_of(self, commit: str) -> str:
        """Return the first line of the message of *commit*, an empty text if the repository lacks the commit."""
        done = self._git("log", "-1", "--format=%s", "--end-of-options", commit, "--")
        return os.fsdecode(done.stdout).strip() if done.returncode == 0 else ""

    def history_of(self, commit: str) -> Iterator[str]:
        """Yield *commit*, and then each commit that it follows from, from the latest to the first."""
        yield from self._output("rev-list", "--end-of-options", commit, "--").split()

    def files(self) -> Files:
        """Return the Files of the working tree."""
        return Files(
            self._paths("ls-files", "--full-name"),
            self._paths("diff", "--name-only", "--no-ext-diff", "--no-textconv", "HEAD"),
            self._paths("ls-files", "--full-name", "--others", "--exclude-standard"),
        )

    def _paths(self, *arguments: str) -> set[str]:
        """Return the paths, relative to the root, that git prints if it is called with *arguments*."""
        command, *more = arguments
        return {path for path in self._output(command, "-z", *more, folder=self.root).split("\0") if path}

    def _output(self, *arguments: str, folder: str | None = None) -> str:
        """Return the output of git, called with *arguments*; raise NoRepositoryError if git fails."""
        done = self._git(*arguments, folder=folder)
        if done.returncode:
            words = os.fsdecode(done.stderr).strip().splitlines() or [f"exit status {done.returncode}"]
            raise NoRepositoryError(f"git cannot read {folder or os.path.abspath(self._folder)!r}: {words[0]}")
        return os.fsdecode(done.stdout)

    def _git(self, *arguments: str, folder: str | None = None) -> subprocess.CompletedProcess[bytes]:
        try:
            return subprocess.run(
                ["git", "-C", folder or self._folder, *arguments],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                check=False,
            )
        except OSError as error:
            raise NoRepositoryError(f"git cannot be started: {error.strerror or error}; install it") from error


class Files:
    """The files of a working tree, by paths relative to its root.

    - `tracked`: the files in the index of git.
    - `changed`: the tracked files that differ from the commit HEAD.
    - `untracked`: the other files, without ignored ones.
    """

    def __init__(self, tracked: set[str], changed: set[str], untracked: set[str]) -> None:
        self.tracked = tracked
        self.changed = changed
        self.untracked = untracked
