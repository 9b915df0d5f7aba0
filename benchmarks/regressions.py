"""Puts regressions into functions of a package, for the measurement of `instrument gate`.

The source of a module and a function come in. A Regression goes out: the source before and after, and the line to find.
The results of the function stay the same, so the tests of the package still pass. `gate.py` will run them.
"""

from __future__ import annotations

import ast
import textwrap
from typing import NamedTuple

#: Functions that the regressions use. They are at the end of the module, before and after.
HELPERS = """

def _gate_query(key):
    parts = [key]
    for n in range(8):
        parts.append(n)
    return len(parts)


_gate_rows = {}
"""

#: For each kind: the statements before, those after, and the text of the line to find, which only those after have.
STATEMENTS = {
    "a query in a loop": (
        "_gate_n = _gate_query(0)\nfor _gate_key in range(8):\n    _gate_n += 1",
        "_gate_n = _gate_query(0)\nfor _gate_key in range(8):\n    _gate_n += _gate_query(_gate_key)",
        "    _gate_n += _gate_query(_gate_key)",
    ),
    "a lost cache": (
        "if 0 not in _gate_rows:\n    _gate_rows[0] = _gate_query(0)",
        "_gate_rows[0] = _gate_query(0)",
        "_gate_rows[0] = _gate_query(0)",
    ),
    "from n to n squared": (
        "_gate_seen = []\nfor _gate_key in range(8):\n    _gate_seen.append(_gate_key)",
        """\
_gate_seen = []
for _gate_key in range(8):
    for _gate_other in _gate_seen:
        _gate_same = _gate_other == _gate_key
    _gate_seen.append(_gate_key)""",
        "    for _gate_other in _gate_seen:",
    ),
    "a doubled loop": (
        "_gate_n = 0\nfor _gate_key in range(12):\n    _gate_n += _gate_key\n    _gate_m = _gate_n * 2",
        "_gate_n = 0\nfor _gate_key in range(24):\n    _gate_n += _gate_key\n    _gate_m = _gate_n * 2",
        "for _gate_key in range(24):",
    ),
    "an unused recomputation": (
        "_gate_n = 0",
        "_gate_n = 0\n_gate_unused = _gate_query(7)",
        "_gate_unused = _gate_query(7)",
    ),
    "a retry": (
        "_gate_row = _gate_query(3)",
        "for _gate_attempt in range(3):\n    _gate_row = _gate_query(3)",
        "for _gate_attempt in range(3):",
    ),
}
KINDS = tuple(STATEMENTS)


class Regression(NamedTuple):
    """A regression of one *kind* in a *function*: the sources *before* and *after*, and the *line* to find there."""

    kind: str
    function: str
    before: str
    after: str
    line: int


def functions_of(source: str) -> list[str]:
    """Return the qualified names of the functions in *source* that take statements at their start, one of each name."""
    names = [name for name, _node in _nodes(ast.parse(source))]
    return [name for name in names if names.count(name) == 1]


def regression(source: str, function: str, kind: str) -> Regression:
    """Return the regression of *kind*, one of KINDS, at the start of *function*, one of `functions_of` the *source*."""
    node = dict(_nodes(ast.parse(source)))[function]
    first = _first_statement(node)
    assert first is not None
    line = min([first.lineno, *(each.lineno for each in getattr(first, "decorator_list", []))])
    lines = source.split("\n")
    before, after, text = STATEMENTS[kind]
    sources = [
        "\n".join([*lines[: line - 1], textwrap.indent(code, " " * first.col_offset), *lines[line - 1 :]]) + HELPERS
        for code in (before, after)
    ]
    return Regression(kind, function, *sources, line + after.split("\n").index(text))


def _nodes(tree: ast.Module) -> list[tuple[str, ast.FunctionDef]]:
    """Return the functions of *tree* with a statement behind the docstring, below the header, each with its name."""
    found: list[tuple[str, ast.FunctionDef]] = []
    pending: list[tuple[str, ast.AST]] = [("", tree)]
    while pending:
        prefix, parent = pending.pop()
        for node in ast.iter_child_nodes(parent):
            if isinstance(node, ast.ClassDef):
                pending.append((f"{prefix}{node.name}.", node))
            elif isinstance(node, ast.FunctionDef):
                if _first_statement(node) is not None:
                    found.append((f"{prefix}{node.name}", node))
            elif isinstance(node, (ast.If, ast.Try)):
                pending.append((prefix, node))
    return sorted(found, key=lambda item: item[0])


def _first_statement(node: ast.FunctionDef) -> ast.stmt | None:
    """Return the first statement of *node* behind the docstring; None unless it begins a line below all before it."""
    above, body = node.lineno, node.body
    if ast.get_docstring(node) is not None:
        above, body = body[0].end_lineno or body[0].lineno, body[1:]
    return body[0] if body and body[0].lineno > above else None
