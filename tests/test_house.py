"""The limits of the package's structure: sizes of modules and folders, lengths and branches of functions.

A function may pass a limit if its docstring, or a comment at its head, gives the reason: "Longer than 60 lines because
…", "More than 12 branches because …". What passed a limit when the limit was set stands in lists, which only shrink.
"""

import ast
from collections import Counter

import house
import pytest

MOST_LINES_OF_A_MODULE = 500
MOST_MODULES_OF_A_FOLDER = 12
MOST_LINES_OF_A_FUNCTION = 60
MOST_BRANCHES_OF_A_FUNCTION = 12

#: Modules with more lines than the limit, by path.
LONG_MODULES = set()

#: Folders with more modules than the limit, "" for the top level of the package.
LARGE_FOLDERS = set()

#: Qualified names of functions with more lines than the limit, that give no reason.
LONG_FUNCTIONS = set()

#: Qualified names of functions with more branches than the limit, that give no reason.
BRANCHING_FUNCTIONS = set()


def n_branches(node):
    """Return by how many the paths through *node* exceed one, as McCabe counts: `ruff` counts alike for C901."""
    total = 0
    for child in ast.iter_child_nodes(node):
        match child:
            case ast.If() | ast.For() | ast.AsyncFor() | ast.While() | ast.ExceptHandler():
                total += 1
            case ast.match_case(pattern=ast.MatchAs(pattern=None), guard=None):
                pass  # `case _` is an `else`
            case ast.match_case():
                total += 1
            case ast.Try(orelse=[_, *_]) | ast.FunctionDef() | ast.AsyncFunctionDef():
                total += 1
        total += n_branches(child)
    return total


def head_of(node, text):
    """Return the lines of *text* from one line above the function *node* to the line before its first statement."""
    first = node.body[1] if ast.get_docstring(node) and len(node.body) > 1 else node.body[0]
    start = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
    return "\n".join(text.splitlines()[max(start - 4, 0) : first.lineno - 1])


def functions_beyond(limit, measure, reason):
    """Return a dict from qualified name to size, for each function beyond *limit* whose head lacks *reason*."""
    beyond = {}
    for path, tree in house.syntax_trees().items():
        for name, node in house.functions(tree):
            if measure(node) > limit and reason not in head_of(node, house.modules()[path]):
                beyond[name] = measure(node)
    return beyond


def compare(found, known):
    """Fail if *found*, a dict from names to sizes, has a name that is not *known*, or lacks one that is."""
    new = {name: size for name, size in found.items() if name not in known}
    assert not new, f"beyond the limit: {new}"
    assert not known - found.keys(), f"within the limit now, to be taken off the list: {known - found.keys()}"


def test_modules_are_short():
    """A module has at most 500 lines."""
    sizes = {path: len(text.splitlines()) for path, text in house.modules().items()}

    compare({path: size for path, size in sizes.items() if size > MOST_LINES_OF_A_MODULE}, LONG_MODULES)


def test_folders_are_small():
    """A folder has at most 12 modules, `__init__` not counted."""
    sizes = Counter(path.rpartition("/")[0] for path in house.modules() if not path.endswith("__init__.py"))

    compare({folder: size for folder, size in sizes.items() if size > MOST_MODULES_OF_A_FOLDER}, LARGE_FOLDERS)


@pytest.mark.slow
def test_functions_are_short():
    """A function has at most 60 lines, or its head gives the reason."""

    def n_lines(node):
        return node.end_lineno - node.lineno + 1

    compare(functions_beyond(MOST_LINES_OF_A_FUNCTION, n_lines, "Longer than 60 lines because"), LONG_FUNCTIONS)


@pytest.mark.slow
def test_functions_branch_little():
    """A function has at most 12 branches, or its head gives the reason."""

    def complexity(node):
        return n_branches(node) + 1

    found = functions_beyond(MOST_BRANCHES_OF_A_FUNCTION, complexity, "More than 12 branches because")
    compare(found, BRANCHING_FUNCTIONS)
