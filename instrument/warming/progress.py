"""Shows on standard error how files are prepared.

Input: outcomes. Output: a bar on a terminal, a line for each problem, and a summary at the end.
"""

from __future__ import annotations

import shutil
import sys
import time

from instrument.report.text import say, shown
from instrument.warming.outcomes import Result

TYPE_CHECKING = False
if TYPE_CHECKING:
    from instrument.warming.outcomes import Outcome

#: The bar is drawn at most once in so many seconds.
_INTERVAL = 0.05
_ERASE_LINE = "\r\x1b[K"


class ProgressBar:
    """The progress of *n_files* files. If *prints_only_problems*, only files that fail or are refused are printed.

    There is no bar in the first *shown_after* seconds.
    """

    def __init__(self, n_files: int, prints_only_problems: bool, shown_after: float = 0.0) -> None:
        self._n_results = dict.fromkeys(Result, 0)
        self._n_files = n_files
        self._prints_only_problems = prints_only_problems
        self._has_bar = not prints_only_problems and sys.stderr.isatty()
        self._started_at = time.monotonic()
        self._shown_at = self._started_at + shown_after
        self._drawn_at = 0.0  # 0 while no bar is on the screen

    @property
    def n_failed(self) -> int:
        """The number of files that failed."""
        return self._n_results[Result.FAILED]

    def add(self, outcome: Outcome) -> None:
        """Count *outcome*, print its reason if there is one, and draw the bar."""
        self._n_results[outcome.result] += 1
        if outcome.reason:
            self.erase()
            say([f"instrument: {outcome.path}: {outcome.reason}"], sys.stderr)
        if self._has_bar and time.monotonic() > max(self._drawn_at + _INTERVAL, self._shown_at):
            self._draw(outcome.path)

    def end(self, word: str) -> None:
        """Print the summary, which begins with *word*."""
        self.erase()
        if self._prints_only_problems:
            return
        numbers = self._n_results
        parts = [f"{numbers[Result.PREPARED]} prepared", f"{numbers[Result.READY]} ready before"]
        parts += [f"{numbers[Result.REFUSED]} that cannot be rewritten"] if numbers[Result.REFUSED] else []
        parts += [f"{self.n_failed} failed"] if self.n_failed else []
        seconds = time.monotonic() - self._started_at
        files = "1 file" if self._n_files == 1 else f"{self._n_files} files"
        print(f"instrument: {word}: {files} in {seconds:.1f} s: {', '.join(parts)}", file=sys.stderr)

    def _draw(self, path: str) -> None:
        """Draw the bar, with the end of *path* if it fits into the line."""
        n_columns = shutil.get_terminal_size().columns
        n_done = min(sum(self._n_results.values()), self._n_files)
        width = max(min(30, n_columns - 30), 1)
        bar = "#" * (width * n_done // max(self._n_files, 1))
        line = f"[{bar:{width}}] {n_done}/{self._n_files} "
        space = n_columns - len(line) - 1
        path = shown(path)
        name = path if len(path) <= space else f"…{path[len(path) - space + 1 :]}" if space > 1 else ""
        print(f"{_ERASE_LINE}{line}{name}", end="", flush=True, file=sys.stderr)
        self._drawn_at = time.monotonic()

    def erase(self) -> None:
        """Erase the bar, if it is on the screen."""
        if self._drawn_at:
            print(_ERASE_LINE, end="", flush=True, file=sys.stderr)
            self._drawn_at = 0.0
