"""`Trace`: the interface of the standard library's class of the same name, over a session.

Commands and functions come in and are run; `CoverageResults` go out. The documentation of the standard library's
`trace` holds here, too, with two differences. Code is rewritten to count, and not traced. The program runs at close to
its own speed.
"""

from __future__ import annotations

# The standard library's trace imports all of these modules, so they are imported here, used or not. A program then
# finds the same modules imported, and the same modules are counted when it imports more.
import builtins
import dis  # noqa: F401
import gc  # noqa: F401
import inspect  # noqa: F401
import io  # noqa: F401
import linecache
import os
import pickle  # noqa: F401
import sys
import sysconfig  # noqa: F401
import threading  # noqa: F401
import token  # noqa: F401
import tokenize  # noqa: F401
from time import monotonic
from types import CodeType

from instrument.guest.own_builtins import system
from instrument.guest.own_imports import OwnImports

with OwnImports():
    from instrument.analysis import exclusions, trace_lines
    from instrument.flow import placement_names
    from instrument.guest.gate import Gate
    from instrument.scope.trace_ignore import Ignore, module_name
    from instrument.session.originals import original_of
    from instrument.trace_results.coverage_results import CoverageResults
    from instrument.trace_runs.classes import class_name_of
    from instrument.trace_runs.line_handlers import LineHandlers
    from instrument.trace_runs.probe_events import session_for
    from instrument.trace_runs.run import Run

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import FrameType
    from typing import Any

    from instrument.trace_results.counts_file import CalledFunctions, Callers

__all__ = ["CoverageResults", "Trace"]

# Names that programs import from the standard library's module beside the two classes.
PRAGMA_NOCOVER = exclusions.PRAGMA_NOCOVER
_Ignore = Ignore
#: Works like `id`, which raises an audit event.
_identity = object.__hash__
_modname = trace_lines.module_name
_fullmodname = trace_lines.full_module_name
_find_lines = trace_lines.find_lines
_find_lines_from_code = trace_lines.find_lines_from_code
_find_strings = trace_lines.find_strings
_find_executable_linenos = trace_lines.find_executable_lines


class Trace:
    """Count, list or print the lines and functions that a program executes.

    - count: count how often each line is executed (the default).
    - trace: print each line before it is executed.
    - countfuncs: list the functions that were called at least once; overrides *count* and *trace*.
    - countcallers: list who called whom; overrides *countfuncs*.
    - ignoremods: names of modules to ignore.
    - ignoredirs: directories to ignore, with all that is below them.
    - infile: a file of earlier counts, which are added to the results.
    - outfile: the file that the results are written to. It can be an *infile* later.
    - timing: print the seconds since this object was created before each line that is printed.
    - placement: "minimal" uses as few probes as counts can be recovered from, "line" one for each line event.
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
        placement: str = placement_names.MINIMAL,
    ) -> None:
        if placement not in (placement_names.MINIMAL, placement_names.LINE):
            names = f"{placement_names.MINIMAL!r} or {placement_names.LINE!r}"
            raise ValueError(f"placement is {placement!r}; it can be {names}")
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
        #: Code objects, and the classes of `_caller_cache`; to hash a code object takes long.
        self._class_by_identity: dict[int, tuple[CodeType, str | None]] = {}
        self.start_time = monotonic() if timing else None
        self._placement = placement
        #: Runs that have not ended.
        self._runs: list[Run] = []
        self._process, self._lock = system.getpid(), Gate()
        self.globaltrace: Callable[[FrameType, str, object], Callable[..., object] | None]
        if countcallers:
            self.globaltrace = self.globaltrace_trackcallers
            self._placement = placement_names.CALLS
        elif countfuncs:
            self.globaltrace = self.globaltrace_countfuncs
            self._placement = placement_names.CALLS
        elif trace and count:
            self.globaltrace = self.globaltrace_lt
            self.localtrace = self.localtrace_trace_and_count
            self._placement = placement_names.EVENTS
        elif trace:
            self.globaltrace = self.globaltrace_lt
            self.localtrace = self.localtrace_trace
            self._placement = placement_names.EVENTS
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
        if not isinstance(cmd, CodeType):
            cmd = compile(cmd, "<string>", "exec", dont_inherit=True)
        # `exec` would add the builtins of this module, which are not those of the program (guest.own_builtins).
        if isinstance(globals, dict):
            globals.setdefault("__builtins__", vars(builtins))
        if self.donothing:
            exec(cmd, globals, locals)
            return
        run = self._run()
        cmd = run.instrument(cmd, globals)
        since = monotonic()
        with run:
            self._exclude_time_since(since)
            exec(cmd, globals, locals)

    def runfunc(self, func: Callable[..., object], /, *args: object, **kw: object) -> object:
        """Return the result of *func* for these arguments."""
        if self.donothing:
            return func(*args, **kw)
        run = self._run()
        since = monotonic()
        with run:
            self._exclude_time_since(since)
            return func(*args, **kw)

    def results(self) -> CoverageResults:
        """Return all counts until now, of all runs of this object, whether they have ended or not."""
        for run in list(self._runs):
            self._take_counts(run)
        results = CoverageResults(
            self.counts, infile=self.infile, outfile=self.outfile, calledfuncs=self._calledfuncs, callers=self._callers
        )
        results.not_measured = tuple(session_for(self._placement).not_measured.items())
        return results

    def _run(self) -> Run:
        listener = LineHandlers(self, self._placement) if self._placement in placement_names.CALLING else None
        off_the_clock = None if self.start_time is None else self._off_the_clock
        return Run(self.ignore, self._placement, listener, self._runs, self._take_counts, off_the_clock)

    def _exclude_time_since(self, since: float) -> None:
        """Exclude the time from *since* until now from the seconds that are printed: the program did not run then."""
        if self.start_time is not None:
            self.start_time += monotonic() - since

    def _off_the_clock(self, function: Callable[..., Any], *arguments: object) -> Any:
        """Return the result of *function* for *arguments*; exclude the time that it takes."""
        since = monotonic()
        try:
            return function(*arguments)
        finally:
            self._exclude_time_since(since)

    def _take_counts(self, run: Run) -> None:
        """Add the counts of *run*, since they were taken before, to `counts`."""
        if self._process != system.getpid():  # a fork: another thread of the parent may have held the lock
            self._process, self._lock = system.getpid(), Gate()
        counts = self.counts
        names = self.ignore.names
        assert run.window is not None
        lock = self._lock
        depth = lock.depth()
        try:
            lock.acquire()
            taken: dict[tuple[str, int], int] = {}
            run.choice.note_entered_of_others()
            for module, file, counted in run.window.take():
                if not module or names(module, module_name(module)):
                    continue
                for line, count in counted.lines.items():
                    taken[file, line] = taken.get((file, line), 0) + count
            # One call updates all counts: other threads may read them at the same time.
            counts.update({line: counts.get(line, 0) + count for line, count in taken.items()})
        finally:
            lock.release_to(depth)

    # Handlers of events. A frame is that of the program, or a `_LineFrame` with the line of the event.

    def file_module_function_of(self, frame: FrameType) -> tuple[str, str | None, str]:
        """Return the file, the module, and the name of the function of *frame*, with its class if that is certain."""
        code = frame.f_code
        known = self._class_by_identity.get(_identity(code))
        if known is None:
            # `trace` finds the class of equal code once. Live code equals no other.
            original = original_of(code)
            if original not in self._caller_cache:
                self._caller_cache[original] = class_name_of(code, frame.f_globals)
            known = self._class_by_identity[_identity(code)] = code, self._caller_cache[original]
        class_name = known[1]
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
        """Return the handler of the lines of *frame*; None if its module is ignored."""
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
