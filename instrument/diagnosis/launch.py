"""Finds out which interpreter and which program a command line starts, without running the program.

Input: the words of a command line, as a shell passes them on, and an environment. Output: a `Launch`, or an error
whose message names the program that the command line starts instead.
"""

from __future__ import annotations

import os
import shutil
import sys
from dataclasses import dataclass, field, replace

from instrument.diagnosis.interpreters import is_python, python_of_script, shebang_of
from instrument.diagnosis.other_programs import error_of_other_program
from instrument.diagnosis.python_arguments import PythonCommand, parse_python_command
from instrument.diagnosis.run_arguments import split_run_arguments
from instrument.diagnosis.wrappers import strip_wrappers
from instrument.errors import InstrumentError, NotPythonError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class Launch:
    """A process of Python that a command line starts.

    `environment` is the environment of the process. If `instrument run` starts it, `is_by_run` is true, and
    `run_options` are the options of `instrument run`.
    """

    command: PythonCommand
    environment: Mapping[str, str]
    is_by_run: bool = False
    run_options: list[str] = field(default_factory=list)

    @property
    def python(self) -> str:
        """The path of the interpreter."""
        return self.command.interpreter[0]


def launch_of(words: list[str], environment: Mapping[str, str]) -> Launch:
    """Return the process that the command line *words* starts in this *environment*.

    Raise NotPythonError if it is certainly not counted, and UnknownCommandError if that cannot be known. Raise
    InstrumentError if there is no such command.
    """
    variables = dict(environment)
    words = strip_wrappers(list(words), variables)
    if not words:
        raise InstrumentError("there is no command after --")
    path = _which(words[0], variables)
    if path is None:
        raise InstrumentError(f"there is no command {words[0]!r}: {_why_not_found(words[0])}")
    if _is_interpreter(path):
        return _launch([path, *words[1:]], variables)
    shebang = shebang_of(path)
    if shebang is None:
        raise error_of_other_program(path, words[1:])
    interpreter = strip_wrappers(shebang, variables)
    python = _which(interpreter[0], variables) if interpreter else None
    if python is None:
        raise NotPythonError(f"the first line of {path} names {' '.join(interpreter)!r}, and there is no such program")
    if not _is_interpreter(python):
        raise error_of_other_program(path, words[1:])
    if os.path.basename(path) in ("instrument", "instrument.exe"):
        return _launch_by_run([python], words[1:], variables)
    return _launch([python, *interpreter[1:], path, *words[1:]], variables)


def _launch(words: list[str], environment: Mapping[str, str]) -> Launch:
    """Return the process that *words* start, of which the first is an interpreter."""
    command = parse_python_command(words)
    if command.is_module("instrument"):
        return _launch_by_run(command.interpreter, command.arguments, environment)
    return Launch(command, environment)


def _launch_by_run(interpreter: list[str], words: list[str], environment: Mapping[str, str]) -> Launch:
    """Return the process that the command `instrument` with the arguments *words* starts.

    Raise NotPythonError if that is not `instrument run`, or if `instrument run` refuses the program.
    """
    if words[:1] != ["run"]:
        raise NotPythonError("a command of instrument is never counted; only `instrument run` starts a program")
    options, program = split_run_arguments(words[1:])
    is_file = program[:1] == ["--"]
    program = program[1:] if is_file else program
    if not program:
        raise InstrumentError("`instrument run` needs a program")
    if is_file and program[0][:1] == "-":
        program[0] = os.path.join(os.curdir, program[0])
    is_name = os.sep not in program[0] and not os.path.lexists(program[0])
    if program[0][:1] != "-" and is_name:
        program[0] = _installed_command(program[0], interpreter[0], environment)
    return replace(_launch([*interpreter, *program], environment), is_by_run=True, run_options=options)


def _installed_command(name: str, python: str, environment: Mapping[str, str]) -> str:
    """Return the path of the installed command *name*, beside *python* or on PATH; *name* itself if there is none.

    Raise NotPythonError if the command is no Python program.
    """
    folders = os.pathsep.join((os.path.dirname(python), environment.get("PATH", os.defpath)))
    path = shutil.which(name, path=folders)
    if path is not None and python_of_script(path) is None:
        raise NotPythonError(
            f"`instrument run` does not start {path}, which is no Python program; "
            "ask about the command without `instrument run`, and put INSTRUMENT=1 before it"
        )
    return path or name


def _is_interpreter(path: str) -> bool:
    """Return whether the program at *path*, or the target of this link, has the name of an interpreter of Python."""
    return is_python(path) or is_python(os.path.realpath(path))


def _which(name: str, environment: Mapping[str, str]) -> str | None:
    return shutil.which(name, path=environment.get("PATH", os.defpath))


def _why_not_found(name: str) -> str:
    """Return why there is no command *name*, and the command to use instead."""
    if os.path.islink(name) and not os.path.exists(name):
        return f"it is a link to {os.readlink(name)!r}, which does not exist"
    reason = "no such program is on PATH, or it is not executable"
    if os.path.isfile(name):
        return f"{reason}; for a file here, say `python {name}`, or ./{name} if it is executable"
    beside = shutil.which(name, path=os.path.dirname(sys.executable))
    return f"{reason}; there is {beside}, which `instrument run {name}` starts" if beside else reason
