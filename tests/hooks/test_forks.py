"""Forks by C, of which Python is not told: each process counts what is its own."""

import subprocess
import sys

import pytest
from recorded import Tree

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="this is about the C library there")

#: What a process does at its start that is another program than Python.
EMBEDDED = """
import ctypes, os, sys, time
from instrument.hooks import forks
fork = ctypes.CDLL(None).fork
if not forks.register_with_c_library(forks._before_c_fork, forks._after_c_fork_in_parent, forks._notice_c_fork):
    sys.exit(77)
"""
WORK = """
def work(n):
    for i in range(n):
        pass
"""


@pytest.fixture
def tree(tmp_path):
    return Tree(tmp_path)


def run(tree, source, **more):
    """Run *source* as a program that embeds Python."""
    tree.write(EMBEDDED + WORK + source)
    with tree.start(EMBEDDED + WORK + source, **more) as process:
        output, errors = process.communicate(timeout=50)
    if process.returncode == 77:
        pytest.skip("the C library calls nobody")
    assert process.returncode == 0, errors
    return output, errors


def calls_by_process(tree):
    """Return how often `work` was entered, by the number of the process."""
    return dict(tree.rows("SELECT pid, (SELECT SUM(count) FROM function WHERE name = 'work') FROM process"))


@pytest.mark.parametrize("flush", [0, 0.05])
def test_children_count_what_they_run(tree, flush):
    """Neither process has counts of the other, whenever they were written; the parent counts on."""
    source = """
work(1), work(2)
time.sleep(0.2)
work(3)
for n in (3, 4):
    if not fork():
        for i in range(n):
            work(i)
        sys.exit()
while True:
    try:
        os.wait()
    except ChildProcessError:
        break
work(4)
print(os.getpid())
"""
    output, errors = run(tree, source, flush=flush)

    found = calls_by_process(tree)
    parent = found.pop(int(output.splitlines()[-1]))
    assert (parent, sorted(found.values())) == (4, [3, 4])
    assert errors == ""


def test_a_child_writes_now_and_then(tree):
    """One that C ends has lost one interval at most: it has a thread of its own in the background."""
    source = """
work(1)
if not fork():
    work(2)
    work(3)
    time.sleep(1)
    ctypes.CDLL(None)._exit(0)
os.wait()
"""
    run(tree, source, flush=0.1)

    assert sorted(calls_by_process(tree).values()) == [1, 2]


def test_forks_that_python_knows_are_as_ever(tree):
    """They are prepared once, and each child has one file."""
    source = """
work(1)
for n in range(3):
    if not os.fork():
        work(2)
        if not fork():
            work(3)
            sys.exit()
        os.wait()
        sys.exit()
    os.wait()
"""
    _, errors = run(tree, source, flush=0.05)

    assert sorted(calls_by_process(tree).values()) == [1] * 7
    assert errors == ""


def test_a_fork_that_nothing_prepared(tree):
    """In a process that is Python itself, what the child counts begins when it is found to be one, and that is said."""
    source = """
import ctypes, os, sys
def work(n):
    return n
work(1)
if not ctypes.CDLL(None).fork():
    work(2)
    import colorsys
    sys.exit()
os.wait()
work(3)
"""
    _, errors = tree.run(source)

    assert tree.calls("work") == 2
    assert errors.count("was forked without Python's knowledge: it is counted from now on") == 1


def test_the_c_library_forgets_us():
    """It would call what is no more."""
    source = """
import ctypes
from instrument.hooks import forks
called = []
forks.register_with_c_library(lambda: called.append(1), lambda: called.append(2), lambda: None)
if not ctypes.CDLL(None).fork():
    ctypes.CDLL(None)._exit(0)
forks.forget_c_library()
if not ctypes.CDLL(None).fork():
    ctypes.CDLL(None)._exit(0)
assert called in ([], [1, 2]), called
"""
    assert subprocess.run([sys.executable, "-c", source], timeout=50, check=False).returncode == 0


def test_modules_that_c_compiles(tree):
    """Their functions are counted in the processes that are forked afterwards, though no import was seen."""
    (tree.folder / "script.wsgi").write_text("def application(n):\n    return n + 1\n", encoding="utf-8")
    source = """
source = open("script.wsgi").read()
code = compile(source, os.path.abspath("script.wsgi"), "exec")
load = ctypes.pythonapi.PyImport_ExecCodeModule
load.restype, load.argtypes = ctypes.py_object, (ctypes.c_char_p, ctypes.py_object)
module = load(b"_script", code)
if not fork():
    for n in range(5):
        module.application(n)
    sys.exit()
os.wait()
"""
    run(tree, source)

    assert tree.lines("script.wsgi") == {2: 5}
