"""Windows are the differences between two snapshots."""

import itertools
import sys
import threading

import pytest
from small_runs import FILE, IGNORED, counts_of

import instrument


def test_nested_measurements_each_have_their_own_counts():
    """Each has the counts between its beginning and its end."""
    source = """
def f():
    return 1
f()
inner.runfunc(f)
f()
"""
    inner = instrument.Trace(count=1, trace=0, ignoredirs=IGNORED)
    outer, _ = counts_of(instrument.Trace, source, inner=inner)

    assert outer == {(FILE, 2): 1, (FILE, 3): 3, (FILE, 4): 1, (FILE, 5): 1, (FILE, 6): 1}
    assert {key: n for key, n in inner.results().counts.items() if key[0] == FILE} == {(FILE, 3): 1}


@pytest.mark.slow
def test_results_can_be_read_while_another_thread_runs():
    """Read again and again, counts never fall, never contradict each other, and are exact at the end."""
    source = """
def call(n):
    if n % 2:
        return n
    return 0
for n in range(600_000):
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
    assert [counts[FILE, line] for line in (3, 4, 5, 6, 7)] == [600_000, 300_000, 300_000, 600_001, 600_000]
