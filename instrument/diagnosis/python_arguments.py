"""Parses the arguments of an interpreter: its options, and the program that it runs.

Input: the words of a command line that begins with an interpreter. Output: a `PythonCommand`.
"""

from __future__ import annotations

import os
import re
import zipfile
from dataclasses import dataclass
from enum import Enum

from instrument.diagnosis.other_programs import refuse_pex
from instrument.errors import InstrumentError, NotPythonError

#: Options of one letter that take a value: the rest of their word, or else the next word.
_WITH_VALUE = "cmWX"
#: Options of one letter without a value.
_WITHOUT_VALUE = "bBdEhiIOPqRsStuvVx?"
#: Options that print a text, and run no program.
_PRINT_LETTERS = "hV?"
_PRINT_WORDS = ("--help", "--help-all", "--help-env", "--help-xoptions", "--version")
#: The only long option with which a program runs.
_CHECK_HASHES = "--check-hash-based-pycs"


class ProgramKind(Enum):
    """The source of the code that the interpreter runs."""

    SCRIPT = "script"
    MODULE = "module"  # after -m
    CODE = "code"  # after -c
    INPUT = "standard input"
    ARCHIVE = "archive"  # or a folder


@dataclass(frozen=True)
class PythonCommand:
    """A command line of an interpreter, taken apart.

    `interpreter` has the words before the program; a `-c` or `-m` itself is left out. `program` is the path, name or
    code of the program, and `arguments` follow it. With `skips_first_line` (-x) the first line of a script is skipped.
    """

    interpreter: list[str]
    kind: ProgramKind
    program: str
    arguments: list[str]
    skips_first_line: bool

    def is_module(self, name: str) -> bool:
        """Return whether the program is the module *name*, given by -m."""
        return self.kind is ProgramKind.MODULE and self.program == name


def parse_python_command(words: list[str]) -> PythonCommand:
    """Return the parts of the command line *words*, which begins with an interpreter.

    Raise NotPythonError if the interpreter runs no program with these options.
    """
    n, skips = 1, False
    while n < len(words):
        word = words[n]
        if word == "--" or word[:1] != "-":
            n += word == "--"
            return _command_of_file(words, n, skips)
        if word == "-":
            break
        if word[:2] == "--":
            _check_long_option(words[0], word)
            n += 2
            continue
        letters, option, value = _take_apart(word[1:])
        _check_letters(words[0], letters)
        skips |= "x" in letters
        if not option:
            n += 1
            continue
        n_words = 1 if value else 2
        if n + n_words > len(words):
            raise InstrumentError(f"-{option} needs a word after it")
        if option in "cm":
            interpreter = [*words[:n], f"-{letters}"] if letters else words[:n]
            kind = ProgramKind.CODE if option == "c" else ProgramKind.MODULE
            return PythonCommand(interpreter, kind, value or words[n + 1], words[n + n_words :], skips)
        n += n_words
    return PythonCommand(words[:n], ProgramKind.INPUT, "-", words[n + 1 :], skips)


def _command_of_file(words: list[str], n: int, skips: bool) -> PythonCommand:
    """Return the command whose program is the file words[n], or standard input if there is no such word."""
    kind, program = ProgramKind.INPUT, "-"
    if n < len(words) and words[n] != "-":
        kind, program = _kind_of_file(words[n]), words[n]
    return PythonCommand(words[:n], kind, program, words[n + 1 :], skips)


def _take_apart(word: str) -> tuple[str, str, str]:
    """Return the letters in *word* without a value, the letter with a value, and the value; "" for missing parts."""
    match = re.search(f"[{_WITH_VALUE}]", word)
    return (word[: match.start()], match[0], word[match.end() :]) if match else (word, "", "")


def _check_long_option(python: str, word: str) -> None:
    """Raise NotPythonError if the interpreter *python* runs no program with the long option *word*."""
    if word in _PRINT_WORDS:
        raise NotPythonError(f"with {word} {python} prints a text and runs no program")
    if word != _CHECK_HASHES:
        raise NotPythonError(f"{python} has no option {word}, and runs no program")


def _check_letters(python: str, letters: str) -> None:
    """Raise NotPythonError if the interpreter *python* runs no program with these options of one letter."""
    for letter in letters:
        if letter in _PRINT_LETTERS:
            raise NotPythonError(f"with -{letter} {python} prints a text and runs no program")
        if letter not in _WITHOUT_VALUE:
            raise NotPythonError(f"{python} has no option -{letter}, and runs no program")


def option_letters(interpreter: list[str]) -> str:
    """Return the options of one letter without a value in *interpreter*, the words before a program."""
    return "".join(word[1:] for word in interpreter[1:] if word[:1] == "-" and word[1:2] not in ("-", *_WITH_VALUE))


def _kind_of_file(path: str) -> ProgramKind:
    """Return the kind of the program at *path*. Raise NotPythonError if it is a pex."""
    refuse_pex(path)
    is_archive = os.path.isdir(path) or (os.path.isfile(path) and zipfile.is_zipfile(path))
    return ProgramKind.ARCHIVE if is_archive else ProgramKind.SCRIPT
