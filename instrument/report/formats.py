"""Formats of `instrument report`: the declaration of a format, and the search for declarations in this folder.

A module with a format has a function that writes an Analysis, and a `Format` as FORMAT; a module with several formats
has FORMATS. The command offers each format as `--format NAME`. It needs no list of them: `formats` imports the modules
of this folder.

A format for people prints by `report.text.say`, which escapes all that is not printable. A format for programs prints
by `print(…, file=out)`, and escapes by its own rules: paths and names may have any characters, line breaks included.

Problem: a report that has forgotten the counts of single lines would show zeros.
Solution: lines are kept, unless the module declares `needs_lines=False`. Forgotten lines raise an error when read.
Alternatives: always to keep them takes much memory for a table of many files.
"""

from __future__ import annotations

import importlib
import pkgutil

from instrument import report
from instrument.analysis.file_analysis import EVENTS, EXECUTIONS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TextIO

    from instrument.analysis.analysis import Analysis


#: The options of reports that only some formats take.
OPTIONS = (
    "sort",
    "missing",
    "unused-for",
    "branch",
    "cost",
    "unit",
    "top",
    "skip-covered",
    "skip-empty",
    "max-count",
    "precision",
    "thousands",
)


class Choices:
    """The options of one report.

    - sort: the order of the files, one of `file_analysis.SORTS`, also with `-` in front
    - with_missing: whether the missing lines are to be listed
    - since: the moment after which unused code is to be listed, in seconds since the epoch; None if it is not
    - with_branches: whether branches are shown, and count in shares of lines that ran
    - with_cost: whether executed instructions are shown
    - unit: that of hits, `file_analysis.EVENTS` or EXECUTIONS
    - top: how many rows are shown at most; None for all
    - skip_covered: whether files in which nothing is missing are left out
    - skip_empty: whether files without lines that can run are left out
    - max_count: the largest count that is shown; greater ones are shown as this one; None for no limit
    - precision: the number of decimals of percentages
    - with_thousands: whether commas separate thousands in counts
    """

    def __init__(
        self,
        *,
        sort: str = "file",
        with_missing: bool = False,
        since: float | None = None,
        with_branches: bool = False,
        with_cost: bool = False,
        unit: str = EVENTS,
        top: int | None = None,
        skip_covered: bool = False,
        skip_empty: bool = False,
        max_count: int | None = None,
        precision: int = 0,
        with_thousands: bool = False,
    ) -> None:
        self.sort = sort
        self.with_missing = with_missing
        self.since = since
        self.with_branches = with_branches
        self.with_cost = with_cost
        self.unit = unit
        self.top = top
        self.skip_covered = skip_covered
        self.skip_empty = skip_empty
        self.max_count = max_count
        self.precision = precision
        self.with_thousands = with_thousands

    def need_flow(self) -> bool:
        """Return whether the report needs to know how control went through the files."""
        is_sorted_by_flow = self.sort.removeprefix("-") in ("branches", "cost")
        return self.with_branches or self.with_cost or self.unit == EXECUTIONS or is_sorted_by_flow


class Format:
    """One format of the report.

    - name: its name for `--format`
    - write: the function that writes an Analysis to a stream, by Choices
    - help: a few words for the help of the command
    - takes: those of OPTIONS that have an effect; the command refuses the others
    - needs: the options that must be given
    - needs_lines: False if the writer reads only the numbers of a FileAnalysis, see `FileAnalysis.forget_lines`
    - has_remarks: whether the remarks are part of the output; otherwise the command prints them to standard error
    """

    def __init__(
        self,
        name: str,
        write: Callable[[Analysis, TextIO, Choices], None],
        *,
        help: str,  # noqa: A002  # as argparse calls it
        takes: tuple[str, ...] = ("sort",),
        needs: tuple[str, ...] = (),
        needs_lines: bool = True,
        has_remarks: bool = False,
    ) -> None:
        self.name = name
        self.write = write
        self.help = help
        self.takes = takes
        self.needs = needs
        self.needs_lines = needs_lines
        self.has_remarks = has_remarks


def formats() -> dict[str, Format]:
    """Return the formats that the modules of this folder declare, by name, in the order of the names."""
    declared: dict[str, Format] = {}
    for info in pkgutil.iter_modules(report.__path__):
        module = importlib.import_module(f"{report.__name__}.{info.name}")
        found = (getattr(module, "FORMAT", None), *getattr(module, "FORMATS", ()))
        declared.update({each.name: each for each in found if isinstance(each, Format)})
    return dict(sorted(declared.items()))
