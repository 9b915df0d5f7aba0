"""The parts that the commands of this folder share.

Data files and folders of them come in. `contexts_of` returns the work of the tests in them.
"""

from __future__ import annotations

import sys

from instrument.analysis.contexts.work import ContextWork
from instrument.errors import DataError
from instrument.report.text import say

TYPE_CHECKING = False
if TYPE_CHECKING:
    from instrument.analysis.contexts.by_file import PatternsByFile
    from instrument.data.query import StoredMeasurement


#: The command that makes the data of all commands in this folder.
COMMAND = "`pytest --instrument --instrument-contexts`"
HOW_TO_COUNT_TESTS = f"run the tests by {COMMAND}, or name the folder that their data is in"


def contexts_of(stored: StoredMeasurement) -> ContextWork:
    """Return the work of the contexts of *stored*; raise DataError if it has none."""
    work = ContextWork(stored)
    if not work.names():
        raise DataError(f"these data have no counts of single tests; save them by {COMMAND}")
    return work


def say_what_is_missing(work: ContextWork | PatternsByFile) -> None:
    """Say on standard error which work of tests is not known."""
    say((f"some counts of tests are not known: {reason}" for reason in work.reasons), sys.stderr)
