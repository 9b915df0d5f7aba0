"""What a process does first if the environment says that it is measured.

Called by the start-up file in site-packages (`instrument.pth`; where the package is not installed but importable, by
`instrument/bootstrap`). Settings are read, the recorder starts, and the main program is arranged to be live.

Nothing here may keep a process from starting: what goes wrong is said in one line on standard error, and the program
runs uncounted. With `-E` and `-I` environment variables are not heeded, and ours are not either.
"""

# No `from __future__ import annotations`: the program may be the first to import that.
import sys

_before = set(sys.modules)
_lazy_before = set(getattr(sys, "lazy_modules", ()))

# ruff: noqa: E402
import os
from time import time

from instrument.config import START_ARGUMENTS, Settings, is_on, publish, read_settings
from instrument.config.project_file import ignored_files
from instrument.config.values import ENVIRONMENT, ITEMS
from instrument.errors import ConfigError
from instrument.guest.messages import say, text_of
from instrument.guest.own_builtins import system
from instrument.guest.own_imports import OwnImports, forget_imports_since
from instrument.guest.own_loader import write_stored
from instrument.guest.program_errors import belongs_to_program

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import CodeType
    from typing import Any

    from instrument.record.recorder import Recorder

#: The environment's variable with the number of the outermost measured process, the one that says at its end what the
#: scope did not match. Its child processes must not: a helper that does not load the scope is no mistake.
ROOT = "_INSTRUMENT_ROOT"

_modules = sys.modules
_started: "list[Any]" = []
#: An attribute of `sys`, once it was said that a module of the program's has our name: `site` executes the start-up
#: file of a virtual environment twice, and by then this module is another one.
_GAVE_WAY = "_instrument_gave_way"
#: Whether what only this package has imported leaves `sys.modules` again.
_forgets = True


def start() -> None:
    """Measure this process if the environment says so, and never raise for it."""
    if _started or sys.flags.ignore_environment or not is_on() or _is_a_command_of_ours():
        return
    with OwnImports():
        _start_or_say_why_not(_start)


def start_now(options: "dict[str, object]") -> bool:
    """Measure this process from now on, and return whether it is measured: see `instrument.start`.

    Other threads may be importing: what is in `sys.modules` stays there, whoever has imported it.
    """
    global _forgets
    if not _started or _started == [None]:
        _forgets = False

        def run() -> None:
            from instrument.hooks import main_program

            settings = read_settings(options, labels=START_ARGUMENTS)
            if _may_count():
                main_program.arrange_runpy(_record(settings))
                _started[0].note_running_script()

        with OwnImports(forget=False):
            _start_or_say_why_not(run)
    return _started != [None]


def _start_or_say_why_not(run: "Callable[[], None]") -> None:
    _started[:] = [None]
    try:
        run()
    except BaseException as error:
        if belongs_to_program(error):
            raise
        reason = str(error) if isinstance(error, ConfigError) else text_of(error)
        _say(f"nothing is counted in this process: {reason}")
    finally:
        _forget_what_was_imported()
    if _forgets:
        write_stored()


def _is_a_command_of_ours() -> bool:
    """Return whether this process is one of `instrument`, which is none of the program's."""
    n_arguments = max(len(sys.argv), 1)
    before = sys.orig_argv[1 : len(sys.orig_argv) - n_arguments + 1]
    if sys.argv[:1] == ["-m"]:
        return before[-1:] in (["instrument"], ["-minstrument"])
    return os.path.basename(sys.argv[0] if sys.argv else "") in ("instrument", "instrument.exe")


def _namesake() -> str | None:
    """Return what the program gets when it imports `instrument`, if that is not this package: we must not be there
    first.
    """
    if sys.flags.safe_path:
        return None
    folder = sys.argv[0] if sys.argv else ""
    if folder in ("", "-", "-c", "-m"):
        folder = os.getcwd()
    elif not os.path.isdir(folder):
        folder = os.path.dirname(os.path.realpath(folder))
    ours = os.path.dirname(__file__)
    for theirs in (os.path.join(folder, "instrument", "__init__.py"), os.path.join(folder, "instrument.py")):
        if os.path.isfile(theirs) and not os.path.samefile(os.path.dirname(theirs), ours):
            return theirs
    return None


def _start() -> None:
    theirs = _namesake()
    if theirs:
        if not hasattr(sys, _GAVE_WAY):
            setattr(sys, _GAVE_WAY, True)
            _say(f"nothing is counted in this process, for its own {theirs!r} is called as this package is")
        for name in [name for name in _modules if name.partition(".")[0] == "instrument"]:
            del _modules[name]
        return
    from instrument.hooks import main_program

    if _may_count():
        main_program.arrange(_record(read_settings()))
    else:
        main_program.arrange_path()


def _may_count() -> bool:
    """Return whether this interpreter can count; otherwise that is said at its end, if it matters."""
    from instrument.guest import interpreters

    if interpreters.is_main() or interpreters.can_count():
        return True
    _say_what_is_not_counted_here()
    return False


def _record(settings: Settings) -> "Callable[[CodeType, dict[str, Any]], CodeType]":
    """Record this process from now on, and return what makes code of main programs live."""
    from instrument.guest.interpreters import is_main

    started, pid = time(), system.getpid()
    by_run = os.environ.get(ROOT) == str(pid)  # `instrument run` becomes the process that it starts
    is_root = is_main() and os.environ.setdefault(ROOT, str(pid)) == str(pid)
    for message in ignored_files:
        _say(message)
    publish(settings)
    recorder = _recorder(settings)
    _started[:] = [recorder]
    from instrument.flow.placement import NOTHING
    from instrument.session.session import session

    def instrument(code: "CodeType", namespace: "dict[str, Any]") -> "CodeType":
        """Return what runs in place of *code*; the next process finds it, and all before, in the cache."""
        live: CodeType = recorder.instrument_main(code, namespace)
        keep()
        return live

    def keep() -> None:
        for where in (settings.placement, NOTHING):
            session(where).unlinked_code.save()

    keep()
    if is_root and (settings.scope or by_run):
        from instrument.hooks import process_end

        process_end.at_last(lambda: _say_what_matched_nothing(recorder, settings, pid, started))
    return instrument


def _recorder(settings: Settings) -> "Recorder":
    """Return what records this process from now on; the modules that only we imported are ours alone."""
    from instrument.record import recorder

    _forget_what_was_imported()  # so that it does not take that for the program's
    return recorder.start(settings)


def _forget_what_was_imported() -> None:
    """Have the program import modules of the standard library that only this package has imported itself."""
    if _forgets:
        forget_imports_since(_before, _lazy_before)


def _say_what_is_not_counted_here() -> None:
    """Say at the end of this interpreter, once in the process, that what is in the scope was not counted in it."""
    from instrument.guest.interpreters import is_first
    from instrument.hooks import process_end
    from instrument.scope.project import Scope

    scope = Scope(read_settings().scope)

    def at_exit() -> None:
        for name, module in list(_modules.items()):
            file = getattr(module, "__dict__", {}).get("__file__")
            if isinstance(file, str) and name.partition(".")[0] != "instrument" and scope.selects(name, file):
                if is_first("subinterpreters"):
                    _say(
                        f"{name!r} was not counted in an interpreter with a lock of its own: "
                        "Python 3.12 aborts the process when code is rewritten there"
                    )
                return

    process_end.at_last(at_exit)


def _say(what: str) -> None:
    if not what.isprintable():  # the names of files may be another user's
        what = what.encode("unicode_escape").decode("ascii")
    say(what)


def _say_what_matched_nothing(recorder: "Any", settings: Settings, pid: int, started: float) -> None:
    """Say which parts of the scope matched no code, unless another process has data: it may have run that code.

    *pid* and *started* are of the process that was to say it: one that was forked is another.
    """
    unmatched = recorder.scope.unmatched()
    if not settings.scope:
        is_silent = recorder.scope.has_matched_own() or system.getpid() != pid
        if not is_silent and not _have_others_written(settings.directory, pid, started):
            _say(
                "nothing was counted: no module or file that was loaded is in the scope, the project's own code; "
                "--scope NAME counts an installed package"
            )
        return
    if not unmatched or system.getpid() != pid or _have_others_written(settings.directory, pid, started):
        return
    origin = settings.origins["scope"]
    # A variable is not named: options of `instrument run` also arrive as variables.
    words = "" if origin.kind == ENVIRONMENT else f" ({origin})"
    if len(unmatched) < len(settings.scope) or any(item in _modules for item in unmatched):
        for item in unmatched:
            if item in _modules:
                _say(f"{item!r} in the scope was loaded, but has no Python code that could be counted")
            else:
                _say(
                    f"{item!r} in the scope{words} matched nothing that was run; "
                    f"`instrument debug {item}` says whether it can be found"
                )
        return
    scope = ",".join(unmatched)
    _say(f"nothing was counted: no module or file that was loaded is in the scope {scope!r}{words}; name {ITEMS}")


def _have_others_written(directory: str, pid: int, started: float) -> bool:
    """Return whether *directory* has data of a process other than *pid* that began after *started*."""
    try:
        names = system.listdir(directory)
    except OSError:
        return False
    for name in names:
        parts = name.rsplit("-", 3)  # host, number, start, and a random word: `instrument.data.writer.Writer`
        if len(parts) == 4 and name.endswith(".sqlite") and parts[1] != str(pid):
            try:
                if int(parts[2], 16) >= started * 1e9:
                    return True
            except ValueError:
                pass
    return False
