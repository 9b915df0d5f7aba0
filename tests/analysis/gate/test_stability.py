"""Lines and tests that differ from run to run."""

from hypothesis import given
from hypothesis import strategies as st
from run_works import FUNCTIONS, PARTS, TESTS, run_work

from instrument.analysis.gate.comparison import Comparison
from instrument.analysis.gate.stability import Unstable, is_same_code
from instrument.analysis.gate.work import EXECUTIONS, INSTRUCTIONS


@given(FUNCTIONS, PARTS, TESTS)
def test_runs_that_are_alike_have_no_unstable_lines(functions, parts, tests):
    """Nor unstable tests."""
    run = run_work(functions, parts=parts, tests=tests)
    unstable = Unstable(run, [run_work(functions, parts=parts, tests=tests)] * 2, INSTRUCTIONS)
    assert (unstable.lines, unstable.tests) == ({}, set())


@given(FUNCTIONS, st.data())
def test_without_the_unstable_lines_runs_are_alike(functions, data):
    """All lines that differ are found, and no others."""
    other, differing = {}, 0
    for name, lines in functions.items():
        more = data.draw(st.lists(st.integers(0, 1), min_size=len(lines), max_size=len(lines)))
        other[name] = [(shape, n + by, executions) for (shape, n, executions), by in zip(lines, more)]
        differing += sum(more)
    run, rerun = run_work(functions), run_work(other)
    unstable = Unstable(run, [rerun, run], INSTRUCTIONS)
    assert sum(map(len, unstable.lines.values())) == differing
    comparison = Comparison(run, rerun, INSTRUCTIONS, unstable_before=unstable.lines)
    assert (comparison.total.change, comparison.changes) == (0, [])
    assert Unstable(run, [rerun], EXECUTIONS).lines == {}


def test_tests_that_differ_in_other_lines_are_unstable():
    """A test of which all differing lines are left out is stable. A test that one run lacks is not."""
    [(place, work)] = run_work({"f": [(1, 10, 1), (2, 5, 1)]}).functions.items()
    more = run_work({"f": [(1, 11, 1), (2, 5, 1)]}).functions[place]
    run = run_work({"f": [(1, 20, 1), (2, 10, 1)]}, parts={1: (0, work)}, tests={"a": {1: 1}, "b": {1: 1}, "c": {1: 1}})
    rerun = run_work(
        {"f": [(1, 21, 1), (2, 10, 1)]}, parts={1: (0, more), 2: (0, work)}, tests={"a": {1: 1}, "b": {2: 2}}
    )
    unstable = Unstable(run, [rerun], INSTRUCTIONS)
    assert (unstable.lines, unstable.tests) == ({place: {2}}, {"b", "c"})
    without_tests = run_work({"f": [(1, 21, 1), (2, 10, 1)]})
    assert Unstable(run, [without_tests], INSTRUCTIONS).tests == set()


def test_reruns_have_the_same_code():
    """The versions of the sources tell; the folder of the files does not."""
    run = run_work({"f": [(1, 1, 1)]})
    assert is_same_code(run, run_work({"f": [(1, 2, 1)]}))
    assert is_same_code(run, run_work({"f": [(1, 2, 1)]}, path="/other/shop.py"))
    assert not is_same_code(run, run_work({"f": [(1, 1, 1)]}, version="sha256:2"))
    assert not is_same_code(run, run_work({"f": [(1, 1, 1)]}, path="/other/shop.py", version="sha256:2"))
