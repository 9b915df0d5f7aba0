"""Records a whole process: counts all that it runs in the scope, from its start to its end, and writes data files.

Settings come in (`start`). Data files go out, one for each process, with the totals since the process began. Modules
in the scope are made live as they are imported, and functions that exist already at once (`session.scoped`). In the
background, counters are read in pieces, and every so many seconds the changes are written in one transaction
(`record.flushing`). The recorder is the listener of all ends of the process (`hooks`). So an end that is announced
loses nothing, and any other end loses the last few seconds.

A forked process counts from the fork on, in a data file of its own, and its parent goes on.

If counts cannot be written, the program is not affected. One message says so, and the totals are written later.
Code that runs after the last exit handler, such as finalizers of objects that live to the end, is not recorded.
"""

from __future__ import annotations

import os
import sys
from _functools import partial  # type: ignore[import-not-found]
from _io import TextIOWrapper
from _operator import attrgetter, call, ge
from itertools import repeat
from time import monotonic

import instrument.model  # noqa: F401 - late modules are in this package, and it must be there
from instrument.config.values import CONTEXTS, ROOT, first_context
from instrument.data.process_identity import ProcessInfo
from instrument.flow import placement_names
from instrument.guest import interpreters, isolation, own_loader
from instrument.guest.messages import forget_written_once, say_once, say_without_locks
from instrument.guest.own_builtins import system as _system
from instrument.guest.own_imports import errors, load_extensions
from instrument.guest.process_state import cleared_on_reset
from instrument.guest.program_errors import belongs_to_program
from instrument.hooks import forks, process_end, signals
from instrument.record.background import Background
from instrument.record.flushing import NEVER, Complaints, FlushSchedule, Pacing
from instrument.scope.project import Scope
from instrument.session.scoped import scoped_instrumenter
from instrument.session.session import session

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import CodeType, FrameType

    from instrument.config import Settings
    from instrument.record.contexts import ContextCounts
    from instrument.record.process_data import FunctionCounts, LineCounts, ProcessData
    from instrument.record.reading import Reading

_getpid = os.getpid
#: Seconds between two looks for flush requests and other work, at most.
_LOOK_EVERY = 1.0
#: Up to 3.12, an interpreter that the program has left open is ended while the process ends. Then the first call in C
#: that releases the interpreter lock ends the main thread (Python/ceval_gil.c: take_gil, tstate_must_exit). All output
#: in buffers would be lost.
_RELEASING_LOCK_ENDS_THREAD = sys.version_info < (3, 13)
#: The text that such an interpreter executes before. It leaves no name there.
_SAVE_LEFT_OPEN = f"""__import__("sys").modules[{__name__!r}].save_left_open()"""


class Recorder:
    """Records this process by *settings*. All its work is done in the background thread (`record.background`)."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.scope = Scope(settings.scope)
        self._root = _root()
        self._instrumenter = scoped_instrumenter()
        self._session = self._instrumenter.session
        self._are_many_late = self._session.records.are_many_late()
        self._background = Background(self._look, self._checks, self._complain, interpreters.may_have_thread())
        self._pacing = Pacing(self._background)
        #: The work of each context; None if it is not counted apart. The environment is read once: later, the program
        #: may have replaced functions that it calls.
        self.contexts: ContextCounts | None = None
        if os.environ.get(CONTEXTS) == "1":
            self._count_contexts(first_context(os.environ))
        #: Whether C code may compile and execute modules.
        self._instruments_late_functions = interpreters.is_embedded()
        self._begin()
        self._instrumenter.on_live = self._start
        session(placement_names.NOTHING).is_permanent = self._session.retirement.has_background_thread = True
        self._instrumenter.begin(self.scope)
        process_end.install(self)
        forks.install(self)
        signals.install(self, settings.signal)
        if interpreters.number() and _RELEASING_LOCK_ENDS_THREAD:
            interpreters.register_as_measured()
        if self._instruments_late_functions:
            self._start()

    def _begin(self, reading: Reading | None = None) -> None:
        """Count from now on, in a data file of this process. *reading* is given if it is to be continued."""
        self._pacing.reset()
        process = ProcessInfo.current(interpreters.number())
        process.scope, process.root = "\n".join(self.settings.scope), self._root
        #: Whether no code was live yet when this process began to count.
        self._counts_all = reading is None and not self._session.groups
        #: None until it is needed (`_data`): it needs more modules of this package than all else.
        self._made_data: ProcessData | None = None
        self._process = process  # after the two above: a signal may come (`finish`)
        if self.contexts is not None:  # a forked child goes on with the context of its parent
            self._count_contexts(self.contexts.name)
        if reading is not None or self._session.groups or not interpreters.may_have_thread():
            self._make_data(reading)
        self._schedule = FlushSchedule(self.settings.flush)
        self._complaints = Complaints(self.settings.flush)
        #: The counts at the last `reset`.
        self._counts_at_reset: tuple[LineCounts, FunctionCounts] = {}, {}
        self._is_prepared = self._has_looked = False
        #: The frame of the background thread at the last call of `_is_alone`, if it was idle.
        self._idle_frame: FrameType | None = None
        #: The path of requests to flush (`data.flush_requests.request_path`).
        self._request = f"{self.settings.directory}{os.sep}{process.name_in_files()}"

    def _count_contexts(self, name: str) -> None:
        """Count the work of contexts apart; the first one is *name*."""
        from instrument.record.contexts import ContextCounts

        if self.contexts is not None:
            self.contexts.close()
        self.contexts = ContextCounts(self._session, name, from_now_on=bool(self._session.groups))

    def _make_data(self, reading: Reading | None) -> ProcessData:
        """Return the new `_made_data`. It has the counts since *reading* was begun, or all of this process."""
        from instrument.record.process_data import ProcessData
        from instrument.record.reading import Reading

        if reading is None:
            reading = Reading(self._session, self._pacing.pause, from_first_code=self._counts_all)
        self._made_data = ProcessData(
            self.settings, self.scope, self._session, self._pacing, self._process, reading, self.contexts
        )
        return self._made_data

    def _data(self) -> ProcessData:
        """Return the counts of this process. They are made if they are not there yet."""
        return self._made_data or self._make_data(None)

    def _start(self) -> None:
        """Start the background thread: code was made live, so there is something to count."""
        forks.check_for_fork()
        signals.handle_defaults()
        self._background.start()

    def stop(self) -> None:
        """Write the counts, and record nothing from now on."""
        self.finish("stop")
        self._background.stop()
        process_end.uninstall(self)
        forks.uninstall(self)
        signals.uninstall(self)
        session(placement_names.NOTHING).is_permanent = self._session.retirement.has_background_thread = False
        self._instrumenter.on_live = None
        self._instrumenter.end(self.scope)
        self._close_data()
        if self.contexts is not None:
            self.contexts.close()
        if self in _recorders:
            _recorders.remove(self)

    # Calls by the rest of the package

    def instrument_main(self, code: CodeType, namespace: dict[str, object]) -> CodeType:
        """Return the code to run in *namespace*, that of the main program, in place of *code*."""
        return self._instrumenter.instrument(code, namespace)

    def note_running_script(self) -> None:
        """Note that the main script is not fully counted: it runs already, and may define functions later."""
        names = vars(sys.modules["__main__"])
        file = names.get("__file__")
        if type(file) is str and self.scope.selects("__main__", file):
            self.note_not_measured(file, "it was running when instrument.start() was called")

    def note_not_measured(self, file: str, reason: str) -> None:
        """Note that the module with this `__file__` is not fully counted, for this *reason*, unless one is noted."""
        self._session.not_measured.setdefault(file, reason)

    def flush(self) -> None:
        """Write all counts so far, and return when that is done."""
        forks.check_for_fork()
        self._background.run(self._flush)

    def counts(self) -> tuple[LineCounts, FunctionCounts]:
        """Return the counts since the last `reset`, of lines and functions that have any.

        Raise InstrumentError if they cannot be read.
        """
        forks.check_for_fork()
        counts: list[tuple[LineCounts, FunctionCounts]] = []

        def read() -> bool:
            if not self._read():
                return False
            data = self._data()
            data.recover()
            if self._background.is_hurried:  # a fork waits, and not all may be recovered
                return False
            counts.append(data.counts())
            return True

        if not self._background.run(read):
            raise errors.InstrumentError("the counts of this process cannot be read: see standard error for the reason")
        lines, functions = counts[-1]
        lines_before, functions_before = self._counts_at_reset
        return (
            {line: n - lines_before.get(line, 0) for line, n in lines.items() if n != lines_before.get(line, 0)},
            {
                function: n - functions_before.get(function, 0)
                for function, n in functions.items()
                if n != functions_before.get(function, 0)
            },
        )

    def begin_context(self, name: str) -> None:
        """Begin the context *name*; the work of the process until now is that of the context before.

        Do nothing if the work of contexts is not counted apart.
        """
        if self.contexts is not None:
            forks.check_for_fork()
            self.contexts.begin(name, self._is_alone)

    def _is_alone(self) -> bool:
        """Return whether no other thread of the process has executed code since the last call."""
        if not interpreters.is_single_threaded(besides=self._background.is_alive()):
            return False
        before, self._idle_frame = self._idle_frame, self._background.idle_frame()
        return self._idle_frame is before and (before is not None or not self._background.is_alive())

    def reset(self) -> None:
        """Make `counts` begin at zero now. The data file keeps all counts."""
        self._counts_at_reset = {}, {}
        self._counts_at_reset = self.counts()

    # Ends of the process, and signals

    def request_flush(self) -> None:
        """Have the counts written soon, and do not wait for that."""
        forks.check_for_fork()
        self._background.order(self._flush)

    def finish(self, how: str) -> None:
        """Write the counts: the process is about to end, or to become another program. *how* is written, too."""
        forks.check_for_fork()
        if self._process.pid != _getpid():  # a handler ends a forked process that counts nothing yet
            return
        self._pacing.is_urgent = True
        try:
            if not self._background.run(lambda: self._flush(how)):
                why = (
                    "Python has ended the thread that was writing them"
                    if self._background.is_broken_off
                    else "writing waits for a lock that the program holds"
                )
                say_without_locks(f"the counts of process {_getpid()} since their last write are lost: {why}")
        finally:
            self._pacing.is_urgent = False

    def prepare(self, is_repeated: bool) -> None:
        """Write the counts, and load the modules for writing: the process is about to change its rights or its files.

        If the program calls such a function very often (*is_repeated*), do so the first time only.
        """
        if is_repeated and self._is_prepared:
            return
        self._is_prepared = True
        self._pacing.is_urgent = True
        try:
            self._background.run(self._flush_and_load)
        finally:
            self._pacing.is_urgent = False

    def _flush_and_load(self) -> bool:
        if not self._flush():
            return False
        data = self._data()
        data.load_modules(with_sqlite=True)
        own_loader.hold_late_codes()
        isolation.load()  # it rewrites code that is new
        load_extensions()
        if data.is_written:
            try:
                data.writer.hold_folder()
            except OSError:  # the folder cannot be opened: the next write says so if the path leads elsewhere then
                pass
        return True

    def at_exit(self) -> None:
        """Write the counts, as the last of all exit handlers."""
        if interpreters.number() and _RELEASING_LOCK_ENDS_THREAD and sys.is_finalizing():
            _flush_output()
            return
        steps = [self._finish_without_signals, self._end_thread, self._instrumenter.save_cache, _flush_output]
        if interpreters.number():  # when an interpreter ends, a thread may get no turn: this thread does the work
            steps.insert(0, self._end_thread)
        elif _RELEASING_LOCK_ENDS_THREAD:
            steps.insert(0, _save_interpreters_left_open)
        for step in steps:
            try:
                step()
            except BaseException as error:
                if belongs_to_program(error):
                    raise
                self._complain(error)

    def exit_handler_removed(self) -> None:
        """Note that the program has removed our exit handler. The background thread registers another one."""
        if not interpreters.may_have_thread():
            self.flush()
            say_once(
                "the program has removed all exit handlers: later counts of this interpreter are not saved "
                "(README, limit exit-handlers)"
            )
        elif not self._background.is_worker():  # if the process ends before that, the thread must not be at work
            self._background.run(lambda: True)

    def _finish_without_signals(self) -> None:
        with signals.SignalsBlocked():
            self.finish("exit")

    def _end_thread(self) -> None:
        self._instrumenter.on_live = None  # no thread begins again: an interpreter that has one cannot be ended
        self._background.stop(for_good=bool(interpreters.number()))

    # Forks

    def before_fork(self) -> None:
        """End the background thread: no work may be half done in the child."""
        self._background.before_fork()

    def before_c_fork(self) -> None:
        """End the background thread, and write all counts so far, which are the parent's."""
        self._background.before_fork()
        self._instrumenter.instrument_late_functions()
        self._background.run(self._flush)

    def after_fork_in_parent(self) -> None:
        """Note that one fork is over."""
        self._background.after_fork_in_parent()

    def after_fork_in_child(self, is_prepared: bool = False) -> None:
        """Count from now on, in a data file of the child. If *is_prepared*, count from `before_c_fork` on."""
        forget_written_once()
        if is_prepared and self._made_data is not None:
            self._begin(self._made_data.reading)
        else:
            self._close_data()
            self._begin()
        self._background.after_fork_in_child()

    def resume(self) -> None:
        """Start the background thread again, in the parent or in the child."""
        self._background.resume()

    # Work in the background

    def _close_data(self) -> None:
        if self._made_data is not None:
            self._made_data.reading.close()

    def _look(self) -> float:
        """Do the work that is due; return after how many seconds to look again."""
        if not self._has_looked:
            self._has_looked = True
            own_loader.hold_late_codes()
            load_extensions()
            # Embedded, C may change the root folder or the rights later, unnoticed.
            self._data().load_modules(with_sqlite=self._instruments_late_functions)
        overdue_signal = signals.check_pending_signals()
        if overdue_signal is not None:
            self._pacing.is_urgent = True
            self._flush(signals.name_of(overdue_signal))
            signals.end(overdue_signal)  # it returns only if the signal cannot be sent
            self._pacing.is_urgent = False
        self._session.retirement.retire()
        if self._are_many_late():
            self._session.records.count_late()
        if self._instruments_late_functions:
            self._instrumenter.instrument_late_functions()
        self._pacing.begin_stretch()
        self._instrumenter.read_sources(self._pacing.pause)
        from instrument.data import flush_requests

        if not interpreters.number() and flush_requests.take(self._request):
            self._flush()
            flush_requests.answer(self._request, self._complaints.has_failed)
        elif monotonic() >= self._schedule.next:
            self._flush(is_early=self._schedule.is_early)
        remaining = max(0.0, self._schedule.next - monotonic())
        if remaining == NEVER:
            return _LOOK_EVERY
        n_looks = max(1, -(-remaining // _LOOK_EVERY))  # rounded up, so the last look is at the time of the flush
        return remaining / n_looks

    def _checks(self) -> list[Callable[[], object]]:
        """Return functions in C that return true, or raise, if `_look` has something to do."""
        checks: list[Callable[[], object]] = [
            map(ge, map(call, repeat(monotonic)), map(attrgetter("next"), repeat(self._schedule))).__next__,
            self._session.retirement.is_due(),
            self._are_many_late,
            *([repeat(True).__next__] if self._instruments_late_functions else ()),
            *signals.checks(),
        ]
        if self._has_looked:  # before, the module of requests need not be loaded
            from instrument.data.flush_requests import REQUESTED

            checks += [partial(_system.access, self._request + REQUESTED, 0), self._instrumenter.n_unread]
        return checks

    def _flush(self, how: str = "", *, is_early: bool = False) -> bool:
        """Write all counts so far; return False if a fork waits before all is read. *how* names the end, if it is one.

        *is_early* is whether the process has just begun, and nobody has asked for its counts. A failure counts as done.
        One message says so.
        """
        if self._made_data is None and not self._session.groups and not self._session.not_measured:
            return True  # nothing was counted
        is_complete = False
        try:
            is_complete = self._read(how, is_early=is_early)
            if is_complete:
                self._data().write(how, is_early=is_early)
                self._complaints.has_failed = False
        except BaseException as error:
            if not self._background.is_worker() and belongs_to_program(error):
                raise
            self._complain(error, is_end=bool(how))
            is_complete = True
        self._schedule.plan_next()
        return is_complete

    def _read(self, how: str = "", *, is_early: bool = False) -> bool:
        """Add all counts since the last reading to the totals; return False if a fork waits before that is done.

        The arguments are those of the write that follows.
        """
        data = self._data()
        with self._pacing:
            if self.contexts is not None:  # first, so that no context has work that the totals lack
                self.contexts.read()
            data.read()
            if data.needs_lines(how, is_early=is_early):
                data.recover()
        return not self._background.is_hurried

    def _complain(self, error: BaseException, *, is_end: bool = False) -> None:
        self._complaints.tell(
            error, is_end=is_end, is_written=self._made_data is not None and self._made_data.is_written
        )


def _root() -> int:
    """Return the number of the outermost measured process that this one comes from, 0 if the environment has none."""
    number = os.environ.get(ROOT, "")
    return int(number) if number.isdecimal() and len(number) < 12 else 0


def _save_interpreters_left_open() -> None:
    """Have the interpreters that the program has left open write their counts: later they cannot."""
    for number in interpreters.run_in_measured(_SAVE_LEFT_OPEN):
        say_without_locks(
            f"the latest counts of subinterpreter {number} of process {_getpid()} are lost: "
            "the program ends while a thread runs in it; end the thread and close the subinterpreter first"
        )


def save_left_open() -> None:
    """Write the counts of this interpreter, which was left open (`_SAVE_LEFT_OPEN`)."""
    for recorder in _recorders:
        try:
            recorder.finish("exit")
        except BaseException as error:
            recorder._complain(error)


def _flush_output() -> None:
    """Write the buffered output of a subinterpreter. It ends before its streams do, which our modules hold."""
    if interpreters.number():
        for stream in (sys.stdout, sys.stderr):
            if type(stream) is TextIOWrapper:
                stream.flush()


#: The recorder of this process; empty if there is none.
_recorders: list[Recorder] = cleared_on_reset([])


def start(settings: Settings) -> Recorder:
    """Record this process from now on, by *settings*; return the recorder, which is the present one if there is one."""
    if not _recorders:
        _recorders.append(Recorder(settings))
    return _recorders[0]


def current() -> Recorder | None:
    """Return the recorder of this process, None if there is none."""
    return _recorders[0] if _recorders else None
