"""Tell whether the process that a command starts is counted, and why not.

A command comes in, as its words; yes or no goes out, with the reason. Nothing of the program is executed: its file is
looked at, and the interpreter that it names is asked whether the start-up file reaches it.
"""

from __future__ import annotations

import os
import subprocess
import tempfile

from instrument.config import VARIABLE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

#: What a program that PyInstaller makes ends in, more or less: its bootloader looks for this (PyInstaller/archive).
_FROZEN = b"MEI\014\013\012\013\016"
_END = 8192
#: Options of the interpreter that take an argument, in the same word or in the next.
_WITH_ARGUMENT = "WX"
_FROM_CODE = "call instrument.start() at the beginning of the program instead"
_ASK = "import sys; print(int('instrument.startup' in sys.modules))"


def is_reached(command: Sequence[str]) -> tuple[bool, str]:
    """Return whether the process that *command* starts is counted if INSTRUMENT is set, and why, in words."""
    import shutil

    program = shutil.which(command[0]) if command else None
    if program is None:
        return False, f"there is no command {command[0]!r}" if command else "there is no command"
    interpreter, options = _interpreter_of(program, list(command[1:]))
    if interpreter is None:
        return False, options[0]
    letters = _letters(options)
    for letter in "IES":
        if letter in letters:
            what = "executes no start-up file" if letter == "S" else "does not look at INSTRUMENT"
            return False, f"Python {what} with -{letter}: leave that out, or {_FROM_CODE}"
    return _ask(interpreter)


def _interpreter_of(program: str, arguments: list[str]) -> tuple[str | None, list[str]]:
    """Return the interpreter that executes *program*, and its arguments; None and a reason if none is started."""
    try:
        with open(program, "rb") as file:
            head = file.read(512)
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - _END))
            tail = file.read(_END)
    except OSError as error:
        return None, [f"{program} cannot be read: {error.strerror or error}"]
    if head.startswith(b"#!"):
        if b"PEX-INFO" in tail:
            return None, [f"{program} is a pex, which shuts out what is installed: {_FROM_CODE}"]
        words = os.fsdecode(head[2:].partition(b"\n")[0]).split()
        if words and os.path.basename(words[0]) == "env":
            words = [word for word in words[1:] if word[:1] != "-" and "=" not in word]
        if words and _is_python(words[0]):
            return words[0], words[1:]
        others = "Python processes that it starts are counted"
        return None, [f"{program} is executed by {' '.join(words) or 'nothing'}; {others}"]
    if _is_python(program):
        return program, arguments
    if _FROZEN in tail:
        return None, [f"{program} is a frozen program, which executes no start-up file: {_FROM_CODE}"]
    return None, [f"{program} is not Python; processes of Python that it starts, or is, are counted if they run `site`"]


def _is_python(path: str) -> bool:
    return os.path.basename(path).lower().startswith("python")


def _letters(arguments: list[str]) -> str:
    """Return the options of the interpreter among its *arguments*, of one letter each."""
    letters = ""
    words = iter(arguments)
    for word in words:
        if word[:1] != "-" or word[:2] == "--" or word == "-":
            break
        for place, letter in enumerate(word[1:], 2):
            if letter in "cm":
                return letters
            letters += letter
            if letter in _WITH_ARGUMENT:
                if place == len(word):
                    next(words, None)
                break
    return letters


def _ask(interpreter: str) -> tuple[bool, str]:
    """Return whether *interpreter* executes our start-up file, and what follows."""
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, VARIABLE: "instrument", "INSTRUMENT_DIR": folder}
        try:
            done = subprocess.run(
                [interpreter, "-c", _ASK],
                env=environment,
                cwd=folder,
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )
        except (OSError, subprocess.SubprocessError) as error:
            return False, f"{interpreter} cannot be asked: {error}"
    if done.returncode == 0 and done.stdout.split()[-1:] == ["1"]:
        return True, f"{interpreter} executes the start-up file"
    if done.returncode == 0:
        return False, (
            f"{interpreter} executes no start-up file of this package: install the package there, "
            f"use `instrument run`, or {_FROM_CODE}"
        )
    return False, f"{interpreter} failed when it was asked: {done.stderr.strip() or done.returncode}"
