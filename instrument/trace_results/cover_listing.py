"""Writes listings of sources with counts, and tables, exactly as the standard library's `trace` does.

Sources and counts come in; lines of text go out. Scripts read these texts, so every byte is that of the running
interpreter's own `trace`. If Pythons differ, a constant below names the behaviour.
"""

from __future__ import annotations

import io
import os
import sys
import tokenize

from instrument.analysis.exclusions import PRAGMA_NOCOVER
from instrument.analysis.trace_lines import full_module_name, module_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
    from typing import TextIO

    from instrument.analysis.file_analysis import FileAnalysis
    from instrument.trace_results.counts_file import Function

#   3.13:  "    7    71%   sample   (sample.py)"
#   3.14:  "    7   71.4%   sample   (sample.py)"
PERCENTAGE_HAS_A_DECIMAL = sys.version_info >= (3, 14)


def write_listing(
    out: TextIO, lines: Iterable[str], executable: Container[int | None], counts: Mapping[int, int]
) -> tuple[int, int]:
    """Write the source *lines* to *out*, each after its count or a mark.

    A line that ran has its count, even if *executable* lacks the line. An executable line that did not run has
    `>>>>>>`. Return the number of lines that ran, and the number of lines that ran or could have run.
    """
    n_hits = n_missed = 0
    for number, line in enumerate(lines, 1):
        if number in counts:
            out.write(f"{counts[number]:5d}: ")
            n_hits += 1
        elif number in executable and PRAGMA_NOCOVER not in line:
            out.write(">>>>>> ")
            n_missed += 1
        else:
            out.write("       ")
        out.write(line.expandtabs(8))
    return n_hits, n_hits + n_missed


def listing_of(file: FileAnalysis) -> bytes:
    """Return the listing of *file*, in the encoding of its source; raise SyntaxError if that is unknown."""
    encoding, _lines = tokenize.detect_encoding(io.BytesIO(file.source.data).readline)
    # Lines as `linecache` reads them: universal newlines, and a newline at the end.
    with io.TextIOWrapper(io.BytesIO(file.source.data), encoding) as source:
        lines = source.readlines()
    if lines and not lines[-1].endswith("\n"):
        lines[-1] += "\n"
    data = io.BytesIO()
    with io.TextIOWrapper(data, encoding) as listing:
        write_listing(listing, lines, file.executable, file.counts.lines.counts())
        listing.flush()
        return data.getvalue()


def path_of_listing(source: str, directory: str | None, taken: set[str]) -> str:
    """Return the path for the listing of *source*: in *directory*, or beside the source without one.

    In *directory*, no path in *taken* is returned again, and none outside of it.
    """
    if directory is None:
        return os.path.join(os.path.dirname(source), module_name(source) + ".cover")
    try:
        relative = os.path.relpath(source)
    except (OSError, ValueError):
        relative = os.pardir
    # The name has no separators, so it cannot lead out of the folder.
    name = full_module_name(source if relative.startswith(os.pardir) else relative)
    path, n = os.path.join(directory, f"{name}.cover"), 2
    while path in taken:
        path, n = os.path.join(directory, f"{name}~{n}.cover"), n + 1
    return path


# Tables


def called_functions(functions: Iterable[Function]) -> Iterator[str]:
    """Yield the lines of the table of *functions* that were called."""
    yield ""
    yield "functions called:"
    for filename, modulename, funcname in sorted(functions):
        yield f"filename: {filename}, modulename: {modulename}, funcname: {funcname}"


def calling_relationships(callers: Iterable[tuple[Function, Function]]) -> Iterator[str]:
    """Yield the lines of the table of calls: by the file of the caller, then by the file of the called function."""
    yield ""
    yield "calling relationships:"
    last_caller_file = last_called_file = ""
    for (caller_file, caller_module, caller), (called_file, called_module, called) in sorted(callers):
        if caller_file != last_caller_file:
            yield ""
            yield f"*** {caller_file} ***"
            last_caller_file, last_called_file = caller_file, ""
        if called_file not in (caller_file, last_called_file):
            yield f"  --> {called_file}"
            last_called_file = called_file
        yield f"    {caller_module}.{caller} -> {called_module}.{called}"


def summary(rows: Mapping[str, tuple[int, int, str]]) -> Iterator[str]:
    """Yield the lines of the summary table.

    *rows* maps each module to the number of lines that ran, the number of its lines, and its file.
    """
    yield "lines   cov%   module   (path)"
    for module, (n_hits, n_lines, filename) in sorted(rows.items()):
        # Up to 3.13 a percentage is cut, not rounded: five lines of seven are 71%.
        percentage = f"{n_hits / n_lines:.1%}" if PERCENTAGE_HAS_A_DECIMAL else f"{int(100 * n_hits / n_lines):3d}%"
        yield f"{n_lines:5d}   {percentage}   {module}   ({filename})"


def not_measured(reasons: Sequence[tuple[str, str]]) -> Iterator[str]:
    """Yield a line for each file that ran uncounted, in whole or in part: its path and the reason."""
    for filename, reason in reasons:
        yield f"Not measured: {filename!r}: {reason}"
