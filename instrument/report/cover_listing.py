"""The words of a report: which lines are executable, the annotated listing, the tables on standard output.

Source files and plain counts come in, lines of text go out. The texts are those of the running interpreter's own
`trace`, to the byte, because scripts read them: where Pythons differ, a constant below names the behaviour. A line is
called executable as `trace` calls it: the compiler gave it a place in the line table of some code object, and no
docstring covers it.
"""

from __future__ import annotations

import dis
import os
import sys
import token
import tokenize
import types

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
    from typing import TextIO

    from instrument.report.counts_file import Function

# An executable line that holds exactly this text is never marked as missed.
PRAGMA_NOCOVER = "#pragma NO COVER"

#   3.13:  "    7    71%   sample   (sample.py)"
#   3.14:  "    7   71.4%   sample   (sample.py)"
PERCENTAGE_HAS_A_DECIMAL = sys.version_info >= (3, 14)


# Names of modules


def module_name(path: str) -> str:
    """Return the name of the file at *path* without folders and extension: a module name, but for packages."""
    return os.path.splitext(os.path.basename(path))[0]


def full_module_name(path: str) -> str:
    """Return the dotted name that the file at *path* would be imported by, given the `sys.path` of now.

    The longest entry of `sys.path` above the file is taken for its root; without one, all folders become packages.
    """
    comparable = os.path.normcase(path)
    root_length = 0
    for entry in sys.path:
        root = os.path.normcase(entry)
        if comparable.startswith(root) and comparable[len(root) :][:1] == os.sep:
            root_length = max(root_length, len(root))
    inside = path[root_length + 1 :] if root_length else path
    _drive, inside = os.path.splitdrive(inside)
    for separator in filter(None, (os.sep, os.altsep)):
        inside = inside.replace(separator, ".")
    return os.path.splitext(inside)[0].lstrip(".")


# Executable lines


def find_lines_from_code(code: types.CodeType, strs: Container[int | None]) -> dict[int | None, int]:
    """Return the lines in the line table of *code* alone, less those in *strs*, as the keys of a dictionary."""
    return {line: 1 for _offset, line in dis.findlinestarts(code) if line not in strs}


def find_lines(code: types.CodeType, strs: Container[int | None]) -> dict[int | None, int]:
    """Return the lines in the line tables of *code* and of all code nested in it, less those in *strs*."""
    lines: dict[int | None, int] = {}
    waiting = [code]
    while waiting:
        current = waiting.pop()
        lines.update(find_lines_from_code(current, strs))
        waiting.extend(constant for constant in current.co_consts if isinstance(constant, types.CodeType))
    return lines


def find_strings(filename: str, encoding: str | None = None) -> dict[int, int]:
    """Return the lines of *filename* that docstrings cover, as the keys of a dictionary.

    A string counts as a docstring if it is the very first token, or directly follows an indent.
    """
    with open(filename, encoding=encoding) as source:
        return docstring_lines(tokenize.generate_tokens(source.readline))


def docstring_lines(tokens: Iterable[tokenize.TokenInfo]) -> dict[int, int]:
    """Return the lines that docstrings cover among the *tokens* of a source file, as the keys of a dictionary."""
    lines: dict[int, int] = {}
    # The first token of the file stands as if it followed an indent: it may be the module's docstring.
    previous = token.INDENT
    for kind, _text, (first, _), (last, _), _line in tokens:
        if kind == token.STRING and previous == token.INDENT:
            lines.update(dict.fromkeys(range(first, last + 1), 1))
        previous = kind
    return lines


def executable_lines(filename: str) -> dict[int | None, int]:
    """Return the executable lines of *filename* as keys of a dictionary, or raise what kept it from being compiled."""
    with tokenize.open(filename) as source:
        text, encoding = source.read(), source.encoding
    # This module's own __future__ imports must not leak into the code: they would hide the lines of annotations.
    code = compile(text, filename, "exec", dont_inherit=True)
    return find_lines(code, find_strings(filename, encoding))


def find_executable_lines(filename: str) -> dict[int | None, int]:
    """Return the executable lines of *filename*, or none, with a note on standard error, if it cannot be read."""
    try:
        return executable_lines(filename)
    except OSError as error:
        print(f"Not printing coverage data for {filename!r}: {error}", file=sys.stderr)
        return {}


# The listing


def write_listing(
    out: TextIO, lines: Iterable[str], executable: Container[int | None], counts: Mapping[int, int]
) -> tuple[int, int]:
    """Write the source *lines* to *out*, each after its count or a mark; return how many ran, and of how many.

    A line that ran shows its count, even if *executable* does not know it; one that should have run shows `>>>>>>`.
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


# The tables


def called_functions(functions: Iterable[Function]) -> Iterator[str]:
    """Yield the lines of the table of *functions* that were called."""
    yield ""
    yield "functions called:"
    for filename, modulename, funcname in sorted(functions):
        yield f"filename: {filename}, modulename: {modulename}, funcname: {funcname}"


def calling_relationships(callers: Iterable[tuple[Function, Function]]) -> Iterator[str]:
    """Yield the lines of the table of who called whom: by file of the caller, then by file of the called."""
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
    """Yield the lines of the summary table; *rows* maps a module to its lines that ran, its lines, and its file."""
    yield "lines   cov%   module   (path)"
    for module, (n_hits, n_lines, filename) in sorted(rows.items()):
        # Up to 3.13 a percentage is cut, not rounded: five lines of seven are 71%.
        percentage = f"{n_hits / n_lines:.1%}" if PERCENTAGE_HAS_A_DECIMAL else f"{int(100 * n_hits / n_lines):3d}%"
        yield f"{n_lines:5d}   {percentage}   {module}   ({filename})"


def not_measured(reasons: Sequence[tuple[str, str]]) -> Iterator[str]:
    """Yield one line for each file that ran without being counted in full, and why."""
    for filename, reason in reasons:
        yield f"Not measured: {filename!r}: {reason}"
