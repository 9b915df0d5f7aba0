"""A tree of processes whose tests were counted apart; the commands of this folder show them."""

import pytest
from counted_tests import PROGRAM
from recorded import Tree


@pytest.fixture(scope="module")
def counted(tmp_path_factory):
    """Return the Tree of the program."""
    tree = Tree(tmp_path_factory.mktemp("counted"))
    tree.run(PROGRAM, _INSTRUMENT_CONTEXTS="1", PYTEST_CURRENT_TEST="")
    return tree
