"""The growth between two runs: none between equal runs, opposite in the other direction, none by moved lines."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from run_works import FUNCTIONS, GAPS, PARTS, TESTS, run_work

from instrument.analysis.gate.comparison import Comparison, Growth, gone_line
from instrument.analysis.gate.work import EXECUTIONS, INSTRUCTIONS, UNITS

RUNS = st.builds(
    lambda functions, gaps, version, parts, tests: run_work(
        functions, gaps=gaps, version=version, parts=parts, tests=tests
    ),
    FUNCTIONS,
    GAPS,
    st.sampled_from(["sha256:1", "sha256:2", "unknown"]),
    PARTS,
    TESTS,
)
UNIT = st.sampled_from(UNITS)


def growth_of_functions(comparison):
    """Return the change of each function, by its places in both runs."""
    changes = {
        (each.place_before, each.place_after): each.growth(comparison.unit).change for each in comparison.changes
    }
    return {places: change for places, change in changes.items() if change}


@given(RUNS, UNIT)
def test_a_run_has_no_growth_from_itself(run, unit):
    """The whole, tests, functions and lines are the same."""
    comparison = Comparison(run, run, unit)
    assert comparison.changes == []
    assert comparison.total.change == 0
    assert {name: growth.change for name, growth in comparison.tests.items()} == dict.fromkeys(run.tests, 0)
    assert (comparison.new_tests, comparison.gone_tests) == ([], [])


@given(RUNS, RUNS, UNIT)
def test_growth_is_opposite_in_the_other_direction(one, other, unit):
    """So nothing that becomes less in one direction is lost in the other."""
    there, back = Comparison(one, other, unit), Comparison(other, one, unit)
    assert there.total == Growth(back.total.after, back.total.before)
    assert there.tests == {name: Growth(after, before) for name, (before, after) in back.tests.items()}
    assert (there.new_tests, there.gone_tests) == (back.gone_tests, back.new_tests)
    assert growth_of_functions(there) == {
        (before, after): -change for (after, before), change in growth_of_functions(back).items()
    }


@given(RUNS, RUNS, UNIT)
def test_functions_and_their_lines_add_up_to_the_whole(one, other, unit):
    """No growth is outside of the functions, and none of a function outside of its lines."""
    comparison = Comparison(one, other, unit)
    assert sum(each.growth(unit).change for each in comparison.changes) == comparison.total.change
    for each in comparison.changes:
        assert sum(growth.change for growth in each.line_growth(unit).values()) == each.growth(unit).change


@given(FUNCTIONS, GAPS, GAPS, st.randoms(), st.sampled_from(["/src/shop.py", "/other/src/shop.py"]), UNIT)
def test_moved_lines_are_no_growth(functions, gaps, other_gaps, random, path, unit):
    """Functions change places, comments come in between, and another folder has the file."""
    names = list(functions)
    random.shuffle(names)
    one = run_work(functions, gaps=gaps)
    other = run_work({name: functions[name] for name in names}, gaps=other_gaps, version="sha256:2", path=path)
    assert Comparison(one, other, unit).changes == []


@given(st.lists(st.tuples(st.integers(1, 50), st.integers(1, 50)), min_size=1, max_size=8), st.randoms(), UNIT)
def test_lines_that_move_within_their_function_are_no_growth(counts, random, unit):
    """Each line is recognised by its shape."""
    lines = [(shape, *each) for shape, each in enumerate(counts)]
    moved = random.sample(lines, len(lines))
    one, other = run_work({"f": lines}), run_work({"f": moved}, version="sha256:2")
    assert Comparison(one, other, unit).changes == []


@given(FUNCTIONS, st.data(), UNIT)
def test_the_growth_of_a_line_is_that_of_its_function_and_of_the_whole(functions, data, unit):
    """Whatever else is in the file, and wherever the line has moved."""
    name = data.draw(st.sampled_from(sorted(functions)))
    index = data.draw(st.integers(0, len(functions[name]) - 1))
    shape, instructions, executions = functions[name][index]
    grown = {**functions, name: [*functions[name]]}
    grown[name][index] = shape, instructions + 7, executions + 3
    comparison = Comparison(run_work(functions), run_work(grown, gaps=[2], version="sha256:2"), unit)
    [change] = comparison.changes
    amount = 7 if unit == INSTRUCTIONS else 3
    assert comparison.total.change == change.growth(unit).change == amount
    assert [growth.change for growth in change.line_growth(unit).values()] == [amount]
    assert (change.place.name, change.new_lines) == (name, frozenset())


def test_new_and_gone_functions_and_lines_are_named():
    """They are growth as a whole; a line that is gone has a number of its own."""
    one = run_work({"f": [(1, 10, 1), (2, 20, 2)], "old": [(3, 5, 1), (4, 5, 1), (9, 1, 1)]})
    other = run_work({"f": [(1, 10, 1), (5, 3, 3), (6, 4, 4)], "new": [(7, 6, 1), (8, 6, 1)]}, version="sha256:2")
    changes = {each.place.name: each for each in Comparison(one, other, INSTRUCTIONS).changes}
    assert changes["new"].place_before is None
    assert changes["old"].place_after is None
    assert changes["f"].line_growth(INSTRUCTIONS) == {gone_line(3): (20, 0), 3: (0, 3), 4: (0, 4)}
    assert changes["f"].new_lines == {3, 4}
    assert gone_line(gone_line(3)) == 3


@pytest.mark.parametrize("side", ["unstable_before", "unstable_after"])
def test_unstable_lines_are_left_out_of_both_runs(side):
    """A line that has moved is left out, too, wherever it is; so are unstable tests."""
    lines = [(1, 10, 1), (2, 20, 2), (3, 30, 3)]
    grown = [(1, 11, 1), (2, 99, 9), (3, 30, 3)]
    tests = {"t": {1: 1}, "u": {1: 1}}
    one = run_work({"f": lines}, tests=tests)
    other = run_work({"f": grown}, version="sha256:2", gaps=[4], tests=tests)
    [place] = (one if side == "unstable_before" else other).functions
    line = 3 if side == "unstable_before" else 7
    comparison = Comparison(one, other, EXECUTIONS, **{side: {place: {line}}}, unstable_tests={"u"})
    assert comparison.total == (4, 4)
    assert comparison.left_out_work == 9
    assert list(comparison.left_out().values()) == [[7]]
    assert [*comparison.tests] == ["t"]
    assert Comparison(one, other, INSTRUCTIONS, **{side: {place: {line}}}).total == (40, 41)
