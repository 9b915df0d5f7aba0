"""The background thread: tools of the program do not see it while it has no work, and libraries not its locks."""

import subprocess
import sys
import time

import pytest
from recorded import Tree

from instrument.record.background import Background

needs_monitoring = pytest.mark.skipif(sys.version_info < (3, 12), reason="before 3.12 no tool observes all threads")


@pytest.fixture
def tree(tmp_path):
    return Tree(tmp_path)


# Collects the names of threads in which events occur, until the process ends.
OBSERVE = """
import sys, threading, time
import instrument
names = set()
def note(*event):
    names.add(threading.current_thread().name)
def observe():
    events = sys.monitoring.events
    sys.monitoring.use_tool_id(3, "note")
    for event in (events.PY_START, events.PY_RETURN, events.LINE, events.CALL):
        sys.monitoring.register_callback(3, event, note)
    sys.monitoring.set_events(3, events.PY_START | events.PY_RETURN | events.LINE | events.CALL)
def until_it_idles():
    instrument.record.recorder.current().flush()
    time.sleep(0.3)
"""


@needs_monitoring
def test_the_thread_raises_no_event_while_it_has_no_work(tree):
    """However often it looks for work."""
    output, errors = tree.run(
        OBSERVE + "until_it_idles()\nobserve()\ntime.sleep(2.5)\nprint(names, threading.active_count())\n", flush=100
    )

    assert output == "{'MainThread'} 1\n"
    assert errors == ""


@needs_monitoring
def test_a_tool_that_observes_until_the_end_raises_no_error_there(tree):
    """When the thread ends, it raises no event after `threading` has forgotten it."""
    output, errors = tree.run(OBSERVE + "observe()\ntime.sleep(0.5)\n")

    assert (output, errors) == ("", "")


@needs_monitoring
def test_threading_forgets_the_thread_after_a_tool_saw_it_at_work(tree):
    """The dummy object of `threading` is gone when the work is done, and prints nothing at the end."""
    output, errors = tree.run(
        OBSERVE
        + "until_it_idles()\nobserve()\nuntil_it_idles()\n"
        + "print(len(names) > 1, threading.enumerate() == [threading.main_thread()])\n",
        flush=100,
    )

    assert output == "True True\n"
    assert errors == ""


@needs_monitoring
def test_a_debugger_prints_nothing_at_the_end(tree):
    """From 3.14 on, `breakpoint` observes all threads."""
    tree.write("import time\nbreakpoint()\ntime.sleep(0.5)\nprint('end')\n")
    run = subprocess.run(
        [sys.executable, tree.path],
        env=tree.environment(flush=0.1),
        input="next\ncontinue\n",
        capture_output=True,
        text=True,
        timeout=50,
    )

    assert run.stdout.endswith("end\n")
    assert run.returncode == 0
    assert run.stderr == ""


def test_libraries_that_convert_locks_find_none_of_this_package(tree):
    """Libraries such as eventlet convert all locks of the program, and complain of locks that they cannot convert."""
    source = """
    import _thread, gc, sys
    if len(sys.argv) > 1:
        import sysconfig, threading
        import instrument
    def locks():
        return sum(isinstance(one, _thread.RLock) for one in gc.get_objects())
    if len(sys.argv) > 1:
        before = locks()
        instrument.Trace(count=1, trace=0).runfunc(len, "")
        print(locks() - before)
    else:
        print(locks())
    """
    recorded, _ = tree.run(source)
    plain = subprocess.run([sys.executable, tree.path], capture_output=True, text=True, check=True).stdout

    assert recorded == plain
    assert tree.run(source, "trace", INSTRUMENT="")[0] == "0\n"


def test_threading_does_not_list_the_thread(tree):
    """`threading` counts and enumerates the main thread only."""
    output, _ = tree.run(
        "import threading, time\ntime.sleep(0.1)\nprint(threading.active_count(), len(threading.enumerate()))\n",
        flush=0.05,
    )

    assert output == "1 1\n"


def test_an_order_is_carried_out_without_a_look_that_is_not_due(monkeypatch):
    """The first look loads modules that a process which ends at once does not need. It follows a little later."""
    monkeypatch.setattr("instrument.record.background._FIRST_LOOK", 1.0)
    looks, failures = [], []
    background = Background(lambda: looks.append(1) or 60.0, list, failures.append)
    background.start()
    try:
        for _ in range(5):
            assert background.run(lambda: True)
        before = len(looks)
        until = time.monotonic() + 30
        while not looks and time.monotonic() < until:
            time.sleep(0.01)
        for _ in range(5):
            assert background.run(lambda: True)
        after = len(looks)
    finally:
        background.stop(for_good=True)

    assert (before, after, failures) == (0, 1, [])
