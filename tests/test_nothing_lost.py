"""Nothing is lost and nothing doubled, whatever ends a process: exact sums of a known number of calls."""

import os
import random
import signal
import sys
import time

import pytest
from recorded import Tree

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="processes end in other ways here")

# Line 4 runs once a call.
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
    """Return WORK, with *text* behind it."""
    return WORK + text


# Each way to end, the exit status, and how the process says that it ended. All work is 1,000 calls.
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
def test_every_end(tree, end, flush):
    """However a process ends, all of its calls are counted, its exit status is its own, and so is what it says."""
    text, status, ended = ENDS[end]
    tree.run(program(text), status=status, flush=flush)

    assert tree.lines()[4] == 1000
    assert tree.calls("call") == 1000
    assert tree.ends()[-1] == ended


# Ways in which a tree of processes does the work together: 1,000 calls.
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
def test_every_tree(tree, kind, flush):
    """However processes become others, or make them, all calls are counted, once."""
    tree.run(program("r, w = os.pipe()\n" + TREES[kind]), flush=flush)

    assert tree.lines()[4] == 1000
    assert tree.calls("call") == 1000


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
def test_multiprocessing(tree, method):
    """Processes of multiprocessing, pools that are terminated, and those of concurrent.futures lose nothing."""
    tree.run(program(POOLS), method, flush=0.2)

    assert tree.lines()[4] == 1000


def test_many_short_processes_at_once(tree):
    """Processes that all end at the same time write one file each, and nothing gets lost."""
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


def test_killed_at_random(tree):
    """A process that is killed loses no more than it did since its last flush, and what is there is consistent."""
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

        # A flush each 0.05 s or as fast as this machine can: within that second there was one.
        assert before <= lines[4] <= after + 1
        assert 0 <= lines[10] - lines[4] <= 1
        assert tree.calls("call") == lines[6] or abs(tree.calls("call") - lines[4]) <= 1
        (tree.folder / "calls").unlink()


def test_terminated_while_it_flushes(tree):
    """A signal that comes in the middle of a flush ends the process when that is done, and nothing is lost."""
    for moment in range(5):
        for file in tree.files():
            file.unlink()
        process = tree.start(
            program("print(flush=True)\nwhile not os.path.exists('stop'):\n    work(1)\n    n = None"), flush=0.01
        )
        process.stdout.readline()
        time.sleep(0.05 + 0.013 * moment)
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=30)

        assert process.returncode == -signal.SIGTERM, said
        assert tree.ends() == ["SIGTERM"]
        lines = tree.lines()
        assert 0 <= lines[8] - lines[10] <= 1
        assert 0 <= lines[4] - lines[10] <= 1


def test_forks_while_it_flushes(tree):
    """Forks that come in the middle of flushes, in several threads, count everything once."""
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


@pytest.mark.skipif(sys.version_info < (3, 12), reason="nobody warns")
def test_forks_warn_of_nothing(tree):
    """The thread in the background is no reason to warn of a fork."""
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


def test_status_of_a_child_is_its_own(tree):
    """A parent sees in its children what it would see without us."""
    tree.run(
        program(
            """
import subprocess
code = "import signal, os, time; os.kill(os.getpid(), signal.SIGTERM); time.sleep(60)"
assert subprocess.run([sys.executable, "-c", code]).returncode == -signal.SIGTERM
"""
        )
    )


def test_preexec_function(tree):
    """Code that subprocess runs in the child before it turns into another program does no harm, but is not counted."""
    source = program(
        "import subprocess\nsubprocess.run(['true'], check=True, preexec_fn=lambda: (work(400), None)[1])\nwork(600)"
    )
    tree.run(source, flush=0.05)

    # The child becomes a program that is no Python, by a call in C that nobody is told of.
    assert tree.lines()[4] == 600


def test_file_descriptors_closed(tree):
    """A daemon that closes all files it has inherited is recorded none the less."""
    tree.run(program("work(500)\nos.closerange(0, 256)\nwork(500)\nos._exit(0)"), flush=0.01)

    assert tree.lines()[4] == 1000


# 20 greenlets that take turns in the middle of a loop; and one that is left there, in its seventh turn.
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
def test_greenlets(tree, kind, flush):
    """Whichever greenlet is switched to, and however many are in the middle of something when counts are written."""
    package = kind.partition(",")[0]
    pytest.importorskip(package)
    path = os.path.dirname(os.path.dirname(sys.modules[package].__file__))
    search = os.pathsep.join([tree.environment()["PYTHONPATH"], path])
    tree.run(KINDS_OF_GREENLETS[kind], flush=flush, PYTHONPATH=search)

    # 20 times ten turns, and once seven, of which the last one does not get to its end.
    expected = {4: 20 * 11 + 7, 5: 207, 6: 20 * 6 + 4, 7: 20 * 4 + 3, 8: 1, 10: 20 * 4 + 2, 11: 206, 13: 206 + 124}
    lines = tree.lines()
    assert {line: lines[line] for line in expected} == expected
    assert tree.calls("call") == expected[13]
