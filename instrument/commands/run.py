"""Runs a program and counts its code, as INSTRUMENT in the environment does.

Input: settings, and a program with its arguments. First the files that it is likely to import are prepared, which may
print a line (`warming.program`). Then this process becomes the interpreter that runs the program. So exit status,
output, signals, `__main__`, `sys.argv` and `sys.path` are the program's own. The settings reach the program by its
environment; the start-up file reads them there (`instrument.startup`).
"""

from __future__ import annotations

import os
import sys

from instrument.config import publish, read_settings
from instrument.config.project_file import VARIABLE, ignored_files
from instrument.config.values import FILE, ROOT
from instrument.diagnosis.interpreters import (
    BOOTSTRAP,
    interpreter_options,
    is_python,
    is_this_environment,
    python_of_script,
    start_files,
)
from instrument.diagnosis.run_arguments import add_settings, settings_of, split_run_arguments
from instrument.errors import InstrumentError

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import MutableMapping

    from instrument.config import Settings

split = split_run_arguments


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command to *parser*."""
    add_settings(parser)
    parser.add_argument("--fresh", action="store_true", help="first remove the data of earlier runs")


def execute(options: argparse.Namespace) -> int:
    """Become the program. On Windows run it as a child process, and return its exit status."""
    _check_interpreter()
    words = _program_arguments(options)
    settings = read_settings(settings_of(options))
    if options.fresh:
        from instrument.commands.erase import begin_anew

        begin_anew(settings.directory)
    environment = program_environment(settings)
    if ignored_files:
        from instrument.report.text import say

        say((f"instrument: {message}" for message in ignored_files), sys.stderr)
    _prepare(words, settings)
    command = [sys.executable, *interpreter_options(), *words]
    if os.name == "nt":  # exec ends the process there, and its parent would go on before the program has ended
        import subprocess

        _flush_streams()
        del environment[ROOT]
        return subprocess.run(command, env=environment, check=False).returncode
    return become(command, environment)


def become(command: list[str], environment: dict[str, str]) -> int:
    """Make this process the program that *command* names, an interpreter with its arguments, in this *environment*."""
    _flush_streams()
    return os.execve(command[0], command, environment)


def _flush_streams() -> None:
    """Write the buffered output of this process."""
    for stream in filter(None, (sys.stdout, sys.stderr)):  # None if it is closed
        stream.flush()


def _prepare(words: list[str], settings: Settings) -> None:
    """Prepare the files that the program *words* is likely to import. A failure is no reason not to run it."""
    try:
        from instrument.warming.program import prepare_program

        prepare_program(words, settings)
    except Exception:
        pass


def _check_interpreter() -> None:
    """Raise InstrumentError if the options of this interpreter keep the measurement from reaching the program."""
    if sys.flags.ignore_environment:
        raise InstrumentError(
            "`instrument run` passes settings to the program by its environment, and -E and -I ignore the environment; "
            "leave these options out"
        )
    if sys.flags.no_site:
        raise InstrumentError("the site module starts the measurement, and -S leaves the module out; leave -S out")
    if not sys.executable:
        raise InstrumentError(
            "this interpreter does not know its own path (sys.executable), so it cannot run a program; start it by "
            "its full path"
        )


def program_environment(settings: Settings) -> dict[str, str]:
    """Return the environment of the program: that of this process, with *settings* and a way to start measuring."""
    environment = dict(os.environ)
    publish(settings, environment)
    if settings.origins["scope"].kind == FILE:
        # The program's process reads the file again, so that its messages can name the file.
        environment[VARIABLE] = "1"
    environment[ROOT] = str(os.getpid())  # the program keeps this process number
    reach_processes(environment)
    return environment


def reach_processes(environment: MutableMapping[str, str]) -> None:
    """Have *environment* lead to a start-up file of this package, unless one is installed."""
    if not start_files():
        paths = environment.get("PYTHONPATH")
        environment["PYTHONPATH"] = BOOTSTRAP + (os.pathsep + paths if paths else "")


def _program_arguments(options: argparse.Namespace) -> list[str]:
    """Return the arguments of the interpreter that name the program, and the program's own arguments.

    Exit with status 2 if no program is given. Raise InstrumentError if this interpreter cannot run the program.
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
    # A program is a file here, even if its name begins like an option.
    program = words[0] if words[0][:1] != "-" else os.path.join(os.curdir, words[0])
    return [_path_of(program), *words[1:]]


def _path_of(program: str) -> str:
    """Return the path of the *program*: a file in this folder, or else an installed command of this environment.

    The folder of the interpreter precedes PATH, because a command of another environment needs other packages. Raise
    InstrumentError if there is no such command, or if this interpreter cannot run it.
    """
    if os.sep in program or (os.altsep and os.altsep in program) or os.path.lexists(program):
        return program
    import shutil
    import sysconfig

    own = [os.path.dirname(sys.executable), sysconfig.get_path("scripts")]
    path = shutil.which(program, path=os.pathsep.join(own)) or shutil.which(program)
    if path is None:
        if "." in program:
            return program  # the interpreter reports a missing file itself
        raise InstrumentError(
            f"there is no file {program!r} here, and no command of that name in {own[0]} or on PATH; "
            "for a module, say -m"
        )
    _check_command(program, path)
    return path


def _check_command(program: str, path: str) -> None:
    """Raise InstrumentError if this interpreter cannot run the installed command *program* at *path*."""
    if os.name == "nt":
        raise InstrumentError(f"{path} starts Python by itself; set {VARIABLE}=1 and start it as usual")
    interpreter = python_of_script(path)
    if interpreter is None:
        if is_python(path):
            raise InstrumentError(
                f"{path} is an interpreter; leave {program!r} out, as in `instrument run shop.py`. To count with the "
                f"interpreter of another environment, set {VARIABLE}=1 and start it as usual"
            )
        raise InstrumentError(
            f"{path} is no Python program; if it starts one, set {VARIABLE}=1 in the environment and start it as usual"
        )
    if not is_this_environment(interpreter[0]):
        raise InstrumentError(
            f"{path} runs with {interpreter[0]}, another Python than {sys.executable}; install instrument there, "
            f"and set {VARIABLE}=1 or use `instrument run` of that environment"
        )
