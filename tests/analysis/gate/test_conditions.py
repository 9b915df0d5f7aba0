"""Runs under different conditions are never compared in silence."""

import pytest

from instrument.analysis.gate.conditions import Conditions, differences, small_differences
from instrument.model.measured_process import MeasuredProcess


def process(pid=1, python="3.12.4", scope="", directory="/work", root=0, parent=0):
    """Return a process with these facts."""
    return MeasuredProcess(
        id=f"{pid}", pid=pid, parent=parent, host="h", place="p", ticks=pid, started=pid, python=python,
        directory=directory, scope=scope, root=root, flushes=1, updated=9.0, ended="exit",
    )


def between(before, after):
    return differences(Conditions(before), Conditions(after))


@pytest.mark.parametrize(
    "processes",
    [[process()], [process(python="3.12.4 -O", scope=None)], [process(1), process(2, parent=1, root=1), process(3)]],
)
def test_equal_conditions_have_no_difference(processes):
    """Of one process, of optimised code, of several processes in two runs."""
    assert between(processes, processes) == []
    assert small_differences(Conditions(processes), Conditions(processes)) == []


@pytest.mark.parametrize(
    ("after", "sentence"),
    [
        (process(python="3.13.1"), "BASE ran on Python 3.12, HEAD on Python 3.13"),
        (process(python="3.12.4 -O"), "BASE ran without -O, HEAD with -O"),
        (process(scope="shop\ntools"), "BASE measured the project's own code, HEAD measured shop, tools"),
        (process(scope=None), "BASE measured the project's own code, HEAD measured an unknown scope"),
    ],
)
def test_each_difference_is_named(after, sentence):
    """In the direction of the comparison."""
    assert between([process()], [after]) == [sentence]
    assert len(between([after], [process()])) == 1


def test_the_number_of_runs_must_be_the_same():
    """Two runs have twice the work of one. Processes that a run starts are no runs of their own."""
    assert between([process()], [process(1), process(2)]) == ["BASE has 1 run, HEAD has 2 runs"]
    assert between([process()], [process(1), process(2, parent=1, root=1)]) == []


def test_the_folder_of_a_checkout_is_no_part_of_the_scope():
    """Two checkouts of a project are measured alike."""
    one = process(scope="/base/src\nshop", directory="/base")
    other = process(scope="shop\n/head/src", directory="/head")
    assert between([one], [other]) == []
    assert between([process(scope="/base", directory="/base")], [process(scope="/work", directory="/work")]) == []
    assert between([process(scope="1")], [process(scope="")]) == []


def test_a_small_difference_between_pythons_is_named():
    """Their bytecode is the same, and the standard library may not be."""
    before, after = Conditions([process()]), Conditions([process(python="3.12.9")])
    assert differences(before, after) == []
    assert small_differences(before, after) == ["BASE ran on Python 3.12.4, HEAD on Python 3.12.9"]
    assert small_differences(before, Conditions([process(python="3.13.0")])) == []
