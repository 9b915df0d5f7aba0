"""Prepares files ahead of a program that is about to import them, and says so.

Files come in that are likely to be imported. The cache then has their rewritten code. On a terminal, standard error
gets a progress bar after half a second, and one line at the end. No trace of this stays but the cache: no bytecode
file, no process, no warning of the compiler. Files that fail are left to the program's process.
"""

from __future__ import annotations

import contextlib
import sys
import time

from instrument.link.cache import open_cache
from instrument.report.text import say
from instrument.warming.outcomes import Result
from instrument.warming.prepared_files import PreparedFiles
from instrument.warming.progress import ProgressBar
from instrument.warming.workers import n_cores, prepare_files

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from instrument.warming.outcomes import Outcome

#: Seconds without a sign of life that people take for the program's own.
_NOTICEABLE = 0.5
#: Bytes of source for which one more process pays: its start takes as long as to rewrite them.
_BYTES_PER_PROCESS = 150_000
#: A file that fails for one of these reasons fails until it changes. Other failures, such as a full disk, may pass.
_PERMANENT = ("SyntaxError", "IndentationError", "TabError", "ValueError")


def prepare_ahead(files: Sequence[str], placement: str, is_quiet: bool, record: PreparedFiles | None = None) -> None:
    """Prepare those of *files* that are not ready, for this *placement*, in several processes.

    *record* is that of the cache, if it was read. If *is_quiet*, nothing is printed. After an interrupt complete
    code stays, and KeyboardInterrupt is raised.
    """
    cache = open_cache(placement)
    if cache.trouble:
        return
    record = record or PreparedFiles(cache)
    files = [path for path in dict.fromkeys(files) if not record.is_ready(path)]
    if not files:
        return
    n_processes = min(n_cores(), len(files), 1 + sum(map(record.size, files)) // _BYTES_PER_PROCESS)
    report = _Report(len(files), is_quiet or sys.stderr is None)
    outcomes = prepare_files(files, placement, n_processes, writes_bytecode=False)
    try:
        with contextlib.closing(outcomes):
            for outcome in outcomes:
                if outcome.result is not Result.FAILED or outcome.reason.startswith(_PERMANENT):
                    record.note(outcome.path)
                report.add(outcome)
    except KeyboardInterrupt:
        report.end(is_interrupted=True)
        raise
    finally:
        record.save()
    report.end()


class _Report:
    """Shows on standard error how *n_files* files are prepared, unless *is_quiet*."""

    def __init__(self, n_files: int, is_quiet: bool) -> None:
        self._n_files = n_files
        self._is_quiet = is_quiet
        self._bar = ProgressBar(n_files, prints_only_problems=is_quiet, shown_after=_NOTICEABLE)
        self._n_prepared = self._n_lines = 0
        self._began = time.monotonic()

    def add(self, outcome: Outcome) -> None:
        """Count *outcome*, and draw the bar."""
        self._n_prepared += outcome.result is Result.PREPARED
        self._n_lines += outcome.n_lines
        self._bar.add(outcome._replace(reason=""))

    def end(self, is_interrupted: bool = False) -> None:
        """Print one line if something was prepared and somebody looks, or if it took a noticeable time."""
        self._bar.erase()
        seconds = time.monotonic() - self._began
        if self._is_quiet:
            return
        if is_interrupted:
            text = f"interrupted: {self._n_prepared} of {self._n_files} files are prepared; the program has not begun"
        elif self._n_prepared and (seconds > _NOTICEABLE or sys.stderr.isatty()):
            files = "1 file" if self._n_prepared == 1 else f"{self._n_prepared:,} files"
            text = f"prepared {files}, {self._n_lines:,} lines, {seconds:.1f} s; next time from the cache"
        else:
            return
        say([f"instrument: {text}"], sys.stderr)
