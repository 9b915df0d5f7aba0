"""Fixtures of the tests of commands: a folder with recorded programs, and a program that runs."""

import pytest
from busy_program import BUSY
from recorded import Tree


@pytest.fixture
def tree(tmp_path):
    """A folder in which recorded programs run."""
    return Tree(tmp_path)


@pytest.fixture(params=[0, 100])
def busy(tree, request):
    """Yield a process that calls `hot` until it ends, and writes only at a flush request."""
    process = tree.start(BUSY, flush=request.param)
    process.stdout.readline()
    yield process
    (tree.folder / "stop").touch()
    process.communicate(timeout=30)
    assert process.returncode == 0
