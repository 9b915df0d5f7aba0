"""Begins to count a test run, before anything of the project is imported.

The configuration of pytest comes in. If this process is not counted yet, earlier data is removed, code is prepared, and
the recorder starts. Its settings go to the environment, so all processes that the tests start are counted. Then the
hooks of `counted_run` are registered.

Problem: plugins of the project may be imported by now, and the lines of their modules ran uncounted.
Solution: if pytest is the main program, this process becomes the same program once more, and is counted from its start.
Nothing was printed yet, and no output is captured.
Otherwise the files of these modules are reported as not fully measured.
Alternative: each counted run begins by that. It would take a quarter of a second more.
"""

from __future__ import annotations

import os
import signal
import sys
from _thread import _count

import pytest

from instrument import startup
from instrument.config import read_settings
from instrument.config.project_file import ignored_files
from instrument.config.values import CONTEXTS, ROOT
from instrument.errors import ConfigError, DataError
from instrument.guest.messages import say_escaped
from instrument.guest.own_imports import forget_imports_since
from instrument.pytest_plugin.options import LABELS, read_options
from instrument.record.recorder import current

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from instrument.config import Settings
    from instrument.pytest_plugin.affected import Deselection
    from instrument.pytest_plugin.options import Options

#: Options, by their names in the namespace, with which pytest runs no tests.
_WITHOUT_TESTS = ("help", "version", "collectonly", "markers", "showfixtures", "show_fixtures_per_test", "cacheshow")
#: The names of the scripts that start pytest.
_SCRIPTS = ("pytest", "py.test")


def start(config: pytest.Config) -> None:
    """Count the test run of *config*, and report on it, unless it runs no tests.

    A process that is counted already goes on, and no data is removed. If a test of a counted run has started this run,
    there is no report. Raise UsageError if an option or a setting is impossible.
    """
    names, lazy_names = set(sys.modules), set(getattr(sys, "lazy_modules", ()))
    options = read_options(config)
    deselection = _select(config)
    if deselection is not None:
        # The tests that are left out keep their counts, or else the next run could not know of them.
        options = options._replace(with_contexts=True, appends=options.appends or not deselection.runs_all)
    if config.known_args_namespace.instrument_scope is None or _runs_no_tests(config):
        return
    try:
        settings = read_settings(options.settings(), labels=LABELS)
        from instrument.pytest_plugin import counted_run

        has_bounds = counted_run.has_bounds(options)
        if current() is not None and counted_run.is_within_another():
            return
        if current() is None and not counted_run.is_worker():
            _prepare(config, options, settings)
            if not _count():  # no other thread may be importing the same modules
                forget_imports_since(names, lazy_names)
            _begin(config, options, settings)
    except ConfigError as error:
        raise pytest.UsageError(str(error)) from None
    counted_run.register(
        config, options, settings, lambda: deselection is None or deselection.runs_all, has_bounds=has_bounds
    )


def _runs_no_tests(config: pytest.Config) -> bool:
    return any(getattr(config.known_args_namespace, name, None) for name in _WITHOUT_TESTS)


def _select(config: pytest.Config) -> Deselection | None:
    """Register the hooks that leave out tests, if the options of *config* ask for it, and return them."""
    given = config.known_args_namespace
    if getattr(given, "instrument_affected", None) is None or (_runs_no_tests(config) and not given.collectonly):
        return None
    from instrument.pytest_plugin import affected

    deselection = affected.select(config)
    config.pluginmanager.register(deselection, affected.NAME)
    return deselection


def _prepare(config: pytest.Config, options: Options, settings: Settings) -> None:
    """Remove the data of earlier runs, unless *options* keep it, and prepare the code that the tests import."""
    if not options.appends:
        from instrument.commands.erase import begin_anew

        try:
            begin_anew(settings.directory, is_quiet=True)
        except DataError as error:
            say_escaped(f"the data of earlier runs stays: {error}")
    from instrument.warming.program import prepare_program

    try:
        prepare_program(["-m", "pytest", *_test_paths(config)], settings, sys.path)
    except KeyboardInterrupt as error:
        if type(error) is not KeyboardInterrupt:  # SIGTERM has interrupted it (warming.workers.Terminated)
            signal.raise_signal(signal.SIGTERM)
        raise
    except Exception:  # the other code is rewritten when it is imported
        pass


def _test_paths(config: pytest.Config) -> list[str]:
    """Return the paths of tests that *config* names; an empty list stands for the working folder."""
    paths: list[str] = config.known_args_namespace.file_or_dir
    if paths or config.rootpath != config.invocation_params.dir:
        return paths
    return [str(path) for pattern in config.getini("testpaths") for path in sorted(config.rootpath.glob(pattern))]


def _begin(config: pytest.Config, options: Options, settings: Settings) -> None:
    """Count this process from now on. If modules in the scope were imported before, become the same program anew."""
    if options.with_contexts:
        os.environ[CONTEXTS] = "1"
    loaded = loaded_files(settings.scope)
    if loaded and _can_become_the_same_program(config):
        from instrument.commands.run import become, program_environment
        from instrument.pytest_plugin.counted_run import REPORTER

        for message in dict.fromkeys(ignored_files):
            say_escaped(message)
        environment = program_environment(settings)
        environment.pop(REPORTER, None)
        become([sys.executable, *sys.orig_argv[1:]], environment)
    from instrument.commands.run import reach_processes

    ignored_files.clear()  # the start reads the settings once more, and prints the messages
    if startup.start_now(options.settings()):
        reach_processes(os.environ)
        recorder = current()
        assert recorder is not None
        for file in loaded:
            recorder.note_not_measured(file, "it was imported before pytest began to count")


def loaded_files(scope: Iterable[str]) -> list[str]:
    """Return the source files of the modules that were imported by now and that the *scope* selects, sorted."""
    from instrument.scope.project import Scope

    selects = Scope(scope).selects
    files = set()
    for name, module in list(sys.modules.items()):
        namespace = getattr(module, "__dict__", None)
        if not isinstance(namespace, dict):  # a program may put any object there
            continue
        file, own_name = namespace.get("__file__"), namespace.get("__name__")
        if own_name == "__main__" or not isinstance(file, str) or not file.endswith((".py", ".pyw")):
            continue
        if selects(own_name if type(own_name) is str else name, file):
            files.add(file)
    return sorted(files)


def _can_become_the_same_program(config: pytest.Config) -> bool:
    """Return whether pytest with this *config* is the main program of the process, and can be executed anew."""
    return (
        os.name != "nt"  # exec ends the process there, and its parent would go on
        and bool(sys.executable)
        and not (sys.flags.ignore_environment or sys.flags.no_site)
        and os.environ.get(ROOT) != str(os.getpid())  # it was executed anew, and could not be counted
        and config.invocation_params.args == tuple(sys.argv[1:])
        and is_pytest(sys.orig_argv, sys.argv)
        and not _is_within_test_run()
    )


def is_pytest(words: Sequence[str], arguments: Sequence[str]) -> bool:
    """Return whether a process runs pytest, started with *words*, of which `sys.argv` has these *arguments*."""
    program = words[1 : len(words) - len(arguments) + 1]
    if program[-1:] == ["-mpytest"] or program[-2:] == ["-m", "pytest"]:
        return True
    return bool(program) and os.path.basename(program[-1]) in _SCRIPTS


def _is_within_test_run() -> bool:
    """Return whether a function of a test run calls this one: then a test has called pytest."""
    frame = sys._getframe()
    while frame.f_back is not None:
        frame = frame.f_back
        if frame.f_code.co_name == "wrap_session" and frame.f_globals.get("__name__") == "_pytest.main":
            return True
    return False
