"""Exits are counted once each, also late ones."""

import pickle

from instrument.link.exit_records import ExitRecords, exit_counts


def test_late_exits_are_counted_in_several_steps():
    """Each late exit is counted once, and it is known when there are many."""
    records = ExitRecords(None)
    are_many = records.are_many_late()
    records.late.extend([-1, -2] * 4999)
    assert not are_many()
    records.late.extend([-3] * 10)
    assert are_many()

    assert exit_counts(records) == {-1: 4999, -2: 4999, -3: 10}
    assert not are_many()
    assert records.late == []


def test_pickled_records_mean_their_session_in_this_process_only():
    """Live code that was pickled by value leads to its original here, and to nothing in another process."""
    session = "a session"
    pickled = pickle.dumps(ExitRecords(session))

    assert pickle.loads(pickled).session is session
    function, (process, number) = ExitRecords(session).__reduce__()
    assert function(process, number).session is session
    assert function(process[::-1] + b"other", number).session is None
    assert pickle.loads(pickle.dumps(ExitRecords(None))).session is None
