"""Numbers: the sums over files that totals and bounds need."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from instrument.analysis.file_analysis import FileAnalysis


class Numbers:
    """The sums over *files*.

    `n_lines` and `n_missing` count the lines that can run, and missing lines. `n_arcs` and `n_missing_arcs`
    count the ways of branches, and those never taken. `n_instructions` counts executed instructions. `hits` is the sum
    of the counts of lines in the *unit*. Numbers of files that are not known are left out.

    `n_files` is the number of files. `n_without_flow` is the number of files whose branches, instructions and
    executions are not known.
    """

    def __init__(self, files: Sequence[FileAnalysis], unit: str) -> None:
        self.n_files = len(files)
        complete = [file for file in files if file.is_complete]
        self.n_lines = sum(file.n_lines for file in complete)
        self.n_missing = sum(file.n_missing for file in complete)
        self.n_arcs = sum(file.n_arcs for file in complete)
        self.n_missing_arcs = sum(file.n_missing_arcs for file in complete)
        self.n_instructions = sum(file.n_instructions or 0 for file in files)
        self.n_without_flow = sum(file.n_instructions is None for file in files)
        self.hits = sum(hits.total for file in files if (hits := file.hits_in(unit)) is not None)
        self._files = complete

    def share(self, *, with_branches: bool) -> tuple[int, int]:
        """Return the sums of `FileAnalysis.share` over the files."""
        shares = [file.share(with_branches=with_branches) for file in self._files]
        return sum(n_ran for n_ran, _n_all in shares), sum(n_all for _n_ran, n_all in shares)
