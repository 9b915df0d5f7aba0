"""Counters, exits and frames in flight are read as of one moment."""

import sys
import threading
import time

import pytest
from small_runs import FILE, added_lines
from taken_counts import taken_counts

from instrument.flow import placement
from instrument.record import reading
from instrument.record.reading import Reading
from instrument.session import snapshot
from instrument.session.session import Session
from instrument.session.snapshot import LongSwitchInterval
from instrument.session.window import Window


def taken(reader):
    """Return the counts of code objects that *reader* has taken."""
    return reader.take() if isinstance(reader, Window) else taken_counts(reader)


@pytest.mark.parametrize("kind", ["window", "reading"])
def test_code_that_still_runs_has_counted_the_lines_until_now(kind):
    """The counts are read in the middle of the code. The lines that run later are counted later."""
    own_session = Session(placement.MINIMAL)
    reader = Window(own_session) if kind == "window" else Reading(own_session, lambda: True)
    seen = []

    def look():
        seen.append(added_lines(taken(reader)))

    source = "a = 1\nlook()\nfor n in range(3):\n    b = n\n    if n == 1:\n        look()\nc = 2\n"
    exec(own_session.instrument_exec_code(compile(source, FILE, "exec"), FILE), {"look": look})
    look()
    assert seen == [{1: 1, 2: 1}, {3: 2, 4: 2, 5: 2, 6: 1}, {3: 2, 4: 1, 5: 1, 7: 1}]


@pytest.mark.parametrize("kind", ["window", "reading"])
def test_a_frame_that_raises_while_frames_are_read_is_counted_once(kind, monkeypatch):
    """It was there when the frames were read, and its exit was counted before the exits were read."""
    own_session = Session(placement.MINIMAL)
    reader = Window(own_session) if kind == "window" else Reading(own_session, lambda: True)
    source = "def f():\n    wait()\n    len(3)\n"
    names = {"wait": (lock := threading.Lock()).acquire}
    lock.acquire()
    exec(own_session.instrument_exec_code(compile(source, FILE, "exec"), FILE), names)

    def run():
        with pytest.raises(TypeError):
            names["f"]()

    thread = threading.Thread(target=run)
    thread.start()
    in_flight = snapshot.frames_in_flight
    for _ in range(1000):
        if in_flight(own_session.records):
            break
        time.sleep(0.01)

    calls = []

    def in_flight_before_it_raises(records):
        frames = in_flight(records)
        calls.append(None)
        if len(calls) == (1 if kind == "window" else 2):  # a Reading reads the frames once before, to find changed groups
            lock.release()
            thread.join()
        return frames

    for module in (snapshot, reading):
        monkeypatch.setattr(module, "frames_in_flight", in_flight_before_it_raises)
    assert added_lines(taken(reader)) == {1: 1, 2: 1, 3: 1}
    assert not own_session.not_measured


def test_a_switch_interval_that_the_program_sets_during_a_reading_stays():
    """If the program sets none, the interval is the same as before."""
    interval = sys.getswitchinterval()
    try:
        with LongSwitchInterval():
            pass
        assert sys.getswitchinterval() == interval
        with LongSwitchInterval():
            sys.setswitchinterval(0.001)
        assert sys.getswitchinterval() == pytest.approx(0.001)
    finally:
        sys.setswitchinterval(interval)
