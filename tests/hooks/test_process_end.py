"""Counts are saved when a process ends, also if the program removes exit handlers."""

import os
import subprocess
import sys

import pytest
from recorded import Tree


@pytest.fixture
def tree(tmp_path):
    return Tree(tmp_path)


SEEN = """
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
def test_exit_handlers_are_called_and_freed_as_without_us(tree, flush):
    """Whichever of them the program removes, the others are called in the same order, and its output is the same."""
    tree.write(SEEN)
    environment = {name: value for name, value in tree.environment().items() if not name.startswith("INSTRUMENT")}
    command = [sys.executable, tree.path]
    plain = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=50, check=False)

    assert "handler fifth" in plain.stdout
    assert tree.run(SEEN, flush=flush) == (plain.stdout, plain.stderr)
    assert tree.calls("Handler.__call__") == plain.stdout.count("handler")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no forks")
def test_removed_handler_is_registered_again_in_time_for_a_fork(tree):
    """A child that removes the exit handlers it has inherited, as servers do, is counted to its end."""
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


def test_scope_that_matches_nothing_is_said_after_handlers_are_removed(tree):
    """What is said at the end does not depend on the list of exit handlers either."""
    _, errors = tree.run("import atexit\natexit._clear()\n", INSTRUMENT="no_such_module")

    assert "no module or file that was loaded is in the scope 'no_such_module'" in errors
