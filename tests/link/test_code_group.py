"""A code group finds the code object of each counter and each key, and the exit of each key."""

import pytest
from link.linked_code import tree_of, unlinked_tree

from instrument.link.code_group import CodeGroup, first_key_of, group_of, index_of_group
from instrument.link.unlinked_values import RefusedCode
from instrument.rewrite.unlinked import UNITS_TO_KEYS

SOURCE = "def f(x):\n    try:\n        return g(x)\n    except KeyError:\n        return h(x)\ndef g(x):\n    return x\n"


@pytest.fixture
def unlinked():
    """Return unlinked code of three code objects, and its packed infos."""
    return unlinked_tree(tree_of(SOURCE, "group.py"))


def test_each_counter_leads_to_the_code_object_that_it_counts(unlinked):
    """Counters of a group are in the order of its code objects."""
    unlinked_codes, packed = unlinked
    group = CodeGroup(3, None, index_of_group(unlinked_codes, "group.py"), packed)
    expected = [index for index, values in enumerate(unlinked_codes) for _ in range(values.n_probes)]
    assert [group.code_of_probe(number) for number in range(group.starts[-1])] == expected


def test_each_key_leads_to_its_group_code_object_record_and_code_unit(unlinked):
    """Each exit record has one key for each position in the bytecode."""
    unlinked_codes, packed = unlinked
    group = CodeGroup(3, None, index_of_group(unlinked_codes, "group.py"), packed)
    key = first_key_of(3)
    for index, values in enumerate(unlinked_codes):
        for record in range(values.n_exits):
            for position in (0, values.size - UNITS_TO_KEYS):
                exit_key = key + record * values.size + position
                assert (group_of(exit_key), group.code_at(exit_key)) == (3, index)
                assert group.exit_at(exit_key, values.n_exits) == (record, position // UNITS_TO_KEYS)
        key += values.n_key_positions()


def test_refused_code_has_neither_counters_nor_keys(unlinked):
    """The code objects behind it have the same ones as without it."""
    unlinked_codes, packed = unlinked
    refused = [RefusedCode(SOURCE, "a reason"), *unlinked_codes]
    group = CodeGroup(3, None, index_of_group(refused, "group.py"), packed)
    assert list(group.starts[:2]) == [0, 0]
    assert list(group.keys()[:2]) == [0, 0]
    assert group.first_line(0) == 0
    assert group.code_at(first_key_of(3)) == 1


def test_an_index_is_the_same_after_it_was_stored(unlinked):
    """`as_tuple` returns the arguments that make an equal index."""
    index = index_of_group(unlinked[0], "group.py")
    again = type(index)(*index.as_tuple())
    assert again.as_tuple() == index.as_tuple()
