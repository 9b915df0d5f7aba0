"""The extension of IPython: `%load_ext instrument` adds `%%instrument` and `%instrument`.

Three hooks of the shell are used, all of this one instance, until the extension is unloaded:
- `run_code`, which executes each statement of a cell: it gets the live code object. This function returns the coroutine
  of the original, so no frame of it is on the stack while a cell runs, or in a traceback.
- a transformer of input: it removes the line `%%instrument`. So IPython runs the rest as it would without that line,
  with `await`, results, errors and history.
- the events before and after a cell: the measurement begins and ends there.

A cell that another magic runs, as below `%%time`, comes to `InstrumentMagics.instrument` instead.
"""

from __future__ import annotations

import ast
import sys
from contextlib import ExitStack
from typing import Any

from IPython.core.error import UsageError
from IPython.core.magic import Magics, line_cell_magic, magics_class, needs_local_scope, no_var_expand
from IPython.display import display

from instrument.errors import InstrumentError, OptionError
from instrument.hooks import imports
from instrument.notebook.cell_report import report_of
from instrument.notebook.cells import Cells
from instrument.notebook.executed_cells import ExecutedCells
from instrument.notebook.live_cells import LiveCells
from instrument.notebook.measuring import CellMeasurement
from instrument.notebook.options import MeasuredCell, Options, measured_cell, options_of_cell, read_options

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Coroutine
    from types import CodeType, FrameType

_TIME = "time"


@magics_class
class InstrumentMagics(Magics):  # type: ignore[misc]  # mypy may not have IPython
    """The magics, and the hooks, of one *shell*."""

    def __init__(self, shell: Any) -> None:
        super().__init__(shell)
        self._cells = Cells(shell)
        self._live_cells = LiveCells(self._cells)
        #: The measurements that have not ended, outermost first.
        self._open: list[CellMeasurement] = []
        #: The cell of IPython that is measured, until it ends: the information about its execution, and the cell.
        self._running: tuple[Any, MeasuredCell, CellMeasurement] | None = None
        self._original_run_code = shell.run_code
        #: Another extension may keep `run_code` when this one is unloaded.
        self._is_installed = False
        #: Open until the extension is unloaded.
        self._contexts = ExitStack()
        # One object each, as methods are found by comparison.
        self._hooks = self.run_code, self.without_magic_line

    def install(self) -> None:
        """Add the magics and the hooks to the shell."""
        if imports.n_instrumenters():  # the recorder's, for example, which does not select cells
            self._contexts.enter_context(ExecutedCells(self._cells, self._live_cells.session, with_timed=False))
        self._live_cells.prepare()
        run_code, without_magic_line = self._hooks
        self._is_installed = True
        self.shell.register_magics(self)
        self.shell.run_code = run_code
        self.shell.input_transformers_cleanup.append(without_magic_line)
        self.shell.events.register("pre_run_cell", self.before_cell)
        self.shell.events.register("post_run_cell", self.after_cell)

    def uninstall(self) -> None:
        """Remove all that `install` has added, and give the functions of cells their originals back."""
        run_code, without_magic_line = self._hooks
        self._is_installed = False
        if vars(self.shell).get("run_code") is run_code:
            del self.shell.run_code
        if without_magic_line in self.shell.input_transformers_cleanup:
            self.shell.input_transformers_cleanup.remove(without_magic_line)
        for event, hook in (("pre_run_cell", self.before_cell), ("post_run_cell", self.after_cell)):
            if hook in self.shell.events.callbacks[event]:
                self.shell.events.unregister(event, hook)
        manager = self.shell.magics_manager
        for table in manager.magics.values():
            table.pop("instrument", None)
        manager.registry.pop(type(self).__name__, None)
        self._running = None
        while self._open:  # a measured cell may unload the extension
            self._open.pop().end()
        self._contexts.close()
        self._live_cells.restore()

    # Hooks ############################################################################################################

    def run_code(self, code_obj: CodeType, *arguments: Any, **options: Any) -> Coroutine[Any, Any, Any]:
        """Return the coroutine of the shell's `run_code` for the live code object in place of *code_obj*."""
        if self._open:
            for measurement in self._open:
                measurement.note_cell(code_obj.co_filename)
            code_obj = self._live_cells.live(code_obj)
        elif self._is_installed and self._cells.is_cell(code_obj.co_filename):
            code_obj = self._live_cells.live_if_suspendable(code_obj)
        coroutine: Coroutine[Any, Any, Any] = self._original_run_code(code_obj, *arguments, **options)
        return coroutine

    def without_magic_line(self, lines: list[str]) -> list[str]:
        """Return the *lines* of a cell without the line `%%instrument`, for which a comment may stand.

        Lines with wrong options are returned as they are: then the magic is called, and raises the error.
        """
        cell = self._measured_cell(lines)
        if cell is None:
            return lines
        return cell.body if cell.is_shortened() else [f"# {lines[0]}", *cell.body]

    #: So IPython sees the magic line when it asks whether a cell is complete. Then a blank line ends the cell.
    without_magic_line.has_side_effects = True  # type: ignore[attr-defined]

    def before_cell(self, info: Any) -> None:
        """Begin a measurement if the cell of *info* is a measured one."""
        if self._running is not None and not _is_within_cell():  # the shell did not report its end
            self._end_running()
        cell = self._measured_cell(self._cleaned(info.raw_cell))
        if cell is None:
            return
        try:
            self._running = info, cell, self._begin(cell.options, cell)
        except InstrumentError as error:
            print(f"instrument: this cell is not counted: {error}", file=sys.stderr)

    def after_cell(self, result: Any) -> None:
        """End the measurement of the cell with this *result*, and show the report."""
        if self._running is not None and (result is None or not _is_within_cell()):
            self._end_running()

    def _end_running(self) -> None:
        """End the measurement of the cell that IPython runs, and show the report."""
        assert self._running is not None
        _, cell, measurement = self._running
        self._running = None
        self._end(measurement, cell, cell.options)

    def _measured_cell(self, lines: list[str]) -> MeasuredCell | None:
        """Return the measured cell that *lines* are, if the hooks are to run it; else None."""
        try:
            cell = measured_cell(lines)
        except OptionError:
            return None
        return None if cell is None or _is_within_cell() else cell

    def _cleaned(self, raw_cell: str) -> list[str]:
        """Return the lines of *raw_cell* as `without_magic_line` gets them."""
        lines = raw_cell.splitlines(keepends=True)
        for transform in self.shell.input_transformers_cleanup:
            if transform == self._hooks[1]:
                break
            lines = transform(lines)
        return lines

    # Measurements #####################################################################################################

    def _begin(self, options: Options, cell: MeasuredCell | None) -> CellMeasurement:
        """Return a measurement that has begun; raise InstrumentError if the scope is wrong."""
        is_timed = cell is not None and cell.inner_magic() == _TIME
        measurement = CellMeasurement(self._cells, self._live_cells, options, is_timed=is_timed)
        self._open.append(measurement)
        return measurement

    def _end(self, measurement: CellMeasurement, cell: MeasuredCell | None, options: Options) -> None:
        """End *measurement*, and show the report, unless no code of the cell began to run."""
        if measurement not in self._open:  # the cell has unloaded the extension
            return
        self._open.remove(measurement)
        counted = measurement.end()
        if not counted.cell:
            return
        report = report_of(counted, cell, options, self._cells)
        if options.save:
            self.shell.user_ns[options.save] = report
        display(report)

    # Magics ###########################################################################################################

    @no_var_expand  # type: ignore[untyped-decorator]
    @needs_local_scope  # type: ignore[untyped-decorator]
    @line_cell_magic  # type: ignore[untyped-decorator]
    def instrument(self, line: str, cell: str | None = None, local_ns: dict[str, Any] | None = None) -> Any:
        """Count how often each line of a cell runs, and of the functions of earlier cells that it calls.

            %%instrument [--only-cell] [--scope ITEM] [--save NAME]
            CODE

            %instrument [--only-cell] [--scope ITEM] [--save NAME] STATEMENT

        The cell runs as without this line. Then it is shown with the count of each line. 0 stands for a line that can
        run and did not. `%instrument` counts one statement, and returns its value.

        --only-cell     leaves out the functions of earlier cells
        --scope ITEM    also counts ITEM: a module or package by its name, or a file or folder by its path
        --save NAME     assigns the report to the variable NAME; its attribute `counts` has all counts, by file name and
                        line; in the measured cell, `%%instrument` is line 1
        """
        __tracebackhide__ = True
        try:
            if cell is None:
                return self._run_statement(read_options(line), local_ns)
            options = options_of_cell(line)
            measured = MeasuredCell(options, cell.splitlines(keepends=True), is_nested=True)
            measurement = self._begin(options, measured)
        except InstrumentError as error:
            raise UsageError(str(error)) from None
        try:
            # As magics of IPython do: the traceback of an error is shown, and the outer cell goes on.
            self.shell.run_cell(cell)
        finally:
            self._end(measurement, measured, options)
        return None

    def _run_statement(self, options: Options, local_ns: dict[str, Any] | None) -> Any:
        """Run the statement that is the rest of *options*, show the report, and return the statement's value."""
        __tracebackhide__ = True
        if not options.rest:
            raise OptionError("write `%instrument STATEMENT`, or `%%instrument` above the code of a cell")
        shell = self.shell
        text = shell.transform_cell(options.rest)
        outer = shell.displayhook.exec_result  # of the cell with the statement; `execution_count` is that of the next
        number = shell.execution_count if outer is None else outer.execution_count
        file_name = shell.compile.cache(text, number, raw_code=options.rest)
        tree = shell.transform_ast(shell.compile.ast_parse(text, file_name))
        is_expression = len(tree.body) == 1 and isinstance(tree.body[0], ast.Expr)
        if is_expression:
            code = shell.compile(ast.Expression(tree.body[0].value), file_name, "eval")
        else:
            code = shell.compile(tree, file_name, "exec")
        measurement = self._begin(options, None)
        try:
            measurement.note_cell(file_name)
            return eval(self._live_cells.live(code), shell.user_global_ns, local_ns)
        finally:
            self._end(measurement, None, options)


def _is_within_cell() -> bool:
    """Return whether a cell is running in this thread: then another magic runs the cell that is asked about."""
    frame: FrameType | None = sys._getframe()
    while frame is not None:
        if frame.f_code.co_name == "run_code" and frame.f_globals.get("__name__") == "IPython.core.interactiveshell":
            return True
        frame = frame.f_back
    return False


def load_ipython_extension(shell: Any) -> None:
    """Add the magics to *shell*: IPython calls this for `%load_ext instrument`.

    Raise UsageError if IPython is too old.
    """
    if not hasattr(shell.compile, "format_code_name"):
        raise UsageError("%load_ext instrument needs IPython 8.18 or later: pip install --upgrade ipython")
    InstrumentMagics(shell).install()


def unload_ipython_extension(shell: Any) -> None:
    """Remove the magics from *shell*: IPython calls this for `%unload_ext instrument`."""
    magics = shell.magics_manager.registry.get(InstrumentMagics.__name__)
    if isinstance(magics, InstrumentMagics):
        magics.uninstall()
