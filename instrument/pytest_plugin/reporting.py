"""Makes the reports of a test run, each by a command of this package in a process of its own.

Options and a data folder come in. Lines for the terminal go out, and the files that the commands write. No library that
reports need is imported in this process, which is measured.

A test may have changed the environment, the working folder or the path of the interpreter. So all of them are taken
before the tests run.
"""

from __future__ import annotations

import contextlib
import os
import re
import sys
from subprocess import DEVNULL, PIPE, Popen
from typing import NamedTuple

from instrument.config.project_file import VARIABLE
from instrument.config.values import ROOT
from instrument.diagnosis.interpreters import BOOTSTRAP, start_files
from instrument.pytest_plugin.options import FILES, TERM_MISSING

TYPE_CHECKING = False
if TYPE_CHECKING:
    from instrument.pytest_plugin.options import Options

#: Arguments by which `instrument report` checks bounds, and prints one number.
_TOTAL = ["--format", "total"]
#: Words in messages of `instrument report`, and the words for the same in pytest.
_WORDS_OF_PYTEST = {
    "--fail-under": "--instrument-fail-under",
    "--omit": "the key omit in [tool.instrument] of pyproject.toml",
}
#: The exit status of a command that cannot do its work, such as check a bound.
CANNOT = 1
_ENCODING = "utf-8"
_TRACEBACK = "Traceback (most recent call last):"


class Outcome(NamedTuple):
    """The outcome of a command: its exit status, the lines that it wrote, and those of them that are problems."""

    status: int
    lines: list[str]
    problems: list[str]


def arguments_of_commands(options: Options, directory: str, *, has_bounds: bool) -> list[list[str]]:
    """Return the arguments of each command that makes a report of *options*, with the data in *directory*.

    The command `report` also checks the bounds, so it is among them if *has_bounds*, and at most once.
    """
    table = ["report", directory]
    table += ["--branch"] if options.with_branches else []
    table += ["--fail-under", options.fail_under] if options.fail_under else []
    kinds = [report.kind for report in options.reports]
    commands = []
    for kind, path in options.reports:
        if kind in FILES:
            commands.append([kind, directory, *([FILES[kind], path] if path else [])])
        else:
            commands.append([*table, *(["--missing"] if kind == TERM_MISSING else [])])
    if has_bounds and all(kind in FILES for kind in kinds):
        commands.append([*table, *_TOTAL])
    return commands


class Commands:
    """Runs commands of this package in *folder*, as they would run there before the tests."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._python = sys.executable
        self._environment = {name: value for name, value in os.environ.items() if name not in (VARIABLE, ROOT)}
        self._environment["PYTHONIOENCODING"] = _ENCODING
        if not start_files():  # the package may be found by `sys.path` of this process only
            paths = [self._environment.get("PYTHONPATH"), os.path.dirname(os.path.dirname(BOOTSTRAP))]
            self._environment["PYTHONPATH"] = os.pathsep.join(filter(None, paths))

    def run(self, arguments: list[str], *, has_colours: bool) -> Outcome:
        """Run the command with these *arguments*, and return its outcome; raise nothing but KeyboardInterrupt."""
        try:
            _make_folder_of_file(arguments)
            return outcome_of(arguments, *self.output(arguments, has_colours=has_colours))
        except (OSError, ValueError) as error:
            problem = f"instrument: there is no report ({arguments[0]}): {self._python!r} cannot be run: {error}"
            return Outcome(1, [], [problem])

    def output(self, arguments: list[str], *, has_colours: bool = False) -> tuple[int, str, str]:
        """Run the command with these *arguments*; return its exit status, output and errors.

        Raise OSError or ValueError if it cannot be run.
        """
        environment = {**self._environment, "FORCE_COLOR" if has_colours else "NO_COLOR": "1"}
        environment.pop("NO_COLOR" if has_colours else "FORCE_COLOR", None)
        # Without -P, a module of the project could be imported in place of this package.
        command = [self._python, "-P", "-m", "instrument", *arguments]
        with Popen(command, cwd=self._folder, env=environment, stdin=DEVNULL, stdout=PIPE, stderr=PIPE) as process:
            out, err = process.communicate()
        return process.returncode, out.decode(_ENCODING, "replace"), err.decode(_ENCODING, "replace")


def about_bound(problem: str) -> str:
    """Return *problem*, a message of `instrument report` about a bound, as a failure in the words of pytest."""
    text = problem.removeprefix("instrument: ")
    for word, word_of_pytest in _WORDS_OF_PYTEST.items():
        text = re.sub(rf"(?<!\S){word}(?!\S)", word_of_pytest, text)
    return f"FAIL: {text}"


def _make_folder_of_file(arguments: list[str]) -> None:
    """Make the folder of the file that the command with these *arguments* is to write. If that fails, it says so."""
    if FILES.get(arguments[0]) == arguments[-2]:
        with contextlib.suppress(OSError):
            os.makedirs(os.path.dirname(arguments[-1]) or os.curdir, exist_ok=True)


def outcome_of(arguments: list[str], status: int, out: str, err: str) -> Outcome:
    """Return the outcome of the command with these *arguments*, its exit *status* and its output."""
    lines = [] if arguments[-2:] == _TOTAL else out.splitlines()
    remarks = err.splitlines()
    if not status:
        return Outcome(status, [*lines, *remarks], [])
    if _TRACEBACK in remarks:
        lines, remarks = [], remarks[-1:]
    problems = [line for line in remarks if line.startswith("instrument")]
    lines += [line for line in remarks if line not in problems]
    return Outcome(
        status, lines, problems or [f"instrument: `instrument {arguments[0]}` has failed, with status {status}"]
    )
