"""The thread in the background: no tool of the program finds it while it has nothing to do, and no library its locks."""

import subprocess
import sys

import pytest
from recorded import Tree

needs_monitoring = pytest.mark.skipif(sys.version_info < (3, 12), reason="nothing observes all threads")


@pytest.fixture
def tree(tmp_path):
    return Tree(tmp_path)


# Notes the threads that events come from, to the end of the process.
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
def test_nobody_sees_it_while_it_has_nothing_to_do(tree):
    """No event comes from the thread, however often it looks for itself."""
    output, errors = tree.run(
        OBSERVE + "until_it_idles()\nobserve()\ntime.sleep(2.5)\nprint(names, threading.active_count())\n", flush=100
    )

    assert output == "{'MainThread'} 1\n"
    assert errors == ""


@needs_monitoring
def test_a_tool_that_watches_to_the_end_raises_nothing_there(tree):
    """No event comes from the thread after `threading` has forgotten the thread, when the thread ends."""
    output, errors = tree.run(OBSERVE + "observe()\ntime.sleep(0.5)\n")

    assert (output, errors) == ("", "")


@needs_monitoring
def test_nothing_stays_of_a_thread_that_was_seen_at_work(tree):
    """What `threading` has made of the thread is gone when it is at rest again, and says nothing at the end."""
    output, errors = tree.run(
        OBSERVE
        + "until_it_idles()\nobserve()\nuntil_it_idles()\n"
        + "print(len(names) > 1, threading.enumerate() == [threading.main_thread()])\n",
        flush=100,
    )

    assert output == "True True\n"
    assert errors == ""


@needs_monitoring
def test_a_debugger_says_nothing_at_the_end(tree):
    """`breakpoint` observes all threads from 3.14 on; the process ends as quietly as without us."""
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


def test_no_library_finds_a_lock_of_ours(tree):
    """Those that convert the locks of the program, as eventlet does, find as many as without us."""
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


def test_no_thread_is_seen(tree):
    """The thread in the background is none of `threading`."""
    output, _ = tree.run(
        "import threading, time\ntime.sleep(0.1)\nprint(threading.active_count(), len(threading.enumerate()))\n",
        flush=0.05,
    )

    assert output == "1 1\n"
