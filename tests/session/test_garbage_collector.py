"""The garbage collector works as the program set it, and lists objects without harm to other threads."""

import gc
import sys
import threading

import pytest
from small_runs import FILE, IGNORED

import instrument
from instrument.data import sqlite
from instrument.flow import placement
from instrument.session import garbage_collector
from instrument.session.garbage_collector import GcDeferred, instances_of
from instrument.session.session import session


@pytest.mark.parametrize("collects", [True, False])
@pytest.mark.usefixtures("thawed_heap")  # objects are made old only if none are frozen
@pytest.mark.slow
def test_the_collector_is_left_as_it_was(collects, monkeypatch):
    """It is enabled or disabled as before, nothing is frozen that was not, and garbage is still found."""
    monkeypatch.setattr(garbage_collector._state, "n_times_aged", 0)
    was_collecting = gc.isenabled()
    (gc.enable if collects else gc.disable)()
    try:
        n_frozen = gc.get_freeze_count()
        with GcDeferred(1_000_000):
            assert not gc.isenabled()
            ring = [session]
            ring.append(ring)
            here = id(ring)
            del ring
        assert gc.isenabled() is collects
        assert gc.get_freeze_count() <= n_frozen  # 3.12 begins with some
        assert any(id(thing) == here for thing in gc.get_objects())
        gc.collect()
        assert not any(id(thing) == here and type(thing) is list and session in thing for thing in gc.get_objects())
    finally:
        (gc.enable if was_collecting else gc.disable)()


@pytest.mark.slow
def test_objects_that_the_program_has_frozen_stay_frozen(monkeypatch):
    """They are not thawed to make other objects old."""
    monkeypatch.setattr(garbage_collector._state, "n_times_aged", 0)
    gc.freeze()
    n_frozen = gc.get_freeze_count()
    with GcDeferred(1_000_000):
        made = [session]
    assert gc.get_freeze_count() == n_frozen
    assert any(thing is made for thing in gc.get_objects())


def test_objects_are_made_old_a_limited_number_of_times(monkeypatch):
    """Once for about a thousand counters, and 128 times at most: a program may import modules again and again."""
    times = []
    monkeypatch.setattr(garbage_collector._state, "n_times_aged", 0)
    monkeypatch.setattr(garbage_collector._state, "n_counters", 0)
    monkeypatch.setattr(garbage_collector, "get_freeze_count", int)  # conftest.py freezes the heap
    monkeypatch.setattr(garbage_collector, "_AGE_ALL_OBJECTS", (lambda: times.append(gc.isenabled()),))
    for _ in range(40):
        with GcDeferred(100):
            pass
    assert times == [False] * 3
    for _ in range(10_000):
        with GcDeferred(100):
            pass
    assert len(times) == 128


GARBAGE = """
class Ring:
    n = most = 0

    def __init__(self):
        self.itself = self
        Ring.n += 1
        Ring.most = max(Ring.most, Ring.n)

    def __del__(self):
        Ring.n -= 1

for number in range(1500):
    for _ in range(20):
        Ring()
    exec(compile(f"def f():\\n    return {number}\\nf()", "<made>", "exec"), dict(globals()))
most = Ring.most
"""


@pytest.mark.parametrize("placement_name", placement.PLACEMENTS)
@pytest.mark.slow
def test_garbage_is_collected_while_ever_new_code_is_executed(placement_name):
    """Linking short-lived code does not delay the collector."""
    plain, counted = {"__file__": FILE, "__name__": "program"}, {"__file__": FILE, "__name__": "program"}
    exec(GARBAGE, plain)
    tracer = instrument.Trace(count=1, trace=0, placement=placement_name, ignoredirs=IGNORED)
    tracer.runctx(GARBAGE, counted, counted)
    assert plain["most"] < 15_000 > counted["most"]


@pytest.mark.slow
def test_other_threads_can_create_tuples_while_objects_are_listed():
    """The collector knows unfinished tuples. A reference to one makes the thread fail that creates it."""
    failed, is_over = [], threading.Event()

    def make():
        try:
            while not is_over.is_set():
                assert tuple(n for n in range(20)) == tuple(range(20))
        except SystemError as error:
            failed.append(error)

    makers = [threading.Thread(target=make) for _ in range(2)]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for maker in makers:
            maker.start()
        for _ in range(60):
            assert make in [*instances_of([type(make)])]
    finally:
        is_over.set()
        sys.setswitchinterval(interval)
        for maker in makers:
            maker.join()
    assert not failed


@pytest.mark.slow
def test_a_disabled_collector_is_enabled_by_the_thread_that_disabled_it_only(monkeypatch):
    """That thread may enable it at any moment, and then it stays enabled."""

    def is_enabled_until_now():
        """Return whether the collector is enabled; the other thread enables it right after that."""
        was_enabled = gc.isenabled()
        other.__exit__()
        return was_enabled

    def enter():
        with GcDeferred(1):
            pass

    def load():
        sqlite._initialise(sys, lambda module: None)

    for do in (enter, load, lambda: instances_of([type(threading)]), lambda: instances_of([int, str])):
        with monkeypatch.context() as patch:
            other = GcDeferred(1)
            other.__enter__()
            assert not gc.isenabled()
            for module in (garbage_collector, sqlite):
                patch.setattr(module, "isenabled", is_enabled_until_now)
            do()
        is_enabled = gc.isenabled()
        gc.enable()
        assert is_enabled
