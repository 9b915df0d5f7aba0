"""Show the settings, and say whether and why files, modules, and what a command line starts, are counted.

Settings, and files and modules or a command line, come in; a report for people goes out: each setting with where it
comes from, whether this interpreter is known, the folders of the cache and of the data; then, for each file or module,
whether it is measured, and why; or the same of the process and the program that the command line starts. Nothing of the
program is executed for it.
"""

from __future__ import annotations

import os
import shlex
import sys

from instrument import config
from instrument.analysis.sources import read_source
from instrument.commands import _launching
from instrument.commands._launching import FROM_CODE
from instrument.commands.run import BOOTSTRAP, add_settings, settings_of, start_files
from instrument.errors import InstrumentWarning
from instrument.guest import isolation
from instrument.guest.trusted_files import objection_to_folder
from instrument.link import cache
from instrument.report.tables import say
from instrument.rewrite import probes
from instrument.scope.project import Scope
from instrument.session.session import session
from instrument.version import __version__

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping
    from importlib.machinery import ModuleSpec
    from typing import Any

    from instrument.commands._launching import Launch
    from instrument.config import Settings

_WORDS = {True: "measured", False: "not measured", None: "not found"}
_KNOWN = ((3, 11), (3, 15))


def split(arguments: list[str]) -> tuple[list[str], list[str]]:
    """Return what of the *arguments* is ours, and the command line that is asked about."""
    n = arguments.index("--") if "--" in arguments else len(arguments)
    return arguments[:n], arguments[n:]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_settings(parser)
    parser.add_argument("targets", nargs="*", metavar="FILE|MODULE", help="say whether it is counted, and why")


def execute(options: argparse.Namespace) -> int:
    """Print the report; the status is 1 if something that was asked about cannot be found, or is not counted at all."""
    if options.command:
        _refuse_settings(options)
        return _explain_command(options)
    settings = config.read_settings(settings_of(options))
    path = _launching.own_search_path()
    _print_settings(settings, os.environ)
    missing = 0
    if options.targets:
        scope = Scope(settings.scope)
        answers = [(target, *_verdict(target, scope, path)) for target in options.targets]
        missing = sum(found is None for _, found, _ in answers)
        _print_rows("measured", [(target, f"{_WORDS[found]}: {why}") for target, found, why in answers])
    sys.stdout.flush()
    _name_what_matches_nothing(settings, path)
    return 1 if missing else 0


def _print_settings(settings: Settings, environment: Mapping[str, str]) -> None:
    _print_rows("instrument", _about_us())
    _print_rows("settings", _about(settings, environment))
    _print_rows("data", _about_data(settings.directory, shared=settings.shared))


def _name_what_matches_nothing(settings: Settings, path: list[str]) -> None:
    for what in config.passed_over:
        say([f"instrument: {what}"], sys.stderr)
    for name in config.unknown_variables(os.environ):
        say([f"instrument: nothing reads {name}: {_meant(name)}"], sys.stderr)
    for item in settings.scope:
        reason = _why_nothing(item, path)
        if reason:
            say([f"instrument: {item!r} in the scope ({settings.origins['scope']}) {reason}"], sys.stderr)


def _meant(name: str) -> str:
    """Return which variables there are in place of one with this *name*."""
    if name == f"{config.PREFIX}SCOPE":
        return f"the scope is the value of {config.VARIABLE}, as in {config.VARIABLE}=shop"
    return f"the variables are {', '.join(config.variables())}"


def _print_rows(title: str, rows: list[tuple[str, str]]) -> None:
    width = max((len(name) for name, _ in rows), default=0)
    say([f"{title}:", *(f"  {name:<{width}}  {text}" for name, text in rows)])


def _about_us() -> list[tuple[str, str]]:
    python = f"{sys.implementation.name} {'.'.join(map(str, sys.version_info[:3]))}, {sys.executable}"
    known = "known" if probes.SUPPORTED else "NOT KNOWN to this release: nothing is rewritten, nothing counted"
    files = start_files()
    if sys.flags.ignore_environment:
        start = "environment variables are ignored (-E or -I)"
    elif sys.flags.no_site:
        start = "left out (-S)"
    elif files:
        start = ", ".join(files)
    else:
        start = "none: INSTRUMENT does nothing here by itself, `instrument run` works; install the package to have one"
    folder = cache.default_folder()
    return [
        ("version", f"{__version__}, {os.path.dirname(os.path.dirname(os.path.abspath(__file__)))}"),
        ("python", f"{python}, {known}"),
        ("start-up file", start),
        ("cache", f"{folder}{_state_of_cache(folder)}" if folder else "turned off: each start rewrites all code anew"),
    ]


def _state_of_cache(folder: str) -> str:
    """Return what is to be said of the cache in *folder*, or an empty text."""
    slow = "each start rewrites all code anew; INSTRUMENT_CACHE can name another folder"
    above = folder
    while not os.path.exists(above):
        above = os.path.dirname(above)
    if above != folder:
        can = os.path.isdir(above) and os.access(above, os.W_OK | os.X_OK)
        return " (not there yet)" if can else f" CANNOT BE MADE, for {above} cannot be written: {slow}"
    found = cache.Cache(config.PLACEMENT, folder)
    if found.trouble:
        return f" CANNOT BE USED: {found.trouble.removeprefix(f'the folder {folder} cannot be used: ')}: {slow}"
    if not os.access(found.folder or folder, os.W_OK):
        return f" CANNOT BE WRITTEN: what is not in it yet is rewritten at each start: {slow}"
    return ""


def _about(settings: Settings, environment: Mapping[str, str]) -> list[tuple[str, str]]:
    said = environment.get(config.VARIABLE)
    state = "unset" if said is None else f"{said!r}"
    is_on = "on" if config.is_on(environment) else "off"
    turned = f"{is_on} in processes with this environment ({config.VARIABLE} is {state})"
    own = "the project's own code"
    scope = ", ".join(own if item == config.OWN else item for item in settings.scope) or own
    flush = f"every {settings.flush:g} s, and at the end" if settings.flush else "only at the end"
    rows = [
        ("scope", scope, "scope"),
        ("dir", settings.directory, "dir"),
        ("flush", flush, "flush"),
        ("signal", "none" if settings.signal is None else str(settings.signal), "signal"),
        ("shared", "yes: others may write to the data" if settings.shared else "no", "shared"),
    ]
    return [("counting", turned), *((name, f"{text}  [{settings.origins[key]}]") for name, text, key in rows)]


def _why_not_saved(directory: str, *, shared: bool) -> str:
    """Return why a process would save no counts to *directory*; an empty text if it would."""
    try:
        above, is_there = directory, os.path.lexists(directory)
        while not os.path.lexists(above):
            above = os.path.dirname(above)
        if not os.path.isdir(above):
            return f"{above} is no folder"
        if not os.access(above, os.W_OK | os.X_OK):
            return f"this user cannot write to {above}"
        # The process makes what is not there yet for this user alone.
        objection = "" if shared else objection_to_folder(above, lenient=True)
        if not is_there and objection and not _is_about_folders_above(objection):
            objection = ""
    except OSError as error:
        return f"{directory} cannot be looked at: {error.strerror or error}"
    return f"{objection} (INSTRUMENT_SHARED=1 allows that)" if objection else ""


def _is_about_folders_above(objection: str) -> bool:
    """Return whether *objection*, one of `trust`, is not about the folder itself."""
    return not objection.startswith(("it belongs to", "others can write to it"))


def _about_data(directory: str, *, shared: bool) -> list[tuple[str, str]]:
    reason = _why_not_saved(directory, shared=shared)
    other = "--dir or INSTRUMENT_DIR can name another folder"
    refused = f"CANNOT BE USED, counts are not saved: {reason}; {other}"
    if not os.path.lexists(directory):
        return [("state", refused if reason else "not there yet; it can be made")]
    rows = [("state", refused if reason else "can be written")]
    try:
        with os.scandir(directory) as entries:
            sizes = [entry.stat().st_size for entry in entries if entry.name.endswith(".sqlite")]
    except OSError:
        return rows
    return [*rows, ("files", f"{len(sizes)}, {sum(sizes):,} bytes")]


# Files and modules ####################################################################################################


def _verdict(target: str, scope: Scope, places: list[str]) -> tuple[bool | None, str]:
    """Return whether *target* is measured (None if it cannot be found), and why; *places* are as in `sys.path`."""
    name: str | None = None
    if config.is_path(target) or (os.path.exists(target) and _find(target, places) is None):
        path = os.path.abspath(target)
        if os.path.isdir(path):
            inner = [name for name in ("__init__.py", "__main__.py") if os.path.isfile(os.path.join(path, name))]
            if not inner:
                return None, f"{path} is a folder; name a file or a module in it"
            path = os.path.join(path, inner[0])
        if not os.path.isfile(path):
            return None, f"there is no file {path}"
        name = _name_of(path, places)
    else:
        spec = _find(target, places)
        if spec is None:
            return None, (
                "no module of this name can be found from here, in sys.path; a program in another folder finds those "
                "beside it: `instrument debug -- python FILE` looks where that program does"
            )
        if spec.origin in ("built-in", "frozen") or spec.origin is None:
            kind = {"built-in": "it is built into the interpreter", "frozen": "it is frozen into the interpreter"}
            return False, kind.get(spec.origin or "", "it is a namespace package: it has no code of its own")
        name, path = target, spec.origin
    return _judge(name, path, scope, name)


def _judge(name: str | None, path: str, scope: Scope, shown: str | None) -> tuple[bool, str]:
    """Return whether the module *name* of the file *path* is measured, and why; it is *shown* under another name."""
    as_what = f"{path}" + (f", as {shown}" if shown else "")
    if path.endswith(".pyc"):
        source = _source_of(path)
        if source is None:
            return False, f"it is bytecode that this Python cannot read ({as_what})"
        selected, why = scope.selects(name, source), scope.explain(name, source)
        return selected, f"{why} ({as_what}, compiled from {source})"
    selected, why = scope.selects(name, path), scope.explain(name, path)
    if not selected:
        return False, f"{why} ({as_what})"
    trouble = _trouble(path, is_main=name == "__main__")
    return trouble is None, f"{trouble or why} ({as_what})"


def _source_of(path: str) -> str | None:
    """Return the source that the file of bytecode *path* says that it was compiled from; None if it is no such file."""
    import marshal
    from importlib.util import MAGIC_NUMBER

    try:
        data = read_source(path)
        code = marshal.loads(data[16:]) if data[:4] == MAGIC_NUMBER else None
    except (OSError, ValueError, EOFError, TypeError):
        return None
    name = getattr(code, "co_filename", None)
    return os.path.abspath(name) if isinstance(name, str) else None


def _trouble(path: str, *, is_main: bool = False) -> str | None:
    """Return the reason that a selected file cannot be measured, else None. A main program may have any name."""
    import warnings

    if not is_main and not path.endswith((".py", ".pyw")) and "." in os.path.basename(path):
        return "it is no Python source"
    try:
        source = read_source(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            code = compile(source, path, "exec", dont_inherit=True)
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError) as error:
        return f"it cannot be compiled: {error}"
    isolation.load()
    where = session(config.PLACEMENT)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", InstrumentWarning)
        where.instrument_exec_code(code, path)
    reason = where.not_measured.get(path) or where.not_measured.get("<all>")
    return None if reason is None else f"it cannot be rewritten: {reason}"


def _find(name: str, places: list[str]) -> ModuleSpec | None:
    """Return the spec of the module *name* in *places*, without importing the packages that it is in."""
    from importlib.machinery import BuiltinImporter, FrozenImporter, ModuleSpec, PathFinder

    spec: ModuleSpec | None = None
    parts = name.split(".")
    for n, part in enumerate(parts):
        whole = ".".join(parts[: n + 1])
        where = places if spec is None else list(spec.submodule_search_locations or ())
        if where == []:
            return None
        try:
            spec = PathFinder.find_spec(whole, where)
        except KeyError:  # a namespace package in a package that is not imported
            spec = ModuleSpec(whole, None, is_package=True)
            folders = [os.path.join(folder, part) for folder in where or ()]
            spec.submodule_search_locations = [folder for folder in folders if os.path.isdir(folder)]
        except (ImportError, ValueError):
            return None
        if spec is None and n == 0:
            spec = BuiltinImporter.find_spec(name) or FrozenImporter.find_spec(name)
        if spec is None:
            return None
    return spec


def _name_of(path: str, places: list[str]) -> str | None:
    """Return the name by which the file *path* would be imported, by its place in *places*; None if by none."""
    best: str | None = None
    for entry in places:
        folder = os.path.abspath(entry)
        if path.startswith(folder.rstrip(os.sep) + os.sep):
            parts = os.path.splitext(path[len(folder.rstrip(os.sep)) + 1 :])[0].split(os.sep)
            if parts[-1] == "__init__":
                parts.pop()
            if parts and all(part.isidentifier() for part in parts):
                name = ".".join(parts)
                best = name if best is None or len(name) < len(best) else best
    return best


def _why_nothing(item: str, places: list[str]) -> str:
    """Return why the *item* of a scope can match nothing in *places*, or an empty text."""
    if item == config.OWN:
        return ""
    if os.path.isabs(item):
        return "" if os.path.exists(item) else "matches nothing: there is no such file or folder"
    if _find(item, places) is None:
        return "matches nothing: no module of this name can be found from here"
    return ""


# Command lines ########################################################################################################


def _refuse_settings(options: argparse.Namespace) -> None:
    """Leave with status 2 if *options* has settings, which the command would not get, or files besides the command."""
    if options.targets:
        options.refuse(f"ask for {options.targets[0]}, and for the command after --, one after the other")
    for key, value in settings_of(options).items():
        if value not in (None, []):
            said = "1" if value is True else ",".join(value) if isinstance(value, list) else f"{value}"
            setting = shlex.join([f"{config.variable_of(key)}={said}"])
            options.refuse(f"the command does not get --{key}: say `instrument debug -- {setting} COMMAND …`")


def _explain_command(options: argparse.Namespace) -> int:
    """Print whether the command line is counted, and return 0 if it is, else 1."""
    words = options.command[1:]
    environment = dict(os.environ)
    try:
        launch = _launching.launch_of(words, environment)
    except (_launching.NoPython, _launching.NotKnown) as reason:
        _print_settings(config.read_settings(), os.environ)
        process = f"NOT COUNTED: {reason}"
        if isinstance(reason, _launching.NotKnown):
            process = f"NOT KNOWN: {reason}"
            if not config.is_on(environment):
                process += f"; {config.VARIABLE} is not set, so by itself none is"
        _print_rows("command", [("command", " ".join(words)), ("process", process)])
        return 1
    answer = launch.ask()
    if launch.by_run:
        options = _options_of_run(launch.run_options)
    settings = config.read_settings(settings_of(options), launch.environment)
    path = _launching.search_path(launch, answer)
    obstacle = _obstacle(launch, answer)
    is_counted, main = _main_program(launch, settings, path)
    _print_settings(settings, launch.environment)
    version = ".".join(map(str, answer["version"]))
    version += "" if answer["gil"] else ", free-threaded: counts may be lost"
    process = "counted" if not obstacle else f"NOT COUNTED: {obstacle}"
    unsaved = _why_not_saved(settings.directory, shared=settings.shared)
    if unsaved and not obstacle:
        process = f"counted, but COUNTS ARE NOT SAVED: {unsaved}; --dir or INSTRUMENT_DIR can name another folder"
    _print_rows(
        "command",
        [
            ("command", " ".join(words)),
            ("interpreter", f"{launch.interpreter[0]}, {answer['name']} {version}"),
            ("start-up file", _start_of(launch, answer)),
            ("process", process),
            ("main program", f"{'would be ' if obstacle and is_counted else ''}{_WORDS[is_counted]}: {main}"),
        ],
    )
    if not obstacle and is_counted is False:
        print("\nModules that the program imports are counted all the same, if they are in the scope.")
    sys.stdout.flush()
    _name_what_matches_nothing(settings, path)
    return 1 if obstacle or unsaved or is_counted is None else 0


def _options_of_run(words: list[str]) -> argparse.Namespace:
    """Return the options of `instrument run` that *words* are; leave with status 2 if they are none."""
    import argparse

    parser = argparse.ArgumentParser(prog="instrument run", allow_abbrev=False)
    add_settings(parser)
    return parser.parse_args(words)


def _start_of(launch: Launch, answer: Mapping[str, Any]) -> str:
    """Return by what the process would be started to count."""
    if answer["start"]:
        return ", ".join(answer["start"])
    if launch.by_run or _has_bootstrap(launch.environment):
        return f"none; {BOOTSTRAP} in PYTHONPATH stands in for it"
    return "none"


def _has_bootstrap(environment: Mapping[str, str]) -> bool:
    """Return whether what stands in for a start-up file is in the PYTHONPATH of *environment*."""
    entries = environment.get("PYTHONPATH", "").split(os.pathsep)
    return any(os.path.basename(entry) == "bootstrap" and _has_start(entry) for entry in entries)


def _has_start(folder: str) -> bool:
    try:
        with open(os.path.join(folder, "sitecustomize.py"), encoding="utf-8") as file:
            return "instrument.startup" in file.read()
    except (OSError, ValueError):
        return False


def _obstacle(launch: Launch, answer: Mapping[str, Any]) -> str:
    """Return why no process of *launch* is counted, its interpreter being as it *answer*ed; an empty text if it is."""
    version = tuple(answer["version"][:2])
    if answer["name"] != "cpython" or not _KNOWN[0] <= version <= _KNOWN[1]:
        return "instrument supports CPython 3.11 to 3.15"
    if answer["ignores_environment"]:
        option = "-I" if "I" in launch.letters() else "-E"
        return f"{option} has the interpreter ignore environment variables, {config.VARIABLE} too; {FROM_CODE}"
    if answer["no_site"]:
        return f"-S leaves out the site module, which executes the start-up file; {FROM_CODE}"
    if not answer["start"] and not launch.by_run and not _has_bootstrap(launch.environment):
        python = launch.interpreter[0]
        if not answer["package"]:
            return f"instrument is not installed for {python}; install it there"
        return f"there is no start-up file for {python}: install the package, or use `instrument run`"
    if not launch.by_run and not config.is_on(launch.environment):
        said = launch.environment.get(config.VARIABLE)
        state = "is not set" if said is None else f"is {said!r}, which turns counting off"
        return f"{config.VARIABLE} {state}; nothing else is in the way, so set {config.VARIABLE}=1"
    if answer["start"] and not (answer["package"] and answer["bytecode"]):
        missing = "instrument" if not answer["package"] else "bytecode"
        return f"the start-up file is there, but {launch.interpreter[0]} cannot import {missing}; install it anew"
    folder = _folder_of(launch)
    for name in ("instrument.py", os.path.join("instrument", "__init__.py")):
        theirs = os.path.join(folder, name) if folder and not answer["safe_path"] else ""
        ours = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
        if os.path.isfile(theirs) and not os.path.samefile(os.path.dirname(theirs), ours):
            return f"the program's own {theirs} is called as this package is"
    return ""


def _folder_of(launch: Launch) -> str:
    if launch.kind == _launching.ARCHIVE:
        return launch.program if os.path.isdir(launch.program) else ""
    if launch.kind == _launching.SCRIPT:
        return os.path.dirname(os.path.realpath(launch.program))
    return os.getcwd()


def _main_program(launch: Launch, settings: Settings, places: list[str]) -> tuple[bool | None, str]:
    """Return whether the main program itself is measured (None if it cannot be found), and why."""
    kind, program = launch.kind, launch.program
    if kind in (_launching.CODE, _launching.INPUT):
        return False, f"it is {'given by -c' if kind == _launching.CODE else 'read from standard input'}, from no file"
    if kind == _launching.MODULE:
        spec = _find(program, places)
        if spec is not None and spec.submodule_search_locations is not None:
            program = f"{program}.__main__"
            spec = _find(program, places)
        if spec is not None and spec.origin == "frozen":
            return False, "it is frozen into the interpreter"
        if spec is None or spec.origin is None or not os.path.isfile(spec.origin):
            return None, f"there is no module {program} for it to run"
        return _judge("__main__", spec.origin, Scope(settings.scope, program), program)
    path = os.path.abspath(program)
    if kind == _launching.ARCHIVE:
        inner = os.path.join(path, "__main__.py")
        scope = Scope(settings.scope, "__main__")
        if os.path.isdir(path):
            if not os.path.isfile(inner) and os.path.isfile(f"{inner}c"):
                inner += "c"
            return _judge("__main__", inner, scope, None) if os.path.isfile(inner) else (None, f"there is no {inner}")
        return scope.selects("__main__", inner), f"{scope.explain('__main__', inner)} ({inner})"
    if not os.path.exists(path):
        return None, f"there is no file {path}"
    if not os.path.isfile(path):
        return False, "it is no regular file, so only the interpreter reads it"
    if path.endswith(".pyc"):
        return False, "it is a file of bytecode"
    if launch.skips_a_line:
        return False, "its first line is skipped (-x)"
    name = os.path.basename(path)
    return _judge("__main__", path, Scope(settings.scope, name.removesuffix(".py")), "__main__")
