"""The hooks of a counted test run: at its end, data is written and reports are made.

Options, settings and the results of pytest come in. Each process writes its data when its session has finished. Workers
of xdist do that before the main process goes on, so its reports have all counts. The exit status of pytest changes in
one case: a bound is not kept, and all tests have passed.
"""

from __future__ import annotations

import os
import sys

import pytest

from instrument.config.project_file import NUMBERS
from instrument.config.reports import read_number
from instrument.config.values import OWN
from instrument.guest.process_state import ProcessState
from instrument.pytest_plugin.contexts import ContextHooks
from instrument.pytest_plugin.reporting import CANNOT, Commands, about_bound, arguments_of_commands
from instrument.record.recorder import current

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from typing import Any

    from instrument.config import Settings
    from instrument.pytest_plugin.options import Options

#: The name of the plugin that is registered for a counted run.
NAME = "instrument-run"
#: The environment variable that xdist sets in its workers, which their child processes inherit.
_WORKER = "PYTEST_XDIST_WORKER"
#: The key in the output of a worker of xdist that says whether the worker was counted.
_IS_COUNTED = "instrument_is_counted"
#: The end of a process, in its data. A later write adds the code that runs after the end of the session.
_SESSION = "session"
#: The key of the number in the settings that is no bound.
_PRECISION = "precision"
#: Why a bound cannot be checked if not all tests ran.
_ONLY_AFFECTED = (
    "Only affected tests ran, so other counts are of earlier versions of the sources. "
    "To check the bound, run all tests: leave out --instrument-affected"
)
#: The exit statuses of sessions that were not interrupted.
_WITH_REPORTS = (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED, pytest.ExitCode.NO_TESTS_COLLECTED)


#: The environment variable with the number of the process whose run makes the reports, for runs that its tests start.
REPORTER = "_INSTRUMENT_PYTEST"


class _State(ProcessState):
    """The counted run of this process; None if there is none. A test may call pytest for another run."""

    __slots__ = ("run",)
    run: CountedRun | None

    def reset(self) -> None:
        """Forget the run."""
        self.run = None


_state = _State()


def has_bounds(options: Options) -> bool:
    """Return whether *options*, or else pyproject.toml, set a bound; raise ConfigError if one is no number there."""
    in_file = [read_number(key) for key in NUMBERS if key != _PRECISION]
    return bool(options.fail_under) or any(number is not None for number in in_file)


def is_within_another() -> bool:
    """Return whether a test of a counted run has started this run.

    That other run makes the reports, and a bound is one for all of its tests. A worker of xdist is part of its run.
    """
    return _state.run is not None or (bool(os.environ.get(REPORTER)) and not is_worker())


def register(
    config: pytest.Config, options: Options, settings: Settings, runs_all: Callable[[], bool], *, has_bounds: bool
) -> None:
    """Register the hooks of a counted run with *config*; *runs_all* returns whether unaffected tests run, too."""
    _state.run = CountedRun(config, options, settings, runs_all, has_bounds=has_bounds)
    config.pluginmanager.register(_state.run, NAME)
    if not is_worker():
        os.environ[REPORTER] = str(os.getpid())
    recorder = current()
    if options.with_contexts and recorder is not None and recorder.contexts is not None:
        config.pluginmanager.register(ContextHooks(recorder), f"{NAME}-contexts")
        if not is_worker():
            from instrument.pytest_plugin.recording import RecordingHooks

            hooks = RecordingHooks(config, recorder.settings.directory, f"{os.getpid()}-{os.urandom(8).hex()}")
            config.pluginmanager.register(hooks, f"{NAME}-record")


def is_worker() -> bool:
    """Return whether this process is a worker of xdist. It is counted from its start, or else is on another machine."""
    return _WORKER in os.environ and sys.argv[:1] == ["-c"]


class CountedRun:
    """The hooks of a counted test run."""

    def __init__(
        self,
        config: pytest.Config,
        options: Options,
        settings: Settings,
        runs_all: Callable[[], bool],
        *,
        has_bounds: bool,
    ) -> None:
        self._options = options
        self._runs_all = runs_all
        self._has_bounds = has_bounds
        self._commands = Commands(str(config.invocation_params.dir))
        #: Lines for the terminal: of reports, about counts that are missing, and about reports that are.
        self._lines: list[str] = []
        self._remarks: list[str] = []
        self._problems: list[str] = []
        self._fails_bound = self._is_printed = False
        recorder = current()
        self._directory = settings.directory if recorder is None else recorder.settings.directory
        if recorder is not None and options.scope and recorder.settings.scope != settings.scope:
            scope = ",".join(recorder.settings.scope) or OWN
            self._remarks.append(
                f"instrument: --instrument={','.join(options.scope)} has no effect: this process was counted before "
                f"pytest began, with the scope {scope!r}"
            )
        if recorder is not None and options.with_contexts and recorder.contexts is None:
            self._remarks.append(
                "instrument: --instrument-contexts has no effect: this process was counted before pytest began"
            )

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> Generator[None, object, object]:
        """Write the data of this process. The main process then makes the reports: the workers have written theirs."""
        result = yield
        recorder = current()
        if recorder is not None:
            recorder.finish(_SESSION)
        output = getattr(session.config, "workeroutput", None)  # xdist adds it to the configuration of a worker
        if output is not None:
            output[_IS_COUNTED] = recorder is not None
        elif session.exitstatus in _WITH_REPORTS:
            self._make_reports(session.config)
            if self._fails_bound and session.exitstatus == pytest.ExitCode.OK:
                session.exitstatus = pytest.ExitCode.TESTS_FAILED
        elif session.exitstatus == pytest.ExitCode.INTERRUPTED:
            self._remarks.append(
                "instrument: the run was interrupted; `instrument report` prints the counts until then"
            )
        return result

    def _make_reports(self, config: pytest.Config) -> None:
        reporter: Any = config.pluginmanager.get_plugin("terminalreporter")
        has_colours = bool(reporter and reporter.hasmarkup)
        try:
            for arguments in arguments_of_commands(self._options, self._directory, has_bounds=self._has_bounds):
                outcome = self._commands.run(arguments, has_colours=has_colours)
                self._lines += outcome.lines
                problems = outcome.problems
                if outcome.status and self._has_bounds and arguments[0] == "report":
                    self._fails_bound = True
                    problems = [about_bound(problem) for problem in problems]
                    if outcome.status == CANNOT and not self._runs_all():
                        problems.append(_ONLY_AFFECTED)
                self._problems += problems
        except KeyboardInterrupt:
            self._problems.append("instrument: the reports were interrupted; `instrument report` prints one")

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any, error: object) -> None:
        """Note that the worker *node* of xdist has crashed, or was not counted."""
        output = getattr(node, "workeroutput", None)
        if output is None and error:
            self._remarks.append(
                f"instrument: worker {node.gateway.id} crashed; what it ran since its last write is not in these counts"
            )
        elif output is not None and not error and not output.get(_IS_COUNTED):
            self._remarks.append(f"instrument: worker {node.gateway.id} was not counted")

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """Print the reports, and which counts and reports are missing."""
        self._print(terminalreporter, self._lines)

    def pytest_unconfigure(self, config: pytest.Config) -> None:
        """Print why the exit status is another one, if there was no summary; with --no-summary there may be none."""
        reporter: Any = config.pluginmanager.get_plugin("terminalreporter")
        if self._fails_bound and reporter is not None and not self._is_printed:
            self._print(reporter, [])
        _state.run = None
        if os.environ.get(REPORTER) == str(os.getpid()):
            del os.environ[REPORTER]

    def _print(self, reporter: Any, lines: list[str]) -> None:
        self._is_printed = True
        if lines or self._remarks or self._problems:
            reporter.write_sep("=", "execution counts")
        for line in lines:
            reporter.write_line(line)
        for remark in self._remarks:
            reporter.write_line(remark, yellow=True)
        for problem in self._problems:
            reporter.write_line(problem, red=True)
