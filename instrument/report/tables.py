"""Tables for people: plain rows come in, lines of text go out.

What is shown may come from anywhere, so control characters and escape sequences are shown as what they are, and never
reach the terminal.
"""

from __future__ import annotations

import os
import sys
from fnmatch import fnmatchcase

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence
    from typing import TextIO


def shown(text: str) -> str:
    """Return *text* on one line, with escapes for all that is not printable."""
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


def matches(path: str, include: Collection[str], omit: Collection[str]) -> bool:
    """Return whether the file at *path* is among *include*, if that says anything, and not among *omit*.

    Patterns are those of a shell, for the whole path, as it is or as it is shown; one of a folder is for all in it.
    """

    def is_among(patterns: Collection[str]) -> bool:
        names = (path, shown_path(path))
        return any(
            fnmatchcase(name, pattern) or fnmatchcase(name, os.path.join(pattern, "*"))
            for pattern in patterns
            for name in names
        )

    return (not include or is_among(include)) and not is_among(omit)


def ranges(lines: Iterable[int], among: Iterable[int] | None = None) -> str:
    """Return *lines* in words: `3-5, 9`. With *among*, all lines there could be, a range spans those between."""
    wanted = set(lines)
    parts: list[list[int]] = []
    previous: int | None = None  # the line before, among those that count
    for line in sorted(wanted if among is None else wanted.union(among)):
        if line in wanted:
            follows = parts and previous == parts[-1][1] and (among is not None or previous == line - 1)
            if follows:
                parts[-1][1] = line
            else:
                parts.append([line, line])
        previous = line
    return ", ".join(f"{first}" if first == last else f"{first}-{last}" for first, last in parts)


def table(head: Sequence[str], rows: Sequence[Sequence[str]], total: Sequence[str] | None = None) -> Iterator[str]:
    """Yield the lines of a table: names to the left, numbers to the right, and what is in the last column as it is."""
    everything = [head, *rows, *([total] if total else [])]
    widths = [max(len(row[column]) for row in everything) for column in range(len(head))]

    def line(row: Sequence[str]) -> str:
        cells = [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:]))]
        if head[-1] == "":  # a remark
            cells[-1] = row[-1]
        return "  ".join(cells).rstrip()

    yield line(head)
    rule = "-" * (sum(widths[: len(head) - (head[-1] == "")]) + 2 * (len(head) - 1 - (head[-1] == "")))
    yield rule
    yield from map(line, rows)
    if total:
        yield rule
        yield line(total)


def number_of(n: int, thing: str) -> str:
    """Return *n* and what it is a number of, in words."""
    plural = thing + ("es" if thing.endswith("s") else "s")
    return f"{n} {thing if n == 1 else plural}"


def say(lines: Iterable[str], out: TextIO | None = None) -> None:
    """Print *lines* to *out*, or standard output, with escapes for what is not printable or its encoding does not know.

    All texts of all commands go through here: whatever is in them, each is one line, and none commands a terminal.
    """
    stream = sys.stdout if out is None else out
    encoding = getattr(stream, "encoding", None) or "utf-8"
    for line in lines:
        print(shown(line).encode(encoding, "backslashreplace").decode(encoding), file=stream)


class Progress:
    """A bar on standard error, if that is a terminal."""

    def __init__(self, what: str) -> None:
        self.what = what
        self.is_on = sys.stderr.isatty()
        self._shown = -1

    def __call__(self, n: int, total: int) -> None:
        """Show that *n* of *total* are done."""
        percent = 100 * n // total if total else 100
        if not self.is_on or percent == self._shown:
            return
        self._shown = percent
        bar = "#" * (percent * 30 // 100)
        end = "\r\x1b[K" if n >= total else ""
        print(f"\r{self.what} [{bar:30}] {n}/{total}{end}", end="", file=sys.stderr, flush=True)
