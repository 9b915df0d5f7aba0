"""The source files of the package, parsed, for the tests of its structure and of its language."""

import ast
import functools
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "instrument"


@functools.cache
def modules():
    """Return a dict from the path of each module of the package, relative to the package, to the module's text."""
    paths = sorted(PACKAGE.rglob("*.py"))
    return {path.relative_to(PACKAGE).as_posix(): path.read_text(encoding="utf-8") for path in paths}


@functools.cache
def syntax_trees():
    """Return a dict from the path of each module of the package, relative to the package, to its `ast.Module`."""
    return {path: ast.parse(text) for path, text in modules().items()}


def dotted_name(path):
    """Return the name of the module at *path* without "instrument": "flow.graph" for "flow/graph.py"."""
    return path.removesuffix(".py").replace("/", ".")


def functions(tree):
    """Yield (qualified name, node) for each function of *tree*, those in classes and in other functions included."""
    pending = [("", tree)]
    while pending:
        prefix, parent = pending.pop()
        for node in ast.iter_child_nodes(parent):
            name = prefix
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                name = f"{prefix}{node.name}."
                if not isinstance(node, ast.ClassDef):
                    yield prefix + node.name, node
            pending.append((name, node))
