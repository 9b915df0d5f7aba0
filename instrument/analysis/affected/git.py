"""Repository: the files of a git repository that have changed since a commit, and texts of files in a commit.

A folder in a working tree, and names of commits come in. Paths from the top of the working tree go out. The program
`git` is called. DataError says why it gives no answer.
"""

from __future__ import annotations

import os
from subprocess import DEVNULL, TimeoutExpired, run

from instrument.errors import DataError

#: The mode of a submodule, and the end of the names of folders.
_SUBMODULE = "160000"
_ONLY_LISTED = "/"
#: Seconds. git waits for no input, but it may wait for a network file system.
_TIMEOUT = 120


class Repository:
    """The git repository whose working tree has the folder *folder*. Raise DataError if there is none."""

    def __init__(self, folder: str) -> None:
        self.root = folder
        self.root = os.fsdecode(self._call("rev-parse", "--show-toplevel").rstrip(b"\n"))

    def commit(self, name: str) -> str:
        """Return the full name of the commit *name*; raise DataError if there is no such commit."""
        try:
            return (
                self._call("rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")
                .decode()
                .strip()
            )
        except DataError:
            raise DataError(f"git knows no commit {name!r} in {self.root!r}; a shallow clone has only some") from None

    def changed_since(self, commit: str) -> set[str]:
        """Return the paths of files that differ from *commit*: changed, new or removed, committed or not.

        A folder ends with a slash: a submodule, or a repository within this one. Files that git ignores are left out.
        """
        fields = self._call("diff", "--raw", "--no-renames", "--ignore-submodules=none", "-z", commit, "--").split(
            b"\0"
        )
        changed = set()
        for description, path in zip(fields[::2], fields[1::2]):
            is_submodule = _SUBMODULE in description.decode("ascii", "replace")
            changed.add(os.fsdecode(path) + (_ONLY_LISTED if is_submodule else ""))
        return changed | self.untracked()

    def untracked(self) -> set[str]:
        """Return the paths of files that git does not know and does not ignore."""
        return {
            os.fsdecode(path)
            for path in self._call("ls-files", "--others", "--exclude-standard", "-z").split(b"\0")
            if path
        }

    def tracked(self) -> set[str]:
        """Return the paths of files that git knows."""
        return {os.fsdecode(path) for path in self._call("ls-files", "-z").split(b"\0") if path}

    def text(self, commit: str, path: str) -> bytes | None:
        """Return the content of the file *path* in *commit*, as a checkout writes it; None if it is not there."""
        try:
            return self._call("cat-file", "--filters", f"{commit}:{path}")
        except DataError:
            return None

    def _call(self, *arguments: str) -> bytes:
        environment = {**os.environ, "GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"}
        try:
            finished = run(
                ["git", *arguments],
                cwd=self.root,
                env=environment,
                stdin=DEVNULL,
                capture_output=True,
                timeout=_TIMEOUT,
                check=False,
            )
        except FileNotFoundError:
            raise DataError("the program git is not installed, or its folder is not in PATH") from None
        except (OSError, ValueError) as error:
            raise DataError(f"git cannot be run: {error}") from None
        except TimeoutExpired:
            raise DataError(f"git has not answered for {_TIMEOUT} seconds") from None
        if finished.returncode:
            lines = finished.stderr.decode("utf-8", "replace").strip().splitlines()
            raise DataError(
                f"git {arguments[0]} has failed in {self.root!r}: {lines[-1] if lines else 'without a reason'}"
            )
        return finished.stdout
