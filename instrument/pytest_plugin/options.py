"""Reads the options of a test run that is to be counted.

The configuration of pytest comes in: options of the command line, and ini options where such an option is missing.
`Options` goes out, with absolute paths. All else is read from the settings (`instrument.config`). An impossible value
raises UsageError, which names the option and the way out.
"""

from __future__ import annotations

import math
import os
from typing import NamedTuple

import pytest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

#: The names of the options in messages, by the key of the setting.
LABELS = {"scope": "--instrument", "lines": "--instrument-branch", "quiet": "-q"}

#: The kinds of reports: a table, files, and none.
TERM, TERM_MISSING, NONE = "term", "term-missing", "none"
#: The commands that write files, each with the option that names the file or folder.
FILES = {
    "html": "--output",
    "lcov": "--output",
    "xml": "--output",
    "json": "--output",
    "callgrind": "--output",
    "coverage": "--output",
    "annotate": "--directory",
}
KINDS = (TERM, TERM_MISSING, *FILES, NONE)
#: As a path, standard output, which is the terminal.
_STANDARD_OUTPUT = "-"


class Report(NamedTuple):
    """A report to make: its kind, one of KINDS, and its absolute path, which is empty if it has the usual one."""

    kind: str
    path: str = ""


class Options(NamedTuple):
    """The options of a test run.

    - scope: the items of the scope; empty if the settings decide
    - reports: the reports to make; empty for none
    - fail_under: the least share of lines in percent, as the user wrote it; empty for no bound
    - with_branches: whether reports have the ways of branches
    - appends: whether the counts of earlier runs stay
    - with_contexts: whether the counts of each test are saved, too
    - is_quiet: whether pytest was asked to be quiet
    """

    scope: list[str]
    reports: list[Report]
    fail_under: str
    with_branches: bool
    appends: bool
    with_contexts: bool
    is_quiet: bool

    def settings(self) -> dict[str, object]:
        """Return the settings that these options make, as `config.read_settings` takes them."""
        return {
            "scope": self.scope,
            "lines": "0" if self.with_branches else None,
            "quiet": "1" if self.is_quiet else None,
        }


def read_options(config: pytest.Config) -> Options:
    """Return the options of *config*; raise UsageError if a value is impossible."""
    given = config.known_args_namespace

    def option_or_ini(name: str) -> Any:
        if not hasattr(given, name):  # after an update of an editable install
            raise pytest.UsageError(
                "--instrument: instrument_pytest.py in site-packages is of another version; install instrument again"
            )
        value = getattr(given, name)
        try:
            return config.getini(name) if value is None else value
        except (ValueError, TypeError, pytest.UsageError) as error:
            raise pytest.UsageError(f"ini option {name}: {error}") from None

    texts = option_or_ini("instrument_report") or [TERM]
    return Options(
        scope=[text for text in given.instrument_scope or () if text],
        reports=parse_reports(texts, str(config.invocation_params.dir)),
        fail_under=parse_share(str(option_or_ini("instrument_fail_under") or "")),
        with_branches=bool(option_or_ini("instrument_branch")),
        appends=bool(option_or_ini("instrument_append")),
        with_contexts=bool(option_or_ini("instrument_contexts")),
        is_quiet=getattr(given, "verbose", 0) < 0,
    )


def parse_reports(texts: Iterable[str], folder: str) -> list[Report]:
    """Return the reports that *texts* name, each once; relative paths start from *folder*.

    `none` leaves out those before it, so that a command line can replace `addopts`. Raise UsageError.
    """
    reports: list[Report] = []
    for text in texts:
        kind, colon, path = text.strip().partition(":")
        if kind not in KINDS:
            raise pytest.UsageError(
                f"--instrument-report={text}: there is no report {kind!r}; the reports are {', '.join(KINDS)}"
            )
        if colon and kind not in FILES:
            raise pytest.UsageError(f"--instrument-report={text}: {kind} is no file, so it takes no path")
        if colon and not path:
            raise pytest.UsageError(f"--instrument-report={text}: name a path after the colon, or leave the colon out")
        if kind == NONE:
            reports.clear()
            continue
        if path and path != _STANDARD_OUTPUT:
            path = os.path.abspath(os.path.join(folder, os.path.expanduser(path)))
        if (report := Report(kind, path)) not in reports:
            reports.append(report)
    if Report(TERM_MISSING) in reports and Report(TERM) in reports:  # the first table has all of the second
        reports.remove(Report(TERM))
    return reports


def parse_share(text: str) -> str:
    """Return *text*, a percentage from 0 to 100 or empty; raise UsageError if it is neither."""
    try:
        number = float(text or 0)
    except ValueError:
        number = math.nan
    if not 0 <= number <= 100:
        raise pytest.UsageError(
            f"--instrument-fail-under={text}: {text!r} is no percentage; say a number from 0 to 100, such as 87.5"
        )
    return text
