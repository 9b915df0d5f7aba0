"""Finds executable lines and names of modules as the running interpreter's own `trace` does.

Paths of source files come in; executable lines and names go out, exactly those of the standard library's `trace`. A
line is executable if the compiler gave it a place in the line table of a code object, and no docstring covers it.
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
    from collections.abc import Container, Iterable


def module_name(path: str) -> str:
    """Return the name of the file at *path* without folders and extension, which for packages is `__init__`."""
    return os.path.splitext(os.path.basename(path))[0]


def full_module_name(path: str) -> str:
    """Return the dotted name by which the current `sys.path` would import the file at *path*.

    The root is the longest entry of `sys.path` above the file. Without such an entry all folders become packages.
    """
    comparable = os.path.normcase(path)
    root_length = 0
    for entry in sys.path:
        root = os.path.normcase(entry)
        if comparable.startswith(root) and comparable[len(root) :][:1] == os.sep:
            root_length = max(root_length, len(root))
    relative = path[root_length + 1 :] if root_length else path
    _drive, relative = os.path.splitdrive(relative)
    for separator in filter(None, (os.sep, os.altsep)):
        relative = relative.replace(separator, ".")
    return os.path.splitext(relative)[0].lstrip(".")


def find_lines_from_code(code: types.CodeType, strs: Container[int | None]) -> dict[int | None, int]:
    """Return the lines in the line table of *code*, without those in *strs*, as the keys of a dictionary."""
    return {line: 1 for _offset, line in dis.findlinestarts(code) if line not in strs}


def find_lines(code: types.CodeType, strs: Container[int | None]) -> dict[int | None, int]:
    """Return the lines in the line tables of *code* and of nested code, without those in *strs*, as keys."""
    lines: dict[int | None, int] = {}
    remaining = [code]
    while remaining:
        current = remaining.pop()
        lines.update(find_lines_from_code(current, strs))
        remaining.extend(constant for constant in current.co_consts if isinstance(constant, types.CodeType))
    return lines


def find_strings(filename: str, encoding: str | None = None) -> dict[int, int]:
    """Return the lines of *filename* that docstrings cover, as the keys of a dictionary.

    A string is a docstring if it is the first token of the file, or directly follows an indent.
    """
    with open(filename, encoding=encoding) as source:
        return docstring_lines(tokenize.generate_tokens(source.readline))


def docstring_lines(tokens: Iterable[tokenize.TokenInfo]) -> dict[int, int]:
    """Return the lines that docstrings cover among the *tokens* of a source file, as the keys of a dictionary."""
    lines: dict[int, int] = {}
    # As if the file began with an indent: its first token may be the module's docstring.
    previous = token.INDENT
    for kind, _text, (first, _), (last, _), _line in tokens:
        if kind == token.STRING and previous == token.INDENT:
            lines.update(dict.fromkeys(range(first, last + 1), 1))
        previous = kind
    return lines


def executable_lines(filename: str) -> dict[int | None, int]:
    """Return the executable lines of *filename* as the keys of a dictionary.

    Raise OSError, SyntaxError or ValueError if the file cannot be read or compiled.
    """
    with tokenize.open(filename) as source:
        text, encoding = source.read(), source.encoding
    # Without dont_inherit, the __future__ import of this module would hide the lines of annotations.
    code = compile(text, filename, "exec", dont_inherit=True)
    return find_lines(code, find_strings(filename, encoding))


def find_executable_lines(filename: str) -> dict[int | None, int]:
    """Return the executable lines of *filename* as keys, for programs that call `trace._find_executable_linenos`.

    If the file cannot be opened, print the message of `trace`, and return {}. Raise SyntaxError or ValueError if the
    text cannot be compiled.
    """
    try:
        return executable_lines(filename)
    except OSError as error:
        print(f"Not printing coverage data for {filename!r}: {error}", file=sys.stderr)
        return {}
