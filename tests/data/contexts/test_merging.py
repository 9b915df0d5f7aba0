"""Contexts of all processes add up: each pattern is in the sum once, under a number of its own."""

import sqlite3
from collections import Counter

import pytest
from data_files import add
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from processes import A_CHANGED, A, B, process

from instrument.data.merge import Merge
from instrument.data.query import StoredMeasurement
from instrument.data.scratch import Scratch
from instrument.data.writer import Writer
from instrument.model import pattern_numbers
from instrument.model.probe_counts import ProbeCounts

FILES = [A, A_CHANGED, B]
NAMES = ["", "tests/t.py::test|call", "t|setup", "täst[\udc80]|call"]


def counts(*fired):
    """Return encoded ProbeCounts of a code object whose probes fired so often."""
    probes = ProbeCounts(len(fired))
    for number, n in enumerate(fired):
        probes.fired[number] = n
    return probes.encoded()


#: File, name of the plan file, number of the code object, and counts.
contents = st.tuples(
    st.sampled_from(FILES), st.sampled_from(["p" * 64, "q" * 64]), st.integers(0, 2), st.builds(counts, st.integers(0, 2))
)
#: The data of a process: patterns, and for each context the places of its patterns in that list.
processes = st.lists(contents, min_size=1, max_size=8, unique=True).flatmap(
    lambda patterns: st.tuples(
        st.just(patterns),
        st.dictionaries(st.sampled_from(NAMES), st.lists(st.integers(0, len(patterns) - 1), max_size=6), max_size=3),
    )
)


def write(folder, name, patterns, contexts, *, ended="exit"):
    """Write the data of a process with these patterns and contexts; return the path of its file."""
    writer = Writer(str(folder), process(name), has_contexts=True)
    writer.write(
        {"lines": [(file, {1: (1, 1.0, 2.0)}) for file in FILES]},
        {},
        ended,
        patterns=[(number, *content) for number, content in enumerate(patterns, 1)],
        contexts=[(name, pattern_numbers.encoded(place + 1 for place in places)) for name, places in contexts.items()],
    )
    return writer.path


def contexts_in(path):
    """Return how often each context has each pattern in the data file at *path*, a dict of counters by name."""
    connection = sqlite3.connect(path)
    connection.text_factory = bytes
    query = "SELECT number, path, version, plan, code, counts FROM pattern JOIN file ON file.id = file"
    patterns = {number: content for number, *content in connection.execute(query)}
    found = {}
    for part, name, numbers in connection.execute("SELECT part, name, patterns FROM context"):
        found[part, name] = Counter(tuple(patterns[number]) for number in pattern_numbers.decoded(numbers))
    connection.close()
    return found


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=40)
@given(st.lists(processes, min_size=1, max_size=4), st.randoms(use_true_random=False))
def test_contexts_add_up(tmp_path_factory, written, randomness):
    """So they do in any order, and if a file is added again, or a sum of some files first."""
    folder = tmp_path_factory.mktemp("data")
    paths = [write(folder, f"p{number}", *each) for number, each in enumerate(written)]
    expected = {}
    for patterns, contexts in written:
        for name, places in contexts.items():
            total = expected.setdefault(name, Counter())
            for place in places:
                (path, version), plan, code, encoded = patterns[place]
                total[path.encode(), version.encode(), plan.encode(), code, encoded] += 1
    randomness.shuffle(paths)
    n_first = randomness.randint(0, len(paths))
    with Scratch() as scratch, Merge(str(folder / "first.sqlite"), scratch) as merge:
        merge.add_all(paths[:n_first])
    with Scratch() as scratch, Merge(str(folder / "sum.sqlite"), scratch) as merge:
        merge.add_all([*([str(folder / "first.sqlite")] if n_first else []), *paths, paths[0]])
        assert merge.refused == []

    found = {name.decode("utf-8", "surrogatepass"): total for (part, name), total in contexts_in(folder / "sum.sqlite").items()}
    assert found == expected


def test_newer_contexts_of_a_process_replace_older_ones(tmp_path):
    """A running process has a part to itself."""
    pattern = (A, "p" * 64, 0, counts(1))
    writer = Writer(str(tmp_path), process("one"), has_contexts=True)
    row = [(1, *pattern)]
    writer.write({}, {}, patterns=row, contexts=[("t|call", pattern_numbers.encoded([1]))])
    writer.write({"lines": [(A, {1: (1, 1.0, 2.0)})]}, {}, contexts=[("t|call", pattern_numbers.encoded([1, 1, 1]))])
    with StoredMeasurement([writer.path]) as stored:
        assert stored.contexts().numbers("t|call") == [1, 1, 1]
        assert stored.contexts().numbers("other") == []
        assert stored.contexts().names() == ["t|call"]


def _changed(path, statement, *values):
    connection = sqlite3.connect(path)
    connection.execute(statement, values)
    connection.commit()
    connection.close()


@pytest.mark.parametrize(
    ("statement", "values", "reason"),
    [
        ("UPDATE context SET patterns = ?", [pattern_numbers.encoded([9])], "a pattern that it lacks"),
        ("UPDATE context SET patterns = ?", [b"no zlib"], "the patterns of a context are damaged"),
        ("UPDATE context SET patterns = ?", [pattern_numbers.encoded([1])[:-3]], "too many, or cut off"),
        ("UPDATE context SET part = 7", [], "a value that cannot be"),
        ("UPDATE pattern SET number = 'x'", [], "a value that cannot be"),
        ("UPDATE pattern SET file = 99", [], "a value that cannot be"),
        ("UPDATE pattern SET number = 1", [], "two patterns with one number"),
    ],
)
def test_contexts_that_cannot_be_are_refused(tmp_path, statement, values, reason):
    """A forged file spoils no other one."""
    content = [(A, "p" * 64, 0, counts(1)), (A, "p" * 64, 1, counts(1))]
    good = write(tmp_path, "one", content, {"t|call": [0, 1]})
    bad = write(tmp_path, "two", content, {"t|call": [0]})
    _changed(bad, statement, *values)

    lines, [why] = add([good, bad])
    assert reason in why
    assert lines == {file: {1: 1} for file in FILES}


def test_files_of_format_4_have_no_contexts(tmp_path):
    """They are read and combined as before."""
    path = write(tmp_path, "one", [(A, "p" * 64, 0, counts(1))], {"t|call": [0]})
    for statement in ("DROP TABLE pattern", "DROP TABLE context", "PRAGMA user_version = 4"):
        _changed(path, statement)
    with StoredMeasurement([path]) as stored:
        assert stored.contexts().names() == []
        assert dict(stored.counts(A).lines.counts()) == {1: 1}


@given(st.lists(st.integers(0, 1 << 31), max_size=200))
def test_numbers_come_back(numbers):
    """Numbers of patterns are stored sorted."""
    assert pattern_numbers.decoded(pattern_numbers.encoded(numbers)) == sorted(numbers)
