"""Shows the settings, and whether files, modules or a command line are counted, and if not, why.

Input: settings, and files and modules or a command line. Output: a report for people. It shows each setting with its
origin, and the state of interpreter, cache and data folder. Each file, module or command gets a verdict with a reason.
The program is executed only with --code and --run, which show the flows of its code (diagnosis.code_view).
"""

from __future__ import annotations

import os
import shlex
import sys

from instrument import config
from instrument.config import read_settings
from instrument.config.project_file import PREFIX, VARIABLE, ignored_files, variable_of
from instrument.config.values import OWN
from instrument.data.schema import SUFFIXES
from instrument.decode.versions import SUPPORTED
from instrument.diagnosis.code_view import show_code
from instrument.diagnosis.interpreter_facts import facts_of_interpreter
from instrument.diagnosis.interpreters import BOOTSTRAP, start_files
from instrument.diagnosis.launch import launch_of
from instrument.diagnosis.module_search import find_module, own_search_path, search_path_of
from instrument.diagnosis.obstacles import has_bootstrap, why_not_counted, why_not_saved
from instrument.diagnosis.run_arguments import add_settings, settings_of
from instrument.diagnosis.verdicts import verdict_on_main_program, verdict_on_target
from instrument.errors import NotPythonError, UnknownCommandError
from instrument.link import cache, cache_files
from instrument.report.text import say
from instrument.scope.project import Scope
from instrument.version import __version__

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping

    from instrument.config import Settings
    from instrument.diagnosis.interpreter_facts import InterpreterFacts
    from instrument.diagnosis.launch import Launch

    #: The name of a row of the report, and its text.
    Row = tuple[str, str]

_OTHER_FOLDER = "name another folder with --dir or INSTRUMENT_DIR"


def split(arguments: list[str]) -> tuple[list[str], list[str]]:
    """Return the arguments of this command in *arguments*, and the command line to examine, from `--` on."""
    n = arguments.index("--") if "--" in arguments else len(arguments)
    return arguments[:n], arguments[n:]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command to *parser*."""
    add_settings(parser)
    parser.add_argument("targets", nargs="*", metavar="FILE|MODULE", help="say whether it is counted, and why")
    parser.add_argument("--code", metavar="FILE[:FUNCTION]", help="show where the probes of its code are, and stop")
    parser.add_argument(
        "--run", action="store_true", help="with --code: run FILE, and show how often each edge is taken"
    )


def execute(options: argparse.Namespace) -> int:
    """Print the report; return 1 if a target cannot be found or the command would not be counted, else 0."""
    if options.command:
        _refuse_settings(options)
        return _examine_command(options)
    if options.code is not None:
        return show_code(options.code, run=options.run)
    if options.run:
        options.refuse("--run needs --code FILE[:FUNCTION], the code to run")
    settings = read_settings(settings_of(options))
    search_path = own_search_path()
    _print_settings(settings, os.environ)
    verdicts = []
    if options.targets:
        scope = Scope(settings.scope)
        verdicts = [verdict_on_target(target, scope, search_path) for target in options.targets]
        _print_rows("measured", [(target, str(verdict)) for target, verdict in zip(options.targets, verdicts)])
    sys.stdout.flush()
    _print_warnings(settings, search_path)
    return 1 if any(verdict.is_measured is None for verdict in verdicts) else 0


def _print_rows(title: str, rows: list[Row]) -> None:
    width = max((len(name) for name, _ in rows), default=0)
    say([f"{title}:", *(f"  {name:<{width}}  {text}" for name, text in rows)])


# Settings #############################################################################################################


def _print_settings(settings: Settings, environment: Mapping[str, str]) -> None:
    _print_rows("instrument", _rows_of_installation())
    _print_rows("settings", _rows_of_settings(settings, environment))
    _print_rows("data", _rows_of_data(settings.directory, shared=settings.shared))


def _print_warnings(settings: Settings, search_path: list[str]) -> None:
    """Print warnings about ignored files, unknown variables, and items of the scope that match nothing."""
    warnings = list(ignored_files)
    warnings += [f"nothing reads {name}: {_hint_for_variable(name)}" for name in config.unknown_variables(os.environ)]
    for item in settings.scope:
        reason = _why_no_match(item, search_path)
        if reason:
            warnings.append(f"{item!r} in the scope ({settings.origins['scope']}) matches nothing: {reason}")
    for warning in warnings:
        say([f"instrument: {warning}"], sys.stderr)


def _hint_for_variable(name: str) -> str:
    """Return the variables to use in place of the unknown variable *name*."""
    if name == f"{PREFIX}SCOPE":
        return f"the scope is the value of {VARIABLE}, as in {VARIABLE}=shop"
    return f"the variables are {', '.join(config.variables())}"


def _why_no_match(item: str, search_path: list[str]) -> str:
    """Return why the *item* of a scope matches nothing; "" if it may match something."""
    if os.path.isabs(item):
        return "" if os.path.exists(item) else "there is no such file or folder"
    if item != OWN and find_module(item, search_path) is None:
        return "no module of this name is in the program's sys.path"
    return ""


def _rows_of_installation() -> list[Row]:
    version = ".".join(map(str, sys.version_info[:3]))
    state = "supported" if SUPPORTED else "NOT SUPPORTED by this release: no code is rewritten or counted"
    files = start_files()
    if sys.flags.ignore_environment:
        start = "not heeded: with -E or -I the interpreter ignores environment variables"
    elif sys.flags.no_site:
        start = "left out (-S)"
    elif files:
        start = ", ".join(files)
    else:
        start = "none: INSTRUMENT alone has no effect. Use `instrument run`, or install the package"
    folder = cache_files.default_folder()
    return [
        ("version", f"{__version__}, {os.path.dirname(os.path.dirname(os.path.abspath(__file__)))}"),
        ("python", f"{sys.implementation.name} {version}, {sys.executable}, {state}"),
        ("start-up file", start),
        ("cache", f"{folder}{_state_of_cache(folder)}" if folder else "turned off: each start rewrites all code again"),
    ]


def _state_of_cache(folder: str) -> str:
    """Return the trouble with the cache in *folder*, or that it does not exist yet; "" if it is usable."""
    consequence = "each start rewrites all code again; name another folder with INSTRUMENT_CACHE"
    existing = folder
    while not os.path.exists(existing):
        existing = os.path.dirname(existing)
    if existing != folder:
        can_create = os.path.isdir(existing) and os.access(existing, os.W_OK | os.X_OK)
        return " (not there yet)" if can_create else f" CANNOT BE MADE: {existing} cannot be written; {consequence}"
    opened = cache.Cache(config.PLACEMENT, folder)
    if opened.trouble:
        reason = opened.trouble.removeprefix(f"the folder {folder} cannot be used: ")
        return f" CANNOT BE USED: {reason}; {consequence}"
    if not os.access(opened.folder or folder, os.W_OK):
        return f" CANNOT BE WRITTEN: each start rewrites the code that is not in it; {consequence}"
    return ""


def _rows_of_settings(settings: Settings, environment: Mapping[str, str]) -> list[Row]:
    value = environment.get(VARIABLE)
    switch = "on" if config.is_on(environment) else "off"
    state = "unset" if value is None else f"{value!r}"
    own = "the project's own code"
    scope = ", ".join(own if item == OWN else item for item in settings.scope) or own
    texts = {
        "scope": scope,
        "dir": settings.directory,
        "flush": f"every {settings.flush:g} s, and at the end" if settings.flush else "only at the end",
        "signal": "none" if settings.signal is None else str(settings.signal),
        "lines": "yes: branches and costs are not known" if settings.lines else "no",
        "shared": "yes: others may write to the data" if settings.shared else "no",
        "quiet": "yes: slow rewriting is not mentioned" if settings.quiet else "no",
    }
    return [
        ("counting", f"{switch} in processes with this environment ({VARIABLE} is {state})"),
        *((key, f"{text}  [{settings.origins[key]}]") for key, text in texts.items()),
    ]


def _rows_of_data(directory: str, *, shared: bool) -> list[Row]:
    reason = why_not_saved(directory, shared=shared)
    refused = f"CANNOT BE USED, counts are not saved: {reason}; {_OTHER_FOLDER}"
    if not os.path.lexists(directory):
        return [("state", refused if reason else "not there yet; it can be made")]
    rows = [("state", refused if reason else "can be written")]
    try:
        with os.scandir(directory) as entries:
            sizes = [entry.stat().st_size for entry in entries if entry.name.endswith(SUFFIXES)]
    except OSError:
        return rows
    return [*rows, ("files", f"{len(sizes)}, {sum(sizes):,} bytes")]


# Command lines ########################################################################################################


def _refuse_settings(options: argparse.Namespace) -> None:
    """Exit with status 2 if *options* has a setting, or a target besides the command.

    The command gets its settings from its environment, never from options of `debug`. So the message names the
    variable to set in place of the option.
    """
    if options.targets:
        options.refuse(f"{options.targets[0]} and the command after -- are two questions; ask them one by one")
    for key, value in settings_of(options).items():
        if value not in (None, []):
            text = "1" if value is True else ",".join(value) if isinstance(value, list) else f"{value}"
            setting = shlex.join([f"{variable_of(key)}={text}"])
            options.refuse(f"the command does not get --{key}; say `instrument debug -- {setting} COMMAND …`")


def _examine_command(options: argparse.Namespace) -> int:
    """Print whether the command line is counted; return 0 if it is counted and its counts are saved, else 1."""
    words = options.command[1:]
    try:
        launch = launch_of(words, os.environ)
    except (NotPythonError, UnknownCommandError) as error:
        _print_settings(read_settings(), os.environ)
        _print_rows("command", [("command", " ".join(words)), ("process", _state_of_no_launch(error))])
        return 1
    facts = facts_of_interpreter(launch)
    if launch.is_by_run:
        options = _options_of_run(launch.run_options)
    settings = read_settings(settings_of(options), launch.environment)
    search_path = search_path_of(launch, facts)
    obstacle = why_not_counted(launch, facts)
    trouble = why_not_saved(settings.directory, shared=settings.shared)
    verdict = verdict_on_main_program(launch.command, settings, search_path)
    _print_settings(settings, launch.environment)
    _print_rows(
        "command",
        [
            ("command", " ".join(words)),
            ("interpreter", _describe_interpreter(launch, facts)),
            ("start-up file", _describe_start(launch, facts)),
            ("process", _state_of_process(obstacle, trouble)),
            ("main program", f"{'would be ' if obstacle and verdict.is_measured else ''}{verdict}"),
        ],
    )
    if not obstacle and verdict.is_measured is False:
        print("\nModules that the program imports are counted nevertheless, if they are in the scope.")
    sys.stdout.flush()
    _print_warnings(settings, search_path)
    return 1 if obstacle or trouble or verdict.is_measured is None else 0


def _options_of_run(words: list[str]) -> argparse.Namespace:
    """Return the options of `instrument run` in *words*; exit with status 2 if one is unknown."""
    import argparse

    parser = argparse.ArgumentParser(prog="instrument run", allow_abbrev=False)
    add_settings(parser)
    return parser.parse_args(words)


def _state_of_no_launch(error: NotPythonError | UnknownCommandError) -> str:
    """Return the state of a command line of which *error* says why no counted process is known."""
    if isinstance(error, NotPythonError):
        return f"NOT COUNTED: {error}"
    hint = "" if config.is_on() else f"; {VARIABLE} is not set, so none is counted by itself"
    return f"NOT KNOWN: {error}{hint}"


def _state_of_process(obstacle: str, trouble: str) -> str:
    """Return the state of a process with this *obstacle* to counting, and this *trouble* with saving; "" is none."""
    if obstacle:
        return f"NOT COUNTED: {obstacle}"
    return f"counted, but COUNTS ARE NOT SAVED: {trouble}; {_OTHER_FOLDER}" if trouble else "counted"


def _describe_interpreter(launch: Launch, facts: InterpreterFacts) -> str:
    version = ".".join(map(str, facts.version))
    note = "" if facts.has_gil else ", free-threaded: counts may be lost (README, limit free-threading)"
    return f"{launch.python}, {facts.name} {version}{note}"


def _describe_start(launch: Launch, facts: InterpreterFacts) -> str:
    """Return the start-up files that the process would execute, or their stand-in."""
    if facts.start_files:
        return ", ".join(facts.start_files)
    if launch.is_by_run or has_bootstrap(launch.environment):
        return f"none; {BOOTSTRAP} in PYTHONPATH stands in for it"
    return "none"
