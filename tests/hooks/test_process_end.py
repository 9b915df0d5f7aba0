"""The hooks of process ends save the counts, and the program finds exit handlers and functions of `os` as ever."""

import os
import signal
import subprocess
import sys

import pytest
from recorded import Tree


@pytest.fixture
def tree(tmp_path):
    return Tree(tmp_path)


REMOVES_HANDLERS = """
import atexit, sys, threading
class Handler:
    def __init__(self, name):
        self.name = name
    def __call__(self):
        print("handler", self.name)
    def __eq__(self, other):
        return type(other) in (Handler, All) and (other.name, self.name).count("all") != 0
    def __hash__(self):
        return 1
    def __del__(self, print=print):
        print("freed", self.name)
class All(Handler):
    def __eq__(self, other):
        return True
atexit.register(Handler("first"))
atexit.register(Handler("second"))
print("run", atexit._run_exitfuncs())
atexit.register(Handler("third"))
print("clear", atexit._clear())
atexit.register(Handler("fourth"))
print("unregister", atexit.unregister(All("all")))
atexit.register(Handler("fifth"))
atexit.register(atexit.register, Handler("sixth"))
threading._register_atexit(print, "threads end")
last = Handler("last")
print("end")
"""


@pytest.mark.parametrize("flush", [0, 0.05])
def test_exit_handlers_are_called_and_freed_as_in_a_plain_run(tree, flush):
    """Whichever handlers the program removes, the others are called in the same order, with the same output."""
    tree.write(REMOVES_HANDLERS)
    # Output has a buffer: the last text is written when the interpreter frees the stream.
    environment = {name: value for name, value in tree.environment().items() if not name.startswith("INSTRUMENT")}
    environment["PYTHONUNBUFFERED"] = ""
    command = [sys.executable, tree.path]
    plain = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=50, check=False)

    assert "handler fifth" in plain.stdout
    assert "freed last" in plain.stdout
    assert tree.run(REMOVES_HANDLERS, flush=flush, PYTHONUNBUFFERED="") == (plain.stdout, plain.stderr)
    assert tree.calls("Handler.__call__") == plain.stdout.count("handler")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no forks")
def test_a_removed_handler_is_registered_again_in_forked_children(tree):
    """A child that removes the exit handlers that it has inherited, as servers do, is counted to its end."""
    source = """
import atexit, os, sys
def work():
    pass
for _ in range(5):
    if not os.fork():
        atexit._clear()
        atexit.register(work)
        work()
        sys.exit()
    os.wait()
work()
"""
    tree.run(source)

    assert tree.calls("work") == 11
    assert tree.ends() == ["exit"] * 6


def test_an_unmatched_scope_is_reported_although_exit_handlers_were_removed(tree):
    """Messages at the end do not depend on the list of exit handlers."""
    _, errors = tree.run("import atexit\natexit._clear()\n", INSTRUMENT="no_such_module")

    assert "no module or file that was loaded is in the scope 'no_such_module'" in errors


@pytest.mark.skipif(not hasattr(os, "fork"), reason="Windows has other functions")
def test_functions_of_os_print_and_pickle_like_the_originals(tree):
    """Calls of `os._exit` and `os.execv` that fail have no frame of this package in their traceback."""
    output, _ = tree.run(
        """
        import copy, os, pickle, traceback
        print(os._exit, os._exit.__name__, os.execv.__qualname__, callable(os._exit), bool(os.execv.__doc__))
        print(pickle.loads(pickle.dumps(os._exit)) is os._exit, copy.copy(os.execv) is os.execv)
        try:
            os.execv("/no/such/program", ["x"])
        except OSError as error:
            print(len(traceback.extract_tb(error.__traceback__)))
        try:
            os._exit("x")
        except TypeError as error:
            print(error, len(traceback.extract_tb(error.__traceback__)))
        """
    )

    assert output == (
        "<built-in function _exit> _exit execv True True\nTrue True\n1\n"
        "'str' object cannot be interpreted as an integer 1\n"
    )


NEEDS_ONE_THREAD = """
import os, sys, time, traceback
def work(n):
    total = 0
    for i in range(n):
        total += 1
    return total
work(10)
time.sleep(0.3)
for flags in ((), (1 << 60,), (os.CLONE_NEWUSER,), (os.CLONE_NEWNS,)):
    try:
        print(os.unshare(*flags))
    except (OSError, TypeError, OverflowError) as error:
        print(error, len(traceback.extract_tb(error.__traceback__)))
try:
    os.setns(os.open("/proc/self/ns/mnt", os.O_RDONLY), os.CLONE_NEWNS)
except OSError as error:
    print(error)
print(os.unshare, os.unshare.__name__)
sys.stdout.flush()  # what is in its buffer would be lost
work(100)
time.sleep(0.5)
os.kill(os.getpid(), 9)
"""


@pytest.mark.skipif(not hasattr(os, "unshare"), reason="this Python or system has no os.unshare")
def test_functions_that_need_a_single_thread_succeed(tree):
    """During `os.unshare` and `os.setns` the background thread is gone. Later it saves counts as before."""
    tree.write(NEEDS_ONE_THREAD)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("INSTRUMENT")}
    plain = subprocess.run(
        [sys.executable, tree.path], env=environment, capture_output=True, text=True, timeout=50, check=False
    )
    if plain.stdout.count("None\n") < 2:
        pytest.skip(f"user namespaces cannot be had here: {plain.stdout}")

    output, errors = tree.run(NEEDS_ONE_THREAD, flush=0.1, status=-signal.SIGKILL)

    assert (output, errors) == (plain.stdout, plain.stderr)
    assert tree.lines()[6] == 110
