"""The package's exceptions are in one module."""

import ast

import pytest
from house import syntax_trees

from instrument import errors

#: Folders whose public exceptions are all handled in the same folder, so that no user sees them.
HANDLED_WITHIN = {"rewrite"}


@pytest.mark.slow
def test_no_other_module_defines_a_public_exception():
    """An exception class with a public name stands in instrument/errors.py, whichever module raises it."""
    elsewhere = [
        (path, node.name)
        for path, tree in syntax_trees().items()
        if path != "errors.py" and path.split("/")[0] not in HANDLED_WITHIN
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
        for base in map(ast.unparse, node.bases)
        if base.endswith(("Error", "Exception", "Warning"))
    ]
    assert elsewhere == []


def test_every_error_is_an_instrument_error():
    """A user catches all of them by one class."""
    classes = [value for value in vars(errors).values() if isinstance(value, type) and issubclass(value, Exception)]
    assert len(classes) > 10
    assert [one for one in classes if not issubclass(one, (errors.InstrumentError, errors.InstrumentWarning))] == []
