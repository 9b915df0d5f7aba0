"""Writes the table of `instrument diff`: for each file the lines that ran between two measurements."""

from __future__ import annotations

from instrument.report.tables import table
from instrument.report.text import ranges, say, shown_path, terminal_width

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import TextIO

    from instrument.analysis.difference import Difference, FileDifference


def write(difference: Difference, out: TextIO | None = None) -> None:
    """Write the table of *difference* to *out*, by default standard output, or a line that nothing ran."""
    files = [file for file in difference.files if file.lines]
    if files:
        say(_table(files), out)
    else:
        say(["Nothing ran." if difference.has_comparison() else "Nothing can be compared."], out)


def _table(files: list[FileDifference]) -> Iterator[str]:
    """Yield the lines of the table of *files*, each of which has lines that ran."""
    rows = []
    for file in files:
        hottest = max(file.lines, key=lambda line: file.lines[line])
        row = [shown_path(file.path), f"{len(file.lines)}", f"{file.hits}", f"{hottest}: {file.lines[hottest]}"]
        rows.append([*row, ranges(file.lines)])
    n_lines = sum(len(file.lines) for file in files)
    total = ["Total", f"{n_lines}", f"{sum(file.hits for file in files)}", "", ""]
    yield from table(["File", "Lines that ran", "Hits", "Hottest line", ""], rows, total, terminal_width())
