"""A session makes each code object live once, whoever executes or imports it, and in whatever thread."""

import gc
import sys
import trace

import pytest
from small_runs import FILE, IGNORED, counts_of

import instrument
from instrument.flow import placement
from instrument.session.session import session


@pytest.mark.slow
def test_a_code_object_that_is_executed_often_is_rewritten_once():
    """It keeps its twin, however many other code objects come and go."""
    source = """
code = compile("a = 1\\nb = 2\\n", "<string>", "exec")
for n in range(1500):
    exec(code)
    eval(f"{n}")
"""
    expected, _ = counts_of(trace.Trace, source)
    before = session(placement.MINIMAL)
    known = set(before.short_lived)
    counts, _ = counts_of(instrument.Trace, source)

    assert counts == expected
    made = [before.short_lived[key] for key in set(before.short_lived) - known]
    assert sum(group.originals[-1].co_names == ("a", "b") for group in made) <= 1


def test_modules_that_threads_import_at_the_same_time_have_counters_of_their_own(tmp_path, monkeypatch):
    """No thread gets hold of the counters of another thread's module."""
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


@pytest.mark.parametrize("placement_name", placement.PLACEMENTS)
def test_an_exception_that_leaves_a_run_is_freed_with_its_frames(placement_name):
    """Nothing of this package keeps the frames, or their variables, alive."""
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
    tracer = instrument.Trace(count=1, trace=0, placement=placement_name, ignoredirs=IGNORED)
    gc.disable()
    try:
        with pytest.raises(ValueError) as caught:
            tracer.runctx(compile(source, FILE, "exec"), names, names)
        assert not freed
        del caught
        assert freed == [True]
    finally:
        gc.enable()
