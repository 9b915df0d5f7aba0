"""Repository: commits and files of a git repository, by the command `git`, which must be installed.

A folder and names of revisions come in; commits, paths and texts go out. Nothing in the repository is changed.
"""

from __future__ import annotations

import os
import re
import subprocess

from instrument.errors import DataError, NoRepositoryError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

#: The id of a commit, in full.
ID = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")
#: How many characters of an id a message shows.
SHORT = 10
#: The mode of a submodule in the output of git, and the end of the names of folders.
_SUBMODULE = b"160000"
_FOLDER = "/"
#: Seconds. git waits for no input, but it may wait for a network file system.
_TIMEOUT = 120


class Repository:
    """The git repository that *folder* is in. `root` is the absolute path of its working tree.

    Paths are relative to the root. Raise NoRepositoryError if there is none, or if git is not installed.
    """

    def __init__(self, folder: str = os.curdir) -> None:
        self.root = os.path.abspath(folder)
        self.root = os.path.realpath(self._text("rev-parse", "--show-toplevel").rstrip("\n"))

    def commit_of(self, revision: str) -> str | None:
        """Return the id of the commit that *revision* names, such as a branch; None if it names none."""
        done = self._git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
        text = os.fsdecode(done.stdout).strip()
        return text if done.returncode == 0 and ID.fullmatch(text) else None

    def commit(self, revision: str) -> str:
        """Return the id of the commit that *revision* names; raise DataError if it names none."""
        commit = self.commit_of(revision)
        if commit is None:
            raise DataError(f"git knows no commit {revision!r} in {self.root!r}; a shallow clone has only some")
        return commit

    def title_of(self, commit: str) -> str:
        """Return the first line of the message of *commit*, an empty text if the repository lacks the commit."""
        done = self._git("log", "-1", "--format=%s", "--end-of-options", commit, "--")
        return os.fsdecode(done.stdout).strip() if done.returncode == 0 else ""

    def history_of(self, commit: str) -> Iterator[str]:
        """Yield *commit*, and then each commit that it follows from, from the latest to the first."""
        yield from self._text("rev-list", "--end-of-options", commit, "--").split()

    def tracked(self) -> set[str]:
        """Return the files in the index of git."""
        return self._paths("ls-files")

    def untracked(self) -> set[str]:
        """Return the files that git does not know and does not ignore. A repository in this one ends with a slash."""
        return self._paths("ls-files", "--others", "--exclude-standard")

    def changed_since(self, commit: str) -> set[str]:
        """Return the files that differ from *commit*: changed, new or removed, committed or not.

        Untracked files are among them. A submodule ends with a slash.
        """
        output = self._output("diff", "--raw", "--no-renames", "--ignore-submodules=none", "-z", commit, "--")
        fields = output.split(b"\0")
        changed = {
            os.fsdecode(path) + (_FOLDER if _SUBMODULE in description else "")
            for description, path in zip(fields[::2], fields[1::2])
        }
        return changed | self.untracked()

    def text(self, commit: str, path: str) -> bytes | None:
        """Return the content of the file *path* in *commit*, as a checkout writes it; None if it is not there."""
        done = self._git("cat-file", "--filters", f"{commit}:{path}")
        return done.stdout if done.returncode == 0 else None

    def _paths(self, *arguments: str) -> set[str]:
        """Return the paths that git prints if it is called with *arguments*."""
        return {path for path in self._text(*arguments, "-z").split("\0") if path}

    def _text(self, *arguments: str) -> str:
        return os.fsdecode(self._output(*arguments))

    def _output(self, *arguments: str) -> bytes:
        """Return the output of git, called with *arguments*; raise NoRepositoryError if git fails."""
        done = self._git(*arguments)
        if done.returncode:
            words = os.fsdecode(done.stderr).strip().splitlines() or [f"exit status {done.returncode}"]
            raise NoRepositoryError(f"git cannot read {self.root!r}: {words[0]}")
        return done.stdout

    def _git(self, *arguments: str) -> subprocess.CompletedProcess[bytes]:
        try:
            return subprocess.run(
                ["git", "-C", self.root, *arguments],
                env={**os.environ, "GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=_TIMEOUT,
                check=False,
            )
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else None
            raise NoRepositoryError(f"git cannot be started: {reason or error}; install it") from error
        except subprocess.TimeoutExpired:
            raise NoRepositoryError(f"git has not answered for {_TIMEOUT} seconds") from None
