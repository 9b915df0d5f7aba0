"""Run a program, and count what it executes: as without us, and as with INSTRUMENT in its environment.

Settings and a program come in; the process becomes the interpreter that runs the program, by its own ordinary means,
and what is counted is saved to the folder of --dir. So the exit status, output and signals are the program's own, and
so are `__main__`, `sys.argv` and `sys.path`: the measurement comes in by the environment, on the way that it always
does (`instrument.startup`). Nothing of this process is left in the one that it becomes, but its number.
"""

from __future__ import annotations

import os
import sys

from instrument.config import KEYS, VARIABLE, passed_over, publish, read_settings
from instrument.errors import InstrumentError
from instrument.report.tables import say
from instrument.startup import SPEAKS

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

BOOTSTRAP = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "bootstrap")
START_FILE = "instrument.pth"


def add_settings(parser: argparse.ArgumentParser) -> None:
    """Add the options of which settings are read."""
    group = parser.add_argument_group("settings", "in place of what the environment or a pyproject.toml says")
    group.add_argument(
        "--scope",
        action="append",
        metavar="ITEM,…",
        help="what to count: dotted names of modules and packages, paths of files and folders; can be given several "
        "times (default: the project's own code, which is neither the standard library nor in site-packages)",
    )
    group.add_argument("--dir", metavar="FOLDER", help="where to save the data (default: .instrument)")
    group.add_argument(
        "--flush", metavar="SECONDS", help="save this often, and at the end (default: 10; 0: only at the end)"
    )
    group.add_argument("--signal", metavar="NAME", help="save when this signal comes, too; USR1, for instance")
    group.add_argument(
        "--shared",
        action="store_true",
        default=None,
        help="save also to a folder that other users own or can write to: they could have files of yours deleted",
    )


def settings_of(options: argparse.Namespace) -> dict[str, object]:
    """Return what *options* say of settings."""
    return {key: getattr(options, key) for key in KEYS}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_settings(parser)
    parser.add_argument("-m", dest="module", action="store_true", help="the program is a module, as in python -m")
    parser.add_argument("program", help="a script, a folder or archive with a __main__.py; or with -m a module")
    parser.add_argument("arguments", nargs="...", help="the arguments of the program")


def execute(options: argparse.Namespace) -> int:
    """Become the program; return only where a process cannot become another."""
    if sys.flags.ignore_environment:
        raise InstrumentError("settings reach the program by its environment, which -E and -I ignore: leave them out")
    if sys.flags.no_site:
        raise InstrumentError("the measurement begins with the site module, which -S leaves out: leave that out")
    if not sys.executable:
        raise InstrumentError("this interpreter does not know its own path (sys.executable), so it cannot run programs")
    environment = dict(os.environ)
    publish(read_settings(settings_of(options)), environment)
    for what in passed_over:
        say([f"instrument: {what}"], sys.stderr)
    environment[SPEAKS] = str(os.getpid())
    if not start_files():
        paths = environment.get("PYTHONPATH")
        environment["PYTHONPATH"] = BOOTSTRAP + (os.pathsep + paths if paths else "")
    command = [sys.executable, *interpreter_options()]
    if options.module:
        command += ["-m", options.program]
    else:
        # A program is a file here, whatever its name.
        program = options.program
        command.append(program if program[:1] != "-" else os.path.join(os.curdir, program))
    command += options.arguments
    sys.stdout.flush()
    sys.stderr.flush()
    if os.name == "nt":  # a process cannot become another there: whoever waits for it would go on
        import subprocess

        return subprocess.run(command, env=environment, check=False).returncode
    return os.execve(sys.executable, command, environment)


def start_files() -> list[str]:
    """Return the start-up files of ours that an interpreter like this one executes."""
    import site

    folders = site.getsitepackages()
    if site.ENABLE_USER_SITE:
        folders.append(site.getusersitepackages())
    paths = [os.path.join(folder, START_FILE) for folder in dict.fromkeys(folders)]
    return [path for path in paths if _mentions_us(path)]


def _mentions_us(path: str) -> bool:
    try:
        with open(path, "rb") as file:
            return VARIABLE.encode() in file.read()
    except OSError:
        return False


def interpreter_options() -> list[str]:
    """Return the options that this interpreter was started with, to start another with."""
    import subprocess

    options: list[str] = subprocess._args_from_interpreter_flags()  # type: ignore[attr-defined]
    if getattr(sys.stdout, "write_through", False):
        options.append("-u")
    return options
