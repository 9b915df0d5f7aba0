"""Finds and reads the table [tool.instrument] of the nearest pyproject.toml.

Input: a folder; the search goes from there upwards. Output: the table and the path of its file, both empty if there is
none. Only a regular file of this user or of root is read. With a file in a folder above,
another user could decide where this process writes and how it treats signals.

Measured processes import this module at their start, so it imports nothing that the interpreter has not imported yet.
"""

from __future__ import annotations

import os
import sys
from _imp import source_hash
from marshal import dumps

from instrument.config.values import kind_of
from instrument.guest.isolation import import_isolated
from instrument.guest.own_imports import errors
from instrument.guest.own_loader import fact_about
from instrument.guest.trusted_files import is_of_another_user, read_regular

#: The keys of settings. They are also the names of the options, and in capitals the ends of the variables' names.
KEYS = ("scope", "dir", "flush", "signal", "lines", "shared", "quiet")
#: The keys that only reports read: lists of patterns, a table of folders, regular expressions, and numbers.
PATTERNS = ("include", "omit")
PATHS = "paths"
EXPRESSIONS = ("exclude-lines", "exclude-also", "partial-branches", "partial-also")
NUMBERS = ("fail-under", "fail-under-branch", "fail-under-hits", "precision")
_ALL_KEYS = (*KEYS, *PATTERNS, PATHS, *EXPRESSIONS, *NUMBERS)

TABLE = "[tool.instrument]"
#: The variable of the scope, and the beginning of the names of all other variables.
VARIABLE = "INSTRUMENT"
PREFIX = "INSTRUMENT_"

#: No larger file is read, in bytes.
_LARGEST = 1 << 22
#: One message for each file that was ignored because it belongs to another user. Callers print them.
ignored_files: list[str] = []


def variable_of(key: str) -> str:
    """Return the name of the environment variable for the setting *key*."""
    return PREFIX + key.upper() if key != "scope" else VARIABLE


def find_table(folder: str) -> tuple[dict[str, object], str]:
    """Return the nearest table [tool.instrument], from *folder* upwards, and the path of its file; ({}, "") if none.

    Keys have hyphens, however the file spells them: `exclude_also` is `exclude-also`.
    Raise ConfigError if the file is no TOML, or the table is no table or has an unknown key.
    """
    while True:
        path = os.path.join(folder, "pyproject.toml")
        content = _content(path)
        # The parser takes as long as everything else here, so rule out most files without it.
        if b"instrument" in content and b"tool" in content:
            table = _table_in(content, path)
            if table is not None:
                return table, path
        parent = os.path.dirname(folder)
        if parent == folder:
            return {}, ""
        folder = parent


def label_of(path: str, key: str) -> str:
    """Return the name of the *key* in the file *path*, for messages."""
    return f"{path}, {TABLE}, key {key!r}"


def _content(path: str) -> bytes:
    """Return the content of the file *path*; b"" unless it is a small regular file of this user or root.

    A file of another user that has our table is noted in `ignored_files`.
    """
    try:
        is_foreign = is_of_another_user(path)
        content = read_regular(path, _LARGEST)
    except (OSError, ValueError):
        return b""
    if not is_foreign:
        return content
    if b"tool.instrument" in content:
        variables = ", ".join(variable_of(key) for key in KEYS)
        ignored_files.append(
            f"{path} is ignored because it belongs to another user; change its owner, or give the same settings by "
            f"options or environment variables ({variables})"
        )
    return b""


def _table_in(content: bytes, path: str) -> dict[str, object] | None:
    """Return the result of `_parse`, which each start needs, and a start that is not the first has stored.

    [3.12, CPU: the parser and its modules take 25 ms, all else of a start 17 ms]
    """
    content_hash = source_hash(1, content) + source_hash(2, content)

    def find() -> tuple[bytes, dict[str, object] | None]:
        found = content_hash, _parse(content, path)
        dumps(found)  # a fact is stored by `marshal`, which raises ValueError for a date
        return found

    try:
        stored_hash, table = fact_about((path,), f"{TABLE} in {path}", find)
    except ValueError:
        return _parse(content, path)
    return table if stored_hash == content_hash else _parse(content, path)


def _parse(content: bytes, path: str) -> dict[str, object] | None:
    """Return the table [tool.instrument] in the *content* of the file *path*; None if it has none."""
    tomllib = sys.modules.get("tomllib") or import_isolated("tomllib")
    try:
        document = tomllib.loads(content.decode("utf-8"))  # type: ignore[attr-defined]
    except (ValueError, RecursionError) as error:
        if b"tool.instrument" not in content:
            return None  # a broken file without our table concerns other tools
        raise errors.ConfigError(f"{path} cannot be read as TOML: {error}") from None
    tool = document.get("tool")
    table = tool.get("instrument") if isinstance(tool, dict) else None
    if table is None:
        return None
    keys = ", ".join(_ALL_KEYS)
    if not isinstance(table, dict):
        raise errors.ConfigError(f"{path}: {TABLE} is {kind_of(table)}; it must be a table with the keys {keys}")
    values: dict[str, object] = {}
    for key, value in table.items():
        name = key.replace("_", "-")
        if name not in _ALL_KEYS:
            raise errors.ConfigError(f"{path}: unknown key {key!r} in {TABLE}; the keys are {keys}")
        values[name] = value
    return values
