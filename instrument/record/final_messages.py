"""Says at the end of a process that some code was not counted in it, or that rewriting took long.

The recorder and the settings come in. One message goes out, or none. `startup` calls these functions, which run rarely,
so no start needs this module.
"""

from __future__ import annotations

import sys

from instrument.config import read_settings
from instrument.config.values import ENVIRONMENT, ITEMS
from instrument.data.schema import SUFFIXES
from instrument.guest.interpreters import is_first
from instrument.guest.messages import say_escaped
from instrument.guest.own_builtins import system
from instrument.hooks import process_end
from instrument.scope.project import Scope
from instrument.session.session import sessions

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from instrument.config import Settings
    from instrument.record.recorder import Recorder

_modules = sys.modules


def say_at_end_if_uncounted() -> None:
    """Say at the end of this interpreter, once in the process, that code in the scope was not counted in it."""
    scope = Scope(read_settings().scope)

    def at_exit() -> None:
        for name, module in list(_modules.items()):
            file = getattr(module, "__dict__", {}).get("__file__")
            if isinstance(file, str) and name.partition(".")[0] != "instrument" and scope.selects(name, file):
                if is_first("subinterpreters"):
                    say_escaped(
                        f"{name!r} was not counted in an interpreter with a lock of its own: "
                        "Python 3.12 aborts the process when code is rewritten there (README, limit subinterpreters)"
                    )
                return

    process_end.at_last(at_exit)


def say_that_rewriting_took_long(seconds: float, pid: int) -> None:
    """Say that this process took so many *seconds* to rewrite code, unless it was forked from the process *pid*."""
    if system.getpid() != pid:
        return
    troubles = [trouble for each in sessions() if (trouble := each.unlinked_code.cache().trouble)]
    if troubles:
        advice = f"each process does so, as there is no cache: {troubles[0]}"
    else:
        advice = "the next one finds the code in the cache; `instrument warm PATH` fills the cache ahead of time"
    say_escaped(
        f"rewriting code took {seconds:.1f} s of this process; {advice} (INSTRUMENT_QUIET=1 leaves this line out)"
    )


def say_what_matched_nothing(recorder: Recorder, settings: Settings, pid: int, started: float, has_begun: bool) -> None:
    """Say which items of the scope matched no code, unless another process has data: it may have run that code.

    *pid* and *started* are those of the process that asked for this; a forked child says nothing. *has_begun* says
    whether the main program, from a file with a source, was executed.
    """
    if not settings.scope:
        if not recorder.scope.has_matched_own() and (has_begun or _can_begin()) and _speaks(settings, pid, started):
            name = _name_of_program() or ""
            is_never_counted = name in ("-c", "-", "") or name.endswith(".pyc")
            say_escaped(
                "nothing was counted: no module or file that was loaded is in the scope, the project's own code; "
                + (
                    "a program from -c, standard input or a .pyc file is not counted (README, limit main-program)"
                    if is_never_counted
                    else "--scope NAME counts an installed package"
                )
            )
        return
    unmatched = recorder.scope.unmatched()
    if unmatched and _speaks(settings, pid, started):
        _say_unmatched(unmatched, settings)


def _name_of_program() -> str | None:
    """Return the first argument of the program: its path, or `-c` and the like; None if the program has removed it."""
    arguments = getattr(sys, "argv", None)
    name = arguments[0] if type(arguments) is list and arguments else None
    return name if type(name) is str else None


def _can_begin() -> bool:
    """Return whether the main program could be found and compiled: the interpreter has said so if not."""
    name = _name_of_program()
    if name and name not in ("-c", "-"):  # it is "-m" until the module is found
        try:
            system.stat(name)
        except (OSError, ValueError):
            return False
    # Only an error in the main program itself has no frame.
    return getattr(sys, "last_type", None) is not SyntaxError or getattr(sys, "last_traceback", None) is not None


def _say_unmatched(unmatched: Sequence[str], settings: Settings) -> None:
    origin = settings.origins["scope"]
    # A variable is not named: options of `instrument run` also arrive as variables.
    origin_note = "" if origin.kind == ENVIRONMENT else f" ({origin})"
    if len(unmatched) == len(settings.scope) and not any(item in _modules for item in unmatched):
        scope = ",".join(unmatched)
        say_escaped(
            f"nothing was counted: no module or file that was loaded is in the scope {scope!r}{origin_note}; "
            f"name {ITEMS}"
        )
        return
    for item in unmatched:
        if item in _modules:
            say_escaped(f"{item!r} in the scope was loaded, but has no Python code that could be counted")
        else:
            say_escaped(
                f"{item!r} in the scope{origin_note} matched nothing that was run; "
                f"`instrument debug {item}` says whether it can be found"
            )


def _speaks(settings: Settings, pid: int, started: float) -> bool:
    """Return whether this is the process *pid*, and no other process that began after *started* has written data."""
    return bool(system.getpid() == pid) and not _have_others_written(settings.directory, pid, started)


def _have_others_written(directory: str, pid: int, started: float) -> bool:
    """Return whether *directory* has data of a process other than *pid* that began after *started*."""
    try:
        names = system.listdir(directory)
    except OSError:
        return False
    for name in names:
        parts = name.rsplit("-", 3)  # host, process number, start, and a random word: `instrument.data.writer.Writer`
        if len(parts) == 4 and name.endswith(SUFFIXES) and parts[1] != str(pid):
            try:
                if int(parts[2], 16) >= started * 1e9:
                    return True
            except ValueError:
                pass
    return False
