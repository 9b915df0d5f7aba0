"""Makes code of cells live at the calls of `exec` and `eval` that run it.

Problem: the magic `%%time` compiles the body of a cell, and calls `exec` itself. And an instrumenter of another
measurement, such as that of a scope, gives out the originals of live code that it does not select.
Solution: an instrumenter that selects cells, and the code of `%%time`.
"""

from __future__ import annotations

from instrument.hooks import imports
from instrument.session.existing_functions import instrument_existing_functions, restore_unmeasured_functions
from instrument.session.instrumenter import Instrumenter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from instrument.notebook.cells import Cells
    from instrument.session.session import Session

#: The file names that `%%time` gives to the code of its body.
TIMED = ("<timed exec>", "<timed eval>")


class _CellChoice:
    """Selects the code of *cells*; with *with_timed* that of `%%time`, too."""

    spares_live_code = True
    selects_texts = False

    def __init__(self, cells: Cells, *, with_timed: bool) -> None:
        self._cells = cells
        self._timed = TIMED if with_timed else ()

    def selects(self, name: object, file: object, source: str) -> bool:
        """Return whether the source file *source* is that of such code."""
        return source in self._timed or self._cells.is_cell(source)

    def note_entered(self, file: str) -> None:
        """Do nothing: the choice does not depend on which module runs first."""

    note_execution = note_entered


class ExecutedCells:
    """A context manager: within it, code of *cells* that is executed becomes live in *session*.

    With *with_timed* that holds for code of `%%time`, too.
    """

    def __init__(self, cells: Cells, session: Session, *, with_timed: bool) -> None:
        self._instrumenter = Instrumenter(session, _CellChoice(cells, with_timed=with_timed))

    def __enter__(self) -> None:
        imports.install(self._instrumenter, at_end=True)
        # The functions that call `exec` get the hook. Those of measured modules are live already.
        instrument_existing_functions(lambda file, name: None)

    def __exit__(self, *exception: object) -> None:
        imports.uninstall(self._instrumenter)
        if not imports.n_instrumenters():
            restore_unmeasured_functions()
