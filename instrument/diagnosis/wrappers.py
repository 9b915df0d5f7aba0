"""Removes programs such as `env`, `nice` and `sh -c` from a command line, to find the command that they start.

Input: the words of a command line, and the environment in which it runs. Output: the words of the inner command; the
environment is changed as the wrappers change it.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
from typing import NamedTuple

from instrument.diagnosis.interpreters import SHELLS, is_python
from instrument.errors import InstrumentError, UnknownCommandError


class _Syntax(NamedTuple):
    """The syntax of a wrapper: its options that take the next word, and its number of arguments before the command."""

    options_with_word: tuple[str, ...]
    n_arguments: int


_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=")
_WRAPPERS = {
    "chrt": _Syntax(("-T", "-P", "-D"), 1),
    "command": _Syntax((), 0),
    "exec": _Syntax(("-a",), 0),
    "ionice": _Syntax(("-c", "-n"), 0),
    "nice": _Syntax(("-n", "--adjustment"), 0),
    "nohup": _Syntax((), 0),
    "setsid": _Syntax((), 0),
    "stdbuf": _Syntax(("-i", "-o", "-e", "--input", "--output", "--error"), 0),
    "taskset": _Syntax((), 1),
    "time": _Syntax(("-f", "-o", "--format", "--output"), 0),
    "timeout": _Syntax(("-k", "-s", "--kill-after", "--signal"), 1),
}
#: The folders of wrappers, if the command line has their paths.
_SYSTEM_FOLDERS = ("", "/bin", "/usr/bin")
#: If a text for a shell has one of these characters, it is more than one plain command.
_SHELL_SYNTAX = frozenset("|&;<>()$`\n*?[]#~{}!")


def strip_wrappers(words: list[str], environment: dict[str, str]) -> list[str]:
    """Return the words of the command that *words* finally start, and change *environment* as the wrappers do.

    Raise UnknownCommandError if a wrapper has an unknown option, and InstrumentError if the command line is malformed.
    """
    while words:
        folder, name = os.path.split(words[0])
        if _ASSIGNMENT.match(words[0]):
            _assign(words[0], environment)
            words = words[1:]
        elif folder not in _SYSTEM_FOLDERS:
            return words
        elif name == "env":
            words = _strip_env(words[1:], environment)
        elif name in _WRAPPERS:
            words = _strip_wrapper(_WRAPPERS[name], words[1:])
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


def _strip_env(words: list[str], environment: dict[str, str]) -> list[str]:
    """Return the command in *words*, the words after `env`, and change *environment* as they say."""
    words = list(words)
    while words:
        word = words.pop(0)
        option, _, value = word.partition("=")
        if word in ("-", "-i", "--ignore-environment"):
            environment.clear()
        elif word[:2] == "-u" or option == "--unset":
            name = word[2:] if word[:2] == "-u" else value
            environment.pop(name or _pop_value(word, words), None)
        elif word[:2] == "-S" or option == "--split-string":
            text = word[2:] if word[:2] == "-S" else value
            words = [*_split(text or _pop_value(word, words)), *words]
        elif word in ("-v", "--debug"):
            continue
        elif word[:2] == "-C" or option == "--chdir":
            raise UnknownCommandError(f"`env {word}` changes to another folder; run `instrument debug` in that folder")
        elif word[:1] == "-" and word != "--":
            raise UnknownCommandError(f"the option in `env {word}` is not known to instrument{question_instead(words)}")
        else:
            if word != "--":
                words.insert(0, word)
            while words and "=" in words[0]:
                _assign(words.pop(0), environment)
            return words
    return words


def _strip_wrapper(syntax: _Syntax, words: list[str]) -> list[str]:
    """Return the command in *words*, the words after the name of a program with this *syntax*."""
    n = 0
    while n < len(words):
        if words[n] == "--":
            n += 1
            break
        if words[n][:1] != "-":
            break
        n += 2 if words[n] in syntax.options_with_word else 1
    return words[n + syntax.n_arguments :]


def _plain_command(words: list[str]) -> list[str] | None:
    """Return the command that a shell with the arguments *words* becomes; None if the shell does more than that."""
    if len(words) < 2 or not re.fullmatch("-[a-z]*c", words[0]) or not _SHELL_SYNTAX.isdisjoint(words[1]):
        return None
    return _split(words[1])


def _pop_value(option: str, words: list[str]) -> str:
    """Remove and return the first of *words*, the value of *option* of `env`. Raise InstrumentError if none is left."""
    if not words:
        raise InstrumentError(f"`env {option}` needs a word after it")
    return words.pop(0)


def _split(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError as error:
        raise InstrumentError(f"{text!r} is no command: {error}") from None


def question_instead(words: list[str]) -> str:
    """Return, for a message, the command to ask about instead; "" if none of *words* is a Python."""
    for n, word in enumerate(words):
        if is_python(word) and shutil.which(word):
            return f"; ask about the Python that it starts: instrument debug -- {shlex.join(words[n:])}"
    return ""
