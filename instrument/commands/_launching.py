"""What a command line starts: which Python, with which options, and which program.

The words of a command line come in, as a shell passes them on; a `Launch` goes out. Files are read for it and the
interpreter is asked about itself, but the program is not run.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import sys
import zipfile

from instrument.commands.run import SHELLS, interpreter_in_shell, interpreter_of, is_python, split
from instrument.errors import InstrumentError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=")
#: Options of the interpreter that take the next word, if their own does not go on.
_WITH_WORD = "cmWX"
#: Options of the interpreter that are one letter and take no word.
_LETTERS = "bBdEhiIOPqRsStuvVx?"
#: Those that print something, and run no program; and the same in words.
_INFORMATION = "hV?"
_INFORMATION_LONG = ("--help", "--help-all", "--help-env", "--help-xoptions", "--version")
_HASHES = "--check-hash-based-pycs"
#: Those on which it depends whether the process is measured.
_DECISIVE = "EIPSs"
#: Programs that become the command after their own words: the options that take the next word, and how many words that
#: are no options come before the command.
_WRAPPERS: dict[str, tuple[tuple[str, ...], int]] = {
    "chrt": (("-T", "-P", "-D"), 1),
    "command": ((), 0),
    "exec": (("-a",), 0),
    "ionice": (("-c", "-n"), 0),
    "nice": (("-n", "--adjustment"), 0),
    "nohup": ((), 0),
    "setsid": ((), 0),
    "stdbuf": (("-i", "-o", "-e", "--input", "--output", "--error"), 0),
    "taskset": ((), 1),
    "time": (("-f", "-o", "--format", "--output"), 0),
    "timeout": (("-k", "-s", "--kill-after", "--signal"), 1),
}
#: Where such programs are, if the command line says so.
_SYSTEM = ("", "/bin", "/usr/bin")
#: Characters by which a line of a shell is more than one plain command.
_OF_A_SHELL = frozenset("|&;<>()$`\n*?[]#~{}!")
#: What the first two lines of a script take at most.
_HEAD = 4096
#: What PyInstaller writes near the end of its programs.
_FROZEN = b"MEI\014\013\012\013\016"
_TAIL = 1 << 16
_PATIENCE = 30

#: The way out where no start-up file is executed.
FROM_CODE = "its own code can start counting: instrument.start()"

#: What the program is: a file with source, a module, code after -c, standard input, or a folder or archive.
SCRIPT, MODULE, CODE, INPUT, ARCHIVE = "script", "module", "code", "standard input", "archive"

_ASK = """
import json, os, sys
def found(name):
    try:
        from importlib.util import find_spec
        spec = find_spec(name)
        return spec is not None and spec.origin
    except Exception:
        return None
folders = [entry for entry in sys.path if os.path.isdir(entry)]
safe_path = bool(getattr(sys.flags, "safe_path", False))
print("\\n" + json.dumps({
    "name": getattr(getattr(sys, "implementation", None), "name", "cpython"),
    "version": list(sys.version_info[:3]), "executable": sys.executable,
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
            if finished.stdout.strip():
                return dict(json.loads(finished.stdout.splitlines()[-1]))
            said = [line for line in finished.stderr.splitlines() if line.strip()]
            said = [line for line in said if "rror: " in line] or said
            reason = said[-1].strip() if said else f"it printed nothing, exit status {finished.returncode}"
        except (OSError, ValueError, subprocess.SubprocessError) as error:
            reason = f"{error}"
        raise InstrumentError(f"{self.interpreter[0]} does not answer as a Python: {reason}")

    def letters(self) -> str:
        """Return the options of the interpreter that are one letter and take no word."""
        return "".join(
            word[1:] for word in self.interpreter[1:] if word[:1] == "-" and word[1:2] not in ("-", *_WITH_WORD)
        )


class NoPython(InstrumentError):
    """A command line starts no process of Python that is counted; the message says what it starts."""


class NotKnown(InstrumentError):
    """It is not known which processes a command line starts; the message says why, and what to ask instead."""


def launch_of(words: list[str], environment: Mapping[str, str]) -> Launch:
    """Return what the command line *words* starts in this *environment*.

    Raises NoPython if that is no Python program that is counted, NotKnown if that is not known, and InstrumentError if
    there is no such command.
    """
    environment = dict(environment)
    words = _without_wrappers(list(words), environment)
    if not words:
        raise InstrumentError("there is no command after --")
    path = _which(words[0], environment)
    if path is None:
        raise InstrumentError(f"there is no command {words[0]!r}: {_why_not_found(words[0])}")
    if _is_interpreter(path):
        return _python_launch([path, *words[1:]], environment)
    shebang = _shebang_of(path)
    if shebang is None:
        raise _no_python(path, words[1:])
    interpreter = _without_wrappers(shebang, environment)
    found = _which(interpreter[0], environment) if interpreter else None
    if found is None:
        raise NoPython(f"{path} is to be started by {' '.join(interpreter)!r}, and there is no such program")
    if not _is_interpreter(found):
        raise _no_python(path, words[1:])
    if os.path.basename(path) in ("instrument", "instrument.exe"):
        return _our_launch([found], words[1:], environment)
    return _python_launch([found, *interpreter[1:], path, *words[1:]], environment)


def _is_interpreter(path: str) -> bool:
    """Return whether the program at *path*, or what it is a link to, is called as interpreters of Python are."""
    return is_python(path) or is_python(os.path.realpath(path))


def _which(name: str, environment: Mapping[str, str]) -> str | None:
    return shutil.which(name, path=environment.get("PATH", os.defpath))


def _why_not_found(name: str) -> str:
    """Return why there is no command *name*, and what to say instead."""
    if os.path.islink(name) and not os.path.exists(name):
        return f"it is a link to {os.readlink(name)!r}, which is not there"
    reason = "no such program on PATH, or it is not executable"
    if os.path.isfile(name):
        return f"{reason}; for a file here, say `python {name}`, or ./{name} if it is executable"
    beside = shutil.which(name, path=os.path.dirname(sys.executable))
    return f"{reason}; there is {beside}, which `instrument run {name}` starts" if beside else reason


# Programs that start others ###########################################################################################


def _without_wrappers(words: list[str], environment: dict[str, str]) -> list[str]:
    """Return what of *words* is left without what sets the environment or the process up; change the *environment*."""
    while words:
        folder, name = os.path.split(words[0])
        if _ASSIGNMENT.match(words[0]):
            _assign(words.pop(0), environment)
        elif folder not in _SYSTEM:
            return words
        elif name == "env":
            words = _without_env(words[1:], environment)
        elif name in _WRAPPERS:
            words = _without_wrapper(name, words[1:])
        elif name in SHELLS:
            inner = _plain_command(words[1:])
            if inner is None:
                return words
            words = inner
        else:
            return words
    return words


def _assign(word: str, environment: dict[str, str]) -> None:
    name, _, value = word.partition("=")
    environment[name] = value


def _without_env(words: list[str], environment: dict[str, str]) -> list[str]:
    """Return the command in *words*, which follow `env`; do to the *environment* what they say."""
    while words:
        word = words.pop(0)
        if word in ("-", "-i", "--ignore-environment"):
            environment.clear()
        elif word[:2] == "-u" or word.partition("=")[0] == "--unset":
            name = word[2:] if word[:2] == "-u" else word.partition("=")[2]
            environment.pop(name or _next("env", word, words), None)
        elif word[:2] == "-S" or word.partition("=")[0] == "--split-string":
            text = word[2:] if word[:2] == "-S" else word.partition("=")[2]
            words = [*_split(text or _next("env", word, words)), *words]
        elif word in ("-v", "--debug"):
            continue
        elif word[:2] == "-C" or word.partition("=")[0] == "--chdir":
            raise NotKnown(f"`env {word}` goes to another folder; ask there for what it starts")
        elif word[:1] == "-" and word != "--":
            raise NotKnown(f"what `env {word}` does is not known here{_instead(words)}")
        else:
            if word != "--":
                words.insert(0, word)
            while words and "=" in words[0]:
                _assign(words.pop(0), environment)
            return words
    return words


def _without_wrapper(name: str, words: list[str]) -> list[str]:
    """Return the command in *words*, which follow the program *name*, one of _WRAPPERS."""
    with_word, n_before = _WRAPPERS[name]
    while words:
        if words[0] in with_word:
            words = words[2:]
        elif words[0] == "--":
            words = words[1:]
            break
        elif words[0][:1] == "-":
            words = words[1:]
        else:
            break
    return words[n_before:]


def _plain_command(words: list[str]) -> list[str] | None:
    """Return the command that a shell with *words* after its name becomes; None if it does more than that."""
    if len(words) < 2 or not re.fullmatch("-[a-z]*c", words[0]) or not _OF_A_SHELL.isdisjoint(words[1]):
        return None
    return _split(words[1])


def _next(name: str, option: str, words: list[str]) -> str:
    if not words:
        raise InstrumentError(f"{name}: {option} needs a word after it")
    return words.pop(0)


def _split(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError as error:
        raise InstrumentError(f"{text!r} is no command: {error}") from None


def _instead(words: list[str]) -> str:
    """Return what to ask instead, if one of *words* is a Python."""
    for n, word in enumerate(words):
        if is_python(word) and shutil.which(word):
            return f"; for what it starts, ask: instrument debug -- {shlex.join(words[n:])}"
    return ""


def _shebang_of(path: str) -> list[str] | None:
    """Return the words by which the first lines of the file *path* start an interpreter; None if it has no such."""
    head = _read(path, _HEAD)
    if head[:2] != b"#!":
        return None
    lines = head.decode("utf-8", "replace").splitlines()
    words = lines[0][2:].split(None, 1)
    if words and os.path.basename(words[0]) in SHELLS and len(lines) > 1:
        return interpreter_in_shell(path, lines[1]) or words
    if words and os.path.basename(words[0]) != "env":
        return lines[0][2:].split()
    return words  # `env` gets what follows as one word


# Interpreters #########################################################################################################


def _python_launch(words: list[str], environment: Mapping[str, str]) -> Launch:
    """Return what the interpreter words[0] starts with the rest of *words*."""
    kind, program, n, skips = INPUT, "-", 1, False
    while n < len(words):
        word = words[n]
        if word == "-":
            break
        if word == "--" or word[:1] != "-":
            n += word == "--"
            if n < len(words) and words[n] != "-":
                kind, program = _kind_of(words[n]), words[n]
            break
        letters = word[1:]
        if letters[:1] == "-":
            _check_long(words[0], word)
            n += 2
            continue
        found = re.search(f"[{_WITH_WORD}]", letters)
        own = letters[: found.start()] if found else letters
        _check_letters(words[0], own)
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


def _check_long(python: str, word: str) -> None:
    """Raise NoPython if the interpreter *python* runs no program with the option *word*, of more than one letter."""
    if word in _INFORMATION_LONG:
        raise NoPython(f"with {word} {python} prints a text and runs no program")
    if word != _HASHES:
        raise NoPython(f"{python} has no option {word}, and runs no program")


def _check_letters(python: str, letters: str) -> None:
    """Raise NoPython if the interpreter *python* runs no program with these options of one letter."""
    for letter in letters:
        if letter in _INFORMATION:
            raise NoPython(f"with -{letter} {python} prints a text and runs no program")
        if letter not in _LETTERS:
            raise NoPython(f"{python} has no option -{letter}, and runs no program")


def _our_launch(interpreter: list[str], words: list[str], environment: Mapping[str, str]) -> Launch:
    """Return what `instrument` starts with *words*: a program if it is told to run one."""
    if words[:1] != ["run"]:
        raise NoPython("a command of instrument is no program of yours, and never counted")
    ours, command = split(words[1:])
    is_file = command[:1] == ["--"]
    command = command[1:] if is_file else command
    if not command:
        raise InstrumentError("`instrument run` needs a program")
    if is_file and command[0][:1] == "-":
        command[0] = os.path.join(os.curdir, command[0])
    is_name = os.sep not in command[0] and not os.path.lexists(command[0])
    if command[0][:1] != "-" and is_name:
        folders = os.pathsep.join((os.path.dirname(interpreter[0]), environment.get("PATH", os.defpath)))
        path = shutil.which(command[0], path=folders)
        if path is not None and interpreter_of(path) is None:
            raise NoPython(
                f"`instrument run` does not start {path}, which is no Python program; "
                "ask for the command without `instrument run`, with INSTRUMENT=1 before it"
            )
        command[0] = path or command[0]
    launch = _python_launch([*interpreter, *command], environment)
    launch.by_run, launch.run_options = True, ours
    return launch


def _kind_of(path: str) -> str:
    _refuse_pex(path)
    return ARCHIVE if os.path.isdir(path) or (os.path.isfile(path) and zipfile.is_zipfile(path)) else SCRIPT


def _refuse_pex(path: str) -> None:
    """Raise NoPython if the archive or folder *path* is a pex."""
    if _is_pex(path):
        raise NoPython(
            f"{path} is a pex, which starts its interpreter without the environment's variables, "
            f"so that INSTRUMENT does not reach it; {FROM_CODE}"
        )


def _is_pex(path: str) -> bool:
    if os.path.isdir(path):
        return os.path.isfile(os.path.join(path, "PEX-INFO"))
    try:
        with zipfile.ZipFile(path) as archive:
            return "PEX-INFO" in archive.namelist()
    except (OSError, zipfile.BadZipFile):
        return False


def _no_python(path: str, words: list[str]) -> InstrumentError:
    """Return what to say of the program *path*, which is none that an interpreter is started for, with its *words*."""
    each = f"each process of Python that it starts is counted or not by itself{_instead(words)}"
    if _read(path, 2) == b"#!":
        return NotKnown(f"{path} is a script of another language; {each}")
    if _FROZEN in _read_end(path, _TAIL):
        return NoPython(f"{path} is frozen by PyInstaller, and executes no start-up file; {FROM_CODE}")
    if _embeds_python(path):
        return NotKnown(
            f"{path} is a compiled program with an interpreter inside it, which is counted if it executes the start-up "
            f"file in its site-packages; {each}"
        )
    if os.path.basename(path) in SHELLS:
        return NotKnown(f"{path} is a shell; {each}")
    return NotKnown(f"{path} is a compiled program; {each}")


def _embeds_python(path: str) -> bool:
    """Return whether the compiled program *path* has calls of an interpreter in it."""
    import mmap

    try:
        with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            return content.find(b"Py_Initialize") >= 0
    except (OSError, ValueError):
        return False


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
