"""Recognises interpreters of Python, and the interpreter that a script names in its first lines.

Input: paths of programs and scripts. Output: words of a command line, or None if no interpreter is named.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import sys

from instrument.config.project_file import VARIABLE

#: The name of our start-up file, which the interpreter executes in each folder of site-packages.
START_FILE = "instrument.pth"
#: The folder that stands in for a start-up file, in PYTHONPATH.
BOOTSTRAP = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "bootstrap")
#: Programs that execute a script for a shell.
SHELLS = ("ash", "bash", "dash", "ksh", "sh", "zsh")

#: The first lines of a script have at most this many bytes.
_HEAD = 4096
#: The expression by which a script for a shell names its own folder.
_OWN_FOLDER = '"$(dirname -- "$(realpath -- "$0")")"'


def is_python(path: str) -> bool:
    """Return whether the program at *path* has the name of an interpreter of Python."""
    return re.fullmatch(r"(python|pypy)[0-9.]*[a-z]*(\.exe)?", os.path.basename(path), re.IGNORECASE) is not None


def python_of_script(path: str) -> list[str] | None:
    """Return the words by which the first lines of the script *path* start Python; None if they start none."""
    lines = _first_lines(path)
    if lines is None:
        return None
    words = lines[0][2:].split()
    if words and os.path.basename(words[0]) == "env":
        words = [word for word in words[1:] if word != "-S" and "=" not in word]
        if words:
            words[0] = shutil.which(words[0]) or words[0]
    elif words and os.path.basename(words[0]) in SHELLS and len(lines) > 1:
        words = _interpreter_in_shell(path, lines[1])
    return words if words and is_python(words[0]) else None


def shebang_of(path: str) -> list[str] | None:
    """Return the words by which the first lines of the script *path* start any interpreter; None if they start none."""
    lines = _first_lines(path)
    if lines is None:
        return None
    words = lines[0][2:].split(None, 1)
    if words and os.path.basename(words[0]) in SHELLS and len(lines) > 1:
        return _interpreter_in_shell(path, lines[1]) or words
    if words and os.path.basename(words[0]) != "env":
        return lines[0][2:].split()
    return words  # the kernel passes everything after `env` as one word


def _first_lines(path: str) -> list[str] | None:
    """Return the first lines of the file *path*; None if it cannot be read or is no script."""
    try:
        with open(path, "rb") as file:
            head = file.read(_HEAD)
    except OSError:
        return None
    return head.decode("utf-8", "replace").splitlines() if head[:2] == b"#!" else None


def _interpreter_in_shell(path: str, line: str) -> list[str]:
    """Return the interpreter and its options in *line*, the second line of the shell script *path*; [] if none.

    If the path of the interpreter is long, relative or has a space, pip and uv write `'''exec' PYTHON "$0" "$@"`.
    """
    folder = shlex.quote(os.path.dirname(os.path.realpath(path)))
    try:
        words = shlex.split(line.replace(_OWN_FOLDER, folder))
    except ValueError:
        return []
    return words[1 : words.index("$0")] if words[:1] == ["exec"] and "$0" in words else []


def is_this_environment(python: str) -> bool:
    """Return whether the interpreter *python*, a name or a path, lies beside the one of this process."""
    path = shutil.which(python)
    return path is not None and os.path.dirname(os.path.abspath(path)) == os.path.dirname(
        os.path.abspath(sys.executable)
    )


def start_files() -> list[str]:
    """Return the paths of our start-up files that an interpreter like this one executes."""
    import site

    folders = site.getsitepackages()
    if site.ENABLE_USER_SITE:
        folders.append(site.getusersitepackages())
    paths = [os.path.join(folder, START_FILE) for folder in dict.fromkeys(folders)]
    return [path for path in paths if _mentions_variable(path)]


def _mentions_variable(path: str) -> bool:
    try:
        with open(path, "rb") as file:
            return VARIABLE.encode() in file.read()
    except OSError:
        return False


def interpreter_options() -> list[str]:
    """Return the options that this interpreter was started with, to start another one with them."""
    import subprocess

    options: list[str] = subprocess._args_from_interpreter_flags()  # type: ignore[attr-defined]
    if getattr(sys.stdout, "write_through", False):
        options.append("-u")
    return options
