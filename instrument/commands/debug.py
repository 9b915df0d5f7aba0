"""Show what is on, and why a file is or is not measured.

Settings, files and modules come in; a report for people goes out: each setting with where it comes from, whether this
interpreter is known, the folders of the cache and of the data; then, for each file or module, whether it is measured,
and why. Nothing of the program is executed for it.
"""

from __future__ import annotations

import os
import sys

from instrument import config, isolation
from instrument.commands._sources import read_source
from instrument.commands.run import add_settings, settings_of, start_files
from instrument.errors import InstrumentWarning
from instrument.report.tables import say
from instrument.rewrite import probes
from instrument.runtime import cache
from instrument.runtime.scope import Scope
from instrument.runtime.session import session
from instrument.trust import objection_to_folder
from instrument.version import __version__

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from importlib.machinery import ModuleSpec

    from instrument.config import Settings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_settings(parser)
    parser.add_argument("targets", nargs="*", metavar="FILE|MODULE", help="is this measured, and why, or why not?")


def execute(options: argparse.Namespace) -> int:
    """Print the report; the status is 1 if something that was asked about cannot be found."""
    settings = config.read_settings(settings_of(options))
    scope = Scope(settings.scope)
    _print_rows("instrument", _about_us())
    _print_rows("settings", _about(settings))
    _print_rows("data", _about_data(settings.directory, shared=settings.shared))
    missing = 0
    if options.targets:
        answers = [(target, *_verdict(target, scope)) for target in options.targets]
        missing = sum(found is None for _, found, _ in answers)
        words = {True: "measured", False: "not measured", None: "not found"}
        _print_rows("measured", [(target, f"{words[found]}: {why}") for target, found, why in answers])
    sys.stdout.flush()
    for what in config.passed_over:
        say([f"instrument: {what}"], sys.stderr)
    for item in settings.scope:
        reason = _why_nothing(item)
        if reason:
            say([f"instrument: {item!r} in the scope ({settings.origins['scope']}) {reason}"], sys.stderr)
    return 1 if missing else 0


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
        ("cache", f"{folder}{'' if os.path.isdir(folder) else ' (not there yet)'}" if folder else "turned off"),
    ]


def _about(settings: Settings) -> list[tuple[str, str]]:
    said = os.environ.get(config.VARIABLE)
    state = "unset" if said is None else f"{said!r}"
    turned = f"{'on' if config.is_on() else 'off'} in processes with this environment ({config.VARIABLE} is {state})"
    scope = ", ".join(settings.scope) or "the project's own code"
    flush = f"every {settings.flush:g} s, and at the end" if settings.flush else "only at the end"
    rows = [
        ("scope", scope, "scope"),
        ("dir", settings.directory, "dir"),
        ("flush", flush, "flush"),
        ("signal", "none" if settings.signal is None else str(settings.signal), "signal"),
        ("shared", "yes: others may write to the data" if settings.shared else "no", "shared"),
    ]
    return [("counting", turned), *((name, f"{text}  [{settings.origins[key]}]") for name, text, key in rows)]


def _about_data(directory: str, *, shared: bool) -> list[tuple[str, str]]:
    try:
        objection = "" if shared else objection_to_folder(directory, lenient=True)
        with os.scandir(directory) as entries:
            sizes = [entry.stat().st_size for entry in entries if entry.name.endswith(".sqlite")]
    except FileNotFoundError:
        above = directory
        while not os.path.exists(above):
            above = os.path.dirname(above)
        can = os.path.isdir(above) and os.access(above, os.W_OK | os.X_OK)
        return [("state", "not there yet; " + ("it can be made" if can else f"and cannot be made: see {above}"))]
    except OSError as error:
        return [("state", f"cannot be read: {error.strerror}")]
    can = os.access(directory, os.W_OK | os.X_OK)
    refused = f"IS NOT WRITTEN TO, counts are not saved: {objection} (INSTRUMENT_SHARED=1 allows that)"
    return [
        ("state", refused if objection else "can be written" if can else "CANNOT BE WRITTEN: counts are not saved"),
        ("files", f"{len(sizes)}, {sum(sizes):,} bytes"),
    ]


# Files and modules ####################################################################################################


def _verdict(target: str, scope: Scope) -> tuple[bool | None, str]:
    """Return whether *target* is measured (None if it cannot be found), and why."""
    name: str | None = None
    if config.is_path(target) or (os.path.exists(target) and _find(target) is None):
        path = os.path.abspath(target)
        if not os.path.isfile(path):
            return None, f"there is no file {path}"
        name = _name_of(path)
    else:
        spec = _find(target)
        if spec is None:
            return None, "no module of this name can be found; names are looked up in sys.path, as `import` does"
        if spec.origin in ("built-in", "frozen") or spec.origin is None:
            kind = {"built-in": "it is built into the interpreter", "frozen": "it is frozen into the interpreter"}
            return False, kind.get(spec.origin or "", "it is a namespace package: it has no code of its own")
        name, path = target, spec.origin
    selected, why = scope.selects(name, path), scope.explain(name, path)
    as_what = f"{path}" + (f", as {name}" if name else "")
    if not selected:
        return False, f"{why} ({as_what})"
    trouble = _trouble(path)
    return trouble is None, f"{trouble or why} ({as_what})"


def _trouble(path: str) -> str | None:
    """Return why what is selected cannot be measured, if so."""
    import warnings

    if not path.endswith((".py", ".pyw")) and "." in os.path.basename(path):
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
        where.live_code(code, path)
    reason = where.not_measured.get(path) or where.not_measured.get("<all>")
    return None if reason is None else f"it cannot be rewritten: {reason}"


def _find(name: str) -> ModuleSpec | None:
    """Return the spec of the module *name*, without importing the packages that it is in."""
    from importlib.machinery import BuiltinImporter, FrozenImporter, ModuleSpec, PathFinder

    spec: ModuleSpec | None = None
    parts = name.split(".")
    for n, part in enumerate(parts):
        whole = ".".join(parts[: n + 1])
        where = None if spec is None else list(spec.submodule_search_locations or ())
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


def _name_of(path: str) -> str | None:
    """Return the name by which the file *path* would be imported, by its place in `sys.path`; None if by none."""
    best: str | None = None
    for entry in sys.path:
        folder = os.path.abspath(entry)
        if path.startswith(folder.rstrip(os.sep) + os.sep):
            parts = os.path.splitext(path[len(folder.rstrip(os.sep)) + 1 :])[0].split(os.sep)
            if parts[-1] == "__init__":
                parts.pop()
            if parts and all(part.isidentifier() for part in parts):
                name = ".".join(parts)
                best = name if best is None or len(name) < len(best) else best
    return best


def _why_nothing(item: str) -> str:
    """Return why the *item* of a scope can match nothing, or an empty text."""
    if os.path.isabs(item):
        return "" if os.path.exists(item) else "matches nothing: there is no such file or folder"
    if _find(item) is None:
        return "matches nothing: no module of this name can be found from here"
    return ""
