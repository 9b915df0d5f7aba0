"""The command line of `instrument`, and of `python -m instrument` in place of `python -m trace`.

Input: the arguments of the process. If the first is a key of COMMANDS, the module of that name in `instrument.commands`
executes it. Any other arguments go to `instrument.trace_cli`. Output: an exit status.

A module that was imported before the program started is not counted while it is executed. So this module and
`trace_cli` import `argparse` and others only where they need them, as `trace` does.
"""

# No `from __future__ import annotations`: the program may be the first to import that module.
import os
import sys

from instrument.trace_cli import run_as_trace
from instrument.version import __version__

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable
    from types import ModuleType
    from typing import Any

#: The commands, and a description of each for the help. Each is a module in `instrument.commands`.
COMMANDS = {
    "run": "run a program and save how often each line ran",
    "report": "print a table of the counts",
    "html": "write web pages with the counts",
    "serve": "show web pages with the counts of running processes, live",
    "annotate": "write listings of the sources with their counts",
    "lcov": "write the counts for tools that read LCOV",
    "xml": "write the counts as Cobertura XML",
    "json": "write all that is known as JSON",
    "callgrind": "write the counts as a profile in Callgrind's format",
    "coverage": "write a data file of coverage.py",
    "diff": "show which lines ran between two moments",
    "tests": "show which tests run a line or a function",
    "show": "show what a test runs",
    "growth": "show how the work of a test grows with its size",
    "affected": "show which tests changes of the sources affect",
    "gate": "compare the work of two runs, and fail if it grew",
    "keep": "keep the data of a git revision for `gate`",
    "combine": "add up the data of many processes in one file",
    "erase": "remove the data",
    "debug": "show the settings, and why code is or is not counted",
    "snapshot": "make a running process save its counts now",
    "top": "show the hottest lines of running processes, live",
    "warm": "prepare sources for a fast first start",
}
#: The commands whose modules are in a folder of `instrument.commands`, with the folder.
_FOLDERS = {
    **dict.fromkeys(("html", "lcov", "xml", "json", "callgrind", "coverage"), "exports"),
    **dict.fromkeys(("serve", "top"), "live"),
    **dict.fromkeys(("tests", "show", "affected", "growth"), "per_test"),
    **dict.fromkeys(("gate", "keep"), "gating"),
}
#: The commands that only print information about the others.
ABOUT = {
    "help": "show this list, or the help of a command",
    "version": "print the version",
}


def _lines_of(descriptions: "dict[str, str]") -> str:
    return "".join(f"  {name:<10}{words}\n" for name, words in descriptions.items())


_COMMAND_LINES = _lines_of(COMMANDS)

_OVERVIEW = f"""\
instrument {__version__}: exact counts of how often each line of a Python program runs

usage: instrument COMMAND [OPTIONS]

commands:
{_COMMAND_LINES}{_lines_of(ABOUT)}
`instrument help COMMAND` explains a command and its options.

begin with:
  instrument run program.py
  instrument report --missing

Instead of a command, you can give the options of the standard library's
`python -m trace`; they have the same effect. `instrument --help` lists them.
"""


def main() -> None:
    """Execute the command in the arguments of this process; exit with its status, except after a run as `trace`."""
    first = sys.argv[1] if len(sys.argv) > 1 else None
    if first in COMMANDS:
        sys.exit(_with_output_errors(_execute, first))
    if first in ABOUT:
        sys.exit(_with_output_errors(_print_about, first))
    if first is None:
        if os.path.basename(sys.argv[0]) != "__main__.py":
            sys.exit(_with_output_errors(_print_about, "help"))
        # The message of `python -m trace` follows this usage.
        print(f"usage: instrument COMMAND [OPTIONS]\n{_COMMAND_LINES}\n  or as python -m trace:", file=sys.stderr)
    elif _may_be_a_command(first):
        print(_unknown_command(first), file=sys.stderr)
        sys.exit(2)
    run_as_trace(_COMMAND_LINES)


def _with_output_errors(action: "Callable[[str, list[str]], int]", name: str) -> int:
    """Return the exit status of *action* with *name* and the other arguments; 1 if its output cannot be written.

    A reader that closed the pipe has seen enough, so nothing is printed then. A full disk is named in one line.
    """
    try:
        try:
            return action(name, sys.argv[2:])
        finally:
            if sys.stdout:
                sys.stdout.flush()
    except BrokenPipeError:
        reason = ""
    except OSError as error:
        import errno

        if error.filename is not None or error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO):
            raise
        reason = error.strerror or f"{error}"
    # The interpreter flushes the buffer again at its end, which must not fail again.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    if reason:
        print(f"instrument: the output cannot be written: {reason}", file=sys.stderr)
    return 1


def _may_be_a_command(word: str) -> bool:
    """Return whether *word*, the first argument, can be a command: a name that no file has."""
    return word.replace("-", "_").isidentifier() and word[0] != "-" and not os.path.lexists(word)


def _unknown_command(word: str) -> str:
    """Return the message for *word*, which is no command."""
    from difflib import get_close_matches

    matches = get_close_matches(word.lower(), [*COMMANDS, *ABOUT], n=1)
    hint = f"; did you mean {matches[0]!r}?" if matches else "."
    return f"instrument: there is no command {word!r}{hint} `instrument help` lists the commands"


def _print_about(name: str, arguments: list[str]) -> int:
    """Print the version if *name* is `version`, else the help on *arguments*; return the exit status."""
    if name == "version":
        print(f"instrument {__version__}")
        return 0
    word = arguments[0] if arguments else "help"
    if word in COMMANDS:
        return _execute(word, ["--help"])
    if word not in ABOUT:
        print(_unknown_command(word), file=sys.stderr)
        return 2
    print(_OVERVIEW, end="")
    return 0


def _execute(name: str, arguments: list[str]) -> int:
    """Execute the command *name* with these *arguments*; return the exit status.

    A command with a function `split` separates its own arguments from those of a program, which may look like options.
    """
    try:
        return _execute_uninterrupted(name, arguments)
    except KeyboardInterrupt as error:
        if type(error) is not KeyboardInterrupt:  # SIGTERM has interrupted it (warming.workers.Terminated)
            import signal

            signal.raise_signal(signal.SIGTERM)
        return 130


def _execute_uninterrupted(name: str, arguments: "list[str]") -> int:
    """Execute the command *name* with these *arguments*; return the exit status. Raise KeyboardInterrupt."""
    from importlib import import_module

    from instrument.errors import InstrumentError

    folder = f"{_FOLDERS[name]}." if name in _FOLDERS else ""
    command = import_module(f"instrument.commands.{folder}{name}")
    parser = _parser_of(name, command)
    program: list[str] = []
    if hasattr(command, "split"):
        arguments, program = command.split(arguments)
    options = parser.parse_args(arguments)
    options.command = program
    options.refuse = parser.error
    try:
        _add_patterns_of_file(options)
        return int(command.execute(options))
    except InstrumentError as error:
        from instrument.report.text import say

        say([f"instrument: {error}"], sys.stderr)
        return 1


def _parser_of(name: str, command: "ModuleType") -> "argparse.ArgumentParser":
    """Return the parser for the arguments of the module *command*, called *name*."""
    import argparse

    from instrument.commands._help import TEXTS

    class Parser(argparse.ArgumentParser):
        """A parser that escapes the characters of its help that the encoding of the output lacks."""

        def _print_message(self, message: str, file: "Any" = None) -> None:
            stream = sys.stderr if file is None else file
            encoding = getattr(stream, "encoding", None) or "utf-8"
            stream.write(message.encode(encoding, "backslashreplace").decode(encoding))

    usage, description = TEXTS[name]
    parser = Parser(
        prog=f"instrument {name}",
        usage=usage,
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    command.add_arguments(parser)
    return parser


def _add_patterns_of_file(options: "argparse.Namespace") -> None:
    """Take `include` from pyproject.toml if *options* have it and the user gave none; `omit` likewise."""
    from instrument.config.project_file import PATTERNS
    from instrument.config.reports import read_patterns

    for key in PATTERNS:
        if getattr(options, key, None) == []:
            setattr(options, key, read_patterns(key))
