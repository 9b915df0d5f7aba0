"""Tables for people: plain rows come in, lines of text go out.

What is shown may come from anywhere, so control characters and escape sequences are shown as what they are, and never
reach the terminal.
"""

from __future__ import annotations

import os
import shutil
import sys
import unicodedata
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
    Several may stand in one text, with commas between them.
    """
    return (not include or is_among(path, include)) and not is_among(path, omit)


def is_among(path: str, patterns: Iterable[str]) -> bool:
    """Return whether one of the *patterns* is for the file at *path*."""
    names = (path, shown_path(path))
    return any(
        # A name may have characters that a pattern has a use for: `[id].py`.
        name == pattern or fnmatchcase(name, pattern) or fnmatchcase(name, os.path.join(pattern, "*"))
        for pattern in split_patterns(patterns)
        for name in names
    )


def split_patterns(texts: Iterable[str]) -> Iterator[str]:
    """Yield each pattern in *texts*, as `is_among` compares it: `./tests` and `~/tests` as absolute paths."""
    for text in texts:
        for pattern in text.split(","):
            pattern = os.path.expanduser(pattern.strip())
            if pattern.split(os.sep)[0] in (os.curdir, os.pardir):
                pattern = os.path.abspath(pattern)
            if pattern:
                yield pattern.rstrip(os.sep) or os.sep


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


def columns(text: str) -> int:
    """Return how many columns of a terminal *text* takes: wide characters take two, and combining ones none."""
    if text.isascii():
        return len(text)
    return sum(map(_columns_of, text))


def _columns_of(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def shortened(text: str, width: int) -> str:
    """Return *text* in *width* columns: what is too long has a mark in the place of its middle."""
    if columns(text) <= width:
        return text
    n_end = max(1, 2 * (width - 1) // 3)
    first, last = 0, len(text)
    while last and columns(text[last - 1 :]) <= n_end:
        last -= 1
    while columns(text[: first + 1]) <= width - 1 - columns(text[last:]):
        first += 1
    return f"{text[:first]}…{text[last:]}"


def terminal_width() -> int | None:
    """Return how many columns standard output has, None if it is no terminal."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


# No name is made shorter than this.
_SHORTEST_NAME = 8
# What is left of a line for a remark, at least, before names are shortened.
_REMARK = 24
# No line of a remark is made shorter than this.
_SHORTEST_REMARK = 8


def table(
    head: Sequence[str],
    rows: Sequence[Sequence[str]],
    total: Sequence[str] | None = None,
    width: int | None = None,
) -> Iterator[str]:
    """Yield the lines of a table: names to the left, numbers to the right, and what is in the last column as it is.

    If the table is wider than *width*, remarks are continued on further lines, and names are shortened. If that is not
    enough, the last columns are left out, and named below the table.
    """
    has_remark = head[-1] == ""
    left_out: list[str] = []
    everything = [head, *rows, *([total] if total else [])]
    if width is not None:
        longest = [max(columns(row[column]) for row in everything) for column in range(1, len(head))]
        if has_remark:
            longest[-1] = min(longest[-1], _REMARK)
        # Of a remark the shortest line is enough before a column is left out.
        spare = max(0, longest[-1] - _SHORTEST_REMARK) if has_remark else 0
        while len(longest) > 1 + has_remark and sum(longest) - spare + 2 * len(longest) + _SHORTEST_NAME > width:
            at = len(longest) - has_remark  # that of the last column which is no remark
            left_out.insert(0, head[at])
            del longest[at - 1]
            everything = [[*row[:at], *row[at + 1 :]] for row in everything]
            head = everything[0]
        room = max(_SHORTEST_NAME, width - sum(longest) - 2 * len(longest))
        everything = [[shortened(row[0], room), *row[1:]] for row in everything]
        head, rows, total = everything[0], everything[1 : len(rows) + 1], everything[-1] if total else None
    widths = [max(columns(row[column]) for row in everything) for column in range(len(head))]
    before = sum(widths[:-1]) + 2 * len(widths[:-1])  # columns before the remark

    def lines(row: Sequence[str]) -> Iterator[str]:
        cells = [row[0] + " " * (widths[0] - columns(row[0])), *map(str.rjust, row[1:], widths[1:])]
        if not has_remark:
            yield "  ".join(cells).rstrip()
            return
        remark = [row[-1]] if width is None else list(_wrapped(row[-1], max(_SHORTEST_REMARK, width - before)))
        cells[-1] = remark[0]
        yield "  ".join(cells).rstrip()
        for more in remark[1:]:
            yield " " * before + more

    yield from lines(head)
    rule = "-" * (sum(widths[: len(head) - (head[-1] == "")]) + 2 * (len(head) - 1 - (head[-1] == "")))
    yield rule
    for row in rows:
        yield from lines(row)
    if total:
        yield rule
        yield from lines(total)
    if left_out:
        yield f"(too narrow for: {', '.join(left_out)})"


def _wrapped(remark: str, width: int) -> Iterator[str]:
    """Yield *remark*, parts with commas between them, in lines of *width* columns if its parts are no longer."""
    line = ""
    for part in remark.split(", "):
        if line and len(line) + len(part) + 3 > width:
            yield line + ","
            line = part
        else:
            line = f"{line}, {part}" if line else part
    yield line


def percentage(n: int, total: int) -> str:
    """Return how much *n* is of *total*: 0% and 100% only if it is none or all of it; `-` of nothing."""
    if not total:
        return "-"
    percent = round(100 * n / total)
    if 0 < n < total:
        percent = min(max(percent, 1), 99)
    return f"{percent}%"


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
