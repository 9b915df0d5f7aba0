"""The work of all contexts, file by file, is the work that `ContextWork` finds for each line and each function."""

import pytest
from counted_tests import PROGRAM
from recorded import Tree

from instrument.analysis.contexts.by_file import PatternsByFile
from instrument.analysis.contexts.names import PHASES, context_of
from instrument.analysis.contexts.work import ContextWork
from instrument.data.query import StoredMeasurement
from instrument.errors import DataError


@pytest.fixture(scope="module")
def counted(tmp_path_factory):
    """Return the Tree of a program that ran twice, with its tests counted apart: contexts have patterns twice."""
    tree = Tree(tmp_path_factory.mktemp("counted"))
    for _ in range(2):
        tree.run(PROGRAM, _INSTRUMENT_CONTEXTS="1", PYTEST_CURRENT_TEST="")
    return tree


def number_of(context, patterns):
    """Return the number that *patterns*, a PatternsByFile, must give to *context*."""
    n = len(patterns.tests)
    if context.is_test:
        return PHASES.index(context.phase) * n + patterns.tests.index(context.name)
    return 3 * n + patterns.others.index(context.name)


def sums(patterns, count_of):
    """Return the sum of *count_of* over *patterns*, by number of the context."""
    total = {}
    for pattern in patterns:
        for context in pattern.contexts:
            if n := count_of(pattern):
                total[context] = total.get(context, 0) + n
    return total


def test_lines_and_functions_have_the_counts_of_the_oracle(counted):
    """Each line and each function of the program, in each context."""
    with StoredMeasurement([str(counted.data)]) as stored:
        work, by_file = ContextWork(stored), PatternsByFile(stored)
        [file] = stored.files()
        patterns = list(by_file.of_file([file]))

        def numbered(counts):
            return {number_of(context_of(name), by_file): n for name, n in counts.items()}

        lines = {line for pattern in patterns for line in pattern.lines}
        assert lines == {*stored.counts(file).lines.counts()}
        for line in lines:
            assert sums(patterns, lambda each: each.lines.get(line, 0)) == numbered(work.of_line([file], line)), line
        functions = work.functions([file])
        assert {pattern.function for pattern in patterns} <= functions
        for function in functions:
            found = sums(patterns, lambda each: each.entered if each.function == function else 0)
            assert found == numbered(work.of_function([file], function)), function
        assert by_file.reasons == []


def test_contexts_are_sorted_with_phases_of_tests_first(counted):
    """Neighbouring tests have neighbouring numbers; contexts that are no tests come last."""
    with StoredMeasurement([str(counted.data)]) as stored:
        by_file = PatternsByFile(stored)
        assert by_file.has_contexts
        assert by_file.tests == ["t.py::test_one", "t.py::test_two[a b]"]
        assert by_file.others == ["", "session fixture db"]
        for pattern in by_file.of_file(stored.files()):
            assert [*pattern.contexts] == sorted(pattern.contexts)
            assert 0 <= pattern.contexts[0] <= pattern.contexts[-1] < 3 * 2 + 2


def test_data_without_contexts_have_none(tmp_path):
    """Then no pattern is yielded."""
    tree = Tree(tmp_path)
    tree.run("x = 1\n")
    with StoredMeasurement([str(tree.data)]) as stored:
        by_file = PatternsByFile(stored)
        assert not by_file.has_contexts
        assert list(by_file.of_file(stored.files())) == []


def test_impossible_work_is_left_out_with_a_reason(counted, monkeypatch):
    """The reason names the file."""
    with StoredMeasurement([str(counted.data)]) as stored:
        by_file = PatternsByFile(stored)
        [file] = stored.files()
        n_patterns = len(list(by_file.of_file([file])))
        plans = next(stored.patterns(stored.contexts(), file)).plans
        good = type(plans).counts_of_code

        def counts_of_code(self, code, counts):
            found = good(self, code, counts)
            if found[0] == "price":
                raise DataError("its counts contradict each other")
            return found

        monkeypatch.setattr(type(plans), "counts_of_code", counts_of_code)
        left = list(by_file.of_file([file]))
        assert 0 < len(left) < n_patterns
        assert {pattern.function[0] for pattern in left}.isdisjoint({"price"})
        assert by_file.reasons == [f"{file[0]}: its counts contradict each other"]
