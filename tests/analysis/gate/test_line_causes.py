"""A line that grew is traced back to the line that decided so. The programs of these tests are drawn by hand, as arcs."""

import pytest

from instrument.analysis.gate.comparison import FunctionChange, Growth
from instrument.analysis.gate.line_causes import BRANCH, CHANGED_LINE, COST, LOOP, MORE, NEW_LINE, START, LineCauses
from instrument.analysis.gate.work import FunctionPlace, Work

F = FunctionPlace("/src/shop.py", "f", 1)


def work(calls, arcs, costs=None):
    """Return the Work of a function in which control took *arcs*, and entered at line 2; each line costs 10, or *costs*."""
    executions = {2: calls}
    for (_, target), n in arcs.items():
        if target > 0:
            executions[target] = executions.get(target, 0) + n
    costs = costs or {}
    return Work(calls, {line: n * costs.get(line, 10) for line, n in executions.items()}, executions, arcs)


def looped(calls, turns, costs=None):
    """Return the Work of a loop: its header is line 2, its body lines 3 and 4, and line 5 returns."""
    return work(calls, {(2, 3): turns, (3, 4): turns, (4, 2): turns, (2, 5): calls, (5, 0): calls}, costs)


def branched(calls, true):
    """Return the Work of an `if` on line 2: line 3 if true, line 4 if false, and then line 5."""
    false = calls - true
    return work(calls, {(2, 3): true, (2, 4): false, (3, 5): true, (4, 5): false, (5, 0): calls})


def causes(before, after, new_lines=(), lines=None, changed_lines=()):
    """Return the kind and the line of the cause for each line that grew, or for *lines*."""
    change = FunctionChange(F, F, before, after, new_lines, changed_lines)
    found = LineCauses(change)
    return {line: found.cause_of(line)[:2] for line in lines or change.line_growth("instructions")}


@pytest.mark.parametrize(("before", "after"), [((1, 3), (1, 30)), ((10, 30), (10, 60)), ((2, 1), (2, 2)), ((5, 0), (5, 50))])
def test_a_loop_that_turns_more_often(before, after):
    """Its header is the cause of the growth of its body, and of itself."""
    assert causes(looped(*before), looped(*after)) == dict.fromkeys((2, 3, 4), (LOOP, 2))


@pytest.mark.parametrize(("before", "after"), [((1, 3), (10, 30)), ((10, 30), (20, 61)), ((0, 0), (5, 10))])
def test_a_function_that_is_called_more_often(before, after):
    """Its loop turns as often for each call, or nearly so: the search goes on at the caller."""
    assert {*causes(looped(*before), looped(*after)).values()} == {(START, line) for line in (2, 3, 4, 5)}


@pytest.mark.parametrize(("before", "after"), [((100, 5), (100, 95)), ((10, 0), (10, 10)), ((100, 5), (200, 190))])
def test_a_branch_that_goes_the_other_way(before, after):
    """The line of the branch is the cause of the growth of the block."""
    found = causes(branched(*before), branched(*after), lines=[3])
    assert found == {3: (BRANCH, 2)}
    cause = LineCauses(FunctionChange(F, F, branched(*before), branched(*after))).cause_of(3)
    assert (cause.target, cause.counts) == (3, Growth(before[1], after[1]))


def test_a_line_that_executes_more_instructions_each_time():
    """As a comprehension over more elements does."""
    assert causes(looped(1, 3), looped(1, 3, {5: 500})) == {5: (COST, 5)}
    assert causes(looped(1, 3), looped(2, 6, {5: 500}), lines=[5]) == {5: (COST, 5)}


def test_a_changed_line_is_its_own_cause_unless_it_runs_more_often():
    """If it does, the loop that turned more often is the cause."""
    assert causes(looped(1, 3), looped(1, 3, {5: 500}), changed_lines={5}) == {5: (CHANGED_LINE, 5)}
    assert causes(looped(1, 3), looped(1, 9), changed_lines={3}, lines=[3]) == {3: (LOOP, 2)}


def test_a_new_line_is_its_own_cause():
    """Lines behind it run as often as before."""
    before = work(1, {(2, 4): 9, (4, 2): 9, (2, 0): 1})
    after = work(1, {(2, 3): 9, (3, 4): 9, (4, 2): 9, (2, 0): 1})
    assert causes(before, after, {3}) == {3: (NEW_LINE, 3)}


def test_a_new_loop_around_an_old_one():
    """The new header is the cause; the old loop turns as often for each time that it begins."""
    before = work(1, {(2, 4): 1, (4, 5): 10, (5, 4): 10, (4, 6): 1, (6, 0): 1})
    after = work(1, {(2, 3): 1, (3, 4): 2, (4, 5): 20, (5, 4): 20, (4, 3): 2, (3, 6): 1, (6, 0): 1})
    assert causes(before, after, {3}) == dict.fromkeys((3, 4, 5), (NEW_LINE, 3))


def test_new_lines_in_a_new_loop_have_its_header_as_their_cause():
    """Other new lines are their own causes."""
    before = work(1, {(2, 7): 1, (7, 0): 1})
    after = work(1, {(2, 3): 1, (3, 4): 1, (4, 5): 9, (5, 6): 9, (6, 4): 9, (4, 7): 1, (7, 0): 1})
    assert causes(before, after, {3, 4, 5, 6}) == {3: (NEW_LINE, 3), **dict.fromkeys((4, 5, 6), (NEW_LINE, 4))}


def test_lines_that_have_moved_into_a_loop():
    """The first of them is the cause: the loop turns as often as before."""
    before = work(1, {(2, 3): 1, (3, 4): 1, (4, 7): 1, (7, 8): 9, (8, 7): 9, (7, 0): 1})
    after = work(1, {(2, 7): 1, (7, 3): 9, (3, 4): 9, (4, 8): 9, (8, 7): 9, (7, 0): 1})
    assert causes(before, after) == {3: (MORE, 3), 4: (MORE, 3)}


def test_a_line_without_arcs_that_explain_it():
    """Exceptions lead to handlers, and no arc says how often."""
    before, after = work(5, {(2, 0): 5}), work(5, {(2, 0): 5})
    after.executions[8], after.instructions[8] = 40, 400
    assert causes(before, after) == {8: (MORE, 8)}


@pytest.mark.slow
@pytest.mark.parametrize("is_new", [False, True])
def test_long_functions_take_no_square_of_time(is_new):
    """A table of thousands of lines may be in a loop, or be new."""
    n = 20_000
    chain = {(line, line + 1): 1 for line in range(3, n)}
    before = work(1, {(2, 3): 1, **chain, (n, 0): 1})
    after = work(1, {(2, 3): 5, **dict.fromkeys(chain, 5), (n, 2): 5, (2, n + 1): 1, (n + 1, 0): 1})
    new_lines = set(range(2, n + 2)) if is_new else set()
    found = causes(Work(1) if is_new else before, after, new_lines, lines=range(3, n))
    assert {*found.values()} == {(NEW_LINE, 2) if is_new else (BRANCH, n)}
