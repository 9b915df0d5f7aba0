"""The numbers of an export: units, the greatest count, and names that are lines of text."""

import pytest
from exporting import BODIES, COUNTS, FUNCTIONS, LINES, SOURCE, TEXTS, analysed, files, flows, ways_of
from hypothesis import given
from hypothesis import strategies as st

from instrument.analysis.file_analysis import EVENTS, EXECUTIONS
from instrument.errors import DataError
from instrument.model.flow_counts import FlowCounts
from instrument.report.exports.numbers import Exported, FileNumbers, unique_names

# Many files are analysed.
pytestmark = pytest.mark.slow


@given(files(with_flow=True), st.sampled_from([EVENTS, EXECUTIONS]), COUNTS.filter(bool))
def test_counts_are_those_of_the_unit_up_to_the_greatest(file, unit, greatest):
    """Lines, calls, ways and instructions each have the count of the unit, or the greatest."""
    numbers = FileNumbers(file, unit, greatest)
    flow, is_executions = file.flow, unit == EXECUTIONS
    lines = {**dict.fromkeys(LINES, 0), **file.counts.lines.counts()}
    if is_executions:
        lines |= {line: count for line, count in flow.executions.items() if count}
    if is_executions:
        calls = {key: flow.functions[key].calls for key in FUNCTIONS}
    else:
        calls = {key: 0 for key, count in file.uncalled().items() if count == 0} | file.counts.functions.counts()

    assert list(numbers.lines) == LINES
    assert numbers.lines == {line: min(lines[line], greatest) for line in LINES}
    assert {each.name: each.calls for each in numbers.functions} == {
        FUNCTIONS[key]: min(count, greatest) for key, count in calls.items()
    }
    assert {each.line: list(each.targets.values()) for each in numbers.ways} == {
        line: [min(count, greatest) for count in counts] for line, counts in ways_of(flow).items()
    }
    assert numbers.instructions == {line: min(count, greatest) for line, count in flow.instructions.items()}


def test_functions_have_the_lines_of_their_bodies(tmp_path):
    """The first line of a function is not in its body, and functions of one name have the line in the name."""
    numbers = FileNumbers(analysed(tmp_path / "shop.py", {1: 1}, dict.fromkeys(FUNCTIONS, 1)), EVENTS)

    assert {each.name: each.body for each in numbers.functions} == BODIES
    assert {each.name: each.key for each in numbers.functions} == {name: key for key, name in FUNCTIONS.items()}


@given(flows())
def test_the_unit_is_executions_if_all_files_that_ran_have_a_flow(tmp_path_factory, flow):
    """Otherwise it is events. Executions that are asked for, and not known, are an error that names the file."""
    folder = tmp_path_factory.getbasetemp()
    with_flow = analysed(folder / "a.py", {1: 1}, flow=flow)
    without = analysed(folder / "b.py", {1: 1})
    never_ran = analysed(folder / "c.py", {})

    assert Exported([with_flow, never_ran]).unit == EXECUTIONS
    assert Exported([with_flow, never_ran], EVENTS).unit == EVENTS
    assert Exported([with_flow, without]).unit == EVENTS
    with pytest.raises(DataError, match=r"executions are not known of '.*b\.py'"):
        Exported([with_flow, without, never_ran], EXECUTIONS)


def test_sources_that_have_changed_are_left_out(tmp_path):
    """Their lines would be those of another text."""
    file, other = analysed(tmp_path / "a.py", {1: 1}), analysed(tmp_path / "b.py", {1: 1})
    (tmp_path / "a.py").write_text("pass\n")
    changed = type(file)(file.path, file.version, file.counts, measured_at=[file.path])
    exported = Exported([changed, other])

    assert [numbers.file for numbers in exported.files] == [other]
    assert exported.left_out == [changed.source]


def test_lines_that_no_source_has_are_left_out(tmp_path):
    """A data file can name any line."""
    file = analysed(tmp_path / "a.py", {1: 1, 25: 1, 26: 1, 2**40: 1})

    assert list(FileNumbers(file, EVENTS).lines) == LINES
    assert SOURCE.count("\n") == 25


def test_ways_that_are_not_missing_are_left_out(tmp_path):
    """`# pragma: no branch` says so."""
    flow = FlowCounts()
    flow.arcs = {(("f", 1), 2, 3): 4, (("f", 1), 2, 0): 0, (("f", 1), 4, 5): 4, (("f", 1), 4, 0): 0}
    source = "def f():\n    if 1 + 1:  # pragma: no branch\n        x = 1\n    if x:\n        return 2\n"
    numbers = FileNumbers(analysed(tmp_path / "a.py", {2: 4}, flow=flow, source=source), EVENTS)

    assert [tuple(each) for each in numbers.ways] == [(2, {3: 4}), (4, {0: 0, 5: 4})]
    assert (numbers.n_ways, numbers.n_ways_taken) == (3, 2)


@given(st.lists(st.tuples(TEXTS, st.integers(1, 3))))
def test_names_are_different_lines_of_text(keys):
    """No name has a character that is not printable, and no two are the same."""
    names = unique_names(keys)

    assert len(set(names)) == len(names) == len(keys)
    assert all(name.isprintable() for name in names)
