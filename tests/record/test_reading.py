"""A reading takes the counts of a session piece by piece, and adds up those of retired code."""

import pytest
from small_runs import FILE
from taken_counts import taken_counts

from instrument.flow import placement
from instrument.link.cache import Batch
from instrument.record.reading import _MOST_READINGS, Reading, _remaining
from instrument.session.session import Session


@pytest.mark.slow
def test_counts_of_retired_code_are_kept_once_for_each_text():
    """Equal texts take no more memory each time, and the counts of different texts are not mixed up."""
    own_session = Session(placement.MINIMAL)
    reading = Reading(own_session, lambda: True)
    for number in range(3000):
        source = "x = 1\n" if number % 2 else "x = 1\ny = 2\n"
        exec(own_session.instrument_exec_code(compile(source, FILE, "exec"), FILE))
    assert len(own_session.short_lived) < 1500
    # The group that was retired last of each file stands for later groups of equal text.
    texts = {}
    for group, _, _, counts in taken_counts(reading):
        lines = texts.setdefault(group.rewritten(), {})
        for line, n in counts.lines.items():
            lines[line] = lines.get(line, 0) + n
    assert sorted(texts.values(), key=len) == [{1: 1500}, {1: 1500, 2: 1500}]


@pytest.mark.slow
def test_counts_of_equal_texts_are_added_up_when_they_are_banked():
    """All of them have one entry among the banked counts."""
    own_session = Session(placement.MINIMAL)
    reading = Reading(own_session, lambda: True)
    for _ in range(2000):
        exec(own_session.instrument_exec_code(compile("x = 1\n", FILE, "exec"), FILE))
    assert len(own_session.short_lived) < 1500
    assert len(reading._banked) == 1
    assert sum(counts.lines[1] for *_, counts in taken_counts(reading)) == 2000


def test_a_reading_that_begins_later_has_the_same_counts():
    """The recorder makes its reading once it needs one. Exits and frames in flight are among the counts."""
    own_session = Session(placement.MINIMAL)
    first = Reading(own_session, lambda: True)
    source = "def f(n):\n    for i in range(n):\n        try:\n            1 / (i % 2)\n        except ZeroDivisionError:\n            yield i\n"
    names = {}
    exec(own_session.instrument_exec_code(compile(source, FILE, "exec"), FILE), names)
    suspended = names["f"](9)
    assert [next(suspended), next(suspended)] == [0, 2]
    second, from_now_on = Reading(own_session, lambda: True, from_first_code=True), Reading(own_session, lambda: True)

    def taken(reading):
        return {name: (dict(counts.lines), counts.entered) for *_, name, counts in taken_counts(reading)}

    both = taken(first), taken(second)
    assert both[0] == both[1] != {}
    assert taken(from_now_on) == {}
    assert [*suspended] == [4, 6, 8]
    both = taken(first), taken(second)
    assert both[0] == both[1] == taken(from_now_on) != {}


def test_code_that_is_linked_during_a_reading_is_in_the_next_one():
    """An exit may be taken in it before the reading is over: the counters were read before they existed."""
    own_session = Session(placement.MINIMAL)
    reading = Reading(own_session, lambda: True)
    source = "try:\n    1 / 0\nexcept ZeroDivisionError:\n    x = 1\n"

    def link_and_run():
        code = compile(source, FILE, "exec")
        (live,) = own_session.instrument_existing_code([code], FILE, Batch(own_session.unlinked_code.cache()))
        exec(live)

    link_and_run()
    now = _remaining(own_session.counters)
    link_and_run()  # another thread does this
    first, _ = own_session.groups.values()
    assert reading._baseline.changed_groups(now, set(), lambda: True) == [first]
    assert [dict(counts.lines) for *_, counts in taken_counts(reading)] == [{1: 1, 2: 1, 3: 1, 4: 1}] * 2


def test_code_that_runs_within_each_reading_does_not_move_that_of_others():
    """An audit hook that is counted runs whenever frames are read. Other code objects of its file are read at once."""
    own_session = Session(placement.MINIMAL)
    reading = Reading(own_session, lambda: True)
    source = """\
def hook(*event):
    try:
        1 / 0
    except ZeroDivisionError:
        return
def work(n):
    for i in range(n):
        yield i
"""
    names = {}
    exec(own_session.instrument_exec_code(compile(source, FILE, "exec"), FILE), names)
    suspended = names["work"](5)
    next(suspended)
    n_calls, n_spans = 0, []

    def read_around_frames(read, records):
        """Do as the function in place of which this is, while the hook and another thread run between readings."""
        nonlocal n_calls
        before, in_flight = read(), {}
        n_spans.append(len(before))
        names["hook"]()
        n_calls += 1
        if n_calls == 1:
            next(suspended)
        return before, in_flight, read()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("instrument.record.reading.read_around_frames", read_around_frames)
        counts = {name: dict(each.lines) for *_, name, each in taken_counts(reading)}
    assert n_spans == [1, 3, *[1] * (_MOST_READINGS - 1)]
    assert counts["work"] == {7: 2, 8: 2}
    assert counts["hook"] == dict.fromkeys((2, 3, 4, 5), n_calls)


def test_work_is_taken_again_after_the_caller_was_interrupted():
    """The caller adds up a delta before it asks for the next. If that fails each time, the file is not measured."""
    own_session = Session(placement.MINIMAL)
    reading = Reading(own_session, lambda: True)
    names = {}
    exec(own_session.instrument_exec_code(compile("def f():\n    pass\nf()\n", FILE, "exec"), FILE), names)
    deltas = []
    for _ in range(2):
        with pytest.raises(KeyError):
            for delta in reading.take():
                deltas.append(delta)
                raise KeyError
    assert [*reading.take()] == [deltas[0]] == [deltas[1]]
    names["f"]()
    for _ in range(3):
        with pytest.raises(KeyError):
            for _delta in reading.take():
                raise KeyError
    assert own_session.not_measured == {}
    assert [*reading.take()] == []
    assert [*own_session.not_measured] == [FILE]
