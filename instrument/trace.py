"""`Trace`: the standard library's facade over a session.

Commands and functions come in and are run; `CoverageResults` go out. A drop-in for the class of the same name in the
standard library's `trace` module, whose documentation holds here too, with two differences: nothing is traced, code is
rewritten to count, and the program runs at close to its own speed.

The only place where the two wings of the house meet: what `runtime` counts becomes what `report` shows.
"""

from __future__ import annotations

# The standard library's trace imports all of these. They are imported here too, used or not, so that a program finds
# the same modules imported already, and has the same ones counted as it imports the rest.
import dis  # noqa: F401
import gc
import inspect
import io  # noqa: F401
import linecache
import os
import pickle  # noqa: F401
import sys
import sysconfig  # noqa: F401
import threading  # noqa: F401
import token  # noqa: F401
import tokenize  # noqa: F401
from functools import partial
from time import monotonic
from types import CodeType

from instrument.guest.own_builtins import system
from instrument.guest.own_imports import OwnImports

with OwnImports():
    from instrument.flow import placement as placements
    from instrument.guest.gate import Gate
    from instrument.guest.messages import belongs_to_program, say_once, text_of
    from instrument.hooks import bytecode_readers, imports
    from instrument.report import cover_listing
    from instrument.report.trace_results import CoverageResults
    from instrument.rewrite.probes import TracebackOf
    from instrument.scope import same_name
    from instrument.scope.trace_ignore import Ignore, module_name
    from instrument.session.first_entered import FirstEntered
    from instrument.session.session import (
        RecentCode,
        Session,
        Window,
        bytecode_if_unmeasured,
        code_if_unmeasured,
        give_out,
        instrument_existing_functions,
        original_of,
        session,
    )

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import FrameType, FunctionType

    from instrument.link.counters import RecoveryInfo
    from instrument.link.module_import import ModuleImport
    from instrument.report.counts_file import CalledFunctions, Callers

__all__ = ["CoverageResults", "Trace"]

# What programs take from the standard library's module beside the two classes.
PRAGMA_NOCOVER = cover_listing.PRAGMA_NOCOVER
_Ignore = Ignore
_modname = cover_listing.module_name
_fullmodname = cover_listing.full_module_name
_find_lines = cover_listing.find_lines
_find_lines_from_code = cover_listing.find_lines_from_code
_find_strings = cover_listing.find_strings
_find_executable_linenos = cover_listing.find_executable_lines

_traceback_of = TracebackOf()
#: Placements of the measurements that are going on; code can be live in one way at a time, so later ones join the
#: first.
_going_on: list[str] = []


class Trace:
    """Count, list or print what a program executes.

    count          count how often each line is executed (the default)
    trace          print each line before it is executed
    countfuncs     list the functions that were called at least once; overrides *count* and *trace*
    countcallers   list who called whom; overrides *countfuncs*
    ignoremods     names of modules to ignore
    ignoredirs     directories to ignore, with all that is below them
    infile         file of earlier counts, added to the results
    outfile        file that the results are written to, to be an *infile* later
    timing         print the seconds since this object was made before each line that is printed
    placement      "minimal" puts as few probes as the counts can be recovered from, "line" one for every line event
    """

    def __init__(
        self,
        count: int = 1,
        trace: int = 1,
        countfuncs: int = 0,
        countcallers: int = 0,
        ignoremods: Iterable[str] = (),
        ignoredirs: Iterable[str] = (),
        infile: str | None = None,
        outfile: str | None = None,
        timing: bool = False,
        *,
        placement: str = placements.MINIMAL,
    ) -> None:
        if placement not in (placements.MINIMAL, placements.LINE):
            raise ValueError(f"placement is {placement!r}; it can be {placements.MINIMAL!r} or {placements.LINE!r}")
        self.infile = infile
        self.outfile = outfile
        self.ignore = Ignore(ignoremods, ignoredirs)
        self.counts: dict[tuple[str, int], int] = {}
        self.pathtobasename: dict[str, str] = {}
        self.donothing = 0
        self.trace = trace
        self._calledfuncs: CalledFunctions = {}
        self._callers: Callers = {}
        self._caller_cache: dict[CodeType, str | None] = {}
        self.start_time = monotonic() if timing else None
        self._placement = placement
        self._going_on: list[_Measurement] = []
        self._process, self._lock = system.getpid(), Gate()
        self.globaltrace: Callable[[FrameType, str, object], Callable[..., object] | None]
        if countcallers:
            self.globaltrace = self.globaltrace_trackcallers
            self._placement = placements.CALLS
        elif countfuncs:
            self.globaltrace = self.globaltrace_countfuncs
            self._placement = placements.CALLS
        elif trace and count:
            self.globaltrace = self.globaltrace_lt
            self.localtrace = self.localtrace_trace_and_count
            self._placement = placements.EVENTS
        elif trace:
            self.globaltrace = self.globaltrace_lt
            self.localtrace = self.localtrace_trace
            self._placement = placements.EVENTS
        elif count:
            self.globaltrace = self.globaltrace_lt
            self.localtrace = self.localtrace_count
        else:
            self.donothing = 1

    def run(self, cmd: str | bytes | CodeType) -> None:
        """Run the command *cmd* in the namespace of `__main__`."""
        import __main__

        namespace = vars(__main__)
        self.runctx(cmd, namespace, namespace)

    def runctx(
        self,
        cmd: str | bytes | CodeType,
        globals: dict[str, object] | None = None,
        locals: dict[str, object] | None = None,
    ) -> None:
        """Run the command *cmd* in the namespaces *globals* and *locals*, which are new and empty if not given."""
        if globals is None:
            globals = {}
        if locals is None:
            locals = {}
        measurement = self._measurement()
        cmd = measurement.compiled(cmd, globals)
        since = monotonic()
        with measurement:
            self._stopped_since(since)
            exec(cmd, globals, locals)

    def runfunc(self, func: Callable[..., object], /, *args: object, **kw: object) -> object:
        """Return what *func* returns for these arguments."""
        measurement = self._measurement()
        since = monotonic()
        with measurement:
            self._stopped_since(since)
            return func(*args, **kw)

    def results(self) -> CoverageResults:
        """Return all that was counted so far, by this object's runs that have ended and those that are going on."""
        for measurement in list(self._going_on):
            self._take(measurement)
        results = CoverageResults(
            self.counts, infile=self.infile, outfile=self.outfile, calledfuncs=self._calledfuncs, callers=self._callers
        )
        results.not_measured = tuple(session(self._placement).not_measured.items())
        return results

    def _stopped_since(self, since: float) -> None:
        """Let the time *since* then not pass for what is printed: it was not the program's."""
        if self.start_time is not None:
            self.start_time += monotonic() - since

    def _measurement(self) -> _Measurement:
        if self.donothing:
            return _Measurement(None, None)
        kind = _Measurement if self.start_time is None else _Timed
        return kind(self, _Caller(self) if self._placement in placements.CALLING else None)

    def _take(self, measurement: _Measurement) -> None:
        """Add to `counts` what *measurement* saw since it was asked before."""
        if self._process != system.getpid():  # another thread may have held it when the process was forked
            self._process, self._lock = system.getpid(), Gate()
        counts = self.counts
        names = self.ignore.names
        assert measurement.window is not None
        lock = self._lock
        depth = lock.depth()
        try:
            lock.acquire()
            taken: dict[tuple[str, int], int] = {}
            for name in list(self.ignore.ambiguous):
                measurement.note_entered(name, running=False)  # whoever asks may be in others, entered before
            for module, file, seen in measurement.window.take():
                if not module or names(module, module_name(module)):
                    continue
                for line, count in seen.lines.items():
                    taken[file, line] = taken.get((file, line), 0) + count
            # In one go: other threads may be looking.
            counts.update({line: counts.get(line, 0) + count for line, count in taken.items()})
        finally:
            lock.release_to(depth)

    def _selects(self, file: object) -> bool:
        """Return whether code of modules whose `__file__` is *file* may be measured by this object."""
        if self._placement == placements.CALLS:
            return True
        return bool(file) and isinstance(file, str) and self.ignore.may_count(file)

    # Handlers of events. Frames are the real ones, or stand-ins with the line of the event.

    def file_module_function_of(self, frame: FrameType) -> tuple[str, str | None, str]:
        """Return the file, the module and the name of the function of *frame*, with its class where that is certain."""
        code = frame.f_code
        if code not in self._caller_cache:
            self._caller_cache[code] = _class_of(code)
        class_name = self._caller_cache[code]
        name = code.co_name if class_name is None else f"{class_name}.{code.co_name}"
        return code.co_filename, module_name(code.co_filename) if code.co_filename else None, name

    def globaltrace_trackcallers(self, frame: FrameType, why: str, arg: object) -> None:
        """Note who called the function of *frame*."""
        if why == "call" and frame.f_back is not None:
            called = self.file_module_function_of(frame)
            self._callers[self.file_module_function_of(frame.f_back), called] = 1

    def globaltrace_countfuncs(self, frame: FrameType, why: str, arg: object) -> None:
        """Note that the function of *frame* was called."""
        if why == "call":
            self._calledfuncs[self.file_module_function_of(frame)] = 1

    def globaltrace_lt(self, frame: FrameType, why: str, arg: object) -> Callable[..., object] | None:
        """Return what handles the lines of *frame*; None if its module is ignored."""
        if why != "call":
            return None
        file = frame.f_globals.get("__file__", None)
        if not file:
            return None
        name = module_name(file)
        if self.ignore.names(file, name):
            return None
        if self.trace:
            print(f" --- modulename: {name}, funcname: {frame.f_code.co_name}")
        return self.localtrace

    def localtrace_trace_and_count(self, frame: FrameType, why: str, arg: object) -> Callable[..., object]:
        """Count the line that *frame* is about to run, and print it."""
        self.localtrace_count(frame, why, arg)
        self.localtrace_trace(frame, why, arg)
        return self.localtrace

    def localtrace_trace(self, frame: FrameType, why: str, arg: object) -> Callable[..., object]:
        """Print the line that *frame* is about to run."""
        if why == "line":
            file, line = frame.f_code.co_filename, frame.f_lineno
            if self.start_time:
                print(f"{monotonic() - self.start_time:.2f}", end=" ")
            source = linecache.getline(file, line)
            print(_event_text(os.path.basename(file), line, source), end="")
        return self.localtrace

    def localtrace_count(self, frame: FrameType, why: str, arg: object) -> Callable[..., object]:
        """Count the line that *frame* is about to run."""
        if why == "line":
            key = frame.f_code.co_filename, frame.f_lineno
            self.counts[key] = self.counts.get(key, 0) + 1
        return self.localtrace


if sys.version_info < (3, 13):

    def _event_text(name: str, line: int, source: str) -> str:
        return f"{name}({line}): {source}"

else:

    def _event_text(name: str, line: int, source: str) -> str:
        return f"{name}({line}):  {source}" if source else f"{name}({line})\n"


def _class_of(code: CodeType) -> str | None:
    """Return the name of the class that the one function with *code* is in, or None if that is not certain."""
    functions = [thing for thing in gc.get_referrers(code) if inspect.isfunction(thing)]
    if len(functions) == 1:
        namespaces = [thing for thing in gc.get_referrers(functions[0]) if isinstance(thing, dict)]
        if len(namespaces) == 1:
            classes = [thing for thing in gc.get_referrers(namespaces[0]) if hasattr(thing, "__bases__")]
            if len(classes) == 1:
                return str(classes[0].__name__)
    return None


class _Measurement:
    """The time in which *trace* measures: code is made live before, and what was counted is taken after."""

    def __init__(self, trace: Trace | None, caller: _Caller | None) -> None:
        self.trace = trace
        self.caller = caller
        self.window: Window | None = None
        self._first_entered: FirstEntered | None = None
        self._is_going_on = False
        self._loaded: set[str] = set()  # names of modules that were there before
        self._recent_code = RecentCode()
        #: Whether it knows what bytecode is to be exchanged for.
        self.takes_bytecode = caller is None
        if trace is None:
            return
        where = trace._placement
        if caller is None and _going_on and _going_on[0] not in placements.CALLING:
            where = _going_on[0]
        self.session: Session = session(where)

    def compiled(self, cmd: str | bytes | CodeType, namespace: dict[str, object]) -> CodeType:
        """Return *cmd* as code, live if it is measured."""
        if not isinstance(cmd, CodeType):
            cmd = compile(cmd, "<string>", "exec", dont_inherit=True)
        return cmd if self.trace is None else self.instrument(cmd, namespace)

    def instrument(
        self, code: CodeType, namespace: dict[str, object], module_import: ModuleImport | None = None
    ) -> CodeType:
        """Return what runs in *namespace* in place of *code*; that of a module that is imported was *module_import*."""
        assert self.trace is not None
        file = dict.get(namespace, "__file__")
        file = file if isinstance(file, str) else None
        if module_import is None and (file is None or type(file) is str):
            made = self._recent_code.get(code, (file,))
            if made is None:
                made = imports.instrument_or_none(self, self._instrumented, code, namespace, file, None)
                if made is None:
                    return code
                self._recent_code.put(code, (file,), made)
            return made
        return self._instrumented(code, file, module_import)

    def _instrumented(self, code: CodeType, file: str | None, module_import: ModuleImport | None) -> CodeType:
        assert self.trace is not None
        if file is not None:
            self.note_entered(module_name(file))
            self._decide(file)
        if not self.trace._selects(file):
            return code_if_unmeasured(code, file, module_import)
        return (
            self.session.instrument_exec_code(code, file)
            if module_import is None
            else self.session.instrument_module(code, file, module_import)
        )

    def code_for_cached_bytecode(self, module_import: ModuleImport) -> CodeType | None:
        """Return what runs in place of the bytecode that is *module_import*, if that is known without looking at it."""
        assert self.trace is not None
        file = dict.get(module_import.namespace, "__file__")
        if not isinstance(file, str):
            return None
        self.note_entered(module_name(file))
        if self.trace._selects(file):
            code = self.session.cached_module_code(module_import, file)
        else:
            code = bytecode_if_unmeasured(module_import, file)
        if code is not None or module_import.needs_no_rewrite:
            self._decide(file)
        return code

    def original_of(self, code: CodeType) -> CodeType:
        """Return what *code*, which is about to be marshalled, was before."""
        return give_out(code, "marshal")

    def _decide(self, file: str) -> None:
        """Where the module that is called first decides for all of its name, note that it is that of *file*, if no
        other one was: `note_entered`.
        """
        assert self.trace is not None
        name = module_name(file)
        if self.trace.ignore.depends_on_order(name):
            self.trace.ignore.names(file, name)

    def note_entered(self, name: str, running: bool = True) -> None:
        """Let what was called *name* and entered, if anything was, decide; what is *running* in this thread included,
        for its probes may come later.
        """
        assert self.trace is not None
        ignore = self.trace.ignore
        if self._first_entered is None or self.window is None or not ignore.depends_on_order(name):
            return
        first = self._first_entered.first_file(name) or next(self.session.entered_since(self.window, name), None)
        if first is None and running and name in self._loaded:
            first = self._first_entered.first_running(name)
        if first is not None:
            ignore.names(first, name)

    def _choose(self, file: str | None, name: str | None) -> Session | None:
        """Return the session that functions of modules from *file* become a part of, None if they stay as they are."""
        assert self.trace is not None
        return self.session if self.trace._selects(file) else None

    def __enter__(self) -> None:
        if self.trace is None:
            return
        try:
            _going_on.append(self.session.placement)
            self._is_going_on = True
            # What rewriting needs executes some of the standard library as it is loaded: not while that is measured.
            lazily = not self.trace._selects(os.__file__)
            ignore = self.trace.ignore
            #: By name of modules: whether their files are ignored, and their functions.
            ambiguous: dict[str, tuple[set[int], list[FunctionType]]] = {}

            def find_ambiguous(files: set[str]) -> None:
                ignore.ambiguous |= same_name.names_ignored_and_measured(ignore, files)

            def note(file: str | None, functions: list[FunctionType]) -> None:
                if file is not None:
                    name = module_name(file)
                    self._loaded.add(name)
                    if name in ignore.ambiguous:
                        kinds, found = ambiguous.setdefault(name, (set(), []))
                        kinds.add(ignore.judge(file, name))
                        found.extend(functions)

            ignores = self.session.placement != placements.CALLS
            instrument_existing_functions(
                self._choose, lazily=lazily, on_files=find_ambiguous if ignores else None, on_functions=note
            )
            imports.install(self)
            bytecode_readers.install(original_of, give_out)
            if self.caller is None:
                self.window = Window(self.session)
                self.trace._going_on.append(self)
                self._first_entered = FirstEntered()
                for name, (kinds, functions) in ambiguous.items():
                    if len(kinds) > 1 and ignore.depends_on_order(name):
                        self._first_entered.watch(name, functions)
            else:
                self.session.listeners.append(self.caller)
        except BaseException as error:
            self._end([])
            self.trace = None
            if belongs_to_program(error):
                raise
            say_once(f"nothing is counted in this run: {text_of(error)}")

    def __exit__(self, *exception: object) -> None:
        if self.trace is None:
            return
        steps: list[Callable[[], None]] = []
        if self.window is not None:
            steps = [partial(self.trace._take, self), self.session.save_cache, session(placements.NOTHING).save_cache]
        error = self._end(steps)
        if error is not None:
            if belongs_to_program(error):
                raise error
            say_once(f"the counts of this run are not complete: {text_of(error)}")

    def _end(self, steps: list[Callable[[], None]]) -> BaseException | None:
        """Undo what `__enter__` did, as far as that went, with *steps* in between, and each step whatever others raise;
        return what was raised, the program's first.
        """
        errors: list[BaseException] = []
        for step in (self._end_imports, *steps, self._end_window, self._end_caller, self._end_session):
            try:
                step()
            except BaseException as error:
                errors.append(error)
        errors.sort(key=lambda error: not belongs_to_program(error))
        return errors[0] if errors else None

    def _end_imports(self) -> None:
        if imports.is_installed(self):
            imports.uninstall(self)

    def _end_window(self) -> None:
        assert self.trace is not None
        if self.window is None:
            return
        if self in self.trace._going_on:
            self.trace._going_on.remove(self)
        self.window.close()
        if self._first_entered is not None:
            self._first_entered.end()

    def _end_caller(self) -> None:
        if self.caller in self.session.listeners:
            self.session.listeners.remove(self.caller)
            if not self.session.listeners:
                self.session.release_functions()

    def _end_session(self) -> None:
        if self._is_going_on:
            self._is_going_on = False
            _going_on.remove(self.session.placement)
        if not _going_on:
            session(placements.NOTHING).restore_existing_functions()


class _Timed(_Measurement):
    """A measurement whose own work, while the program runs, takes no time of what is printed."""

    def instrument(
        self, code: CodeType, namespace: dict[str, object], module_import: ModuleImport | None = None
    ) -> CodeType:
        """Return what runs in *namespace* in place of *code*."""
        assert self.trace is not None
        since = monotonic()
        try:
            return super().instrument(code, namespace, module_import)
        finally:
            self.trace._stopped_since(since)

    def code_for_cached_bytecode(self, module_import: ModuleImport) -> CodeType | None:
        """Return what runs in place of the bytecode that is *module_import*, if that is known without looking at it."""
        assert self.trace is not None
        since = monotonic()
        try:
            return super().code_for_cached_bytecode(module_import)
        finally:
            self.trace._stopped_since(since)


class _Frame:
    """A frame at the moment of a line event: that of the program, but for the line."""

    __slots__ = ("f_back", "f_code", "f_globals", "f_lineno")

    def __init__(self, frame: FrameType, line: int) -> None:
        self.f_back = frame.f_back
        self.f_code = frame.f_code
        self.f_globals = frame.f_globals
        self.f_lineno = line


class _Caller:
    """Hands the events of a session to the handlers of *trace*."""

    def __init__(self, trace: Trace) -> None:
        self.trace = trace
        self._handlers: dict[RecoveryInfo, Callable[..., object] | None] = {}

    def on_probe(self, code: RecoveryInfo, probe: int, frame: FrameType) -> None:
        """Handle that *frame* came to a *probe*: a call, line events, or both."""
        is_entry, lines = code.plan.measured_by_probe[probe]  # type: ignore[misc]
        self._handle(code, frame, is_entry, lines)

    def on_raise(self, code: RecoveryInfo, record: int, exception: BaseException, frame: FrameType) -> None:
        """Handle that an exception left a block of *frame*: a generator that it was thrown into is called."""
        plan = code.plan
        entry, kind = plan.exits[record]
        index, lost_line = code.place_at(_traceback_of[exception].tb_lasti >> 1)
        is_call = kind == placements.RAISED and index in plan.resumed
        lines: tuple[int, ...] = ()
        if entry >= 0 and plan.placement == placements.EVENTS:
            _, line, eventless_sources = plan.entries[entry]
            if kind == placements.RESTORED:
                lost_line = lost_line and index not in plan.raised_again[entry]
                eventless_sources = plan.eventless_sources[entry]
            if line is not None and (lost_line or index not in eventless_sources):
                lines = (line,)
        if is_call or lines:
            self._handle(code, frame, is_call, lines)

    def _handle(self, code: RecoveryInfo, frame: FrameType, is_call: bool, lines: tuple[int, ...]) -> None:
        if is_call:
            self._handlers[code] = self.trace.globaltrace(frame, "call", None)
        handler = self._handlers.get(code)
        if handler is not None:
            for line in lines:
                handler(_Frame(frame, line), "line", None)
