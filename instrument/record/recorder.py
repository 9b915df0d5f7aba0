"""The recorder: counts what a process runs, from its start to its end, whatever that is, and writes it down.

Settings come in; data files go out, one for each process, that hold the totals since it began. What the settings select
is made live as it is imported, and functions that exist already are adopted (`session.scoped`). In the background,
what was counted is read piece by piece (`record.totals`) and what has changed is written, every so many seconds, as
one transaction. Then whatever ends the process (`hooks.process`) takes nothing with it but the last few seconds, and
if it can be known beforehand, nothing at all.

A process that was forked counts from the fork on, in a file of its own; its parent goes on.

If something cannot be written the program is none the worse: it is said once, the totals are kept, and tried again.

Not recorded is what runs after the last exit handler, as finalizers of what lives to the end do.
"""

from __future__ import annotations

import os
import sys
from _functools import partial  # type: ignore[import-not-found]
from _io import TextIOWrapper
from _operator import attrgetter, call, ge
from gc import disable, enable, isenabled
from itertools import islice, repeat
from time import monotonic, perf_counter, sleep, time

from instrument.data import requests, sqlite
from instrument.data.store import ProcessInfo, Writer
from instrument.errors import DataGoneError, InstrumentError
from instrument.flow import placement
from instrument.guest import interpreters, isolation
from instrument.guest.messages import (
    belongs_to_program,
    forget_what_was_said,
    say,
    say_at_once,
    say_once,
    text_of,
    where_errors_go,
)
from instrument.guest.own_builtins import system as _system
from instrument.hooks import process
from instrument.record.background import Background
from instrument.record.reading import Reading
from instrument.record.totals import Totals
from instrument.scope.project import Scope
from instrument.session.originals import given_out
from instrument.session.scoped import scoped_instrumenter
from instrument.session.session import session

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import CodeType

    from instrument.config import Settings
    from instrument.record.totals import FileKey, Series, Total

_getpid = os.getpid
#: For so long we work before others get their turn, in seconds, and for so long we then rest: others do not need longer
#: to wake up.
_AT_A_STRETCH = 0.001
_REST = 0.0001
#: So many totals are handed to the database in one go.
_N_WRITTEN = 512
#: Seconds after which we look, at the latest, whether somebody asks for what was counted.
_LOOK = 1.0
#: Seconds after which the first flush is due, at the latest: there is data soon for whoever asks for it.
_FIRST = 1.0
_NEVER = float("inf")
#: The variable by which child processes know the number of the outermost one.
_ROOT = "_INSTRUMENT_ROOT"


class Recorder:
    """Records what this process counts, as *settings* say."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.scope = Scope(settings.scope)
        self._root = _root()
        self._selected = scoped_instrumenter()
        self._session = self._selected.session
        self._are_many_late = self._session.records.are_many_late()
        self._background = Background(self._look, self._checks, self._complain, interpreters.may_have_thread())
        #: Whether C may compile and execute modules.
        self._instruments_late_functions = interpreters.is_embedded()
        self._begin()
        self._selected.on_live = self._start
        session(placement.NOTHING).is_permanent = self._session.retirement.has_background_thread = True
        self._selected.begin(self.scope, lazily=True)
        process.watch(self, settings.signal)
        if interpreters.number() and _ENDS_WHO_LETS_GO:
            interpreters.is_measured()
        if self._instruments_late_functions:
            self._start()

    def _start(self) -> None:
        """Let the background begin: there is something to count."""
        process.check_for_fork()
        process.stand_in()
        self._background.start()

    def _begin(self, reading: Reading | None = None) -> None:
        """Count from now on, or what is not in *reading* yet."""
        self._totals = Totals()
        #: What was counted when it was last reset.
        self._forgotten: tuple[dict[tuple[str, int], int], dict[tuple[str, str, int], int]] = {}, {}
        self._reading = Reading(self._session, self._pause) if reading is None else reading
        process_info = ProcessInfo.current(interpreters.number())
        self._writer = Writer(self.settings.directory, process_info, shared=self.settings.shared)
        self._has_written = self._has_failed = False
        #: Where standard error led to when it was said that counts are not saved; None if that was not said.
        self._complained_to: tuple[int, int] | None = None
        self._not_measured: dict[str, str] = {}
        #: How many functions were given out when that was written.
        self._n_given_out = 0
        self._next = min(self._due(), monotonic() + _FIRST) if self.settings.flush else _NEVER
        self._turn = perf_counter()
        self._is_pressed = self._is_reading = self._puts_off = False
        self._is_prepared = self._has_looked = False
        self._request = requests.place_of(self._writer.path)
        self._writer.process.scope = "\n".join(self.settings.scope)
        self._writer.process.root = self._root

    # What others ask for

    def instrument_main(self, code: CodeType, namespace: dict[str, object]) -> CodeType:
        """Return what runs in *namespace*, that of the main program, in place of *code*."""
        return self._selected.instrument(code, namespace)

    def note_running_script(self) -> None:
        """Note that not all of the main script is counted: it is running already, and so may define functions later."""
        names = vars(sys.modules["__main__"])
        file = names.get("__file__")
        if type(file) is str and self.scope.selects("__main__", file):
            self._session.not_measured.setdefault(file, "it was running when instrument.start() was called")

    def flush(self) -> None:
        """Write what was counted, and wait until that is done."""
        process.check_for_fork()
        self._background.run(self._flush)

    def request_flush(self) -> None:
        """Let what was counted be written soon."""
        process.check_for_fork()
        self._background.ask(self._flush)

    def finish(self, how: str) -> None:
        """Write what was counted: the process is about to end, or to become another program; *how* says."""
        process.check_for_fork()
        self._is_pressed = True
        try:
            if not self._background.run(lambda: self._flush(how)):
                why = (
                    "the interpreter has ended the thread that was writing them"
                    if self._background.is_broken_off
                    else "what writes them waits for something that the program holds"
                )
                say_at_once(f"the counts of process {_getpid()} since their last write are lost: {why}")
        finally:
            self._is_pressed = False

    def prepare(self, is_repeated: bool) -> None:
        """Write what was counted, and load what writing needs: the process is about to see other files, or to give up
        rights. If that *is_repeated*, it is done the first time only.
        """
        if is_repeated and self._is_prepared:
            return
        self._is_prepared = True
        self._is_pressed = True
        try:
            self._background.run(self._prepare)
        finally:
            self._is_pressed = False

    def _prepare(self) -> bool:
        if not self._flush():
            return False
        sqlite.load()
        isolation.load()  # code that is new is rewritten by it
        if self._has_written:
            try:
                self._writer.hold_folder()
            except OSError:  # it cannot be opened: if its path leads elsewhere, that is said
                pass
        return True

    def at_exit(self) -> None:
        """Write what was counted, as the last of all exit handlers."""
        if interpreters.number() and _ENDS_WHO_LETS_GO and sys.is_finalizing():
            _flush_output()
            return
        steps = [self._finish_unbroken, self._end_thread, self._selected.save_cache, _flush_output]
        if interpreters.number():  # as an interpreter ends, a thread may get no turn: the ending thread does the work
            steps.insert(0, self._end_thread)
        elif _ENDS_WHO_LETS_GO:
            steps.insert(0, self._save_left_open)
        for step in steps:
            try:
                step()
            except BaseException as error:
                if belongs_to_program(error):
                    raise
                self._complain(error)

    def exit_handler_removed(self) -> None:
        """Be told that the program has removed the handler of `exits`, which our thread registers again."""
        if not interpreters.may_have_thread():
            self.flush()
            say_once("the program has removed all exit handlers: what this interpreter counts after that is not saved")
        elif not self._background.is_worker():  # if the process ends before that, the thread must not be at work
            self._background.run(lambda: True)

    def _save_left_open(self) -> None:
        """Write what the interpreters have counted that the program has left open: later they cannot write."""
        for number in interpreters.run_in_measured(_SAVE):
            say_at_once(
                f"the counts of interpreter {number} of process {_getpid()} are lost: "
                "it was left open, and a thread is in it"
            )

    def _finish_unbroken(self) -> None:
        with process.SignalsBlocked():
            self.finish("exit")

    def _end_thread(self) -> None:
        self._selected.on_live = None  # no thread begins again: an interpreter that has one cannot be ended
        self._background.stop(for_good=bool(interpreters.number()))

    def stop(self) -> None:
        """Write what was counted, and record no more."""
        self.finish("stop")
        self._background.stop()
        process.forget(self)
        session(placement.NOTHING).is_permanent = self._session.retirement.has_background_thread = False
        self._selected.on_live = None
        self._selected.end(self.scope)
        self._reading.close()
        if self in _recorders:
            _recorders.remove(self)

    def counts(self) -> tuple[dict[tuple[str, int], int], dict[tuple[str, str, int], int]]:
        """Return how often each line ran so far, and each function was entered, since the last `reset`."""
        process.check_for_fork()
        lines: dict[tuple[str, int], int] = {}
        functions: dict[tuple[str, str, int], int] = {}

        def read() -> bool:
            if not self._take():
                return False
            for (path, _), series in self._totals.lines.items():
                for key, n in series.counts():
                    place = path, key
                    lines[place] = lines.get(place, 0) + n  # type: ignore[index, arg-type]
            for (path, _), series in self._totals.functions.items():
                for key, n in series.counts():
                    one = (path, *key)  # type: ignore[misc]
                    functions[one] = functions.get(one, 0) + n
            return True

        if not self._background.run(read):
            raise InstrumentError("the counts of this process cannot be read: see standard error for the reason")
        before, called = self._forgotten
        return (
            {line: n - before.get(line, 0) for line, n in lines.items() if n != before.get(line, 0)},
            {one: n - called.get(one, 0) for one, n in functions.items() if n != called.get(one, 0)},
        )

    def reset(self) -> None:
        """Let `counts` begin at zero from now on; what is written keeps all."""
        self._forgotten = {}, {}
        self._forgotten = self.counts()

    # In the background

    def _due(self) -> float:
        """Return when the next flush is due."""
        return monotonic() + self.settings.flush if self.settings.flush else _NEVER

    def _look(self) -> float:
        """Do what is due; return after how many seconds to look again."""
        if not self._has_looked:
            self._has_looked = True
            sqlite.load()  # as long as it can be reached
        overdue = process.check_pending_signals()
        if overdue is not None:
            self._is_pressed = True
            self._flush(process.name_of(overdue))
            process.end(overdue)
            self._is_pressed = False
        self._session.retirement.retire()
        if self._are_many_late():
            self._session.records.count_late()
        if self._instruments_late_functions:
            self._selected.instrument_late_functions()
        self._turn = perf_counter()
        self._selected.read_sources(self._pause)
        if not interpreters.number() and requests.take(self._request):
            self._flush()
            requests.answer(self._request, self._has_failed)
        elif monotonic() >= self._next:
            self._flush()
        rest = max(0.0, self._next - monotonic())
        return _LOOK if rest == _NEVER else rest / max(1, -(-rest // _LOOK))

    def _checks(self) -> list[Callable[[], object]]:
        """Return functions in C that find out whether `_look` has something to do."""
        return [
            map(ge, map(call, repeat(monotonic)), map(attrgetter("_next"), repeat(self))).__next__,
            partial(_system.access, self._request + requests.ASKED, 0),
            self._session.retirement.is_due(),
            self._are_many_late,
            self._selected.n_unread,
            *([repeat(True).__next__] if self._instruments_late_functions else ()),
            *process.checks(),
        ]

    def _pause(self) -> bool:
        """Let others run if that is due; return whether to go on."""
        self._background.beat += 1
        if not self._is_pressed and perf_counter() - self._turn > _AT_A_STRETCH:
            self._let_collect()
            sleep(_REST)
            self._collect_not()
            self._turn = perf_counter()
        return not self._background.is_hurried

    def _collect_not(self) -> None:
        """Put off the collection of garbage while we read: we leave none, and a collection holds up all for long."""
        self._puts_off = self._is_reading and isenabled()
        if self._puts_off:
            disable()

    def _let_collect(self) -> None:
        if self._puts_off:
            self._puts_off = False
            enable()

    def _flush(self, how: str = "") -> bool:
        """Write what was counted since that was done before; return whether all was read."""
        complete = False
        try:
            complete = self._take()
            if complete:
                try:
                    self._write(how)
                except DataGoneError:  # the next one makes a new file
                    self._totals.mark_all()
                    self._n_given_out = 0
                    self._write(how)
                self._has_failed = False
        except BaseException as error:
            if not self._background.is_worker() and belongs_to_program(error):
                raise
            self._complain(error, is_end=bool(how))
            complete = True
        self._next = self._due()
        return complete

    def _take(self) -> bool:
        """Add to the totals what was counted since that was done before; return whether that is all."""
        self._turn = perf_counter()
        self._is_reading = True
        self._collect_not()
        try:
            self._read()
        finally:
            self._is_reading = False
            self._let_collect()
        return not self._background.is_hurried

    def _read(self) -> None:
        now = time()
        selects, totals = self.scope.selects, self._totals
        for group, index, name, counts in self._reading.take():
            if group.file is None or not selects(group.module, group.file):
                continue
            source = group.source_key()
            if source is not None:
                totals.add(source, (name, group.first_line(index)), counts, now)

    def _write(self, how: str) -> None:
        """Write the totals that have changed since they were written."""
        not_measured = dict(self._session.not_measured)
        new_given_out = given_out(self._n_given_out)
        has_news = (
            bool(new_given_out)
            or not_measured != self._not_measured
            or any(series.changed for kind in (self._totals.lines, self._totals.functions) for series in kind.values())
        )
        if not has_news and not (how and self._has_written):
            return
        taken: list[tuple[Series, set[object]]] = []
        try:
            self._writer.write(
                self._changed(self._totals.lines, taken),  # type: ignore[arg-type]
                self._changed(self._totals.functions, taken),  # type: ignore[arg-type]
                not_measured,
                how,
                [
                    (each.source, each.name, each.first_line, each.receiver)
                    for each in new_given_out
                    if each.file and self.scope.selects(each.module, each.file)
                ],
            )
        except BaseException:
            for series, changed in taken:
                series.changed |= changed
            raise
        self._not_measured = not_measured
        self._n_given_out += len(new_given_out)
        self._has_written = True

    def _changed(
        self, kind: dict[FileKey, Series], taken: list[tuple[Series, set[object]]]
    ) -> Iterator[tuple[FileKey, dict[object, Total]]]:
        """Yield the totals of *kind* that have changed; note in *taken* what was marked as such."""
        for key, series in list(kind.items()):
            if series.changed:
                changed, series.changed = series.changed, set()
                taken.append((series, changed))
                rest = iter(changed)
                while part := list(islice(rest, _N_WRITTEN)):
                    self._pause()
                    yield key, series.totals(part)
        self._background.beat += 1

    def _complain(self, error: BaseException, *, is_end: bool = False) -> None:
        """Say once that counts are not saved.

        If *is_end*, nothing is tried again. It is then said once more if standard error led elsewhere before: what
        captures the output of the program may have thrown the first message away.
        """
        self._has_failed = True
        place = where_errors_go()
        is_first = self._complained_to is None
        if not is_first and not (is_end and self._complained_to != place):
            return
        self._complained_to = place
        reason = str(error) if isinstance(error, InstrumentError) else text_of(error)
        if is_end:
            since = " since their last write" if self._has_written else ""
            message = f"the counts of process {_getpid()}{since} were not saved: {reason}"
        else:
            again = f"every {self.settings.flush:g} s and at the end" if self.settings.flush else "at the end"
            message = f"the counts of process {_getpid()} are not being saved: {reason} (tried again {again})"
        # Of a hook of the program that forbids our work one line is said. A folder that cannot be used is said in any
        # case.
        (say_once if is_first and not isinstance(error, InstrumentError) else say)(message)

    # Forks

    def before_fork(self) -> None:
        """Get ready for a fork: nothing shall be half done in the child."""
        self._background.before_fork()

    def after_fork_in_parent(self) -> None:
        """Go on."""
        self._background.after_fork_in_parent()

    def resume(self) -> None:
        """Go on in the background, in parent or child."""
        self._background.resume()

    def before_unknown_fork(self) -> None:
        """Get ready for a fork by C: what was counted until now is the parent's, and is written."""
        self._background.before_fork()
        self._selected.instrument_late_functions()
        self._background.run(self._flush)

    def after_fork_in_child(self, is_marked: bool = False) -> None:
        """Count from now on, in a file of the child's own; what was counted since `before_unknown_fork`, if that
        *is_marked*, is the child's, too.
        """
        forget_what_was_said()
        if is_marked:
            self._begin(self._reading)
        else:
            self._reading.close()
            self._begin()
        self._background.after_fork_in_child()


def _root() -> int:
    """Return the number of the outermost measured process that this one comes from, 0 if the environment has none."""
    number = os.environ.get(_ROOT, "")
    return int(number) if number.isdecimal() and len(number) < 12 else 0


#: Up to 3.12 an interpreter that the program has left open is ended while the process ends. The first call in C that
#: gives the interpreter lock away then ends the thread, which is the main one: all output still in buffers would be
#: lost (Python/ceval_gil.c: take_gil, tstate_must_exit).
_ENDS_WHO_LETS_GO = sys.version_info < (3, 13)
#: What such an interpreter executes before. No name is left in it.
_SAVE = f"""__import__("sys").modules[{__name__!r}].save_left_open()"""


def save_left_open() -> None:
    """Write what this interpreter has counted, as it does not do when it ends."""
    for recorder in _recorders:
        try:
            recorder.finish("exit")
        except BaseException as error:
            recorder._complain(error)


def _flush_output() -> None:
    """Write what a subinterpreter has printed: it ends before its streams do, which our modules hold."""
    if interpreters.number():
        for stream in (sys.stdout, sys.stderr):
            if type(stream) is TextIOWrapper:
                stream.flush()


_recorders: list[Recorder] = []


def start(settings: Settings) -> Recorder:
    """Record what this process counts from now on; if that is done already, go on as it is."""
    if not _recorders:
        _recorders.append(Recorder(settings))
    return _recorders[0]


def current() -> Recorder | None:
    """Return what records this process, None if nothing does."""
    return _recorders[0] if _recorders else None
