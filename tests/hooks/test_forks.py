"""Forks by C code, of which Python does not know: each process counts the code that it runs itself."""

import subprocess
import sys

import pytest
from recorded import Tree

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="this is about the C library there")

#: The first lines of a program. They make the process one that embeds Python, as far as forks are concerned.
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
    """Run *source* in a process that behaves as if it embedded Python; return its output and its errors."""
    tree.write(EMBEDDED + WORK + source)
    with tree.start(EMBEDDED + WORK + source, **more) as process:
        output, errors = process.communicate(timeout=50)
    if process.returncode == 77:
        pytest.skip("the C library offers no callbacks for forks")
    assert process.returncode == 0, errors
    return output, errors


def calls_by_process(tree):
    """Return a dict from process numbers to how often `work` was entered."""
    return dict(tree.rows("SELECT pid, (SELECT SUM(count) FROM function WHERE name = 'work') FROM process"))


@pytest.mark.parametrize("flush", [0, 0.05])
def test_parent_and_children_each_count_only_the_code_that_they_run(tree, flush):
    """No process has counts of another one, whether they are written during the run or at its end."""
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

    calls = calls_by_process(tree)
    calls_of_parent = calls.pop(int(output.splitlines()[-1]))
    assert (calls_of_parent, sorted(calls.values())) == (4, [3, 4])
    assert errors == ""


def test_a_child_writes_its_counts_while_it_runs(tree):
    """The child has a background thread of its own, so a child that C code ends loses one interval at most."""
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


def test_forks_by_python_and_by_c_do_not_disturb_each_other(tree):
    """Each fork is prepared once, and each child has one data file."""
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


def test_a_fork_by_ctypes_is_announced(tree):
    """Plain Python registers with the C library once the program imports ctypes. Else the child may hang: the
    background thread, which the child does not have, may hold the interpreter's lock."""
    source = """
import os, sys
def work(n):
    return n
work(1)
import ctypes
if not ctypes.CDLL(None).fork():
    work(2)
    import colorsys
    sys.exit()
_, status = os.wait()
work(3)
sys.exit(status)
"""
    for flush in (0, 0.001, 0.001, 0.001):
        with tree.start(source, flush=flush) as process:
            output, errors = process.communicate(timeout=50)
        assert (process.returncode, output, errors) == (0, "", "")

    assert tree.calls("work") == 12


def test_a_child_of_an_unannounced_fork_counts_once_it_is_noticed(tree):
    """The child is noticed at its next import, and says so.

    No other thread may hold a lock, or wait for the interpreter's, meanwhile: `PyDLL` keeps that, and the background
    thread is idle. On a busy machine its first look at the program takes longer than the program sleeps.
    """
    source = """
from instrument.hooks import forks
forks.register_with_c_library = lambda *functions: False
import ctypes, os, sys, time
def work(n):
    return n
work(1)
def all_others_sleep():
    others = set(os.listdir("/proc/self/task")) - {str(os.getpid())}
    texts = [open(f"/proc/self/task/{number}/stat").read() for number in others]
    return all(text.rpartition(")")[2].split()[0] == "S" for text in texts)
time.sleep(0.2)
while not all_others_sleep():
    time.sleep(0.1)
if not ctypes.PyDLL(None).fork():
    work(2)
    import colorsys
    sys.exit()
os.wait()
work(3)
"""
    _, errors = tree.run(source)

    assert tree.calls("work") == 2
    assert errors.count("was forked without Python's knowledge: it is counted from now on") == 1


def test_the_c_library_calls_nothing_after_it_was_told_to_forget():
    """Else it would call functions of an interpreter that is gone."""
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


def test_functions_of_modules_that_c_code_executes_are_counted_after_a_fork(tree):
    """No import hook sees such modules: their functions are found before the fork."""
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
