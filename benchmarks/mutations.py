"""Makes mutations of a source: each changes the results of one function, or of code that runs in the import.

The source of a module comes in. A list of Mutations goes out, in the order of the source. `affected.py` chooses some.
"""

from __future__ import annotations

import ast
from typing import NamedTuple

#: The kinds of mutations, by the place of the changed code.
FUNCTION, DEFAULT, CONSTANT, ATTRIBUTE = "function body", "default argument", "module constant", "class attribute"
KINDS = (FUNCTION, DEFAULT, CONSTANT, ATTRIBUTE)

_COMPARISONS = {
    ast.Eq: "!=", ast.NotEq: "==", ast.Lt: ">=", ast.GtE: "<", ast.Gt: "<=", ast.LtE: ">", ast.Is: "is not",
    ast.IsNot: "is", ast.In: "not in", ast.NotIn: "in",
}  # fmt: skip


class Mutation(NamedTuple):
    """A mutation of one *kind*: the text between two places, each a line and a column, becomes *after*."""

    kind: str
    start: tuple[int, int]
    end: tuple[int, int]
    after: str

    def mutated(self, source: str) -> str | None:
        """Return *source* after the mutation; None if it cannot be compiled then."""
        lines = source.split("\n")
        text = source[: _offset(lines, *self.start)] + self.after + source[_offset(lines, *self.end) :]
        try:
            compile(text, "<mutated>", "exec", dont_inherit=True)
        except SyntaxError:
            return None
        return text


def mutations(source: str) -> list[Mutation]:
    """Return the mutations of *source*, in its order. Raise SyntaxError if it cannot be parsed."""
    return sorted(
        Mutation(kind, (node.lineno, node.col_offset), (node.end_lineno, node.end_col_offset), after)
        for kind, node, after in _replacements(ast.parse(source))
    )


def _offset(lines: list[str], line: int, column: int) -> int:
    """Return the index of a position in the text that has these *lines*; *column* counts bytes in UTF-8."""
    before = lines[line - 1].encode()[:column].decode()
    return sum(len(each) + 1 for each in lines[: line - 1]) + len(before)


def _replacements(tree: ast.Module):
    """Yield (kind, node, text after it) for each mutation of *tree*."""
    pending: list[tuple[ast.AST, str]] = [(tree, CONSTANT)]
    while pending:
        parent, kind = pending.pop()
        for node in ast.iter_child_nodes(parent):
            inner = kind
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                inner = FUNCTION
                for default in (*node.args.defaults, *filter(None, node.args.kw_defaults)):
                    yield from ((DEFAULT, default, after) for after in _other_constant(default))
                pending.extend((each, FUNCTION) for each in node.body)
                for each in node.body:
                    yield from ((FUNCTION, *replacement) for replacement in _of_node(each))
                continue
            if isinstance(node, ast.ClassDef):
                inner = ATTRIBUTE if kind != FUNCTION else FUNCTION
            elif kind == FUNCTION:
                yield from ((FUNCTION, *replacement) for replacement in _of_node(node))
            elif isinstance(node, (ast.Assign, ast.AnnAssign)) and node.value is not None:
                for each in ast.walk(node.value):
                    yield from ((kind, each, after) for after in _other_constant(each))
                continue
            pending.append((node, inner))


def _of_node(node: ast.AST):
    """Yield (node, text after it) for each mutation of *node*, a part of the body of a function."""
    if isinstance(node, ast.Compare) and len(node.ops) == 1 and type(node.ops[0]) in _COMPARISONS:
        left, right = ast.unparse(node.left), ast.unparse(node.comparators[0])
        yield node, f"({left} {_COMPARISONS[type(node.ops[0])]} {right})"
    elif isinstance(node, ast.BoolOp):
        operator = " or " if isinstance(node.op, ast.And) else " and "
        yield node, f"({operator.join(f'({ast.unparse(each)})' for each in node.values)})"
    elif isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Add, ast.Sub)):
        operator = "-" if isinstance(node.op, ast.Add) else "+"
        yield node, f"(({ast.unparse(node.left)}) {operator} ({ast.unparse(node.right)}))"
    elif isinstance(node, ast.Return) and node.value is not None:
        yield node, "return None"
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        yield node, f"bool({ast.unparse(node.operand)})"
    elif isinstance(node, (ast.AugAssign, ast.Expr)) and not isinstance(getattr(node, "value", None), ast.Constant):
        yield node, "pass"
    else:
        yield from ((node, after) for after in _other_constant(node))


def _other_constant(node: ast.AST):
    """Yield the text of another constant in place of *node*, unless it is none."""
    if isinstance(node, ast.Constant):
        if isinstance(node.value, bool) or node.value is None:
            yield repr(not node.value)
        elif isinstance(node.value, int):
            yield repr(node.value + 1)
        elif isinstance(node.value, str) and node.value:
            yield repr(node.value + "x")
