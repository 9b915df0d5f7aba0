"""Readers recover the same counts from a plan file as the process itself; damaged plan files are named."""

import random

import pytest
from small_runs import FILE
from taken_counts import taken_counts

from instrument.errors import DataError, InstrumentError
from instrument.flow import placement
from instrument.model.probe_counts import ProbeCounts, decoded
from instrument.plans.group_plans import GroupPlans
from instrument.plans.plan_file import LENGTH_OF_NAME, content_of, name_of
from instrument.record.reading import Reading
from instrument.session.session import Session

SOURCE = """\
def f(n):
    for i in range(n):
        try:
            1 / (i % 3)
        except ZeroDivisionError:
            if i > 4 and n:
                yield i

def g():
    return [x for x in range(5) if x % 2]

suspended = f(9)
next(suspended)
g()
try:
    g(1)
except TypeError:
    pass
"""


@pytest.fixture(scope="module")
def ran():
    """The code group of SOURCE, which ran, its ProbeCounts, and the counts that the process recovers."""
    session = Session(placement.MINIMAL)
    readings = [Reading(session, lambda: True) for _ in range(2)]
    exec(session.instrument_exec_code(compile(SOURCE, FILE, "exec"), FILE), names := {})
    assert names["suspended"].gi_frame is not None
    [delta] = readings[0].take()
    group = delta.span.group
    probes = ProbeCounts(group.starts[-1])
    probes.add(0, delta.fired, delta.exits, delta.in_flight)
    recovered = {(name, group.first_line(index)): counts for _, index, name, counts in taken_counts(readings[1])}
    assert probes.exits
    assert len(recovered) > 2
    return group, probes, recovered


def test_a_reader_recovers_the_same_as_the_process(ran):
    """The counts of probes and the plan file suffice, also with exits."""
    group, probes, recovered = ran
    plans = GroupPlans(content_of(group))
    counted = {(name, line): counts for name, line, counts in plans.counts(decoded(probes.encoded()))}

    assert counted == recovered
    assert {(name, line) for _, name, line in plans.functions()} >= counted.keys()
    assert plans.n_counters == len(probes.fired)


def test_equal_code_has_one_plan_file():
    """The name depends on the code, and not on the process or the path."""
    names = set()
    for path in (FILE, "/other.py", FILE):
        session = Session(placement.MINIMAL)
        exec(session.instrument_exec_code(compile(SOURCE, path, "exec"), path), {})
        names.update(name_of(content_of(group)) for group in session.groups.values())
    other = Session(placement.MINIMAL)
    exec(other.instrument_exec_code(compile(SOURCE + "g()\n", FILE, "exec"), FILE), {})
    [group] = other.groups.values()

    assert len(names) == 1
    assert all(len(name) == LENGTH_OF_NAME for name in names)
    assert name_of(content_of(group)) not in names


@pytest.mark.slow
def test_damaged_plans_are_named(ran):
    """However the bytes are changed, a reader gets counts or an error of this package."""
    group, probes, _ = ran
    content = content_of(group)
    rng = random.Random(1)
    n_refused = 0
    for _ in range(3_000):
        changed = bytearray(content)
        for _ in range(rng.randrange(1, 4)):
            changed[rng.randrange(len(changed))] = rng.randrange(256)
        try:
            plans = GroupPlans(bytes(changed[: rng.choice([None, None, rng.randrange(len(changed))])]))
            list(plans.functions())
            list(plans.counts(probes))
        except InstrumentError:
            n_refused += 1
    assert n_refused > 2_000


def test_counts_of_other_code_are_refused(ran):
    """The number of counters tells."""
    group, _, _ = ran
    with pytest.raises(DataError, match="counters, and the counts 1"):
        list(GroupPlans(content_of(group)).counts(ProbeCounts(1)))
    with pytest.raises(DataError, match="no plan file"):
        GroupPlans(b"x")


def test_counts_with_more_places_than_the_code_has_are_refused_unread(ran):
    """Forged counts may have millions of places, whose reading takes long."""
    group, probes, _ = ran
    plans = GroupPlans(content_of(group))
    assert plans.counts_in(probes.encoded()).exits == probes.exits
    n_positions = group.keys()[-1]
    for exits, places in ((dict.fromkeys(range(n_positions + 1), 1), {}), ({}, {(0, unit): 1 for unit in range(2**16 + 1)})):
        forged = ProbeCounts(group.starts[-1])
        forged.add(0, probes.fired, exits, places)
        with pytest.raises(DataError, match="more places than its code"):
            plans.counts_in(forged.encoded())
