"""Starts the measurement in a process, if its environment says so, and says why if that fails.

The start-up file in site-packages (`instrument.pth`) calls `start`. Where the package is importable but not installed,
`instrument/bootstrap` does. Settings are read, the recorder starts, and the main program is hooked.

Nothing here may keep a process from starting. If something fails, one line on standard error says so, and the program
runs uncounted. The options `-E` and `-I` make Python ignore environment variables, and so ours.
"""

# No `from __future__ import annotations`: the program may be the first to import that.
import sys

_modules_before = set(sys.modules)
_lazy_modules_before = set(getattr(sys, "lazy_modules", ()))

# ruff: noqa: E402
import os
from _thread import _count
from time import time

from instrument.guest.own_imports import OwnImports, errors, forget_imports_since, starting

if not _count():  # no other thread may be importing the same modules
    starting.append(True)
from instrument.config import START_ARGUMENTS, Settings, is_on, publish, read_settings
from instrument.config.project_file import ignored_files
from instrument.config.values import ROOT
from instrument.guest import own_loader
from instrument.guest.messages import say_escaped, text_of
from instrument.guest.own_builtins import system
from instrument.guest.process_state import ProcessState
from instrument.guest.program_errors import belongs_to_program

starting.clear()

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import CodeType
    from typing import Any

    from instrument.record.recorder import Recorder

_modules = sys.modules
#: An attribute of `sys`. It is set after the message that a module of the program has this package's name. `site`
#: executes the start-up file of a virtual environment twice, and imports this module anew.
_GAVE_WAY = "_instrument_gave_way"


#: Seconds of rewriting from which on the end of a process mentions it: nothing else says why a first run is slow.
_LONG = 2.0


class _State(ProcessState):
    __slots__ = ("has_tried", "leaves_imports", "recorder")

    def reset(self) -> None:
        #: Whether a start was tried.
        self.has_tried = False
        #: The recorder of this process; None if it is not measured.
        self.recorder: Any = None
        #: Whether modules that only this package has imported stay in `sys.modules`.
        self.leaves_imports = False


_state = _State()


def start() -> None:
    """Measure this process if its environment says so. Raise nothing but errors that belong to the program."""
    if _state.has_tried or sys.flags.ignore_environment or not is_on() or _is_own_command():
        return
    with OwnImports():
        _run_or_say_why_not(_start)


def start_now(options: "dict[str, object]") -> bool:
    """Measure this process from now on, and return whether it is measured: see `instrument.start`.

    Other threads may be importing. So all modules that are in `sys.modules` stay there.
    """
    if _state.recorder is None:
        _state.leaves_imports = True

        def run() -> None:
            from instrument.hooks import main_program

            settings = read_settings(options, labels=START_ARGUMENTS)
            if _may_count():
                main_program.install_in_runpy(_record(settings))
                _state.recorder.note_running_script()

        with OwnImports(forget=False):
            _run_or_say_why_not(run)
    return _state.recorder is not None


def _run_or_say_why_not(run: "Callable[[], None]") -> None:
    """Call *run*. Say why the process is not counted if it raises an error that is not the program's."""
    _state.has_tried = True
    try:
        run()
    except BaseException as error:
        if belongs_to_program(error):
            raise
        reason = str(error) if isinstance(error, errors.ConfigError) else text_of(error)
        say_escaped(f"nothing is counted in this process: {reason}")
    finally:
        _remove_own_imports()
    if not _state.leaves_imports:
        own_loader.write_stored()


def _is_own_command() -> bool:
    """Return whether this process is a command of this package, which is never measured."""
    n_arguments = max(len(sys.argv), 1)
    options = sys.orig_argv[1 : len(sys.orig_argv) - n_arguments + 1]
    if sys.argv[:1] == ["-m"]:  # while `site` runs; only `sys.orig_argv` has the name of the module
        return options[-1:] in (["instrument"], ["-minstrument"])
    return os.path.basename(sys.argv[0] if sys.argv else "") in ("instrument", "instrument.exe")


def _module_of_same_name() -> str | None:
    """Return the file of the module that the program imports as `instrument`; None if it is this package."""
    if sys.flags.safe_path:
        return None
    folder = sys.argv[0] if sys.argv else ""
    if folder in ("", "-", "-c", "-m"):
        folder = os.getcwd()
    elif not os.path.isdir(folder):
        folder = os.path.dirname(os.path.realpath(folder))
    own_folder = os.path.dirname(__file__)
    for file in (os.path.join(folder, "instrument", "__init__.py"), os.path.join(folder, "instrument.py")):
        if os.path.isfile(file) and not os.path.samefile(os.path.dirname(file), own_folder):
            return file
    return None


def _start() -> None:
    file = _module_of_same_name()
    if file:
        if not hasattr(sys, _GAVE_WAY):
            setattr(sys, _GAVE_WAY, True)
            say_escaped(
                f"nothing is counted in this process: its own {file!r} has the name of this package; rename it "
                "(README, limit own-name)"
            )
        for name in [name for name in _modules if name.partition(".")[0] == "instrument"]:
            del _modules[name]
        return
    from gc import disable, enable, isenabled

    collects = isenabled()
    disable()  # it would find nothing
    starting.append(True)
    try:
        from instrument.session.garbage_collector import age_all_objects, find_functions, forget_functions

        if not _count():  # other threads may be making functions
            find_functions()
        from instrument.hooks import main_program

        if _may_count():
            settings = read_settings()
            instrument = _record(settings)
            from instrument.session.session import session

            main_program.install(instrument, session(settings.placement).unlinked_code.cache())
            age_all_objects()  # those of this package: the collector would traverse them at once
        else:
            main_program.correct_path_later()
    finally:
        starting.clear()
        forget_functions()
        if collects:
            enable()


def _may_count() -> bool:
    """Return whether this interpreter can count. If it cannot, its end says so, if code in the scope ran in it."""
    from instrument.guest import interpreters

    if interpreters.is_main() or interpreters.can_count():
        return True
    from instrument.record.final_messages import say_at_end_if_uncounted

    say_at_end_if_uncounted()
    return False


def _record(settings: Settings) -> "Callable[[CodeType, dict[str, Any]], CodeType]":
    """Record this process from now on; return the function that makes code of main programs live."""
    from instrument.guest.interpreters import is_main

    started, pid = time(), system.getpid()
    by_run = os.environ.get(ROOT) == str(pid)  # `instrument run` becomes the process that it starts
    is_root = is_main() and os.environ.setdefault(ROOT, str(pid)) == str(pid)
    for message in ignored_files:
        say_escaped(message)
    publish(settings)
    recorder = _start_recorder(settings)
    _state.recorder = recorder
    from instrument.flow.placement_names import NOTHING
    from instrument.session.session import session, sessions

    has_begun = False

    def instrument(code: "CodeType", namespace: "dict[str, Any]") -> "CodeType":
        """Return the code to run in place of *code*, after saving it and all code before it in the cache."""
        nonlocal has_begun
        has_begun = True
        live: CodeType = recorder.instrument_main(code, namespace)
        save_caches()
        return live

    def save_caches() -> None:
        for placement in (settings.placement, NOTHING):
            session(placement).unlinked_code.save()

    save_caches()
    if is_root:
        from instrument.hooks import process_end

        def at_end() -> None:
            seconds = sum([each.unlinked_code.seconds for each in sessions()])
            if seconds >= _LONG and not settings.quiet:
                from instrument.record.final_messages import say_that_rewriting_took_long

                say_that_rewriting_took_long(seconds, pid)
            if settings.scope or (by_run and not recorder.scope.has_matched_own()):
                from instrument.record.final_messages import say_what_matched_nothing

                say_what_matched_nothing(recorder, settings, pid, started, has_begun)

        process_end.at_last(at_end)
    return instrument


def _start_recorder(settings: Settings) -> "Recorder":
    """Return the recorder of this process, after starting it."""
    from instrument.record import recorder

    _remove_own_imports()  # so that the recorder does not take these modules for the program's
    return recorder.start(settings)


def _remove_own_imports() -> None:
    """Remove modules from `sys.modules` that only this package has imported: the program imports and counts its own."""
    if not _state.leaves_imports:
        forget_imports_since(_modules_before, _lazy_modules_before)
