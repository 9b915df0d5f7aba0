"""Finds the place in the sources that a user names: a line, or a function.

A text such as "shop.py:17", "shop.py:price", "Basket.add" or "shop.price" comes in. A Place of a stored measurement
goes out.
"""

from __future__ import annotations

import os
from difflib import get_close_matches

from instrument.analysis.local_paths import local_paths
from instrument.analysis.source_file import version_of
from instrument.errors import DataError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import TypeAlias

    from instrument.data.query import StoredMeasurement
    from instrument.model.measurement import FileKey, FunctionKey

    #: The functions of each file, by its path on this machine; and functions of one name, by path and qualified name.
    _FunctionsOf: TypeAlias = Mapping[str, set[FunctionKey]]
    _Found: TypeAlias = dict[tuple[str, str], set[FunctionKey]]

_HOW_TO_NAME = "name a line, as in shop.py:17, or a function, as in Basket.add, shop.Basket.add or shop.py:Basket.add"


class Place:
    """A line, or functions of one name, in *files*, versions of the file at *path* on this machine.

    *line* is 0 if *functions* are meant. *is_stale* says that the file has changed since it ran.
    """

    def __init__(
        self, path: str, files: list[FileKey], *, line: int = 0, functions: Iterable[FunctionKey] = (), is_stale: bool
    ) -> None:
        self.path = path
        self.files = files
        self.line = line
        self.functions = sorted(functions)
        self.is_stale = is_stale

    def __str__(self) -> str:
        return f"line {self.line}" if self.line else self.functions[0][0]


def find_place(text: str, stored: StoredMeasurement) -> Place:
    """Return the place that *text* names in *stored*. Raise DataError if there is none, or several."""
    file, _, rest = text.rpartition(":")
    if file and rest.isdecimal():
        path, files, is_stale = _versions(file, stored)
        return Place(path, files, line=int(rest), is_stale=is_stale)
    if not rest or rest.endswith(".py"):
        raise DataError(f"{text!r} is a file; {_HOW_TO_NAME}")
    by_path = _by_path(stored)
    paths = [_versions(file, stored)[0]] if file else [*by_path]
    functions_of = {path: {each for key in by_path[path] for each in _functions(stored, key)} for path in paths}
    found = _called(rest, functions_of) or _ending_in(rest, functions_of) or _of_module(rest, functions_of)
    if not found:
        names = {name for functions in functions_of.values() for name, _line in functions}
        near = get_close_matches(rest, names, n=3)
        hint = f"; did you mean {' or '.join(map(repr, near))}?" if near else f"; {_HOW_TO_NAME}"
        raise DataError(f"no measured file has a function {rest!r}{hint}")
    if len(found) > 1:
        places = ", ".join(f"{os.path.relpath(path)}:{name}" for path, name in sorted(found))
        raise DataError(f"{rest!r} may be several functions; name one: {places}")
    [((path, _), functions)] = found.items()
    path, files, is_stale = _versions(path, stored)
    return Place(path, files, functions=functions, is_stale=is_stale)


def _called(name: str, functions_of: _FunctionsOf) -> _Found:
    """Return the functions with the qualified *name*, if need be without `<locals>`, by path and qualified name."""
    exact = _grouped(functions_of, lambda each: each == name)
    return exact or _grouped(functions_of, lambda each: _without_locals(each) == name)


def _ending_in(name: str, functions_of: _FunctionsOf) -> _Found:
    """Return the functions whose qualified names end in *name*, by path and qualified name."""
    return _grouped(functions_of, lambda each: _without_locals(each).endswith(f".{name}"))


def _of_module(text: str, functions_of: _FunctionsOf) -> _Found:
    """Return the functions of the module and with the qualified name that *text* has, such as `shop.price`.

    The longest module that has such a function is taken. A module is recognised by the end of its path.
    """
    parts = text.split(".")
    for n in range(len(parts) - 1, 0, -1):
        module = os.sep.join(["", *parts[:n]])
        ends = (f"{module}.py", os.path.join(module, "__init__.py"))
        inside = {path: functions for path, functions in functions_of.items() if path.endswith(ends)}
        if found := _called(".".join(parts[n:]), inside):
            return found
    return {}


def _grouped(functions_of: _FunctionsOf, selects: Callable[[str], bool]) -> _Found:
    """Return the functions whose qualified names *selects* selects, by path and qualified name."""
    found: _Found = {}
    for path, functions in functions_of.items():
        for function in functions:
            if selects(function[0]):
                found.setdefault((path, function[0]), set()).add(function)
    return found


def _without_locals(name: str) -> str:
    return name.replace(".<locals>", "")


def _by_path(stored: StoredMeasurement) -> dict[str, list[FileKey]]:
    """Return the file versions of *stored*, by their paths on this machine."""
    keys = stored.files()
    local = local_paths(keys)
    by_path: dict[str, list[FileKey]] = {}
    for key in keys:
        by_path.setdefault(local.get(key, key[0]), []).append(key)
    return by_path


def _versions(file: str, stored: StoredMeasurement) -> tuple[str, list[FileKey], bool]:
    """Return the path that *file* means, its measured versions, and whether the file is none of these now.

    If it is one of these, return only that. Raise DataError if no measured file is meant, or several.
    """
    by_path = _by_path(stored)
    path = os.path.abspath(file)
    if path not in by_path:
        matches = [each for each in by_path if each.endswith(f"{os.sep}{os.path.normpath(file)}")]
        if len(matches) != 1:
            reason = f"may be {' or '.join(map(os.path.relpath, matches))}" if matches else "is no file that ran"
            raise DataError(f"{file!r} {reason}; name its path")
        [path] = matches
    versions = by_path[path]
    try:
        with open(path, "rb") as source:
            current = version_of(source.read())
    except OSError:
        return path, versions, False
    same = [key for key in versions if key[1] == current]
    return path, same or versions, not same


def _functions(stored: StoredMeasurement, file: FileKey) -> set[FunctionKey]:
    """Return all functions of *file*, whether they ran or not, as far as plans are found."""
    functions = set(stored.counts(file).functions.keys())
    for plans, _counts in stored.probes(file) or ():
        functions.update((name, line) for _, name, line in plans.functions())
    return functions
