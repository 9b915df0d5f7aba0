"""Prints the work of a test: its functions with calls and instructions, its lines, or all of it as JSON.

Data with contexts come in (`pytest --instrument-contexts`). A test is named by its node id, with its phase if only one
is wanted. Any part of the name is enough if it fits one test only.
"""

from __future__ import annotations

from instrument.analysis.contexts.names import PHASES, Context, context_of
from instrument.commands._data_options import add_paths, paths_of, positive, say_incomplete
from instrument.commands.per_test._base import HOW_TO_COUNT_TESTS, contexts_of, say_what_is_missing
from instrument.data.query import StoredMeasurement
from instrument.errors import DataError
from instrument.report import test_tables
from instrument.report.text import ProgressBar

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable

#: The most names in a message.
_MOST_NAMED = 5


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command to *parser*."""
    parser.add_argument("test", metavar="NODEID", help="a test as pytest names it, or a part of its name")
    add_paths(parser)
    parser.add_argument("--phase", choices=PHASES, help="only this phase of the test")
    parser.add_argument("--lines", action="store_true", help="print the lines that ran in place of functions")
    parser.add_argument("--top", metavar="N", type=positive, help="print only the N costliest functions")
    parser.add_argument("--json", action="store_true", help="print all counts, for other programs")


def execute(options: argparse.Namespace) -> int:
    """Print the work of the test that *options* name; return the exit status."""
    with StoredMeasurement(paths_of(options), ProgressBar("Reading"), way_out=HOW_TO_COUNT_TESTS) as stored:
        say_incomplete(stored)
        work = contexts_of(stored)
        contexts = _contexts_named(options.test, options.phase, map(context_of, work.names()))
        files = work.of_contexts([f"{each.name}|{each.phase}" if each.phase else each.name for each in contexts])
    if options.json:
        test_tables.write_work_as_json(contexts, files)
    elif options.lines:
        test_tables.write_lines(files)
    else:
        test_tables.write_work(files, options.top)
    say_what_is_missing(work)
    return 0


def _contexts_named(text: str, phase: str | None, contexts: Iterable[Context]) -> list[Context]:
    """Return the contexts of the test that *text* names, all or only its *phase*.

    Raise DataError if *text* names no test, or several.
    """
    known = [each for each in contexts if phase is None or each.phase == phase]
    names = sorted({each.name for each in known})
    matches = [text] if text in names else [name for name in names if text in name]
    if not matches:
        raise DataError(
            f"no test is called {text!r}, in whole or in part; `pytest --collect-only -q` prints their names"
        )
    if len(matches) > 1:
        named = ", ".join(matches[:_MOST_NAMED]) + (", …" if len(matches) > _MOST_NAMED else "")
        raise DataError(f"{len(matches)} tests have {text!r} in their names; name one of them: {named}")
    return sorted((each for each in known if each.name == matches[0]), key=lambda each: (*PHASES, "").index(each.phase))
