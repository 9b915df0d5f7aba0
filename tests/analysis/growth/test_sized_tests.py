"""Numbers in the names of tests are sizes if they differ."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from instrument.analysis.growth.sized_tests import node_ids_named, sized_tests
from instrument.errors import DataError

SIZES = st.sets(st.integers(1, 10**6), min_size=3, max_size=6)


@given(SIZES, st.sampled_from(["list", "a-b", "utf8", "x=1.5", "[0]"]))
def test_the_number_that_differs_is_the_size(sizes, text):
    """Other numbers stay in the name, and other tests are left out."""
    ids = [f"t.py::test_x[{size}-{text}]" for size in sizes]
    [test] = sized_tests([*ids, "t.py::test_x", "t.py::test_y[1]", "t.py::test_y[2]", "t.py::test_z[a]"])
    assert test.name == f"t.py::test_x[N-{text}]"
    assert test.node_ids == {size: f"t.py::test_x[{size}-{text}]" for size in sorted(sizes)}


@given(SIZES, SIZES)
def test_the_user_chooses_among_several_numbers(sizes, others):
    """There is one test for each value of the other number."""
    ids = [f"t.py::T::test_x[{size}-k{other}]" for size in sizes for other in others]
    with pytest.raises(DataError, match=r"several numbers of t.py::T::test_x may be the size; name one: --parameter 1 for "):
        sized_tests(ids)
    tests = sized_tests(ids, 2)
    assert sorted(test.name for test in tests) == sorted(f"t.py::T::test_x[{size}-kN]" for size in sizes)
    assert all({*test.node_ids} == others for test in tests)
    assert sized_tests(ids, 3) == []


@pytest.mark.parametrize(
    "ids",
    [
        [],
        ["t.py::test_x[1]", "t.py::test_x[2]"],
        ["t.py::test_x[0]", "t.py::test_x[1]", "t.py::test_x[2]"],
        ["t.py::test_x[0.5]", "t.py::test_x[1.5]", "t.py::test_x[2.5]"],
        ["t.py::test_x[1-a]", "t.py::test_x[2-b]", "t.py::test_x[3-c]"],
        ["t[1].py::test_x", "t[2].py::test_x", "t[3].py::test_x"],
    ],
)
def test_too_few_whole_numbers_are_no_sizes(ids):
    """Nothing is found if other texts differ, too."""
    assert sized_tests(ids) == []


def test_numbers_may_have_underscores():
    """As Python writes them."""
    ids = [f"t.py::test_x[{size}]" for size in ("1_000", "10_000", "100")]
    assert [*sized_tests(ids)[0].node_ids] == [100, 1000, 10000]


def test_parameters_are_no_part_of_a_name():
    """A test is found by a part of its name, in any phase."""
    contexts = ["t.py::test_x[10-sort]|call", "t.py::test_x[10-sort]|setup", "t.py::test_sort|call", "sort fixture"]
    assert [*node_ids_named("test", contexts)] == ["t.py::test_x[10-sort]", "t.py::test_sort"]
    assert [*node_ids_named("sort", contexts)] == ["t.py::test_sort"]
