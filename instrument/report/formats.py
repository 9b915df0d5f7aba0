"""Formats of `instrument report`: the declaration of a format, and the search for declarations in this folder.

A module with a format has a function that writes an Analysis, and a `Format` as FORMAT. The command offers each format
as `--format NAME`. It needs no list of them: `formats` imports the modules of this folder.

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

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TextIO

    from instrument.analysis.analysis import Analysis


class Choices:
    """The options of one report.

    - sort: the order of the files, one of `file_analysis.SORTS`
    - with_missing: whether the missing lines are to be listed
    - since: the moment after which unused code is to be listed, in seconds since the epoch; None if it is not
    """

    def __init__(self, *, sort: str = "file", with_missing: bool = False, since: float | None = None) -> None:
        self.sort = sort
        self.with_missing = with_missing
        self.since = since


class Format:
    """One format of the report.

    - name: its name for `--format`
    - write: the function that writes an Analysis to a stream, by Choices
    - help: a few words for the help of the command
    - takes: the options that have an effect: "sort", "missing", "unused-for"; the command refuses the others
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
    declared = {}
    for info in pkgutil.iter_modules(report.__path__):
        module = importlib.import_module(f"{report.__name__}.{info.name}")
        if isinstance(found := getattr(module, "FORMAT", None), Format):
            declared[found.name] = found
    return dict(sorted(declared.items()))
