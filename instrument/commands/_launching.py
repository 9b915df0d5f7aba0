"""What a command line starts: which Python, with which options, and which program.

The words of a command line come in, as a shell passes them on; a `Launch` goes out. Files are read for it and the
interpreter is asked about itself, but the program is not run.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
import zipfile

from instrument.commands.run import interpreter_of, is_python, split
from instrument.errors import InstrumentError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=")
#: Options of the interpreter that take the next word, if their own does not go on.
_WITH_WORD = "cmWX"
#: Those on which it depends whether the process is measured.
_DECISIVE = "EIPSs"
#: What PyInstaller writes near the end of its programs.
_FROZEN = b"MEI\014\013\012\013\016"
_TAIL = 1 << 16
_PATIENCE = 30

#: What the program is: a file with source, a module, code after -c, standard input, or a folder or archive.
SCRIPT, MODULE, CODE, INPUT, ARCHIVE = "script", "module", "code", "standard input", "archive"

_ASK = """
import json, os, sys
from importlib.util import find_spec
def found(name):
    try:
        spec = find_spec(name)
        return spec is not None and spec.origin
    except Exception:
        return None
folders = [entry for entry in sys.path if os.path.isdir(entry)]
safe_path = bool(getattr(sys.flags, "safe_path", False))
print("\\n" + json.dumps({
    "name": sys.implementation.name, "version": list(sys.version_info[:3]), "executable": sys.executable,
    "path": sys.path[not safe_path:], "safe_path": safe_path,  # the first is for the code after -c
    "ignores_environment": bool(sys.flags.ignore_environment), "no_site": bool(sys.flags.no_site),
    "gil": not hasattr(sys, "_is_gil_enabled") or sys._is_gil_enabled(),
    "start": [file for file in (os.path.join(entry, "instrument.pth") for entry in folders) if os.path.isfile(file)],
    "package": found("instrument"), "bytecode": bool(found("bytecode")),
}))
"""


class Launch:
    """A process of Python that a command line starts.

    `interpreter` are the words that start it, up to the program; `kind` is what the program is, `program` its path or
    name. `by_run` says that `instrument run` starts it, with `run_options`; `environment` is that of the process;
    `skips_a_line` says that the first line of a script is skipped (-x).
    """

    def __init__(
        self,
        interpreter: list[str],
        kind: str,
        program: str,
        environment: Mapping[str, str],
        skips_a_line: bool = False,
    ) -> None:
        self.interpreter = interpreter
        self.kind = kind
        self.program = program
        self.environment = environment
        self.by_run = False
        self.run_options: list[str] = []
        self.skips_a_line = skips_a_line

    def ask(self) -> dict[str, Any]:
        """Return what the interpreter says of itself with the options that it has; raise InstrumentError if nothing."""
        import json
        import subprocess

        options = [f"-{letter}" for letter in _DECISIVE if letter in self.letters()]
        environment = {name: value for name, value in self.environment.items() if name != "INSTRUMENT"}
        command = [self.interpreter[0], *options, "-c", _ASK]
        try:
            finished = subprocess.run(
                command,
                env=environment,
                capture_output=True,
                text=True,
                timeout=_PATIENCE,
                check=False,
                stdin=subprocess.DEVNULL,
            )
            return dict(json.loads(finished.stdout.splitlines()[-1]))
        except (OSError, ValueError, IndexError, subprocess.SubprocessError) as error:
            raise InstrumentError(f"{self.interpreter[0]} does not answer as a Python: {error}") from None

    def letters(self) -> str:
        """Return the options of the interpreter that are one letter and take no word."""
        return "".join(
            word[1:] for word in self.interpreter[1:] if word[:1] == "-" and word[1:2] not in ("-", *_WITH_WORD)
        )


class NoPython(InstrumentError):
    """A command line starts no process of Python that can be looked at; the message says what it starts."""


def launch_of(words: list[str], environment: Mapping[str, str]) -> Launch:
    """Return what the command line *words* starts in this *environment*; raise NoPython if it is no Python program, and
    InstrumentError if it cannot be found.
    """
    environment = dict(environment)
    words = list(words)
    while words and (_ASSIGNMENT.match(words[0]) or words[0] == "env"):
        word = words.pop(0)
        if word != "env":
            name, _, value = word.partition("=")
            environment[name] = value
    if not words:
        raise InstrumentError("there is no command after --")
    path = shutil.which(words[0], path=environment.get("PATH"))
    if path is None:
        beside = shutil.which(words[0], path=os.path.dirname(sys.executable))
        hint = ""
        if os.path.isfile(words[0]):
            hint = f"; for a file here, say `python {words[0]}`, or ./{words[0]} if it is executable"
        elif beside:
            hint = f"; there is {beside}, which `instrument run {words[0]}` starts"
        raise InstrumentError(
            f"there is no command {words[0]!r}: no such program on PATH, or it is not executable{hint}"
        )
    if is_python(path):
        return _python_launch([path, *words[1:]], environment)
    if is_pex(path):
        raise NoPython(
            f"{path} is a pex, which starts its interpreter without the environment's variables, "
            "so that INSTRUMENT does not reach it"
        )
    interpreter = interpreter_of(path)
    if interpreter is None:
        raise NoPython(_no_python(path))
    if os.path.basename(path) in ("instrument", "instrument.exe"):
        return _our_launch([interpreter[0]], words[1:], environment)
    return _python_launch([*interpreter, path, *words[1:]], environment)


def _python_launch(words: list[str], environment: Mapping[str, str]) -> Launch:
    """Return what the interpreter words[0] starts with the rest of *words*."""
    kind, program, n, skips = INPUT, "-", 1, False
    while n < len(words):
        word = words[n]
        if word == "-" or word[:1] != "-":
            if word != "-":
                kind, program = _kind_of(word), word
            break
        letters = word[1:]
        if letters[:1] == "-":
            n += 2 if letters == "-check-hash-based-pycs" else 1
            continue
        found = re.search(f"[{_WITH_WORD}]", letters)
        own = letters[: found.start()] if found else letters
        skips |= "x" in own
        if found:
            rest = letters[found.end() :]
            if not rest and n + 1 >= len(words):
                raise InstrumentError(f"-{found[0]} needs a word after it")
            if found[0] in "cm":
                kind = CODE if found[0] == "c" else MODULE
                program = rest or words[n + 1]
                options = [*words[:n], f"-{own}"] if own else words[:n]
                if kind == MODULE and program == "instrument":
                    return _our_launch(options, words[n + (1 if rest else 2) :], environment)
                return Launch(options, kind, program, environment, skips)
            n += not rest
        n += 1
    return Launch(words[:n], kind, program, environment, skips)


def _our_launch(interpreter: list[str], words: list[str], environment: Mapping[str, str]) -> Launch:
    """Return what `instrument` starts with *words*: a program if it is told to run one."""
    if words[:1] != ["run"]:
        raise NoPython("a command of instrument is no program of yours, and never counted")
    ours, command = split(words[1:])
    command = command[1:] if command[:1] == ["--"] else command
    if not command:
        raise InstrumentError("`instrument run` needs a program")
    if command[0][:2] not in ("-m", "-c") and not os.path.lexists(command[0]):
        folders = os.pathsep.join((os.path.dirname(interpreter[0]), environment.get("PATH", "")))
        command[0] = shutil.which(command[0], path=folders) or command[0]
    launch = _python_launch([*interpreter, *command], environment)
    launch.by_run, launch.run_options = True, ours
    return launch


def _kind_of(path: str) -> str:
    return ARCHIVE if os.path.isdir(path) or (os.path.isfile(path) and zipfile.is_zipfile(path)) else SCRIPT


def is_pex(path: str) -> bool:
    """Return whether the archive or folder *path* is a pex."""
    if os.path.isdir(path):
        return os.path.isfile(os.path.join(path, "PEX-INFO"))
    try:
        with zipfile.ZipFile(path) as archive:
            return "PEX-INFO" in archive.namelist()
    except (OSError, zipfile.BadZipFile):
        return False


def _no_python(path: str) -> str:
    """Return what to say of the program *path*, which is none that an interpreter is started for."""
    head = _read(path, 4)
    if head[:2] == b"#!":
        return (
            f"{path} is a script of another language; each process of Python that it starts is counted or not by itself"
        )
    if _FROZEN in _read_end(path, _TAIL):
        return f"{path} is frozen by PyInstaller, and executes no start-up file"
    return (
        f"{path} is a compiled program. Each process of Python that it starts is counted or not by itself. An "
        "interpreter inside it is counted only if it executes the start-up files of site-packages, which frozen "
        "programs do not"
    )


def _read(path: str, size: int) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read(size)
    except OSError:
        return b""


def _read_end(path: str, size: int) -> bytes:
    try:
        with open(path, "rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - size))
            return file.read(size)
    except OSError:
        return b""


def search_path(launch: Launch, answer: Mapping[str, Any]) -> list[str]:
    """Return `sys.path` as the program of *launch* finds it, the interpreter being as it *answer*ed."""
    path = [str(entry) for entry in answer["path"]]
    if launch.kind == ARCHIVE:
        return [os.path.abspath(launch.program), *path]
    if answer["safe_path"]:
        return path
    first = os.path.dirname(os.path.realpath(launch.program)) if launch.kind == SCRIPT else os.getcwd()
    return [first, *path]


def own_search_path() -> list[str]:
    """Return `sys.path` as a program of this interpreter finds it: a module, or a script in this folder."""
    path = list(sys.path)
    if not sys.flags.safe_path:
        path[:1] = [os.getcwd()]
    return path
