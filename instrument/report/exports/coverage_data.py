"""Writes the data file of coverage.py (`.coverage`), by coverage.py's own CoverageData.

An `Exported` comes in; the content of a data file goes out, with the lines that ran. It has arcs instead, which are
lines and branches to coverage.py, if the flow of control is known of each file that ran. The format has no counts.

In coverage.py, (-L, line) enters the code object that begins on line L, and (line, -L) leaves it.
"""

from __future__ import annotations

import importlib
import os
import tempfile

from instrument.errors import DataError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection
    from typing import Any

    from instrument.model.measurement import FunctionKey
    from instrument.report.exports.numbers import Exported, FileNumbers


def has_arcs(exported: Exported) -> bool:
    """Return whether the flow of control is known of each file of *exported* that ran."""
    return any(file.n_ran for file in exported.files) and all(
        file.file.flow is not None or not file.n_ran for file in exported.files
    )


def unnameable(exported: Exported) -> list[str]:
    """Return the paths of *exported* that coverage.py cannot store, since they are no valid Unicode."""
    return [file.file.path for file in exported.files if not _is_valid(file.file.path)]


def content(exported: Exported) -> bytes:
    """Return the content of a data file with *exported*, without the paths of `unnameable`.

    Raise DataError if coverage.py is not installed, or cannot write the data.
    """
    coverage = _coverage()
    files = [file for file in exported.files if _is_valid(file.file.path)]
    with tempfile.TemporaryDirectory(prefix="instrument-") as folder:
        path = os.path.join(folder, "data")
        data = coverage.CoverageData(path)
        try:
            if has_arcs(exported):
                data.add_arcs({file.file.path: arcs(file) for file in files})
            else:
                data.add_lines({file.file.path: sorted(file.file.counts.lines.keys()) for file in files})
            data.touch_files([file.file.path for file in files])
            data.write()
        except coverage.CoverageException as error:
            raise DataError(f"coverage.py cannot write the data: {error}") from error
        finally:
            data.close(force=True)
        with open(path, "rb") as file:
            return file.read()


def arcs(file: FileNumbers) -> Collection[tuple[int, int]]:
    """Return the arcs of *file* that were taken, with an arc into each line that ran and has no arc."""
    flow = file.file.flow
    if flow is None:
        return []
    functions: dict[int, FunctionKey] = {}
    taken: set[tuple[int, int]] = set()
    for (function, line, target), count in flow.arcs.items():
        functions.setdefault(line, function)
        if count:
            taken.add((line, target if target > 0 else -function[1]))
    # Code on a single line, as that of `def f(): pass`, may have no arc. It left that line if it returned.
    lines = file.file.counts.lines
    with_arcs = {function for function, _, _ in flow.arcs}
    for function, counts in flow.functions.items():
        if counts.returned and function not in with_arcs and function[1] in lines:
            taken.add((function[1], -function[1]))
    reached = {line for arc in taken for line in arc}
    # The line may be the first one of its code object, or the one that exceptions entered from elsewhere.
    for line in lines.keys() - reached:
        taken.add((-functions[line][1] if line in functions else -line, line))
    return sorted(taken)


def _is_valid(path: str) -> bool:
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True


def _coverage() -> Any:
    """Return the package of coverage.py; raise DataError if it is not installed."""
    try:
        return importlib.import_module("coverage")
    except ImportError as error:
        raise DataError(
            "coverage.py is not installed here, and only coverage.py writes its data files: "
            "install it with `pip install coverage`"
        ) from error
