"""Writes the folder of a report, so that the folder has the old report or the new one, and never parts of both.

Names and contents of files come in. The files go to a new folder beside the old one, which is then exchanged. A marker
in the folder names the files of the report. A folder with other files is refused, because they may be the user's.
"""

from __future__ import annotations

import json
import os
import shutil

from instrument.errors import DataError

#: The file that marks the folder of a report. It has the names of all files of the report.
MARKER = ".instrument-html"
_GITIGNORE = ".gitignore"
_GITIGNORE_TEXT = "# The command `instrument html` has written this folder.\n*\n"


class OutputFolder:
    """The folder at *path*, which gets its new content when the `with` block ends, and stays as it is if that raises.

    Raise DataError if the folder has files that no report has written, or if it cannot be written.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._real = os.path.realpath(path)
        self._names = [_GITIGNORE, MARKER]
        self._new = os.path.join(os.path.dirname(self._real), f".instrument-{os.urandom(8).hex()}.tmp")

    def __enter__(self) -> OutputFolder:
        self._refuse_files_of_others()
        try:
            os.makedirs(os.path.dirname(self._real), exist_ok=True)
            os.mkdir(self._new)
        except OSError as error:
            raise self._error(error) from error
        return self

    def write(self, name: str, text: str) -> None:
        """Write the file *name* with this *text*; raise DataError if that fails."""
        self._names.append(name)
        self._write(name, text)

    def _write(self, name: str, text: str) -> None:
        try:
            with open(os.path.join(self._new, name), "wb") as file:
                # A source may have a coding with surrogates, which UTF-8 lacks.
                file.write(text.encode("utf-8", "backslashreplace"))
        except OSError as error:
            raise self._error(error) from error

    def __exit__(self, kind: object, *_: object) -> None:
        try:
            if kind is None:
                self._write(_GITIGNORE, _GITIGNORE_TEXT)
                self._write(MARKER, json.dumps({"format": 1, "files": sorted(self._names)}))
                self._exchange()
        finally:
            shutil.rmtree(self._new, ignore_errors=True)

    def _exchange(self) -> None:
        """Give the new folder the place of the old one, and remove the old one."""
        self._refuse_files_of_others()  # the user may have put files there meanwhile
        old = f"{self._new}.old"
        try:
            if os.path.isdir(self._real):
                os.rename(self._real, old)
            try:
                os.rename(self._new, self._real)
            except BaseException:
                if os.path.isdir(old):
                    os.rename(old, self._real)
                raise
        except OSError as error:
            raise self._error(error) from error
        shutil.rmtree(old, ignore_errors=True)

    def _refuse_files_of_others(self) -> None:
        """Raise DataError if the folder has files that no report has written."""
        try:
            present = os.listdir(self._real)
        except FileNotFoundError:
            return
        except OSError as error:
            raise self._error(error) from error
        foreign = sorted(set(present) - _names_in_marker(self._real))
        if foreign:
            raise DataError(
                f"the folder {self.path!r} has files that are not of a report, such as {foreign[0]!r}: "
                "move them, or name another folder with -o"
            )

    def _error(self, error: OSError) -> DataError:
        reason = "it is no folder" if isinstance(error, (NotADirectoryError, FileExistsError)) else error.strerror
        return DataError(f"the report cannot be written to {self.path!r}: {reason or error}")


def _names_in_marker(folder: str) -> set[str]:
    """Return the names that the marker of *folder* has; none if there is no marker that can be read."""
    try:
        with open(os.path.join(folder, MARKER), encoding="utf-8") as file:
            names = json.load(file)["files"]
        return {name for name in names if isinstance(name, str)}
    except (OSError, ValueError, KeyError, TypeError):
        return set()
