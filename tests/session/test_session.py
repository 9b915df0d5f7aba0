"""Sessions: windows are differences of snapshots, and code that passes is forgotten once its counts are kept."""

import gc
import itertools
import os
import random
import subprocess
import sys
import threading
import time
import trace

import pytest

import instrument
from instrument.data import sqlite
from instrument.flow import placement
from instrument.record import reading
from instrument.record.reading import Reading
from instrument.session import snapshot
from instrument.session.deltas import deltas_of, recovered
from instrument.session.garbage_collector import GcDeferred, instances_of
from instrument.session.retirement import Retirement
from instrument.session.session import Session, session
from instrument.session.snapshot import LongSwitchInterval
from instrument.session.window import Window

FILE = "/somewhere/session_program.py"
IGNORED = [sys.prefix, sys.base_prefix]

EVER_NEW = """
kept = {}
total = 0
for n in range(2000):
    total += eval(f"[m for m in range({n} % 5) if m].__len__() + {n}")
    exec(f"def f(a=0):\\n    a += {n}\\n    return a\\n", globals())
    if n % 100 == 0:
        kept[n] = f
    total += f() if n % 2 else f(1)
for n in kept:
    for _ in range(3):
        total += kept[n]()
"""


def exit_counts(make_tracer, source, **names):
    """Return the counts of *source*, run as FILE, and what it left in its namespace."""
    tracer = make_tracer(count=1, trace=0, ignoredirs=IGNORED)
    namespace = {"__file__": FILE, "__name__": "program", **names}
    tracer.runctx(compile(source, FILE, "exec"), namespace, namespace)
    counts = tracer.results().counts
    return {key: n for key, n in counts.items() if key[0] in (FILE, "<string>")}, namespace


def test_ever_new_texts_are_counted_and_forgotten():
    """Thousands of texts are executed: every count is trace's, and what is kept of the code does not grow with them."""
    expected, plain = exit_counts(trace.Trace, EVER_NEW)
    counts, measured = exit_counts(instrument.Trace, EVER_NEW)

    assert counts == expected
    assert measured["total"] == plain["total"]
    assert len(session(placement.MINIMAL).short_lived) < 2000
    again, _ = exit_counts(instrument.Trace, EVER_NEW)
    assert again == expected
    assert len(session(placement.MINIMAL).short_lived) < 2000


def test_one_code_object_is_rewritten_once():
    """Code that is executed over and over keeps its twin, however many others come and go."""
    source = """
code = compile("a = 1\\nb = 2\\n", "<string>", "exec")
for n in range(1500):
    exec(code)
    eval(f"{n}")
"""
    expected, _ = exit_counts(trace.Trace, source)
    before = session(placement.MINIMAL)
    known = set(before.short_lived)
    counts, _ = exit_counts(instrument.Trace, source)

    assert counts == expected
    made = [before.short_lived[key] for key in set(before.short_lived) - known]
    assert sum(group.originals[-1].co_names == ("a", "b") for group in made) <= 1


def test_windows_of_several_measurements_are_their_own():
    """Nested measurements, one begun and ended within another, each count what ran while they did."""
    source = """
def f():
    return 1
f()
inner.runfunc(f)
f()
"""
    inner = instrument.Trace(count=1, trace=0, ignoredirs=IGNORED)
    outer, _ = exit_counts(instrument.Trace, source, inner=inner)

    assert outer == {(FILE, 2): 1, (FILE, 3): 3, (FILE, 4): 1, (FILE, 5): 1, (FILE, 6): 1}
    assert {key: n for key, n in inner.results().counts.items() if key[0] == FILE} == {(FILE, 3): 1}


def test_results_can_be_read_while_others_run():
    """Read again and again from another thread, counts never fall, never contradict each other, and end exact."""
    source = """
def call(n):
    if n % 2:
        return n
    return 0
for n in range(60_000):
    call(n)
"""
    tracer = instrument.Trace(count=1, trace=0, ignoredirs=IGNORED)
    namespace = {"__file__": FILE}
    code = compile(source, FILE, "exec")
    seen = []
    running = threading.Event()

    def read():
        while running.is_set():
            counts = dict(tracer.results().counts)
            seen.append([counts.get((FILE, line), 0) for line in (3, 4, 5, 6, 7)])

    running.set()
    reader = threading.Thread(target=read)
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        reader.start()
        tracer.runctx(code, namespace, namespace)
    finally:
        sys.setswitchinterval(interval)
        running.clear()
        reader.join()

    assert len(seen) > 3
    for one, other in itertools.pairwise(seen):
        assert all(a <= b for a, b in zip(one, other))
    for called, odd, even, looped, calling in seen:
        assert 0 <= called - odd - even <= 1
        assert 0 <= looped - calling <= 1
        assert 0 <= calling - called <= 1
    assert tracer.results().not_measured == ()
    counts = tracer.results().counts
    assert [counts[FILE, line] for line in (3, 4, 5, 6, 7)] == [60_000, 30_000, 30_000, 60_001, 60_000]


def test_what_is_imported_twice_at_a_time_has_counters_of_its_own(tmp_path, monkeypatch):
    """Threads that make modules live at the same time do not get hold of each other's counters."""
    for number in range(24):
        (tmp_path / f"together_{number}.py").write_text(
            f"def f(n):\n    total = 0\n    for m in range({number}):\n        total += m if m % 2 else 1\n    return total\nf(1)\n"
        )
    monkeypatch.syspath_prepend(str(tmp_path))
    source = """
import threading, importlib
def work(first):
    for number in range(first, 24, 4):
        importlib.import_module(f"together_{number}")
threads = [threading.Thread(target=work, args=(first,)) for first in range(4)]
for thread in threads: thread.start()
for thread in threads: thread.join()
"""
    tracer = instrument.Trace(count=1, trace=0, ignoredirs=IGNORED)
    namespace = {"__file__": FILE}
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        tracer.runctx(source, namespace, namespace)
    finally:
        sys.setswitchinterval(interval)
        for number in range(24):
            sys.modules.pop(f"together_{number}", None)
    counts = tracer.results().counts

    for number in range(24):
        file = str(tmp_path / f"together_{number}.py")
        assert [counts.get((file, line), 0) for line in range(1, 7)] == [1, 1, number + 1, number, 1, 1]


@pytest.mark.parametrize("collects", [True, False])
def test_the_collector_is_left_as_it_was(collects, monkeypatch):
    """It collects again or does not, nothing is frozen that was not, and what is garbage is still found."""
    monkeypatch.setattr(GcDeferred, "_n_times", 0)
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


def test_what_the_program_has_frozen_stays_frozen(monkeypatch):
    monkeypatch.setattr(GcDeferred, "_n_times", 0)
    gc.freeze()
    try:
        n_frozen = gc.get_freeze_count()
        with GcDeferred(1_000_000):
            made = [session]
        assert gc.get_freeze_count() == n_frozen
        assert any(thing is made for thing in gc.get_objects())
    finally:
        gc.unfreeze()


def test_objects_are_taken_to_be_old_a_few_times_only(monkeypatch):
    """Once for a thousand counters or so, and not for ever: a program may import modules again and again."""
    times = []
    monkeypatch.setattr(GcDeferred, "_n_times", 0)
    monkeypatch.setattr(GcDeferred, "_n_made", 0)
    monkeypatch.setattr(sys.modules[GcDeferred.__module__], "_AGE_ALL_OBJECTS", (lambda: times.append(gc.isenabled()),))
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


@pytest.mark.parametrize("where", placement.PLACEMENTS)
def test_garbage_is_found_while_ever_new_code_is_handed_over(where):
    """The collector goes on as it would: linking code that does not last does not make it start anew each time."""
    plain, counted = {"__file__": FILE, "__name__": "program"}, {"__file__": FILE, "__name__": "program"}
    exec(GARBAGE, plain)
    tracer = instrument.Trace(count=1, trace=0, placement=where, ignoredirs=IGNORED)
    tracer.runctx(GARBAGE, counted, counted)
    assert plain["most"] < 15_000 > counted["most"]


LOADED_AGAIN = """
import importlib, runpy
import again
for n in range(400):
    importlib.reload(again)
    assert again.f(n) == n + 1
    if n % 4 == 0:
        assert runpy.run_path(again.__file__)["f"](n) == n + 1
"""


@pytest.mark.parametrize("where", placement.PLACEMENTS)
def test_modules_that_are_loaded_again_and_again_are_counted_and_forgotten(where, tmp_path, monkeypatch):
    """Every count is trace's, and what is kept of their code does not grow with each time."""
    (tmp_path / "again.py").write_text("def f(n):\n    for _ in range(1):\n        n += 1\n    return n\n")
    monkeypatch.syspath_prepend(tmp_path)

    def counts(make_tracer, **options):
        sys.modules.pop("again", None)
        tracer = make_tracer(count=1, trace=0, ignoredirs=IGNORED, **options)
        tracer.run(LOADED_AGAIN)
        return {(key, n) for key, n in tracer.results().counts.items() if key[0].endswith("again.py")}

    expected = counts(trace.Trace)
    assert counts(instrument.Trace, placement=where) == expected
    n_groups, n_counters = len(session(where).groups), len(session(where).counters)
    assert counts(instrument.Trace, placement=where) == expected
    assert len(session(where).groups) < n_groups + 250  # 100 were handed over by runpy, and may be kept for a while
    assert len(session(where).counters) < n_counters + 100
    sys.modules.pop("again", None)


def test_what_is_retired_is_kept_once_for_each_text():
    """Equal texts that come and go take no more memory each time, and different ones are not mistaken for another."""
    where = Session(placement.MINIMAL)
    reading = Reading(where, lambda: True)
    for number in range(3000):
        source = "x = 1\n" if number % 2 else "x = 1\ny = 2\n"
        exec(where.instrument_exec_code(compile(source, FILE, "exec"), FILE))
    assert len(where.short_lived) < 1500
    # Whichever of the two texts was kept last of its file stands for those that follow it.
    texts = {}
    for group, _, _, counts in reading.take():
        lines = texts.setdefault(group.rewritten(), {})
        for line, n in counts.lines.items():
            lines[line] = lines.get(line, 0) + n
    assert sorted(texts.values(), key=len) == [{1: 1500}, {1: 1500, 2: 1500}]


def test_equal_texts_are_settled_as_one():
    where = Session(placement.MINIMAL)
    reading = Reading(where, lambda: True)
    for _ in range(2000):
        exec(where.instrument_exec_code(compile("x = 1\n", FILE, "exec"), FILE))
    assert len(where.short_lived) < 1500
    assert len(reading._banked) == 1
    assert sum(counts.lines[1] for *_, counts in reading.take()) == 2000


@pytest.mark.parametrize("kind", ["window", "reading"])
def test_what_is_in_the_middle_of_its_code_has_counted_just_so_far(kind):
    """Read from within a call, and from between two turns of a generator: what comes later is counted later."""
    where = Session(placement.MINIMAL)
    reader = Window(where) if kind == "window" else Reading(where, lambda: True)
    seen = []

    def look():
        lines = {}
        for *_, counts in reader.take():
            for line, n in counts.lines.items():
                lines[line] = lines.get(line, 0) + n
        seen.append(lines)

    source = "a = 1\nlook()\nfor n in range(3):\n    b = n\n    if n == 1:\n        look()\nc = 2\n"
    exec(where.instrument_exec_code(compile(source, FILE, "exec"), FILE), {"look": look})
    look()
    assert seen == [{1: 1, 2: 1}, {3: 2, 4: 2, 5: 2, 6: 1}, {3: 2, 4: 1, 5: 1, 7: 1}]


@pytest.mark.parametrize("kind", ["window", "reading"])
def test_a_frame_that_raises_while_frames_are_looked_at_is_read_once(kind, monkeypatch):
    """It was still there when frames were looked at, and its exit was counted before exits were read."""
    where = Session(placement.MINIMAL)
    reader = Window(where) if kind == "window" else Reading(where, lambda: True)
    source = "def f():\n    wait()\n    len(3)\n"
    names = {"wait": (lock := threading.Lock()).acquire}
    lock.acquire()
    exec(where.instrument_exec_code(compile(source, FILE, "exec"), FILE), names)

    def run():
        with pytest.raises(TypeError):
            names["f"]()

    thread = threading.Thread(target=run)
    thread.start()
    in_flight = snapshot.frames_in_flight
    for _ in range(1000):
        if in_flight(where.records):
            break
        time.sleep(0.01)

    calls = []

    def in_flight_before_it_raises(records):
        found = in_flight(records)
        calls.append(None)
        if len(calls) == (1 if kind == "window" else 2):  # a Reading first looks what has changed
            lock.release()
            thread.join()
        return found

    for module in (snapshot, reading):
        monkeypatch.setattr(module, "frames_in_flight", in_flight_before_it_raises)
    lines = {}
    for *_, counts in reader.take():
        for line, n in counts.lines.items():
            lines[line] = lines.get(line, 0) + n
    assert lines == {1: 1, 2: 1, 3: 1}
    assert not where.not_measured


def test_a_switch_interval_that_the_program_sets_while_it_is_read_stays():
    """And one that it does not set is what it was."""
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


@pytest.mark.parametrize("kind", ["window", "reading"])
def test_what_is_read_while_code_is_retired_is_not_counted_twice(kind, monkeypatch):
    """Another thread that begins to read in the middle of it waits for its end."""
    where = Session(placement.MINIMAL)
    reader = Window(where) if kind == "window" else Reading(where, lambda: True)
    bank_counts, threads, taken = type(reader).bank_counts, [], []

    def take():
        taken.extend(what[-1].lines.get(1, 0) for what in reader.take())

    def settle_while_another_thread_reads(self, groups):
        bank_counts(self, groups)
        threads.append(threading.Thread(target=take))
        threads[-1].start()
        threads[-1].join(0.05)

    monkeypatch.setattr(type(reader), "bank_counts", settle_while_another_thread_reads)
    for number in range(1, 20_001):
        exec(where.instrument_exec_code(compile(f"x = {number}", FILE, "exec"), FILE))
        if number >= 1000 and len(threads) > 1:  # on a busy machine a reading takes longer, and puts retirement off
            break
    for thread in threads:
        thread.join()
    take()
    assert len(threads) > 1
    assert sum(taken) == number


def test_a_fork_in_the_middle_of_anything_leaves_a_child_that_can_read():
    """Whatever another thread was about, nobody in the child waits for it."""
    if not hasattr(os, "fork"):
        pytest.skip("there are no forks here")
    source = """
import os, sys, threading
import instrument
from instrument.flow import placement
from instrument.session.session import session
tracer = instrument.Trace(count=1, trace=0)
where = session(placement.MINIMAL)
held, done = threading.Event(), threading.Event()

def hold():
    where.retirement._gate.acquire()
    held.set()
    done.wait()
    where.retirement._gate.release_to(0)

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


@pytest.mark.parametrize("where", placement.PLACEMENTS)
def test_what_ends_a_run_is_freed_when_it_is_let_go_of(where):
    """An exception that leaves a run takes along its frames, and what they hold: nothing of ours keeps them alive."""
    source = """
class Held:
    def __del__(self):
        freed.append(True)

def f():
    held = Held()
    raise ValueError

f()
"""
    freed = []
    names = {"__file__": FILE, "__name__": "program", "freed": freed}
    tracer = instrument.Trace(count=1, trace=0, placement=where, ignoredirs=IGNORED)
    gc.disable()
    try:
        with pytest.raises(ValueError) as caught:
            tracer.runctx(compile(source, FILE, "exec"), names, names)
        assert not freed
        del caught
        assert freed == [True]
    finally:
        gc.enable()


def test_room_is_made_while_others_hand_code_over(monkeypatch):
    """The oldest code is found although another thread adds code; threads switch after each microsecond."""
    one = Session(placement.MINIMAL).retirement
    group = type("CodeGroup", (), {"packed": (), "originals": ()})()
    monkeypatch.setattr("instrument.session.retirement._size_of", lambda group: 1)
    monkeypatch.setattr(one, "queue", lambda group: None)
    is_over = threading.Event()

    def hand_over():
        while not is_over.is_set():
            for n in range(50):
                one.recent[n, None] = group

    other = threading.Thread(target=hand_over)
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    other.start()
    try:
        for _ in range(20_000):
            one._size_of_recent = 1 << 40
            one._make_room(1)
    finally:
        is_over.set()
        other.join()
        sys.setswitchinterval(interval)


def test_other_threads_make_tuples_while_objects_are_looked_for():
    """A tuple that is not finished is known to the garbage collector; whoever holds it then makes its maker fail."""
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


def test_whoever_finds_collection_turned_off_leaves_that_to_others(monkeypatch):
    """They may turn it on at any moment, and then it stays so."""

    def asked():
        """Return what is so, a moment before the other thread turns it on."""
        was_on = gc.isenabled()
        other.__exit__()
        return was_on

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
            for module in (sys.modules[GcDeferred.__module__], sqlite):
                patch.setattr(module, "isenabled", asked)
            do()
        is_on = gc.isenabled()
        gc.enable()
        assert is_on


EVER_NEW_AND_RAISING = """
total = 0
for n in range(1500):
    exec(f"def f(a):\\n    try:\\n        a //= {n} % 3\\n    except ArithmeticError:\\n        a = {n}\\n    return a\\n", globals())
    total += f(n) + eval(f"[m for m in range({n} % 5) if m].__len__() + {n}")
"""


@pytest.mark.parametrize("breaks", [False, True])
def test_what_interrupts_retiring_reads_nothing_twice(breaks, monkeypatch):
    """A handler may read, or raise, at any line of retiring, or both: in the end all was counted, once."""
    expected, _ = exit_counts(trace.Trace, EVER_NEW_AND_RAISING)
    # Little is kept, so that what is retired has counted something since the reading before.
    monkeypatch.setattr("instrument.session.retirement._EXEC_CODE_KEPT", 2_000)
    monkeypatch.setattr("instrument.session.instrumenter._N_RECENT", 20)
    monkeypatch.setattr("instrument.session.window._MOST_BANKED", 20)
    own = session(placement.MINIMAL).retirement
    monkeypatch.setattr(own, "longest_queue", 250)
    watched = {f.__code__ for f in (Retirement._retire, Retirement._take_unused, Retirement._requeue, Window.bank_counts, Window._counts_between, deltas_of, recovered)}
    tracer = instrument.Trace(count=1, trace=0, ignoredirs=IGNORED)
    namespace = {"__file__": FILE, "__name__": "program"}
    rng = random.Random(1)
    retire = own.retire
    left = n_interrupted = 0

    class Broken(Exception):
        pass

    def interrupted():
        """Retire, and now and then read all counts once in the middle of that."""
        nonlocal left
        if own.size_of_queue < own.longest_queue or rng.random() < 0.8:
            return retire()
        left = rng.randrange(1, 250)
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
        return watch if frame.f_code in watched and own.is_retiring() else None

    def watch(frame, event, arg):
        nonlocal left, n_interrupted
        left -= event == "line"
        if left == 0 and event == "line":
            n_interrupted += 1
            sys.settrace(None)
            try:
                tracer.results()
            finally:
                sys.settrace(begin)
            if breaks:
                raise Broken
        return watch

    monkeypatch.setattr(own, "retire", interrupted)
    tracer.runctx(compile(EVER_NEW_AND_RAISING, FILE, "exec"), namespace, namespace)
    assert n_interrupted > 20
    counts = tracer.results().counts
    assert {key: n for key, n in counts.items() if key in expected} == expected


def test_a_fork_ends_what_other_threads_were_retiring():
    """What this thread is in the middle of goes on in the child; what others did does not."""
    own = Session(placement.MINIMAL).retirement
    own._retiring_thread = threading.get_ident()
    own.forked()
    assert own.is_retiring()
    own._retiring_thread = threading.get_ident() + 1
    own.forked()
    assert own._retiring_thread == 0
