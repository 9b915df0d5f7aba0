"""Several runs in one process, of several modules, some of them ignored, have the counts of the standard library's trace.

test_generated_programs.py has programs of one module. These runs share state: ignored files, code that runs in another
module than its own, and functions, closures and generators that live from run to run.
"""

import generated_runs_driver
import pytest
from drivers import answers_of
from generated_runs_driver import ACTIONS, FUNCTIONS, NAMES, PLACES
from hypothesis import given, settings
from hypothesis import strategies as st

modules = st.tuples(st.sampled_from(PLACES), st.sampled_from(("", "sub")), st.sampled_from(NAMES))
steps = st.lists(
    st.tuples(st.sampled_from(ACTIONS), modules, modules, st.sampled_from(FUNCTIONS), st.integers(0, 3)), max_size=12
)
#: Of each run: whether a folder is ignored; ignored names; the index of the Trace that runs again, negative for a new
#: one; the steps.
runs = st.lists(
    st.tuples(st.booleans(), st.sets(st.sampled_from(NAMES[:2]), max_size=1), st.integers(-2, 2), steps),
    min_size=1,
    max_size=3,
)
loaded_before = st.lists(st.tuples(modules, st.booleans()), max_size=6)


@pytest.fixture(scope="module")
def counts_of(tmp_path_factory):
    """A function that returns the counts of an example (before, runs) under both kinds of Trace."""
    folder = tmp_path_factory.mktemp("runs")
    with answers_of(generated_runs_driver.__file__, folder) as counts_of:
        yield counts_of


@pytest.mark.slow
@settings(max_examples=max(settings().max_examples * 2 // 5, 1), deadline=None)
@given(before=loaded_before, runs=runs)
def test_runs_of_several_modules_have_the_counts_of_trace(counts_of, before, runs):
    """Each line of each module has, in each run, the count that the standard library's trace finds."""
    expected, actual = counts_of(before, runs)

    assert actual == expected
