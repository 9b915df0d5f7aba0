"""One run of a `Trace`: the program's code is live from its beginning on, and its counts are taken at its end.

Problem: anything may fail here. Audit hooks of the program forbid calls, its signal handlers raise.
Solution: the program runs in any case, unmeasured if the beginning fails. The end undoes each step of the beginning,
whatever other steps raise. The program gets exceptions of its own; other failures are reported on standard error.
"""

from __future__ import annotations

from functools import partial

from instrument.flow import placement_names
from instrument.guest.messages import say_once, text_of
from instrument.guest.process_state import ProcessState
from instrument.guest.program_errors import belongs_to_program
from instrument.hooks import bytecode_readers, imports
from instrument.session.existing_functions import (
    instrument_existing_functions,
    restore_all_functions,
    restore_unmeasured_functions,
)
from instrument.session.instrumenter import Instrumenter
from instrument.session.originals import give_out, original_of
from instrument.session.session import session
from instrument.session.window import Window
from instrument.trace_runs.choice import RunChoice
from instrument.trace_runs.first_entered import FirstEntered
from instrument.trace_runs.probe_events import ProbeEvents, session_for

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import CodeType
    from typing import Any

    from instrument.link.module_import import ModuleImport
    from instrument.scope.trace_ignore import Ignore
    from instrument.session.session import Session
    from instrument.trace_runs.probe_events import Listener


class _State(ProcessState):
    """The placements of the runs that have not ended.

    A function has one code object, so later runs that count join the placement of the first.
    """

    __slots__ = ("placements_in_use",)
    placements_in_use: list[str]

    def reset(self) -> None:
        """Forget all runs."""
        self.placements_in_use = []


_state = _State()


class Run:
    """A context manager: within it, code that *ignore* does not exclude is live with *placement*.

    - *listener*: gets the probe events, with the placements EVENTS and CALLS; None with others.
    - *runs*: with the other placements, this list has the run until its end. `window` has the counts so far.
    - *take_counts*: with the other placements, it is called with the run at its end.
    - *off_the_clock*: if given, calls a function so that its time does not count as the program's.
    """

    def __init__(
        self,
        ignore: Ignore,
        placement: str,
        listener: Listener | None,
        runs: list[Run],
        take_counts: Callable[[Run], None],
        off_the_clock: Callable[..., Any] | None = None,
    ) -> None:
        self.window: Window | None = None
        self.choice = RunChoice(ignore, selects_all=placement == placement_names.CALLS)
        self._listener = listener
        self._runs = runs
        self._take_counts = take_counts
        self._session = self._session_for(placement)
        if off_the_clock is None:
            self._instrumenter = Instrumenter(self._session, self.choice)
        else:
            self._instrumenter = TimedInstrumenter(self._session, self.choice, off_the_clock)
        self._has_begun = self._has_failed = False

    def _session_for(self, placement: str) -> Session:
        """Return the session with *placement*, or the session that other runs that count use already (`_State`)."""
        in_use = _state.placements_in_use
        if self._listener is None and in_use and in_use[0] not in placement_names.CALLING:
            placement = in_use[0]
        return session_for(placement)

    def instrument(self, code: CodeType, namespace: dict[str, object]) -> CodeType:
        """Return the code object that runs in *namespace* in place of *code*."""
        return self._instrumenter.instrument(code, namespace)

    def __enter__(self) -> None:
        try:
            _state.placements_in_use.append(self._session.placement)
            self._has_begun = True
            choice = self.choice
            instrument_existing_functions(
                lambda file, name: self._session if choice.selects(name, file, "") else None,
                on_files=choice.note_files if self._session.placement != placement_names.CALLS else None,
                on_functions=choice.note_functions,
            )
            imports.install(self._instrumenter)
            bytecode_readers.install(original_of, give_out)
            if self._listener is None:
                self.window = Window(self._session)
                self._runs.append(self)
                choice.begin(self.window, FirstEntered())
            else:
                self._listeners().append(self._listener)
        except BaseException as error:
            self._end([])
            self._has_failed = True
            if belongs_to_program(error):
                raise
            say_once(f"nothing is counted in this run: {text_of(error)}")

    def __exit__(self, *exception: object) -> None:
        if self._has_failed:
            return
        nothing = session(placement_names.NOTHING)
        steps = [self._session.unlinked_code.save, nothing.unlinked_code.save]
        if self.window is not None:
            steps.insert(0, partial(self._take_counts, self))
        error = self._end(steps)
        if error is not None:
            if belongs_to_program(error):
                raise error
            say_once(f"the counts of this run are not complete: {text_of(error)}")

    def _end(self, steps: list[Callable[[], None]]) -> BaseException | None:
        """Undo `__enter__`, as far as it went, with *steps* in between; return the first exception, or None.

        An exception of the program comes before all others.
        """
        errors: list[BaseException] = []
        for step in (self._end_imports, *steps, self._end_window, self._end_events, self._end_placement):
            try:
                step()
            except BaseException as error:
                errors.append(error)
        errors.sort(key=lambda error: not belongs_to_program(error))
        return errors[0] if errors else None

    def _end_imports(self) -> None:
        if imports.is_installed(self._instrumenter):
            imports.uninstall(self._instrumenter)

    def _end_window(self) -> None:
        if self.window is None:
            return
        if self in self._runs:
            self._runs.remove(self)
        self.window.close()
        self.choice.end()

    def _end_events(self) -> None:
        if self._listener is None:
            return
        listeners = self._listeners()
        if self._listener in listeners:
            listeners.remove(self._listener)
            if not listeners:
                restore_all_functions(self._session)

    def _end_placement(self) -> None:
        if self._has_begun:
            self._has_begun = False
            _state.placements_in_use.remove(self._session.placement)
        if not _state.placements_in_use:
            restore_unmeasured_functions()

    def _listeners(self) -> list[Listener]:
        events = self._session.callbacks
        assert isinstance(events, ProbeEvents)
        return events.listeners


class TimedInstrumenter(Instrumenter):
    """An instrumenter whose work does not count as the program's time."""

    def __init__(self, session: Session, choice: RunChoice, off_the_clock: Callable[..., Any]) -> None:
        super().__init__(session, choice)
        self._off_the_clock = off_the_clock

    def instrument(
        self, code: CodeType, namespace: dict[str, object], module_import: ModuleImport | None = None
    ) -> CodeType:
        """Return the code object that runs in *namespace* in place of *code*."""
        live: CodeType = self._off_the_clock(super().instrument, code, namespace, module_import)
        return live

    def code_for_cached_bytecode(self, module_import: ModuleImport) -> CodeType | None:
        """Return the code object that runs in place of the bytecode of *module_import*, or None."""
        code: CodeType | None = self._off_the_clock(super().code_for_cached_bytecode, module_import)
        return code
