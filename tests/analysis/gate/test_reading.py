"""The work of a run, as data files have it."""

import pytest
from counted_tests import PROGRAM
from gate_programs import tree_of
from recorded import Tree

from instrument.analysis.contexts.work import ContextWork
from instrument.analysis.gate.reading import Reading
from instrument.analysis.gate.work import EXECUTIONS, INSTRUCTIONS, FunctionPlace
from instrument.analysis.patterns import FilePatterns
from instrument.data.query import StoredMeasurement


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """The measurement of a program with generators, children and forks in its tests."""
    tree = Tree(tmp_path_factory.mktemp("counted"))
    tree.run(PROGRAM, _INSTRUMENT_CONTEXTS="1", PYTEST_CURRENT_TEST="")
    with StoredMeasurement([str(tree.data)]) as measurement:
        yield measurement


def sums(works, field):
    """Return the sum of *field* over *works*, by key."""
    total = {}
    for work in works:
        for key, n in getattr(work, field).items():
            total[key] = total.get(key, 0) + n
    return total


def test_functions_have_all_work_of_the_run(stored):
    """By line, and by arc; functions that never ran have none."""
    work = Reading(stored, FilePatterns()).work
    [file] = stored.files()
    flow = stored.flow([file])
    for field in (INSTRUCTIONS, EXECUTIONS):
        assert sums(work.functions.values(), field) == {line: n for line, n in getattr(flow, field).items() if n}
    arcs = {}
    for (_, line, target), n in flow.arcs.items():
        arcs[line, target] = arcs.get((line, target), 0) + n
    assert sums(work.functions.values(), "arcs") == {arc: n for arc, n in arcs.items() if n}
    assert work.functions[FunctionPlace(file[0], "never", 14)].amount(INSTRUCTIONS) == 0
    assert {place[1:]: each.calls for place, each in work.functions.items()} == {
        function: each.calls for function, each in flow.functions.items()
    }


def test_tests_have_the_work_of_their_phases(stored):
    """As other commands show it. The parts are quick to add up, and say the same in full."""
    work = Reading(stored, FilePatterns()).work
    contexts = ContextWork(stored)
    assert sorted(work.tests) == ["t.py::test_one", "t.py::test_two[a b]"]
    for name, amount in work.amounts_of_tests(INSTRUCTIONS, {}).items():
        [shown] = contexts.of_contexts([each for each in contexts.names() if each.startswith(f"{name}|")])
        assert sums(work.of_test(name).values(), INSTRUCTIONS) == {line: n for line, n in shown.flow.instructions.items() if n}
        assert amount == sum(shown.flow.instructions.values()) > 0
    for part in work.parts.values():
        assert part.amount(INSTRUCTIONS) == part.work().amount(INSTRUCTIONS)
        assert part.amount(EXECUTIONS) == part.work().amount(EXECUTIONS)


COMPREHENSIONS = """\
class Basket:
    prices = [n for n in range(3)]
    def total(self):
        return sum(p for p in [q * 2 for q in self.prices if q])
def keyed():
    return {a: {b for b in range(a)} for a in range(3)}
def test_all():
    Basket().total()
    keyed()
"""


def test_comprehensions_are_parts_of_their_functions(tmp_path):
    """On each version of Python, however deep they are."""
    tree = tree_of(tmp_path, COMPREHENSIONS)
    with StoredMeasurement([str(tree.data)]) as measurement:
        work = Reading(measurement, FilePatterns()).work
    names = {place.name for place in work.functions}
    assert names >= {"<module>", "Basket", "Basket.total", "keyed", "test_all"}
    assert not any(name.endswith(("comp>", "<genexpr>")) for name in names)
    assert {place.name: each.calls for place, each in work.functions.items()}["keyed"] == 1


def test_a_file_of_several_versions_is_left_out(tmp_path):
    """Its lines have different meanings in the same data."""
    tree = Tree(tmp_path)
    tree.run("x = 1\n")
    tree.run("x = 2\n")
    with StoredMeasurement([str(tree.data)]) as measurement:
        reading = Reading(measurement, FilePatterns())
    assert reading.work.functions == {}
    assert reading.reasons == {str(tree.path): "its source changed between the runs in these data; name data of one version"}


def test_patterns_choose_files(stored):
    """All paths are known nevertheless."""
    reading = Reading(stored, FilePatterns(omit=["*program.py"]))
    assert (reading.work.functions, reading.work.parts) == ({}, {})
    assert [path.rpartition("/")[2] for path in reading.paths] == ["program.py"]


def test_lines_keep_their_shapes_when_they_move(tmp_path):
    """Into a loop, and behind comments; a changed line has another shape."""
    shapes = []
    for name, source in (
        ("one", "def f(x):\n    y = x.a + 1\n    return y\ndef test_all():\n    pass\n"),
        ("other", "# c\ndef f(x):\n    for x in x:\n        y = x.a + 1\n    y = x.abc + 1\n    return y\ndef test_all():\n    pass\n"),
    ):
        tree = tree_of(tmp_path / name, source)
        with StoredMeasurement([str(tree.data)]) as measurement:
            reading = Reading(measurement, FilePatterns())
            reading.find_shapes(reading.paths)
        shapes += [each for place, each in reading.work.shapes.items() if place.name == "f"]
    one, other = shapes
    assert (one[2], one[3]) == (other[4], other[6])
    assert other[4] != other[5]
