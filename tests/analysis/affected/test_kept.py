"""Functions that may return a result which changed code computed in an earlier test."""

from hypothesis import given
from hypothesis import strategies as st

from instrument.analysis.affected.kept import Calls, functions_with_kept_results
from instrument.analysis.affected.units import Units
from instrument.analysis.affected.work import members, set_of

SOURCE = """\
from functools import cache, lru_cache
_table = None
def table():
    global _table
    if _table is None:
        _table = compute()
    return _table
def compute():
    return helper()
def helper():
    return 1
@cache
def cached():
    return helper()
def user():
    return cached()
def pure(x):
    return helper() if x else 0
def _plain():
    return helper()
alias = lru_cache(_plain)
def other_user():
    return alias()
"""
UNITS = Units(SOURCE.encode())
NAMES = sorted(name for name in UNITS.by_name if name != "<module>")
CALLS = Calls([UNITS.by_name[name][0] for name in NAMES])


def kept(changed, *order, before=()):
    """Return the names of functions that may return kept results, for tests that ran these names in this *order*."""

    def numbers(names):
        return set_of(map(NAMES.index, names.split() if isinstance(names, str) else names))

    found = functions_with_kept_results(CALLS, numbers(changed), numbers(before), map(numbers, order))
    return {NAMES[number] for number in members(found)}


def test_a_lazily_made_object():
    """The first test that ran `table` also ran `compute` and `helper`; later ones use the result, which `table` keeps."""
    assert kept("helper", "table compute helper", "table") == {"table"}


def test_a_function_that_stores_nothing():
    """`pure` did not call `helper` in the second test, and keeps nothing."""
    assert kept("helper", "pure helper", "pure") == set()


def test_a_decorator_that_answers_calls():
    """`user` calls `cached`, which ran in an earlier test only, and its decorator has the result."""
    assert "user" in kept("helper", "cached helper", "user")
    assert "user" in kept("helper", "user cached helper", "user")


def test_an_alias():
    """`alias` has a decorator that its function does not have in the source."""
    assert "_plain" not in kept("helper", "_plain helper")
    assert "other_user" not in kept("helper", "other_user", "other_user")


def test_a_result_from_before_the_tests():
    """Code outside of tests runs first."""
    assert kept("helper", "table", before=["table", "compute", "helper"]) == {"table"}


def test_without_calls_by_name_nothing_is_kept():
    """The first test ran `helper` by other code."""
    assert kept("helper", "helper user", "user", before=["cached"]) <= {"user"}
    assert kept("compute", "helper", "helper") == set()


@given(st.lists(st.sets(st.sampled_from(NAMES)), max_size=6), st.sampled_from(NAMES))
def test_kept_results_are_of_functions_that_ran(order, changed):
    """Only functions that ran with the changed code, or after it, may return its results."""
    found = kept([changed], *order)
    first = next((n for n, names in enumerate(order) if changed in names), len(order))
    assert found <= set().union(*order[first:])
    assert changed not in found
