"""Formats numbers, dates, ranges of lines and paths for people; `say` and `ProgressBar` print.

Names in data files may come from anywhere. So control characters and escape sequences are shown as escapes, and never
reach the terminal.
"""

from __future__ import annotations

import shutil
import sys
import time
import unicodedata

from instrument.analysis.file_analysis import line_ranges
from instrument.analysis.patterns import shown as shown
from instrument.analysis.patterns import shown_path as shown_path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import TextIO

    from instrument.analysis.file_analysis import LineRange


def ranges(lines: Iterable[int], among: Iterable[int] | None = None) -> str:
    """Return *lines* as a text such as `3-5, 9`: see `line_ranges`."""
    return ranges_text(line_ranges(lines, among))


def ranges_text(ranges: Iterable[LineRange]) -> str:
    """Return *ranges* as a text such as `3-5, 9`."""
    return ", ".join(f"{first}" if first == last else f"{first}-{last}" for first, last in ranges)


def date(moment: float, *, with_time: bool) -> str:
    """Return the date of *moment* in local time, with the time of day if *with_time*."""
    try:
        return time.strftime("%Y-%m-%d %H:%M:%S" if with_time else "%Y-%m-%d", time.localtime(moment))
    except (OverflowError, ValueError, OSError):
        return f"{moment}"


def columns(text: str) -> int:
    """Return the width of *text* in columns of a terminal: wide characters take two, and combining ones none."""
    if text.isascii():
        return len(text)
    return sum(map(_columns_of, text))


def _columns_of(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def shortened(text: str, width: int) -> str:
    """Return *text* in at most *width* columns; a mark replaces the middle of a longer text."""
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
    """Return the number of columns of standard output, None if it is no terminal."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def percentage(n: int, total: int, precision: int = 0) -> str:
    """Return *n* as a percentage of *total*, with *precision* decimals; `-` means that *total* is 0.

    0% and 100% mean none and all: 1 of 1000 is 1%, and 999 of 1000 are 99%, as in coverage.py.
    """
    return f"{percent(n, total, precision):.{precision}f}%" if total else "-"


def percent(n: int, total: int, precision: int = 0) -> float:
    """Return the number that `percentage` prints; 100 if *total* is 0, as in coverage.py."""
    if not total:
        return 100.0
    rounded = round(100 * n / total, precision)
    least = 10.0**-precision
    return min(max(rounded, least), 100 - least) if 0 < n < total else rounded


def number_of(n: int, thing: str) -> str:
    """Return *n* with *thing* in the singular or plural, as in `3 files`."""
    plural = thing + ("es" if thing.endswith("s") else "s")
    return f"{n} {thing if n == 1 else plural}"


def say(lines: Iterable[str], out: TextIO | None = None) -> None:
    """Print *lines* to *out*, by default standard output.

    Characters that are not printable, or that the encoding of *out* lacks, are printed as escapes. All texts for people
    are printed here, so none of them controls a terminal, and each is one line. Formats for programs are not.
    """
    stream = sys.stdout if out is None else out
    for line in lines:
        print(printable(line, stream), file=stream)


def printable(text: str, stream: TextIO) -> str:
    """Return *text* with escapes for characters that are not printable, or that the encoding of *stream* lacks."""
    encoding = getattr(stream, "encoding", None) or "utf-8"
    return shown(text).encode(encoding, "backslashreplace").decode(encoding)


class ProgressBar:
    """A bar with a *title* on standard error, if that is a terminal."""

    def __init__(self, title: str) -> None:
        self.title = title
        self.is_on = sys.stderr.isatty()
        self._percent_shown = -1

    def __call__(self, n: int, total: int) -> None:
        """Show that *n* of *total* steps are done."""
        percent = 100 * n // total if total else 100
        if not self.is_on or percent == self._percent_shown:
            return
        self._percent_shown = percent
        bar = "#" * (percent * 30 // 100)
        end = "\r\x1b[K" if n >= total else ""
        print(f"\r{self.title} [{bar:30}] {n}/{total}{end}", end="", file=sys.stderr, flush=True)
