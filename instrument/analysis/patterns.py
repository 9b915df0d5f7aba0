"""Chooses source files by patterns (`FilePatterns`), which match a path, or the path as it is shown.

Texts from the command line and from pyproject.toml come in. A text may hold several patterns with commas in between.
"""

from __future__ import annotations

import os
from fnmatch import fnmatchcase

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence


def shown(text: str) -> str:
    """Return *text* on one line, with escapes for all characters that are not printable."""
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode("ascii")
        for character in text
    )


def shown_path(path: str) -> str:
    """Return *path* as it is shown: relative to the working directory if it is in there."""
    try:
        folder = os.path.join(os.getcwd(), "")
    except OSError:  # it was removed
        folder = ""
    return shown(path[len(folder) :] if folder and path.startswith(folder) and path != folder else path)


class UnmatchedPattern:
    """A pattern that no file matches.

    `key` is "include" or "omit", `text` the text that has the *pattern*. `suggestion` is a pattern that does match, an
    empty text if there is none.
    """

    __slots__ = ("key", "pattern", "suggestion", "text")

    def __init__(self, key: str, text: str, pattern: str, suggestion: str) -> None:
        self.key = key
        self.text = text
        self.pattern = pattern
        self.suggestion = suggestion


class FilePatterns:
    """Chooses files that match a pattern of *include*, if there are any, and no pattern of *omit*.

    Patterns are those of a shell, for the whole path, as it is or as it is shown. A pattern of a folder chooses all
    files in it.
    """

    def __init__(self, include: Sequence[str] = (), omit: Sequence[str] = ()) -> None:
        self.include = include
        self.omit = omit

    def match(self, path: str) -> bool:
        """Return whether the patterns choose the file at *path*."""
        return (not self.include or _is_among(path, self.include)) and not _is_among(path, self.omit)

    def unmatched(self, paths: Iterable[str]) -> Iterator[UnmatchedPattern]:
        """Yield each pattern that none of *paths* matches."""
        all_paths = list(paths)
        for key, texts in (("include", self.include), ("omit", self.omit)):
            for text in texts:
                for pattern in _patterns_in([text]):
                    if not any(_is_among(path, [pattern]) for path in all_paths):
                        yield UnmatchedPattern(key, text, pattern, _suggestion(pattern, all_paths))


def _is_among(path: str, texts: Iterable[str]) -> bool:
    """Return whether one of the patterns in *texts* matches the file at *path*."""
    names = (path, shown_path(path))
    return any(
        # Compared as a plain text, too: the name of a file may have characters of patterns, as `[id].py` has.
        name == pattern or fnmatchcase(name, pattern) or fnmatchcase(name, os.path.join(pattern, "*"))
        for pattern in _patterns_in(texts)
        for name in names
    )


def _patterns_in(texts: Iterable[str]) -> Iterator[str]:
    """Yield the patterns in *texts*, each of which may hold several with commas in between.

    A pattern whose first part is `~`, `.` or `..` becomes an absolute path. A pattern ends without separators.
    """
    for text in texts:
        for pattern in text.split(","):
            pattern = os.path.expanduser(pattern.strip())
            if pattern.split(os.sep)[0] in (os.curdir, os.pardir):
                pattern = os.path.abspath(pattern)
            if pattern:
                yield pattern.rstrip(os.sep) or os.sep


def _suggestion(pattern: str, paths: Iterable[str]) -> str:
    """Return *pattern* with any folders in front, if one of *paths* matches that; else an empty text."""
    whole = os.path.join("*", pattern)
    is_relative = not os.path.isabs(pattern) and pattern != "*"
    return whole if is_relative and any(_is_among(path, [whole]) for path in paths) else ""
