"""One measurement: the counts of all cells, and of a scope, from its beginning to its end."""

from __future__ import annotations

from contextlib import ExitStack
from typing import NamedTuple

from instrument.hooks import imports
from instrument.in_process import counting
from instrument.notebook.executed_cells import TIMED, ExecutedCells
from instrument.session.window import Window

TYPE_CHECKING = False
if TYPE_CHECKING:
    from instrument.notebook.cells import Cells
    from instrument.notebook.live_cells import LiveCells
    from instrument.notebook.options import Options

    #: How often each line of a file ran.
    LineCounts = dict[int, int]


class Counted(NamedTuple):
    """The counts of one measurement.

    - cell: the file name of the measured cell; empty if no code of it began to run.
    - files: how often each line ran, by file name: of cells, and of modules of the scope.
    - timed: the same for the lines of the body of `%%time`.
    - uncounted: cells and functions that had begun before, and that are not counted.
    - not_measured: why files are not fully counted, by file name.
    """

    cell: str
    files: dict[str, LineCounts]
    timed: LineCounts
    uncounted: list[tuple[str, str]]
    not_measured: dict[str, str]


class CellMeasurement:
    """Measures with *options* from now on until `end`; raise InstrumentError if the scope is wrong.

    The first cell that runs is the measured one. *is_timed* is whether that cell begins with `%%time`.
    """

    def __init__(self, cells: Cells, live_cells: LiveCells, options: Options, *, is_timed: bool = False) -> None:
        self._cells = cells
        self._live_cells = live_cells
        #: The file name of the first cell that ran.
        self.cell = ""
        self._contexts = ExitStack()
        self._scope = counting(*options.scope) if options.scope else None
        try:
            live_cells.exchange_functions()
            self._results = self._contexts.enter_context(self._scope) if self._scope else None
            if is_timed or imports.n_instrumenters():
                self._contexts.enter_context(ExecutedCells(cells, live_cells.session, with_timed=is_timed))
            self._uncounted = live_cells.uncounted()
            self._window = Window(live_cells.session)
        except BaseException:
            self._contexts.close()
            raise

    def note_cell(self, file_name: str) -> None:
        """Note that code of the cell with this *file_name* is about to run."""
        self.cell = self.cell or file_name

    def end(self) -> Counted:
        """End the measurement, and return the counts."""
        files: dict[str, LineCounts] = {}
        timed: LineCounts = {}
        try:
            for _, file_name, counts in self._window.take():
                if file_name in TIMED:
                    _add(timed, counts.lines)
                elif self._cells.is_cell(file_name):
                    _add(files.setdefault(file_name, {}), counts.lines)
        finally:
            self._window.close()
            self._contexts.close()
        if self._results is not None:
            for (path, line), n in self._results.counts.items():
                _add(files.setdefault(path, {}), {line: n})
        reasons = self._live_cells.session.not_measured
        not_measured = {name: reasons[name] for name in {*files, self.cell} if name in reasons}
        return Counted(self.cell, files, timed, self._uncounted, not_measured)


def _add(total: LineCounts, counts: LineCounts) -> None:
    """Add *counts* to *total*."""
    for line, n in counts.items():
        total[line] = total.get(line, 0) + n
