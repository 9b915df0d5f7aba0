"""Decides which code one run of a `Trace` measures, by the rules of the standard library's `trace`.

By these rules, the module that is entered first decides for all modules of its bare name (`scope.trace_ignore`). So the
decision must be made when code is entered, and not when it is imported.
"""

from __future__ import annotations

from instrument.scope import same_name
from instrument.scope.trace_ignore import module_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FunctionType

    from instrument.scope.trace_ignore import Ignore
    from instrument.session.window import Window
    from instrument.trace_runs.first_entered import FirstEntered


class RunChoice:
    """Selects the code that a run measures: that of modules which *ignore* may leave measured.

    If *selects_all*, select all code. That is for the lists of functions and callers, which ignore no module.
    """

    spares_live_code = False
    selects_texts = True

    def __init__(self, ignore: Ignore, selects_all: bool) -> None:
        self._ignore = ignore
        self._selects_all = selects_all
        self._first_entered: FirstEntered | None = None
        self._window: Window | None = None
        #: Bare names of modules with existing functions.
        self._existing_names: set[str] = set()
        #: By ambiguous bare name: whether the files are ignored, and the functions in them.
        self._ambiguous: dict[str, tuple[set[int], list[FunctionType]]] = {}

    def selects(self, name: object, file: object, source: str) -> bool:
        """Return whether code that runs in a module with this `__file__` may turn out to be measured."""
        if self._selects_all:
            return True
        return bool(file) and isinstance(file, str) and self._ignore.may_count(file)

    def note_entered(self, file: str) -> None:
        """Let the module that was entered first decide for the bare name of *file*, if one was entered."""
        self._let_first_decide(module_name(file))

    def note_execution(self, file: str) -> None:
        """Note that a module with this `__file__` is entered: it decides for its bare name, if none did before."""
        name = module_name(file)
        if self._ignore.depends_on_order(name):
            self._ignore.names(file, name)

    def _let_first_decide(self, name: str, running: bool = True) -> None:
        """Let the module that was entered first decide for the bare name *name*, if one was entered.

        If *running*, include modules that this thread is running now: their probes may fire later.
        """
        first_entered, window = self._first_entered, self._window
        if first_entered is None or window is None or not self._ignore.depends_on_order(name):
            return
        first = first_entered.first_file(name) or next(window.entered_files(name), None)
        if first is None and running and name in self._existing_names:
            first = first_entered.first_running(name)
        if first is not None:
            self._ignore.names(first, name)

    def note_entered_of_others(self) -> None:
        """Let modules decide that were entered, without modules that this thread is running now.

        This thread only needs results. Modules that it runs may have been entered before the measurement began.
        """
        for name in list(self._ignore.ambiguous):
            self._let_first_decide(name, running=False)

    def note_files(self, files: set[str]) -> None:
        """Find the bare names that ignored and measured modules share, from the *files* of all modules."""
        self._ignore.ambiguous |= same_name.names_ignored_and_measured(self._ignore, files)

    def note_functions(self, file: str | None, functions: list[FunctionType]) -> None:
        """Note the existing *functions* of a module with this `__file__`."""
        if file is None:
            return
        name = module_name(file)
        self._existing_names.add(name)
        if name in self._ignore.ambiguous:
            is_ignored, all_functions = self._ambiguous.setdefault(name, (set(), []))
            is_ignored.add(self._ignore.judge(file, name))
            all_functions.extend(functions)

    def begin(self, window: Window, first_entered: FirstEntered) -> None:
        """Have *first_entered* observe the existing functions for which the order matters."""
        self._window, self._first_entered = window, first_entered
        for name, (is_ignored, functions) in self._ambiguous.items():
            if len(is_ignored) > 1 and self._ignore.depends_on_order(name):
                first_entered.observe(name, functions)

    def end(self) -> None:
        """Undo `begin`."""
        if self._first_entered is not None:
            self._first_entered.end()
