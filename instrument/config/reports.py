"""Reads the keys of [tool.instrument] that only reports use: patterns of paths, equal folders, exclusions and numbers.

Input: a folder, by default the working directory; the nearest pyproject.toml with the table counts.
Output: absolute paths and patterns, regular expressions, and numbers. Relative paths in the file start from its folder.
"""

from __future__ import annotations

import os
import re

from instrument.config.project_file import PATHS, find_table, label_of
from instrument.config.values import kind_of
from instrument.errors import ConfigError


def read_patterns(key: str, folder: str | None = None) -> list[str]:
    """Return the patterns of source files under *key*, `include` or `omit`; an empty list without a file.

    Patterns that begin with `*` stay as they are. Raise ConfigError if the value is no list of texts.
    """
    table, path = find_table(os.getcwd() if folder is None else folder)
    texts = table.get(key, [])
    texts = [texts] if isinstance(texts, str) else texts
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise ConfigError(f"{label_of(path, key)} is {kind_of(texts)}; it must be a list of patterns of paths")
    home = os.path.dirname(path)
    return [text if text[:1] == "*" else os.path.normpath(os.path.join(home, text)) for text in texts if text]


def read_paths(folder: str | None = None) -> list[tuple[str, list[str]]]:
    """Return groups of equal folders: the local folder of each group, and patterns of the others.

    The table `paths` of the file has one list for each group, as in coverage.py; the local folder comes first. Raise
    ConfigError if the table has another shape.
    """
    table, path = find_table(os.getcwd() if folder is None else folder)
    groups = table.get(PATHS, {})
    label = label_of(path, PATHS)
    if not isinstance(groups, dict):
        raise ConfigError(f"{label} is {kind_of(groups)}; it must be a table of lists of folders")
    home = os.path.dirname(path)
    equal_folders: list[tuple[str, list[str]]] = []
    for name, folders in groups.items():
        if (
            not isinstance(folders, list)
            or len(folders) < 2
            or not all(isinstance(text, str) and text for text in folders)
        ):
            raise ConfigError(f"{label}: {name!r} must be a list of two or more folders, the local one first")
        local, *others = (text if text[:1] == "*" else os.path.abspath(os.path.join(home, text)) for text in folders)
        if "*" in local:
            raise ConfigError(f"{label}: {name!r} must begin with the local folder, and {local!r} is a pattern")
        equal_folders.append((local, others))
    return equal_folders


def read_expressions(key: str, folder: str | None = None) -> list[re.Pattern[str]] | None:
    """Return the regular expressions under *key*, one of EXPRESSIONS of `project_file`; None if the file lacks the key.

    They are compiled as coverage.py compiles them: `^` and `$` match at each line. Raise ConfigError if the value is no
    list of texts, or if a text is empty or is no regular expression.
    """
    table, path = find_table(os.getcwd() if folder is None else folder)
    if key not in table:
        return None
    texts, label = table[key], label_of(path, key)
    texts = [texts] if isinstance(texts, str) else texts
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise ConfigError(f"{label} is {kind_of(texts)}; it must be a list of regular expressions")
    expressions = []
    for text in texts:
        if not text:
            raise ConfigError(f"{label}: an empty regular expression matches every line; remove it from the list")
        try:
            expressions.append(re.compile(text, re.MULTILINE))
        except (re.error, OverflowError, RecursionError) as error:
            raise ConfigError(f"{label}: {text!r} is no regular expression: {error}") from None
    return expressions


def read_number(key: str, folder: str | None = None) -> tuple[float, str] | None:
    """Return the number under *key*, one of NUMBERS of `project_file`, and the name of its place for messages.

    Return None if the file lacks the key. Raise ConfigError if the value is no number.
    """
    table, path = find_table(os.getcwd() if folder is None else folder)
    if key not in table:
        return None
    value, label = table[key], label_of(path, key)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ConfigError(f"{label} is {kind_of(value)}; it must be a number")
    return value, label
