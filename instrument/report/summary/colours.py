"""Prints the summary in colours, if the library rich is installed and the output is a terminal.

The rules for NO_COLOR, FORCE_COLOR, TERM and the number of colours are those of rich. Without colours, the table is the
plain one.
"""

from __future__ import annotations

import os

from instrument.report.text import printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import TextIO

    from rich.console import Console

    from instrument.report.tables import Part

#: The style of rich for each style of a Cell. Heats go from blue over yellow to red.
_HEATS = ("blue", "cyan", "green", "yellow", "red", "bold red")
STYLES = {"high": "green", "medium": "yellow", "low": "red", **{f"heat{n}": style for n, style in enumerate(_HEATS)}}
#: The marks of shares for SHARES of `rows`, and those for encodings that lack them.
_MARKS, _ASCII_MARKS = ("✓", "~", "✗"), ("+", "~", "!")


def console_of(out: TextIO) -> Console | None:
    """Return a console that prints colours to *out*; None if *out* is to get none, or if rich is not installed."""
    is_forced = bool(os.environ.get("FORCE_COLOR"))
    if os.environ.get("NO_COLOR") or not (is_forced or out.isatty()):
        return None  # most reports end here, and need not import rich
    try:
        from rich.console import Console
    except ImportError:
        return None
    console = Console(file=out, markup=False, emoji=False, highlight=False)
    return console if console.color_system is not None else None


def print_lines(console: Console, lines: Iterable[list[Part]], out: TextIO) -> None:
    """Print *lines*, see `tables.styled_table`, to *console*, which prints to *out*.

    Characters are escaped as in `say`.
    """
    from rich.text import Text

    for line in lines:
        text = Text.assemble(*((printable(part, out), STYLES.get(style, "")) for part, style in line))
        console.print(text, soft_wrap=True)


def marks_for(out: TextIO) -> tuple[str, ...]:
    """Return a mark for each of `rows.SHARES` that the encoding of *out* has."""
    return _MARKS if all(printable(mark, out) == mark for mark in _MARKS) else _ASCII_MARKS
