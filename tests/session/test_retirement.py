"""Short-lived code is retired once the program has dropped it, and its counts are kept exactly once."""

import os
import random
import subprocess
import sys
import threading
import trace
from pathlib import Path

import pytest
from small_runs import FILE, IGNORED, counts_of
from taken_counts import taken_counts

import instrument
from instrument.flow import placement
from instrument.record.reading import Reading
from instrument.session.deltas import SpanDelta, recovered
from instrument.session.retirement import Retirement
from instrument.session.session import Session, session
from instrument.session.window import Window

ROOT = Path(__file__).resolve().parents[2]

EVER_NEW = """
kept = {}
total = 0
for n in range(800):
    total += eval(f"[m for m in range({n} % 5) if m].__len__() + {n}")
    exec(f"def f(a=0):\\n    a += {n}\\n    return a\\n", globals())
    if n % 100 == 0:
        kept[n] = f
    total += f() if n % 2 else f(1)
for n in kept:
    for _ in range(3):
        total += kept[n]()
"""


@pytest.mark.usefixtures("frozen_heap")
@pytest.mark.slow
def test_code_of_ever_new_texts_is_counted_and_retired(monkeypatch):
    """Every count is that of `trace`, and the number of live code groups does not grow with the texts."""
    monkeypatch.setattr("instrument.session.retirement._EXEC_CODE_KEPT", 8_192)  # a quarter: fewer texts fill it
    monkeypatch.setattr(session(placement.MINIMAL).retirement, "longest_queue", 1_024)
    expected, plain = counts_of(trace.Trace, EVER_NEW)
    counts, measured = counts_of(instrument.Trace, EVER_NEW)

    assert counts == expected
    assert measured["total"] == plain["total"]
    assert len(session(placement.MINIMAL).short_lived) < 800
    again, _ = counts_of(instrument.Trace, EVER_NEW)
    assert again == expected
    assert len(session(placement.MINIMAL).short_lived) < 800


LOADED_AGAIN = """
import importlib, runpy
import again
for n in range(400):
    importlib.reload(again)
    assert again.f(n) == n + 1
    if n % 4 == 0:
        assert runpy.run_path(again.__file__)["f"](n) == n + 1
"""

COUNTED_AGAIN = f"""
import sys, trace
import instrument
from instrument.session.session import session

def counts(make_tracer, **options):
    sys.modules.pop("again", None)
    tracer = make_tracer(count=1, trace=0, ignoredirs=[sys.prefix, sys.base_prefix], **options)
    tracer.run({LOADED_AGAIN!r})
    return {{(key, n) for key, n in tracer.results().counts.items() if key[0].endswith("again.py")}}

placement = sys.argv[1]
expected = counts(trace.Trace)
assert counts(instrument.Trace, placement=placement) == expected
n_groups, n_counters = len(session(placement).groups), len(session(placement).counters)
assert counts(instrument.Trace, placement=placement) == expected
# 100 of the new groups are of code that `runpy` has executed; they may be kept for a while.
assert len(session(placement).groups) < n_groups + 250
assert len(session(placement).counters) < n_counters + 100
print("as expected")
"""


@pytest.mark.parametrize("placement_name", placement.PLACEMENTS)
def test_modules_that_are_reloaded_again_and_again_are_counted_and_retired(placement_name, tmp_path):
    """Every count is that of `trace`, and the number of live code groups does not grow with the reloads.

    Functions of importlib and runpy execute the modules. A process of its own has few other functions.
    """
    (tmp_path / "again.py").write_text("def f(n):\n    for _ in range(1):\n        n += 1\n    return n\n")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)]), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-W", "error", "-c", COUNTED_AGAIN, placement_name]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=100)

    assert (done.stdout, done.stderr) == ("as expected\n", "")


@pytest.mark.parametrize("kind", ["window", "reading"])
@pytest.mark.slow
def test_counts_are_not_read_twice_if_a_thread_reads_while_code_is_retired(kind, monkeypatch):
    """Another thread that begins a reading in the middle of retiring waits for the end."""
    own_session = Session(placement.MINIMAL)
    reader = Window(own_session) if kind == "window" else Reading(own_session, lambda: True)
    bank_counts, threads, taken = type(reader).bank_counts, [], []

    def take():
        taken.extend(counts.lines.get(1, 0) for *_, counts in (reader.take() if kind == "window" else taken_counts(reader)))

    def bank_while_another_thread_reads(self, groups):
        bank_counts(self, groups)
        threads.append(threading.Thread(target=take))
        threads[-1].start()
        threads[-1].join(0.05)

    monkeypatch.setattr(type(reader), "bank_counts", bank_while_another_thread_reads)
    for number in range(1, 20_001):
        exec(own_session.instrument_exec_code(compile(f"x = {number}", FILE, "exec"), FILE))
        if number >= 1000 and len(threads) > 1:  # on a busy machine a reading takes longer, and nothing is retired meanwhile
            break
    for thread in threads:
        thread.join()
    take()
    assert len(threads) > 1
    assert sum(taken) == number


def test_a_forked_child_can_read_while_a_thread_of_its_parent_held_the_gate():
    """The child does not wait for a thread that it does not have."""
    if not hasattr(os, "fork"):
        pytest.skip("this system has no fork")
    source = """
import gc, os, sys, threading
import instrument.trace
from instrument.flow import placement
from instrument.session.session import session
gc.freeze()
tracer = instrument.Trace(count=1, trace=0)
own_session = session(placement.MINIMAL)
held, done = threading.Event(), threading.Event()

def hold():
    own_session.retirement._gate.acquire()
    held.set()
    done.wait()
    own_session.retirement._gate.release_to(0)

thread = threading.Thread(target=hold)
thread.start()
held.wait()
child = os.fork()
if not child:
    names = {"__file__": "/somewhere/x.py", "__name__": "x"}
    tracer.runctx("x = 1", names, names)
    assert sum(tracer.results().counts.values()) == 1
    os._exit(7)
done.set()
thread.join()
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", source], capture_output=True, text=True, timeout=60)
    assert done.stdout == "7\n", done.stderr


def test_the_least_recently_executed_code_is_found_while_another_thread_adds_code(monkeypatch):
    """The threads switch after each microsecond."""
    retirement = Session(placement.MINIMAL).retirement
    group = type("CodeGroup", (), {"packed": (), "originals": ()})()
    monkeypatch.setattr("instrument.session.retirement._size_of", lambda group: 1)
    monkeypatch.setattr(retirement, "queue", lambda group: None)
    is_over = threading.Event()

    def add_code():
        while not is_over.is_set():
            for n in range(50):
                retirement.recent[n, None] = group

    other = threading.Thread(target=add_code)
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    other.start()
    try:
        for _ in range(20_000):
            retirement._size_of_recent = 1 << 40
            retirement._make_room(1)
    finally:
        is_over.set()
        other.join()
        sys.setswitchinterval(interval)


EVER_NEW_AND_RAISING = """
total = 0
for n in range(600):
    exec(f"def f(a):\\n    try:\\n        a //= {n} % 3\\n    except ArithmeticError:\\n        a = {n}\\n    return a\\n", globals())
    total += f(n) + eval(f"[m for m in range({n} % 5) if m].__len__() + {n}")
"""


@pytest.mark.parametrize("breaks", [False, True])
@pytest.mark.usefixtures("frozen_heap")
@pytest.mark.slow
def test_a_handler_that_interrupts_retiring_reads_nothing_twice(breaks, monkeypatch):
    """A handler may read, or raise, at any line of retiring, or do both. In the end each count was read once."""
    expected, _ = counts_of(trace.Trace, EVER_NEW_AND_RAISING)
    # Little code is kept, so that retired code has counted something since the last reading.
    monkeypatch.setattr("instrument.session.retirement._EXEC_CODE_KEPT", 2_000)
    monkeypatch.setattr("instrument.session.instrumenter._N_RECENT", 20)
    monkeypatch.setattr("instrument.session.window._MOST_BANKED", 20)
    own = session(placement.MINIMAL).retirement
    monkeypatch.setattr(own, "longest_queue", 250)
    interruptible = {f.__code__ for f in (Retirement._retire, Retirement._take_unused, Retirement._requeue, Window.bank_counts, Window._counts_between, SpanDelta.__init__, SpanDelta.split, recovered)}
    tracer = instrument.Trace(count=1, trace=0, ignoredirs=IGNORED)
    namespace = {"__file__": FILE, "__name__": "program"}
    rng = random.Random(1)
    retire = own.retire
    n_lines_left = n_interrupted = 0

    class Broken(Exception):
        pass

    def interrupted():
        """Retire; now and then read all counts once in the middle of it."""
        nonlocal n_lines_left
        if own.size_of_queue < own.longest_queue or rng.random() < 0.8:
            return retire()
        n_lines_left = rng.randrange(1, 250)
        sys.settrace(begin)
        try:
            retire()
        except Broken:
            sys.settrace(None)
            if n_interrupted % 2:
                tracer.results()
        finally:
            sys.settrace(None)

    def begin(frame, event, arg):
        return interrupt if frame.f_code in interruptible and own.is_retiring() else None

    def interrupt(frame, event, arg):
        nonlocal n_lines_left, n_interrupted
        n_lines_left -= event == "line"
        if n_lines_left == 0 and event == "line":
            n_interrupted += 1
            sys.settrace(None)
            try:
                tracer.results()
            finally:
                sys.settrace(begin)
            if breaks:
                raise Broken
        return interrupt

    monkeypatch.setattr(own, "retire", interrupted)
    tracer.runctx(compile(EVER_NEW_AND_RAISING, FILE, "exec"), namespace, namespace)
    assert n_interrupted > 20
    counts = tracer.results().counts
    assert {key: n for key, n in counts.items() if key in expected} == expected


def test_a_forked_child_goes_on_with_its_own_retiring_only():
    """Retiring of this thread goes on in the child. Retiring of other threads does not."""
    own = Session(placement.MINIMAL).retirement
    own._retiring_thread = threading.get_ident()
    own.forked()
    assert own.is_retiring()
    own._retiring_thread = threading.get_ident() + 1
    own.forked()
    assert own._retiring_thread == 0
