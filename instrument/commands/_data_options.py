"""Adds the options that choose data files and source files, and prints messages that several commands have."""

from __future__ import annotations

import sys

from instrument.analysis.patterns import FilePatterns
from instrument.config.project_file import PATTERNS, TABLE
from instrument.report import remarks
from instrument.report.text import say

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable
    from typing import Any

    from instrument.data.query import StoredMeasurement


def add_paths(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that name data to *parser*."""
    parser.add_argument("paths", metavar="PATH", nargs="*", help="data files or folders of them (default: .instrument)")
    parser.add_argument("--dir", metavar="FOLDER", help="the folder of the data, as one more PATH")


def paths_of(options: argparse.Namespace) -> list[str]:
    """Return the data files and folders that *options* name; an empty list means the default folder."""
    return [*options.paths, *([options.dir] if options.dir is not None else [])]


def add_patterns(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that choose source files to *parser*."""
    words = "source files: patterns of paths, or folders, with commas between them"
    arguments: dict[str, Any] = {"metavar": "PATTERN,…", "action": "append", "default": [], "type": _OptionText}
    parser.add_argument("--include", help=f"only these {words}", **arguments)
    parser.add_argument("--omit", help=f"not these {words}", **arguments)


def positive(text: str) -> int:
    """Return the whole number *text*, from 1 on; raise argparse.ArgumentTypeError for other texts."""
    import argparse
    import re

    if not re.fullmatch("0*[1-9][0-9]{0,18}", text):
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 1 on")
    return int(text)


class _OptionText(str):
    """Patterns from the command line. Patterns from pyproject.toml are plain texts."""

    __slots__ = ()


def patterns_of(options: argparse.Namespace) -> FilePatterns:
    """Return the patterns of source files that *options* have."""
    return FilePatterns(options.include, options.omit)


def origin_of(key: str, text: str) -> str:
    """Return where the user wrote *text*, patterns for *key*, which is "include" or "omit"."""
    return f"--{key}" if isinstance(text, _OptionText) else f"{TABLE} of pyproject.toml, key {key!r}:"


def patterns_in_words(options: argparse.Namespace) -> str:
    """Return the patterns of *options* and where each comes from, to follow a message; an empty text without any."""
    texts = [f"{origin_of(key, text)} {text!r}" for key in PATTERNS for text in getattr(options, key)]
    return f": the patterns are {', '.join(texts)}" if texts else ""


def say_incomplete(*measurements: StoredMeasurement) -> None:
    """Say on standard error which data files and which running processes are not in *measurements*."""
    say(remarks.refused(file for measurement in measurements for file in measurement.refused), sys.stderr)
    for measurement in measurements:
        say(remarks.unwritten(measurement.unwritten), sys.stderr)


def say_unmatched(patterns: FilePatterns, paths: Iterable[str]) -> None:
    """Say on standard error which *patterns* match none of *paths*."""
    say(
        (
            f"{origin_of(unmatched.key, unmatched.text)} {unmatched.pattern!r} matches no file in these data"
            + (f"; a pattern is for the whole path: {unmatched.suggestion!r} matches" if unmatched.suggestion else "")
            for unmatched in patterns.unmatched(paths)
        ),
        sys.stderr,
    )
