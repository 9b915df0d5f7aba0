"""Prepares sources for counting, so that the first measured start is as fast as the second.

Input: files, folders, and names of modules and packages; archives. Output: the cache has the rewritten code that
imports will look for; files that fail are named. An archive takes the code to another machine. No code of the program
is executed. Cached code of removed sources is deleted.
"""

from __future__ import annotations

import argparse
import sys

from instrument.errors import ArchiveError, InstrumentError
from instrument.flow import placement_names
from instrument.link.cache import open_cache
from instrument.report.text import say
from instrument.warming.outcomes import Result
from instrument.warming.prepared_files import PreparedFiles
from instrument.warming.progress import ProgressBar
from instrument.warming.source_files import python_files
from instrument.warming.workers import n_cores, prepare_files

TYPE_CHECKING = False
if TYPE_CHECKING:
    from instrument.warming.outcomes import Outcome


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command to *parser*."""
    parser.add_argument("paths", nargs="*", metavar="PATH", help="a file, a folder, or the name of a package or module")
    parser.add_argument(
        "--from",
        dest="source",
        metavar="FILE",
        help="first take code from this archive, for equal sources in any folder; the code will be executed, so name "
        "no file of others",
    )
    parser.add_argument(
        "--archive",
        metavar="FILE",
        help="at last write the code of the PATHs to this archive, for other machines; without PATHs, all code that "
        "the cache has for this Python",
    )
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
    """Fill the cache; return 1 if a file or an archive failed, else 0."""
    if not (options.paths or options.source or options.archive):
        options.refuse("what shall be prepared? Name a PATH, --from FILE or --archive FILE")
    cache = open_cache(options.placement)
    if cache.trouble:
        raise InstrumentError(
            f"there is no cache to fill: {cache.trouble}; name a folder of your own with INSTRUMENT_CACHE"
        )
    has_failed = bool(options.source) and not _takes_from_archive(options)
    outcomes: list[Outcome] = []
    if options.paths:
        has_failed = not _prepares(options, outcomes) or has_failed
    if options.archive:
        _write_archive(options, outcomes)
    return int(has_failed)


def _takes_from_archive(options: argparse.Namespace) -> bool:
    """Add the archive that *options* name to the cache, and return whether that succeeded.

    An archive that is missing or of another version is no failure: the next one will fit.
    """
    from instrument.warming.archive import add_to_cache, n_modules_in, read_archive

    path = options.source
    try:
        modules, reason = read_archive(path)
    except ArchiveError as error:
        say([f"instrument: {error}"], sys.stderr)
        return False
    n_added = add_to_cache(modules)
    if not options.quiet:
        text = f"nothing was taken: {reason}" if reason else f"{n_modules_in(modules)} modules were taken from {path}"
        say([f"instrument: {text}"], sys.stderr)
    if n_added < len(modules):
        say([f"instrument: {len(modules) - n_added} pieces of code cannot be written; is the disk full?"], sys.stderr)
    return n_added == len(modules)


def _write_archive(options: argparse.Namespace, outcomes: list[Outcome]) -> None:
    """Write the code of *outcomes*, or all code if no PATH was given, to the archive that *options* name."""
    from instrument.warming.archive import modules_in_cache, modules_of, n_modules_in, write_archive

    placement = options.placement
    modules = modules_of(outcomes, placement) if options.paths else modules_in_cache(placement)
    size = write_archive(options.archive, modules)
    if not options.quiet:
        megabytes = f"{size / 1e6:.1f} MB"
        say([f"instrument: {n_modules_in(modules)} modules were written to {options.archive}, {megabytes}"], sys.stderr)


def _prepares(options: argparse.Namespace, outcomes: list[Outcome]) -> bool:
    """Prepare the PATHs of *options*, add each outcome to *outcomes*, and return whether no file has failed.

    Raise KeyboardInterrupt if the user interrupts that.
    """
    failures: list[Outcome] = []
    record = PreparedFiles(open_cache(options.placement))
    # Large files come first, so that no process is left alone with a large one at the end.
    files = sorted(dict.fromkeys(python_files(options.paths, failures)), key=record.size, reverse=True)
    progress = ProgressBar(len(files), options.quiet)
    for outcome in failures:
        progress.add(outcome)
    try:
        for outcome in prepare_files(files, options.placement, min(options.jobs or n_cores(), len(files))):
            progress.add(outcome)
            outcomes.append(outcome)
            if outcome.result is not Result.FAILED:
                record.note(outcome.path)
    except KeyboardInterrupt:
        progress.end("interrupted")
        raise
    finally:
        record.save()
    open_cache(options.placement).tidy()
    progress.end("done")
    return not progress.n_failed


def _number(text: str) -> int:
    """Return *text* as a number of processes. Raise ArgumentTypeError if it is none."""
    try:
        number = int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of processes") from None
    if number < 1:
        raise argparse.ArgumentTypeError(f"there must be at least 1 process, not {text}")
    return number
