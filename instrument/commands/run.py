"""Run a program, and count what it executes, as with INSTRUMENT in its environment.

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
from instrument.startup import ROOT

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
        help="what to count: dotted names of modules and packages, paths of files and folders, and 1 for the project's "
        "own code, which is neither the standard library nor installed (default: 1); can be given several times",
    )
    group.add_argument(
        "--dir",
        metavar="FOLDER",
        help="where to save the data (default: .instrument, beside the pyproject.toml that has [tool.instrument], or "
        "else here)",
    )
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
    parser.add_argument("--fresh", action="store_true", help="remove the data of earlier runs first")


_HEAD = 4096  # of a script, which begins with its interpreter
SHELLS = ("ash", "bash", "dash", "ksh", "sh", "zsh")
#: How a shell names the folder of the script that it executes.
_HERE = '"$(dirname -- "$(realpath -- "$0")")"'
_TAKE_A_VALUE = ("--scope", "--dir", "--flush", "--signal")


def split(arguments: list[str]) -> tuple[list[str], list[str]]:
    """Return what of the *arguments* is ours, and the program with its own arguments: as the interpreter takes them."""
    n = 0
    while n < len(arguments):
        word = arguments[n]
        if word == "--":
            return arguments[:n], arguments[n:]
        if word[:1] != "-" or word == "-" or (word[:2] in ("-m", "-c")):
            return arguments[:n], arguments[n:]
        n += 2 if word in _TAKE_A_VALUE else 1
    return arguments, []


def execute(options: argparse.Namespace) -> int:
    """Become the program; return only where a process cannot become another."""
    if sys.flags.ignore_environment:
        raise InstrumentError("settings reach the program by its environment, which -E and -I ignore: leave them out")
    if sys.flags.no_site:
        raise InstrumentError("the measurement begins with the site module, which -S leaves out: leave that out")
    if not sys.executable:
        raise InstrumentError("this interpreter does not know its own path (sys.executable), so it cannot run programs")
    words = _program(options)
    settings = read_settings(settings_of(options))
    if options.fresh:
        from instrument.commands.erase import begin_anew

        begin_anew(settings.directory)
    environment = dict(os.environ)
    publish(settings, environment)
    if settings.origins["scope"].endswith("key 'scope'"):
        environment[VARIABLE] = "1"  # the process reads the file again, and so can name it; then it publishes the scope
    environment[ROOT] = str(os.getpid())  # what this process becomes
    for what in passed_over:
        say([f"instrument: {what}"], sys.stderr)
    if not start_files():
        paths = environment.get("PYTHONPATH")
        environment["PYTHONPATH"] = BOOTSTRAP + (os.pathsep + paths if paths else "")
    command = [sys.executable, *interpreter_options(), *words]
    sys.stdout.flush()
    sys.stderr.flush()
    if os.name == "nt":  # a process cannot become another there: whoever waits for it would go on
        import subprocess

        del environment[ROOT]
        return subprocess.run(command, env=environment, check=False).returncode
    return os.execve(sys.executable, command, environment)


def _program(options: argparse.Namespace) -> list[str]:
    """Return the arguments of the interpreter that name the program, and its own; leave with status 2 without one.

    Raise InstrumentError if it is none that this interpreter can run.
    """
    words: list[str] = options.command
    if words and words[0][:2] in ("-m", "-c"):
        if len(words[0]) == 2 and len(words) == 1:
            options.refuse(f"{words[0]} needs {'the name of a module' if words[0] == '-m' else 'code'} after it")
        return words
    if words == ["-"]:
        return words
    if words[:1] == ["--"]:
        words = words[1:]
    if not words:
        options.refuse("which program? Name a script, an installed command, -m MODULE or -c CODE")
    # A program is a file here, whatever its name.
    program = words[0] if words[0][:1] != "-" else os.path.join(os.curdir, words[0])
    return [_found(program), *words[1:]]


def _found(program: str) -> str:
    """Return the path of the *program*: a file from here, else an installed command of this environment.

    A shell looks a command up in PATH. Here the folder of the interpreter comes first: a command of another environment
    needs what is installed there.
    """
    if os.sep in program or (os.altsep and os.altsep in program) or os.path.lexists(program):
        return program
    import shutil
    import sysconfig

    own = [os.path.dirname(sys.executable), sysconfig.get_path("scripts")]
    path = shutil.which(program, path=os.pathsep.join(own)) or shutil.which(program)
    if path is None:
        if "." in program:
            return program  # a file that is not there: the interpreter says so
        raise InstrumentError(
            f"there is no file {program!r} here, and no command of that name in {own[0]} or on PATH; "
            "for a module, say -m"
        )
    if os.name == "nt":
        raise InstrumentError(f"{path} starts Python by itself: set {VARIABLE}=1, and start it as ever")
    interpreter = interpreter_of(path)
    if interpreter is None:
        if is_python(path):
            raise InstrumentError(
                f"{path} is an interpreter: leave {program!r} out, as in `instrument run shop.py`; to count with an "
                f"interpreter of another environment, set {VARIABLE}=1 and start it as ever"
            )
        raise InstrumentError(
            f"{path} is no Python program; if it starts one, set {VARIABLE}=1 in the environment and start it as ever"
        )
    if not _is_this_interpreter(interpreter[0]):
        raise InstrumentError(
            f"{path} runs with {interpreter[0]}, another Python than {sys.executable}: install instrument there, "
            f"and set {VARIABLE}=1 or use `instrument run` of that environment"
        )
    return path


def interpreter_of(path: str) -> list[str] | None:
    """Return the words by which the first line of the file *path* starts a Python; None if it starts none."""
    import shutil

    try:
        with open(path, "rb") as file:
            head = file.read(_HEAD)
    except OSError:
        return None
    if head[:2] != b"#!":
        return None
    lines = head.decode("utf-8", "replace").splitlines()
    words = lines[0][2:].split()
    if words and os.path.basename(words[0]) == "env":
        words = [word for word in words[1:] if word != "-S" and "=" not in word]
        if words:
            words[0] = shutil.which(words[0]) or words[0]
    elif words and os.path.basename(words[0]) in SHELLS and len(lines) > 1:
        words = interpreter_in_shell(path, lines[1])
    return words if words and is_python(words[0]) else None


def interpreter_in_shell(path: str, line: str) -> list[str]:
    """Return the words by which *line*, the second one of the script *path* for a shell, starts an interpreter for it.

    Installers write `'''exec' PYTHON "$0" "$@"` if the path of the interpreter is long, has a space in it, or is a
    relative one. The list is empty if the line does nothing of the kind.
    """
    import shlex

    folder = shlex.quote(os.path.dirname(os.path.realpath(path)))
    try:
        words = shlex.split(line.replace(_HERE, folder))
    except ValueError:
        return []
    return words[1 : words.index("$0")] if words[:1] == ["exec"] and "$0" in words else []


def is_python(path: str) -> bool:
    """Return whether the program at *path* is called as interpreters of Python are."""
    import re

    return re.fullmatch(r"(python|pypy)[0-9.]*[a-z]*(\.exe)?", os.path.basename(path), re.IGNORECASE) is not None


def _is_this_interpreter(path: str) -> bool:
    """Return whether the interpreter at *path* is that of this environment."""
    import shutil

    there = shutil.which(path)
    return there is not None and os.path.dirname(os.path.abspath(there)) == os.path.dirname(
        os.path.abspath(sys.executable)
    )


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
