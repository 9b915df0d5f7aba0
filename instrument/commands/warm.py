"""Prepares sources for counting, so that the first measured start is as fast as the second.

Input: files, folders, and names of modules and packages. Output: the cache has the rewritten code that imports will
look for; files that fail are named. No code of the program is executed. Cached code of removed sources is deleted.
"""

from __future__ import annotations

import argparse
import os

from instrument.errors import InstrumentError
from instrument.flow import placement_names
from instrument.link.cache import open_cache
from instrument.warming.progress import ProgressBar
from instrument.warming.source_files import python_files
from instrument.warming.workers import prepare_files

TYPE_CHECKING = False
if TYPE_CHECKING:
    from instrument.warming.outcomes import Outcome


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command to *parser*."""
    parser.add_argument("paths", nargs="+", metavar="PATH", help="a file, a folder, or the name of a package or module")
    parser.add_argument(
        "-j", "--jobs", type=_number, help="the number of processes that share the work (default: one for each core)"
    )
    parser.add_argument(
        "--placement",
        choices=placement_names.PLACEMENTS,
        default=placement_names.MINIMAL,
        help="the way of counting: minimal for `instrument run`, INSTRUMENT and Trace; another one only for programs "
        "that use Trace(placement=…) (default: %(default)s)",
    )
    parser.add_argument("-q", "--quiet", action="store_true", help="print only problems")


def execute(options: argparse.Namespace) -> int:
    """Fill the cache; return 1 if a file failed or the command was interrupted, else 0."""
    cache = open_cache(options.placement)
    if cache.trouble:
        raise InstrumentError(
            f"there is no cache to fill: {cache.trouble}; name a folder of your own with INSTRUMENT_CACHE"
        )
    failures: list[Outcome] = []
    # Large files come first, so that no process is left alone with a large one at the end.
    files = sorted(dict.fromkeys(python_files(options.paths, failures)), key=_size, reverse=True)
    progress = ProgressBar(len(files), options.quiet)
    for outcome in failures:
        progress.add(outcome)
    try:
        for outcome in prepare_files(files, options.placement, min(options.jobs or _n_cores(), len(files))):
            progress.add(outcome)
    except KeyboardInterrupt:
        progress.end("interrupted")
        return 1
    cache.tidy()
    progress.end("done")
    return 1 if progress.n_failed else 0


def _number(text: str) -> int:
    """Return *text* as a number of processes. Raise ArgumentTypeError if it is none."""
    try:
        number = int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of processes") from None
    if number < 1:
        raise argparse.ArgumentTypeError(f"there must be at least 1 process, not {text}")
    return number


def _n_cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except OSError:
        return 0
