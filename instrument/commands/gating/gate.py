"""Compares the executed work of two runs, and fails if it grew: the whole, single tests, or single functions.

BASE and HEAD come in: data files, folders of them, or revisions of git whose data are kept. A table, Markdown, JSON or
SARIF goes out, with the lines that caused the growth.
"""

from __future__ import annotations

import functools
import re
import sys
from fractions import Fraction

from instrument.analysis.gate.bounds import Bounds
from instrument.analysis.gate.runs import compare
from instrument.analysis.gate.work import INSTRUCTIONS, UNITS
from instrument.commands._data_options import add_patterns, patterns_of, positive, say_unmatched
from instrument.commands.gating._runs import Sources, read_run
from instrument.commands.gating._stability_runs import run_again
from instrument.config import read_directory
from instrument.data.scratch import Scratch
from instrument.errors import DataError
from instrument.report.gate import gate_json, gate_table, markdown, sarif, words
from instrument.report.text import say, shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from instrument.analysis.gate.runs import Run
    from instrument.analysis.gate.verdict import Verdict

FORMATS = ("table", "markdown", "json", "sarif")
#: The bounds of a gate whose user sets none: in percent, and in the unit.
_TOTAL, _TEST, _FLOOR = "2%", "5%", 100


def split(arguments: list[str]) -> tuple[list[str], list[str]]:
    """Return the arguments of `instrument gate` in *arguments*, and the command after `--`."""
    n = arguments.index("--") if "--" in arguments else len(arguments)
    return arguments[:n], arguments[n + 1 :]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command to *parser*.

    Longer than 60 lines because argparse takes a line for each part of an argument.
    """
    import argparse

    class PrintSchema(argparse.Action):
        """Prints the JSON Schema, and ends the process."""

        def __call__(self, *_arguments: object) -> None:
            print(gate_json.schema_text(), end="")
            sys.exit(0)

    what = "a data file, a folder of data files, or a revision of git with kept data"
    parser.add_argument("base", metavar="BASE", help=f"the run to compare with: {what}")
    parser.add_argument("head", metavar="HEAD", nargs="?", help="the run in question; by default the data folder")
    parser.add_argument("--dir", metavar="FOLDER", help="the data folder (default: .instrument)")
    parser.add_argument(
        "--nearest",
        action="store_true",
        help="if no data are kept of a revision, take those of the latest commit before it",
    )
    parser.add_argument(
        "--max-growth",
        metavar="PERCENT",
        type=percent,
        default=percent(_TOTAL),
        help=f"how much the total may grow, such as 2%%; none for no bound (default: {_TOTAL}%)",
    )
    parser.add_argument(
        "--max-growth-per-test",
        metavar="PERCENT",
        type=percent,
        default=argparse.SUPPRESS,
        help=f"how much each test may grow (default: {_TEST}%, if the data have counts of each test)",
    )
    parser.add_argument(
        "--max-growth-per-function",
        metavar="PERCENT",
        type=percent,
        default=None,
        help="how much each function may grow, without the functions that it calls (default: none)",
    )
    parser.add_argument(
        "--floor",
        metavar="N",
        type=positive,
        default=_FLOOR,
        help="growth by less than N instructions or executions passes no bound (default: %(default)s)",
    )
    parser.add_argument(
        "--unit",
        choices=UNITS,
        default=INSTRUCTIONS,
        help="compare executed bytecode instructions (default), or executions of lines",
    )
    parser.add_argument(
        "--rerun",
        metavar="PATH",
        action="append",
        default=[],
        help="data of a further run of BASE or HEAD: lines and tests that differ from run to run are left out; if both "
        "have the same code, it is a run of HEAD",
    )
    parser.add_argument(
        "--rerun-base",
        metavar="PATH",
        action="append",
        default=[],
        help="data of a further run of BASE, also if HEAD has the same code",
    )
    parser.add_argument(
        "--stability-runs",
        metavar="N",
        type=positive,
        default=0,
        help="if a bound is passed, run the command after -- as further runs of HEAD, at most N times, each with "
        "another hash seed, until no bound is passed",
    )
    parser.add_argument(
        "--compare-different",
        action="store_true",
        help="compare although version of Python, -O, scope or number of runs differ",
    )
    parser.add_argument("--format", choices=FORMATS, default="table", help="the format of the output (default: table)")
    parser.add_argument(
        "--top", metavar="N", type=positive, default=10, help="show N tests and functions (default: %(default)s)"
    )
    parser.add_argument("--schema", nargs=0, action=PrintSchema, help="print the JSON Schema of --format json")
    add_patterns(parser)


def percent(text: str) -> Fraction | None:
    """Return the percentage that *text* says, such as `2%`; None for `none`.

    Raise argparse.ArgumentTypeError for other texts.
    """
    if text == "none":
        return None
    if not re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9})?%?", text):
        import argparse

        raise argparse.ArgumentTypeError(f"{text!r} is no percentage; say a number such as 2% or 0.5%, or none")
    return Fraction(text.removesuffix("%"))


def execute(options: argparse.Namespace) -> int:
    """Compare the runs that *options* name, and print the verdict; return the exit status, 2 if a bound is passed."""
    if bool(options.stability_runs) != bool(options.command):
        options.refuse("--stability-runs N and a command after -- belong together; give both or none")
    patterns = patterns_of(options)
    directory = read_directory() if options.dir is None else options.dir
    sources = Sources(directory, takes_nearest=options.nearest)
    # All data are found before some are read, which takes longer.
    found = [
        sources.find(options.base, "BASE"),
        (directory, "") if options.head is None else sources.find(options.head, "HEAD"),
    ]
    base, head = (read_run(path, name, patterns, note) for (path, note), name in zip(found, ("BASE", "HEAD")))
    reruns = [read_run(path, f"the rerun {shown(path)}", patterns) for path in options.rerun]
    reruns_of_base = [read_run(path, f"the rerun {shown(path)}", patterns) for path in options.rerun_base]
    say_unmatched(patterns, {*base.paths, *head.paths})
    bounds = Bounds(
        options.max_growth, bound_of_tests(options, base, head), options.max_growth_per_function, options.floor
    )
    compared = functools.partial(
        compare,
        base,
        head,
        options.unit,
        bounds,
        reruns=reruns,
        reruns_of_base=reruns_of_base,
        allows_differences=options.compare_different,
    )
    verdict = compared()
    if verdict.failures and options.stability_runs:
        with Scratch() as scratch:
            for name, folder in run_again(options.command, options.stability_runs, scratch):
                reruns.append(read_run(folder, name, patterns))
                verdict = compared()
                if not verdict.failures:
                    break
    _write(verdict, options)
    say(
        (f"instrument: {words.failure_text(each.failure, verdict)}" for each in verdict.failures[: options.top]),
        sys.stderr,
    )
    return 2 if verdict.failures else 0


def bound_of_tests(options: argparse.Namespace, base: Run, head: Run) -> Fraction | None:
    """Return the bound of each test. Raise DataError if *options* have one, and the data have no counts of tests."""
    bound: Fraction | None = getattr(options, "max_growth_per_test", None)
    without = [run.name for run in (base, head) if not run.work.tests]
    if bound is not None and without:
        verb = "has" if len(without) == 1 else "have"
        raise DataError(
            f"--max-growth-per-test cannot be checked: {' and '.join(without)} {verb} no counts of single tests; "
            "save them by `pytest --instrument --instrument-contexts`"
        )
    return bound if hasattr(options, "max_growth_per_test") else percent(_TEST)


def _write(verdict: Verdict, options: argparse.Namespace) -> None:
    """Print *verdict* in the format of *options*."""
    match options.format:
        case "json":
            gate_json.write(verdict)
        case "sarif":
            sarif.write(verdict)
        case "markdown":
            markdown.write(verdict, options.top)
        case _:
            gate_table.write(verdict, options.top)
