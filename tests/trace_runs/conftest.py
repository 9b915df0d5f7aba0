"""Modules of the same names in two folders, one of which is ignored."""

import py_compile
import sys

import pytest

#: The text of each of the modules.
MODULE = """\
x = 1
def f(inner=int):
    y = inner()
    if y:
        return y
    return x
def g():
    yield
"""


@pytest.fixture(scope="session")
def module_text():
    """Return the text of each of the modules."""
    return MODULE


@pytest.fixture(scope="module")
def same_names(tmp_path_factory):
    """Return a folder with the folders `measured` and `ignored`, which hold modules of the same names, with bytecode.

    The modules in `measured` can be imported, so that their names are known to be shared.
    """
    folder = tmp_path_factory.mktemp("order")
    for subfolder in ("measured", "ignored"):
        (folder / subfolder).mkdir()
        for name in ("foo", "__init__"):
            path = folder / subfolder / f"{name}.py"
            path.write_text(MODULE)
            py_compile.compile(str(path))
    sys.path.append(str(folder / "measured"))
    yield folder
    sys.path.remove(str(folder / "measured"))
