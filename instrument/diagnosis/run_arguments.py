"""Defines the options of `instrument run`, and separates them from the program and its arguments.

Input: a parser of argparse, or the words after `instrument run`. Output: options by key, as `config.read_settings`
takes them.
"""

from __future__ import annotations

from instrument.config.project_file import KEYS

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

#: The options that take the next word as their value.
_TAKE_A_VALUE = ("--scope", "--dir", "--flush", "--signal")


def add_settings(parser: argparse.ArgumentParser) -> None:
    """Add one option for each key of the settings to *parser*."""
    group = parser.add_argument_group("settings", "They take precedence over the environment and pyproject.toml.")
    group.add_argument(
        "--scope",
        action="append",
        metavar="ITEM,…",
        help="what to count: modules and packages by their dotted names, files and folders by their paths, or 1 for "
        "the project's own code, which is neither in the standard library nor installed (default: 1). The option can "
        "be given several times.",
    )
    group.add_argument(
        "--dir",
        metavar="FOLDER",
        help="where to save the data (default: .instrument, beside the pyproject.toml with the table "
        "[tool.instrument], or else in this folder)",
    )
    group.add_argument(
        "--flush", metavar="SECONDS", help="save this often and at the end (default: 10; 0: only at the end)"
    )
    group.add_argument("--signal", metavar="NAME", help="also save when this signal arrives, for example USR1")
    group.add_argument(
        "--lines",
        action="store_true",
        default=None,
        help="save the counts of lines and functions only: the data are smaller, and branches and costs not known",
    )
    group.add_argument(
        "--shared",
        action="store_true",
        default=None,
        help="save even to a folder that other users own or can write to; such users can make you lose files",
    )
    group.add_argument(
        "-q",
        "--quiet",
        action="store_true",
        default=None,
        help="do not say that code was prepared before the program, or that rewriting took long",
    )


def settings_of(options: argparse.Namespace) -> dict[str, object]:
    """Return the values of the setting options in *options*, by key; None if an option was not given."""
    return {key: getattr(options, key) for key in KEYS}


def split_run_arguments(arguments: list[str]) -> tuple[list[str], list[str]]:
    """Return the options of `instrument run` in *arguments*, and the program with its arguments.

    As for the interpreter, the program begins with `-m`, `-c`, `-`, `--`, or the first word that is no option.
    """
    n = 0
    while n < len(arguments):
        word = arguments[n]
        if word == "--":
            return arguments[:n], arguments[n:]
        if word[:1] != "-" or word == "-" or (word[:2] in ("-m", "-c")):
            return arguments[:n], arguments[n:]
        n += 2 if word in _TAKE_A_VALUE else 1
    return arguments, []
