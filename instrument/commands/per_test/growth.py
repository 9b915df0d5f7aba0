"""Prints by which law the work of each function of a test grows with the size that the test is parametrised by.

Data with contexts come in (`pytest --instrument-contexts`). With --sizes, pytest runs the test first, and its data are
removed afterwards.
"""

from __future__ import annotations

import os
import sys
import tempfile

from instrument.analysis.contexts.names import PHASES
from instrument.analysis.growth.fit import FEWEST_SIZES
from instrument.analysis.growth.sized_tests import SizedWork, node_ids_named, sized_tests
from instrument.analysis.growth.units import INSTRUCTIONS, UNITS
from instrument.commands._data_options import add_paths, paths_of, positive, say_incomplete
from instrument.commands.per_test._base import HOW_TO_COUNT_TESTS, contexts_of
from instrument.config.values import ROOT
from instrument.data.query import StoredMeasurement
from instrument.errors import DataError, InstrumentError
from instrument.report import growth_tables
from instrument.report.text import ProgressBar, say

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

FORMATS = ("table", "json")
#: The exit statuses of pytest if all tests passed, and if it does not know the test that is named.
_PASSED, _UNKNOWN = 0, 4
#: Sizes for examples in messages.
_EXAMPLE = "16,32,64,128,256"
_HOW_TO_RUN_NOW = f"`instrument growth TEST --sizes {_EXAMPLE}` runs a test that uses the fixture `size`"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command to *parser*."""
    parser.add_argument("test", metavar="TEST", help="a test as pytest names it, or a part of its name")
    add_paths(parser)
    parser.add_argument(
        "--sizes",
        metavar="N,…",
        type=sizes,
        help="run TEST now by pytest, with these values of the fixture `size`; TEST is then an argument of pytest",
    )
    parser.add_argument(
        "--parameter",
        metavar="N",
        type=positive,
        help="the number in the brackets of a test's name that is the size, from 1 on (default: the one that differs)",
    )
    parser.add_argument(
        "--unit",
        choices=UNITS,
        default=INSTRUCTIONS,
        help="count executed bytecode instructions (default), executions of lines, or calls",
    )
    parser.add_argument("--phase", choices=PHASES, default="call", help="the phase of the test (default: call)")
    parser.add_argument("--top", metavar="N", type=positive, help="print only the N functions with the most work")
    parser.add_argument("--format", choices=FORMATS, default="table", help="the format of the output (default: table)")


def sizes(text: str) -> list[int]:
    """Return the sizes that *text* lists, each once, sorted; raise argparse.ArgumentTypeError if there are too few."""
    found = sorted({positive(word) for word in text.replace(",", " ").split()})
    if len(found) < FEWEST_SIZES:
        import argparse

        raise argparse.ArgumentTypeError(
            f"{text!r} has fewer than {FEWEST_SIZES} sizes; give more, such as {_EXAMPLE}, which make a law surer, too"
        )
    return found


def execute(options: argparse.Namespace) -> int:
    """Print the growth that *options* ask for; return the exit status."""
    if options.sizes is None:
        return _report(options, paths_of(options), options.test)
    if paths_of(options):
        options.refuse("--sizes runs the test, so it takes no data: leave PATH and --dir out")
    with tempfile.TemporaryDirectory(prefix="instrument-growth-") as folder:
        _run(options.test, options.sizes, folder)
        return _report(options, [folder], "")


def _run(test: str, sizes: list[int], folder: str) -> None:
    """Run *test* by pytest with these *sizes*, and save the data in *folder*.

    Raise InstrumentError if a test does not pass.
    """
    import subprocess

    environment = {name: value for name, value in os.environ.items() if name not in ("INSTRUMENT", ROOT)}
    environment["INSTRUMENT_DIR"] = folder
    command = [sys.executable, "-m", "pytest", "-q", test, "--instrument", "--instrument-contexts"]
    command += [
        "--instrument-report=none",
        "--instrument-fail-under=0",
        f"--instrument-sizes={','.join(map(str, sizes))}",
    ]
    finished = subprocess.run(command, env=environment, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if finished.returncode != _PASSED:
        sys.stderr.write(finished.stdout.decode(errors="replace"))
        way_out = (
            "; with --sizes, TEST is an argument of pytest, such as tests/test_sort.py::test_sort"
            if finished.returncode == _UNKNOWN
            else ""
        )
        raise InstrumentError(f"pytest {test} ended with status {finished.returncode}; its output is above{way_out}")


def _report(options: argparse.Namespace, paths: list[str], test: str) -> int:
    """Print the growth of the tests in the data at *paths* whose names have *test*; return the exit status."""
    way_out = f"{HOW_TO_COUNT_TESTS}. Or {_HOW_TO_RUN_NOW}"
    with StoredMeasurement(paths, ProgressBar("Reading"), way_out=way_out) as stored:
        say_incomplete(stored)
        names = [*node_ids_named(test, contexts_of(stored).names())]
        if not names:
            raise DataError(
                f"no test is called {test!r}, in whole or in part; `pytest --collect-only -q` prints their names"
            )
        tests = sized_tests(names, options.parameter)
        if not tests:
            raise DataError(_too_few_sizes(options, names))
        work = SizedWork(stored, names, options.phase, options.unit)
        growths = [work.growths(each) for each in tests]
    if options.format == "json":
        growth_tables.write_json(growths, options.unit)
    else:
        growth_tables.write_tables(growths, options.unit, options.top)
    say((f"some counts of tests are not known: {reason}" for reason in work.reasons), sys.stderr)
    return 0


def _too_few_sizes(options: argparse.Namespace, names: list[str]) -> str:
    """Return the message that the tests *names*, which *options* name, did not run with sizes enough for a law."""
    ran = f"{', '.join(names[:3])}{', …' if len(names) > 3 else ''}"
    text = f"{options.test} did not run with {FEWEST_SIZES} sizes, the fewest that show a law (it ran as {ran})"
    if options.sizes is not None:
        return f"{text}. --sizes are values of the fixture `size`: give the test, or its fixture, a parameter `size`"
    if options.parameter is not None:
        return f"{text}. Number {options.parameter} in its brackets is not the size: leave --parameter out"
    return f"{text}. Parametrise it by more numbers, and run it again. Or {_HOW_TO_RUN_NOW}"
