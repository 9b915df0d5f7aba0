"""Measurements add: sums do not depend on the order, no field is left out, and no process counts twice."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from instrument.model.counts import Counts
from instrument.model.measured_process import MeasuredProcess
from instrument.model.measurement import FACTS, GREATEST_COUNT, FileCounts, Measurement, Series, Tally

A = ("/src/a.py", "sha256:a")
B = ("/src/b.py", "sha256:b")


def measured_process(name, **changes):
    """Return a process *name*, with *changes* to its row."""
    row = {"id": name, "pid": 1, "parent": 0, "host": "h", "place": "", "ticks": 0, "started": 1.0, "root": 0}
    row |= {"python": "3.12.1", "directory": "/src", "scope": "", "flushes": 1, "updated": 2.0, "ended": "exit"}
    return MeasuredProcess(**{**row, **changes})


@st.composite
def series(draw, keys):
    """Draw a series whose times are in order."""
    result = Series()
    for key in draw(st.sets(keys, max_size=4)):
        first, last = sorted(draw(st.tuples(st.integers(0, 99), st.integers(0, 99))))
        result.add(key, draw(st.integers(1, GREATEST_COUNT // 8)), float(first), float(last))
    return result


FUNCTIONS = st.tuples(st.sampled_from("fg"), st.integers(1, 3))


def keys_of(fact):
    """Return a strategy for the keys of *fact*: values of its columns, a tuple if there is more than one."""
    columns = [st.integers(1, 5) if kind is int else st.sampled_from("fg") for _, kind in fact.columns]
    return columns[0] if len(columns) == 1 else st.tuples(*columns)


@st.composite
def file_counts(draw):
    """Draw counts of a file, in all fields."""
    counts = FileCounts()
    for fact in FACTS:
        setattr(counts, fact.field, draw(series(keys_of(fact))))
    counts.given_out = draw(st.dictionaries(FUNCTIONS, st.sets(st.sampled_from(["dill", "marshal"]), min_size=1)))
    return counts


@st.composite
def measurements(draw, names):
    """Draw a measurement of the processes *names*, in all fields."""
    measurement = Measurement()
    files = st.dictionaries(st.sampled_from([A, B]), file_counts(), max_size=2)
    measurement.files = draw(files)
    measurement.not_measured = draw(st.dictionaries(st.sampled_from("cd"), st.sets(st.sampled_from("xy"), min_size=1)))
    measurement.processes = {name: PROCESSES[name] for name in names}
    return measurement


PROCESSES = {name: measured_process(name) for name in "pqr"}


def test_a_code_object_adds_to_its_file():
    """Lines and entries of `Counts` become tallies, with the time at which they were seen."""
    counts = FileCounts()
    counts.add_code(("f", 1), Counts({1: 2, 2: 3}, entered=2), 10.0)
    counts.add_code(("f", 1), Counts({2: 1}), 20.0)

    assert dict(counts.lines.items()) == {1: (2, 10.0, 10.0), 2: (4, 10.0, 20.0)}
    assert dict(counts.functions.items()) == {("f", 1): (2, 10.0, 10.0)}


def test_a_tally_names_its_parts():
    """Count, first and last time are attributes, and the tally is a tuple of them."""
    tally = Tally((3, 10.0, 20.0))

    assert (tally.count, tally.first, tally.last) == tally == (3, 10.0, 20.0)


def test_a_series_is_a_mapping_of_keys_to_tallies():
    """All ways to look at a series agree."""
    lines = Series()
    lines.add(7, 1, 2.0, 3.0)
    lines.add(5, 4, 5.0, 6.0)

    assert list(lines) == list(lines.keys()) == [7, 5]
    assert len(lines) == 2
    assert 7 in lines
    assert 1 not in lines
    assert lines[5] == (4, 5.0, 6.0)
    assert lines.counts() == {7: 1, 5: 4}
    assert lines.tallies([5]) == {5: (4, 5.0, 6.0)}
    with pytest.raises(KeyError):
        lines[1]


def test_counts_of_many_lines_are_those_of_each_line():
    """Whether the lines are new, known, or both."""
    at_once, one_by_one = Series(), Series()
    for now, counts in enumerate([{3: 1, 1: 2}, {2: 5}, {}, {1: 7, 4: 1}, {5: 1}]):
        at_once.count_all(counts, float(now))
        for line, count in counts.items():
            one_by_one.count(line, count, float(now))

    assert list(at_once.items()) == list(one_by_one.items())
    assert at_once.tallies([4, 1, 5, 3, 2]) == dict(one_by_one.items())


@settings(max_examples=min(40, settings().max_examples))
@given(measurements("p"), measurements("q"), measurements("r"))
@pytest.mark.slow
def test_the_order_of_a_sum_does_not_matter(one, two, three):
    """Sums commute and associate, and leave their parts as they are."""
    total = one + two + three

    assert total == one + (two + three) == three + two + one
    assert one + Measurement() == one


@pytest.mark.parametrize("kind", [FileCounts, Measurement])
def test_no_field_is_left_out_of_a_sum(kind):
    """Each field of the sum has the content of both parts."""
    parts = kind(), kind()
    for name, part in zip("pq", parts, strict=True):
        for field in kind.__slots__:
            fill(getattr(part, field), field, name)
    total = parts[0] + parts[1]

    for field in kind.__slots__:
        names = getattr(total, field)
        assert len(names) == 2, f"{kind.__name__}.__iadd__ forgets {field}"


def test_every_series_of_a_file_is_a_fact():
    """A Series that FACTS does not name would be left out of sums and data files."""
    counts = FileCounts()

    assert {field for field in FileCounts.__slots__ if isinstance(getattr(counts, field), Series)} == {
        fact.field for fact in FACTS
    }


def counts_with(field, n):
    """Return Counts of nothing but *n* in *field*: under the key *n* if the field is a dict."""
    counts = Counts()
    setattr(counts, field, {n: n} if isinstance(getattr(counts, field), dict) else n)
    return counts


@pytest.mark.parametrize("field", Counts.__slots__)
def test_no_field_of_a_code_object_is_left_out(field):
    """Sums, comparisons, truth value and text of Counts cover each field."""
    one, two = counts_with(field, 3), counts_with(field, 5)
    total = getattr(one + two, field)

    assert total in (8, {3: 3, 5: 5})
    assert one == counts_with(field, 3)
    assert one != two
    assert one
    assert not Counts()
    assert f"{field} {total}" in repr(one + two)


@pytest.mark.parametrize("field", Counts.__slots__)
def test_every_field_of_a_code_object_is_added_to_its_file(field):
    """If this fails, `FileCounts.add_code` leaves the field out."""
    counts = FileCounts()
    changed = counts.add_code(("f", 1), counts_with(field, 3), 10.0)

    assert {name: set(keys) for name, keys in changed.items() if keys} == {
        fact.field: set(series) for fact, series in counts.series() if series
    }
    assert sum(sum(series.counts().values()) for _, series in counts.series()) == 3


def test_sums_of_lines_add_up():
    """The count of a line in both parts is the sum, and neither part changes."""
    one, two = Counts({1: 2, 2: 3}), Counts({2: 1, 3: 0})

    assert (one + two).lines == {1: 2, 2: 4}
    assert (one.lines, two.lines) == ({1: 2, 2: 3}, {2: 1, 3: 0})


def fill(value, field, name):
    """Put an entry *name* into *value*, the content of a *field*; fail for a field that is not known here."""
    if isinstance(value, Series):
        value.add(name, 1, 1.0, 1.0)
        return
    entries = {
        "given_out": lambda: value.update({(name, 1): {"dill"}}),
        "files": lambda: value.update({(name, "sha256:"): FileCounts()}),
        "not_measured": lambda: value.update({name: {"it is frozen"}}),
        "processes": lambda: value.update({name: PROCESSES[name]}),
    }
    entries[field]()


@settings(max_examples=min(40, settings().max_examples))
@given(measurements("p"), measurements("q"))
@pytest.mark.slow
def test_a_sum_shares_nothing_with_its_parts(one, two):
    """To count on in a sum changes neither part."""
    before = one + Measurement()
    total = one + two
    for key in [A, B]:
        total.file(key).add_code(("f", 1), Counts({1: 1}, 1), 100.0)
        total.file(key).given_out.setdefault(("f", 1), set()).add("cloudpickle")
    total.not_measured.setdefault("c", set()).add("z")

    assert one == before


def test_a_sum_ends_at_the_greatest_count():
    """No count overflows, or becomes a floating point number."""
    lines = Series()
    for _ in range(3):
        lines.add(1, GREATEST_COUNT - 1, 1.0, 1.0)

    assert lines.counts() == {1: GREATEST_COUNT}


def test_counts_of_one_process_never_add_to_themselves():
    """Two measurements that share a process are refused: the counts of the process would count twice."""
    one, two = Measurement(), Measurement()
    one.processes, two.processes = {"p": PROCESSES["p"]}, dict(PROCESSES)

    with pytest.raises(ValueError, match="the counts of 1 processes are in both"):
        one += two


def test_a_process_without_a_scope_measured_its_own_code():
    """An empty scope is the project's own code; an unknown one is None."""
    assert measured_process("p", scope="").scope == ()
    assert measured_process("p", scope="shop\n/src").scope == ("shop", "/src")
    assert measured_process("p", scope=None).scope is None
    assert not measured_process("p").is_optimized
    assert measured_process("p", python="3.12.1 -OO").is_optimized
