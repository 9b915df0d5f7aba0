"""However processes end, fork or are killed, the counts of a known number of calls are exact."""

import os
import random
import signal
import sys
import textwrap
import time

import pytest
from recorded import Tree

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="the programs fork")

# Line 4 runs once for each call.
WORK = """\
import os, signal, sys, threading, time
def work(n):
    for _ in range(n):
        call()
def call():
    return None
"""


@pytest.fixture
def tree(tmp_path):
    return Tree(tmp_path)


def program(text):
    """Return a program that defines `work` and `call`, and then runs *text*."""
    return WORK + text


# Name: (text, exit status, the end that the data file states). Each text makes 1,000 calls.
ENDS = {
    "normal": ("work(1000)", 0, "exit"),
    "exception": ("work(1000)\nraise ValueError(1)", 1, "exit"),
    "sys.exit": ("work(1000)\nsys.exit(3)", 3, "exit"),
    "os._exit": ("work(1000)\nos._exit(4)", 4, "_exit"),
    "os.abort in a child that has nothing": ("work(1000)\nif not os.fork(): os.abort()\nos.wait()", 0, "exit"),
    "exit handlers": ("import atexit\natexit.register(work, 400)\nwork(600)", 0, "exit"),
    "thread": ("threading.Thread(target=work, args=(400,)).start()\nwork(600)", 0, "exit"),
    "_thread": (
        (
            "import _thread\ndone = _thread.allocate_lock()\ndone.acquire()\n"
            "def go():\n    work(400)\n    done.release()\n_thread.start_new_thread(go, ())\ndone.acquire()\nwork(600)"
        ),
        0,
        "exit",
    ),
    "daemon thread": (
        (
            "def go():\n    work(400)\n    ready.set()\n    time.sleep(60)\n"
            "ready = threading.Event()\nthreading.Thread(target=go, daemon=True).start()\nready.wait()\nwork(600)"
        ),
        0,
        "exit",
    ),
    "_exit in a thread": (
        "def go():\n    work(400)\n    os._exit(5)\nwork(600)\nthreading.Thread(target=go).start()\ntime.sleep(60)",
        5,
        "_exit",
    ),
    "SIGTERM": ("work(1000)\nos.kill(os.getpid(), signal.SIGTERM)\ntime.sleep(60)", -signal.SIGTERM, "SIGTERM"),
    "SIGHUP": ("work(1000)\nos.kill(os.getpid(), signal.SIGHUP)\ntime.sleep(60)", -signal.SIGHUP, "SIGHUP"),
    "SIGINT": ("work(1000)\nos.kill(os.getpid(), signal.SIGINT)\ntime.sleep(60)", -signal.SIGINT, "exit"),
    "SIGINT, at its default": (
        (
            "assert signal.signal(signal.SIGINT, signal.SIG_DFL) is signal.default_int_handler\n"
            "assert signal.getsignal(signal.SIGINT) is signal.SIG_DFL\n"
            "work(1000)\nos.kill(os.getpid(), signal.SIGINT)\ntime.sleep(60)"
        ),
        -signal.SIGINT,
        "SIGINT",
    ),
    "SIGTERM, handled": (
        (
            "signal.signal(signal.SIGTERM, lambda *_: (work(400), sys.exit(6)))\nwork(600)\n"
            "os.kill(os.getpid(), signal.SIGTERM)\ntime.sleep(60)"
        ),
        6,
        "exit",
    ),
    "SIGTERM, handled and not any more": (
        (
            "assert signal.signal(signal.SIGTERM, work) is signal.SIG_DFL\nassert signal.getsignal(signal.SIGTERM) is work\n"
            "assert signal.signal(signal.SIGTERM, signal.SIG_DFL) is work\n"
            "assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL\n"
            "work(1000)\nos.kill(os.getpid(), signal.SIGTERM)\ntime.sleep(60)"
        ),
        -signal.SIGTERM,
        "SIGTERM",
    ),
    "SIGTERM, ignored": (
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\nwork(600)\nos.kill(os.getpid(), signal.SIGTERM)\nwork(400)",
        0,
        "exit",
    ),
    "chdir": ("os.mkdir('elsewhere')\nos.chdir('elsewhere')\nwork(1000)", 0, "exit"),
    "chdir to a folder that goes": ("os.mkdir('gone')\nos.chdir('gone')\nos.rmdir('../gone')\nwork(1000)", 0, "exit"),
    "asyncio": (
        (
            "import asyncio\nasync def go():\n    work(250)\n    await asyncio.sleep(0)\n    work(250)\n"
            "async def main():\n    await asyncio.gather(go(), go())\nasyncio.run(main())"
        ),
        0,
        "exit",
    ),
    "asyncio's handler": (
        (
            "import asyncio\nasync def main():\n    work(400)\n    stop = asyncio.Event()\n"
            "    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)\n"
            "    os.kill(os.getpid(), signal.SIGTERM)\n    await stop.wait()\n    work(600)\nasyncio.run(main())"
        ),
        0,
        "exit",
    ),
    "exit handlers that are removed": ("import atexit\nwork(600)\natexit._clear()\nwork(400)", 0, "exit"),
    "exit handlers that are removed, and others": (
        (
            "import atexit\nwork(100)\natexit._clear()\natexit.register(work, 400)\natexit._clear()\n"
            "atexit.register(work, 600)\nwork(300)"
        ),
        0,
        "exit",
    ),
    "exit handlers that all equal something": (
        (
            "import atexit\nclass Any:\n    def __eq__(self, other):\n        return True\n"
            "work(600)\natexit.unregister(Any())\nwork(400)"
        ),
        0,
        "exit",
    ),
    "exit handlers of which some equal something": (
        (
            "import atexit\nclass Some:\n    def __eq__(self, other):\n        return other is not work\n"
            "atexit.register(work, 400)\natexit.unregister(Some())\nwork(600)"
        ),
        0,
        "exit",
    ),
    "exit handlers that are called early": (
        (
            "import atexit\natexit.register(work, 100)\nwork(300)\natexit._run_exitfuncs()\nwork(200)\n"
            "atexit.register(work, 400)"
        ),
        0,
        "exit",
    ),
    "exit handlers that are called early, then a signal": (
        "import atexit\nwork(300)\natexit._run_exitfuncs()\nwork(700)\nos.kill(os.getpid(), signal.SIGTERM)\ntime.sleep(60)",
        -signal.SIGTERM,
        "SIGTERM",
    ),
    "functions of atexit that are replaced": (
        (
            "import atexit\natexit.register = atexit.unregister = atexit._clear = atexit._run_exitfuncs = print\n"
            "work(1000)"
        ),
        0,
        "exit",
    ),
    "exit handlers that are removed by a thread": (
        (
            "import atexit\ndef go():\n    work(400)\n    atexit._clear()\n    work(200)\n"
            "thread = threading.Thread(target=go)\nthread.start()\nthread.join()\nwork(400)"
        ),
        0,
        "exit",
    ),
    "exit handlers that are removed again and again": (
        "import atexit\nfor _ in range(100):\n    work(10)\n    atexit._clear()\n    atexit._run_exitfuncs()",
        0,
        "exit",
    ),
    "exit handlers that are removed, and a pause": (
        "import atexit\natexit._clear()\ntime.sleep(0.2)\natexit._clear()\nwork(600)\natexit.register(work, 400)",
        0,
        "exit",
    ),
    "exec that fails": (
        "work(500)\ntry:\n    os.execv('/no/such', ['x'])\nexcept FileNotFoundError:\n    work(500)",
        0,
        "exit",
    ),
}


@pytest.mark.parametrize(
    ("end", "flush"), [(end, 0.05) for end in ENDS] + [(end, 0) for end in list(ENDS)[:4] + ["SIGTERM", "thread"]]
    + [(end, 0) for end in ENDS if end.startswith("exit handlers that")],
)
def test_all_calls_are_counted_however_a_process_ends(tree, end, flush):
    """All 1,000 calls are counted, the exit status is the program's own, and the data file states how it ended."""
    text, status, ended = ENDS[end]
    tree.run(program(text), status=status, flush=flush)

    assert tree.lines()[4] == 1000
    assert tree.calls("call") == 1000
    assert tree.ends()[-1] == ended


# Name: text of a program whose processes make 1,000 calls together.
TREES = {
    "exec": "if len(sys.argv) > 1:\n    work(600)\nelse:\n    work(400)\n"
    "    os.execv(sys.executable, [sys.executable, __file__, 'again'])",
    "execvp": "if len(sys.argv) > 1:\n    work(600)\nelse:\n    work(400)\n"
    "    os.execvpe(sys.executable, [sys.executable, __file__, 'again'], os.environ)",
    "fork and fall through": "work(200)\nos.fork()\nwork(400)",
    "fork and _exit": "if not os.fork():\n    work(400)\n    os._exit(0)\nos.wait()\nwork(600)",
    "fork and be terminated": "if not (pid := os.fork()):\n    work(400)\n    os.write(w, b'x')\n    for _ in range(600): time.sleep(0.1)\n"
    "os.read(r, 1)\nos.kill(pid, signal.SIGTERM)\nassert os.waitstatus_to_exitcode(os.wait()[1]) == -signal.SIGTERM\n"
    "work(600)",
    "fork and be terminated at once": "work(1000)\nfor _ in range(60):\n    if not (pid := os.fork()):\n"
    "        for _ in range(100): time.sleep(0.1)\n        os._exit(7)\n    os.kill(pid, signal.SIGTERM)\n"
    "    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGTERM",
    "fork twice": "work(100)\nif not os.fork():\n    work(100)\n    if not os.fork():\n        work(400)\n"
    "        os._exit(0)\n    os.wait()\n    work(100)\n    sys.exit()\nos.wait()\nwork(300)",
    "fork with threads": "go = threading.Event()\ndef late():\n    go.wait()\n    work(300)\n"
    "threads = [threading.Thread(target=late) for _ in range(2)]\nfor one in threads: one.start()\n"
    "if not os.fork():\n    work(300)\n    os._exit(0)\nos.wait()\nwork(100)\ngo.set()\nfor one in threads: one.join()",
    "fork within work": "def deep(n):\n    if n:\n        return deep(n - 1)\n    pid = os.fork()\n    work(500)\n"
    "    return pid\nif deep(50):\n    os.wait()\nelse:\n    os._exit(0)",
    "forks in a row": "for _ in range(20):\n    if not os.fork():\n        work(50)\n        os._exit(0)\n    os.wait()",
    "fork and raise": "if not os.fork():\n    work(500)\n    sys.stderr.close()\n    raise ValueError\nos.wait()\nwork(500)",
    "subprocess": "import subprocess\nif len(sys.argv) > 1:\n    work(100)\nelse:\n    for _ in range(4):\n"
    "        subprocess.run([sys.executable, __file__, 'again'], check=True)\n    work(600)",
}


@pytest.mark.parametrize(("kind", "flush"), [(kind, 0.05) for kind in TREES] + [(kind, 0) for kind in list(TREES)[:6]])
def test_all_calls_of_forked_and_executed_processes_are_counted_once(tree, kind, flush):
    """All 1,000 calls are counted once, however processes fork, start others, or execute another program."""
    tree.run(program("r, w = os.pipe()\n" + TREES[kind]), flush=flush)

    assert tree.lines()[4] == 1000
    assert tree.calls("call") == 1000


#: Functions that begin the counts of a forked process: module, class and name.
OF_FORKS = [
    ("hooks.signals", "", "begin_in_child"),
    ("record.recorder", "Recorder", "_begin"),
    ("record.recorder", "Recorder", "_make_data"),
    ("record.background", "Background", "resume"),
]
SIGNAL_AFTER_FORK = """
import importlib
parent = os.getpid()
work(1000)
module = importlib.import_module("instrument." + sys.argv[1])
owner = getattr(module, sys.argv[2]) if sys.argv[2] else module
original = getattr(owner, sys.argv[3])
def interrupted(*arguments):
    if os.getpid() != parent:
        setattr(owner, sys.argv[3], original)
        os.kill(os.getpid(), signal.SIGTERM)
    return original(*arguments)
setattr(owner, sys.argv[3], interrupted)
if sys.argv[4] == "handled":
    signal.signal(signal.SIGTERM, lambda *_: os._exit(-signal.SIGTERM % 256))
if not os.fork():
    time.sleep(50)
assert os.waitstatus_to_exitcode(os.wait()[1]) % 256 == -signal.SIGTERM % 256
"""


@pytest.mark.parametrize("handling", ["default", "handled"])
@pytest.mark.parametrize("function", OF_FORKS, ids=lambda function: function[-1])
def test_a_signal_before_a_forked_process_counts_does_not_repeat_counts(tree, function, handling):
    """A pool of processes may terminate a worker at once. The worker ends, the parent goes on, and each call counts once."""
    _, errors = tree.run(program(SIGNAL_AFTER_FORK), *function, handling)

    assert errors == ""
    assert tree.lines()[4] == 1000


SIGNAL_TO_PARENT = """
import instrument.record.recorder as recorder
work(1000)
original = recorder.Recorder.after_fork_in_parent
def interrupted(*arguments):
    os.kill(os.getpid(), signal.SIGTERM)
    original(*arguments)
recorder.Recorder.after_fork_in_parent = interrupted
if not os.fork():
    os._exit(0)
"""


def test_a_signal_to_a_process_that_has_forked_ends_it_and_loses_no_count(tree):
    """It comes before the background thread begins again."""
    _, errors = tree.run(program(SIGNAL_TO_PARENT), status=-signal.SIGTERM)

    assert errors == ""
    assert tree.lines()[4] == 1000


def test_signals_are_blocked_after_a_fork_if_they_were_before(tree):
    """The mask of the thread that forks is as it was, in both processes."""
    text = """
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGHUP])
    work(500)
    child = os.fork()
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == {signal.SIGHUP}
    work(250)
    if not child:
        os._exit(0)
    assert os.wait()[1] == 0
    """
    tree.run(program(textwrap.dedent(text)))

    assert tree.lines()[4] == 1000


POOLS = """
import multiprocessing, concurrent.futures
if __name__ == "__main__":
    context = multiprocessing.get_context(sys.argv[1])
    with context.Pool(2) as pool:  # ends by terminate()
        pool.map(work, [10] * 20, 1)
    process = context.Process(target=work, args=(200,))
    process.start()
    process.join()
    with concurrent.futures.ProcessPoolExecutor(2, mp_context=context) as executor:
        list(executor.map(work, [50] * 4))
    with concurrent.futures.ThreadPoolExecutor(4) as executor:
        list(executor.map(work, [10] * 40))
"""


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_all_calls_in_processes_of_multiprocessing_are_counted(tree, method):
    """Processes, terminated pools, and executors of `concurrent.futures` lose no call."""
    tree.run(program(POOLS), method, flush=0.2)

    assert tree.lines()[4] == 1000


def test_a_hundred_processes_that_end_at_once_write_one_file_each(tree):
    """All calls are counted, and each process has a data file."""
    tree.run(
        program(
            """
r, w = os.pipe()
for _ in range(100):
    if not os.fork():
        os.close(w)
        os.read(r, 1)  # all at once
        work(10)
        os._exit(0)
os.close(w)
for _ in range(100):
    os.wait()
"""
        )
    )

    assert tree.lines()[4] == 1000
    assert len(tree.files()) == 101


def test_a_killed_process_loses_only_counts_since_its_last_flush(tree):
    """The counts in the data file are consistent, and include all calls up to a second before the kill."""
    source = program(
        """
file = os.open("calls", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
n = 0
while True:
    work(1)
    n += 1
    os.pwrite(file, b"%020d" % n, 0)
"""
    )
    moments = random.Random(4)
    for _ in range(6):
        for file in tree.files():
            file.unlink()
        process = tree.start(source, flush=0.05)
        time.sleep(0.4 + moments.random() * 0.4)
        before = int((tree.folder / "calls").read_text() or 0) if (tree.folder / "calls").exists() else 0
        time.sleep(1.0)
        process.kill()
        process.communicate()
        after = int((tree.folder / "calls").read_text())
        lines = tree.lines()

        # Flushes come every 0.05 s, or as fast as this machine can: at least one came within that second.
        assert before <= lines[4] <= after + 1
        assert 0 <= lines[10] - lines[4] <= 1
        assert tree.calls("call") == lines[6] or abs(tree.calls("call") - lines[4]) <= 1
        (tree.folder / "calls").unlink()


def test_a_signal_during_a_flush_ends_the_process_after_the_flush(tree):
    """A process that gets SIGTERM at any moment of a flush loses no count."""
    for moment in range(5):
        for file in tree.files():
            file.unlink()
        process = tree.start(
            program("print(flush=True)\nwhile not os.path.exists('stop'):\n    work(1)\n    n = None"), flush=0.01
        )
        process.stdout.readline()
        time.sleep(0.05 + 0.013 * moment)
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=30)

        assert process.returncode == -signal.SIGTERM, errors
        assert tree.ends() == ["SIGTERM"]
        lines = tree.lines()
        assert 0 <= lines[8] - lines[10] <= 1
        assert 0 <= lines[4] - lines[10] <= 1


def test_a_signal_while_the_background_thread_ends_loses_no_count(tree):
    """A process ends its background thread at exit. SIGTERM comes before that thread has gone."""
    text = """
from instrument.record import background, recorder
pause = background.sleep
def interrupt(seconds):
    background.sleep = pause
    while recorder.current()._background._is_alive:
        pause(seconds)
    os.kill(os.getpid(), signal.SIGTERM)
background.sleep = interrupt
work(1000)
"""
    tree.run(program(text), flush=0.05, status=-signal.SIGTERM)

    assert tree.lines()[4] == 1000


def test_forks_during_flushes_count_each_call_once(tree):
    """Two threads fork forty times, while the process flushes all the time."""
    source = program(
        """
def forks():
    for _ in range(20):
        if not os.fork():
            work(10)
            os._exit(0)
        work(5)
threads = [threading.Thread(target=forks) for _ in range(2)]
for one in threads: one.start()
for one in threads: one.join()
for _ in range(40): os.wait()
"""
    )
    tree.run(source, flush=0.001)

    assert tree.lines()[4] == 2 * 20 * 15


@pytest.mark.skipif(sys.version_info < (3, 12), reason="3.11 does not warn of threads in a process that forks")
def test_the_background_thread_causes_no_warning_of_a_fork(tree):
    """A program without threads of its own forks without a DeprecationWarning."""
    _, errors = tree.run(
        program(
            """
for _ in range(5):
    work(100)
    time.sleep(0.02)
    if not os.fork():
        work(100)
        if not os.fork():
            os._exit(0)
        os._exit(0)
    os.wait()
"""
        ),
        flush=0.01,
        options=["-W", "always"],
    )

    assert errors == ""
    assert tree.lines()[4] == 1000


def test_a_parent_gets_the_exit_status_of_its_child(tree):
    """A child that a signal ends has that signal as its exit status."""
    tree.run(
        program(
            """
import subprocess
code = "import signal, os, time; os.kill(os.getpid(), signal.SIGTERM); time.sleep(60)"
assert subprocess.run([sys.executable, "-c", code]).returncode == -signal.SIGTERM
"""
        )
    )


def test_a_preexec_function_does_no_harm_and_is_not_counted(tree):
    """`subprocess` calls that function in the child, before the child executes another program."""
    source = program(
        "import subprocess\nsubprocess.run(['true'], check=True, preexec_fn=lambda: (work(400), None)[1])\nwork(600)"
    )
    tree.run(source, flush=0.05)

    # The child executes a program that is not Python, by a call in C that no hook intercepts.
    assert tree.lines()[4] == 600


def test_a_process_that_closes_all_file_descriptors_is_recorded(tree):
    """A daemon that closes all inherited files loses no count."""
    tree.run(program("work(500)\nos.closerange(0, 256)\nwork(500)\nos._exit(0)"), flush=0.01)

    assert tree.lines()[4] == 1000


# 20 greenlets switch in the middle of a loop. One more is suspended for ever in its seventh turn.
GREENLETS = """\
import {package}
{patch}
def work(pause, last=None):
    for n in range(10):
        if n % 3:
            call()
        elif n == 6 and last:
            last()
        else:
            pause()
        call()
def call():
    return None
"""
GEVENT = """
import gevent.event
{imports}
greenlets = [gevent.spawn(work, lambda: {pause}) for _ in range(20)]
stuck = gevent.spawn(work, lambda: {pause}, gevent.event.Event().wait)
gevent.joinall(greenlets)
gevent.sleep(0.05)
"""
PLAIN_GREENLETS = """
pause = greenlet.getcurrent().switch
greenlets = [greenlet.greenlet(work) for _ in range(20)]
for one in greenlets:
    one.switch(pause)
while any(greenlets):
    for one in greenlets:
        if one:
            one.switch()
stuck = greenlet.greenlet(work)
for _ in range(3):
    stuck.switch(*(() if stuck else (pause, pause)))
"""
KINDS_OF_GREENLETS = {
    "gevent": GREENLETS.format(package="gevent", patch="") + GEVENT.format(imports="", pause="gevent.sleep(0)"),
    "gevent, patched": GREENLETS.format(package="gevent.monkey", patch="gevent.monkey.patch_all()")
    + GEVENT.format(imports="import time", pause="time.sleep(0)"),
    "greenlet": GREENLETS.format(package="greenlet", patch="") + PLAIN_GREENLETS,
}


@pytest.mark.parametrize("flush", [0, 0.02])
@pytest.mark.parametrize("kind", KINDS_OF_GREENLETS)
def test_counts_of_greenlets_are_exact(tree, kind, flush):
    """Counts are exact although greenlets switch inside a loop, and one is suspended when counts are written."""
    package = kind.partition(",")[0]
    pytest.importorskip(package)
    path = os.path.dirname(os.path.dirname(sys.modules[package].__file__))
    search = os.pathsep.join([tree.environment()["PYTHONPATH"], path])
    tree.run(KINDS_OF_GREENLETS[kind], flush=flush, PYTHONPATH=search)

    # 20 greenlets make ten turns each. One makes seven, of which the last does not end.
    expected = {4: 20 * 11 + 7, 5: 207, 6: 20 * 6 + 4, 7: 20 * 4 + 3, 8: 1, 10: 20 * 4 + 2, 11: 206, 13: 206 + 124}
    lines = tree.lines()
    assert {line: lines[line] for line in expected} == expected
    assert tree.calls("call") == expected[13]
