"""The state of the process: forks and tests can reset all of it, and no module keeps any elsewhere."""

import ast
import os
import subprocess
import sys

import house
import pytest

from instrument.guest import process_state
from instrument.guest.process_state import ProcessState


@pytest.fixture
def registered(monkeypatch):
    """Register states of the test only."""
    states = []
    monkeypatch.setattr(process_state, "_states", states)
    monkeypatch.setattr(process_state, "_containers", [])
    return states


class Counter(ProcessState):
    __slots__ = ("n",)

    def reset(self):
        self.n = 0


class Forgetful(Counter):
    __slots__ = ()

    def after_fork_in_child(self):
        self.reset()


def test_a_state_is_registered_with_its_first_values(registered):
    counter = Counter()

    assert counter.n == 0
    assert process_state.states() == registered == [counter]


def test_reset_all_resets_each_state(registered):
    first, second = Counter(), Forgetful()
    first.n = second.n = 3

    process_state.reset_all()

    assert (first.n, second.n) == (0, 0)


def test_reset_all_clears_registered_containers_in_place(registered):
    container = process_state.cleared_on_reset([])
    container.append(1)

    process_state.note_fork()
    assert container == [1]

    process_state.reset_all()
    assert container == []


def test_a_forked_child_keeps_what_a_state_does_not_reset(registered):
    keeps, forgets = Counter(), Forgetful()
    keeps.n = forgets.n = 3

    process_state.note_fork()

    assert (keeps.n, forgets.n) == (3, 0)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no forks")
def test_a_fork_resets_the_states_of_the_child_only():
    source = """
import os
from instrument.guest.process_state import ProcessState
class State(ProcessState):
    __slots__ = ("n",)
    def reset(self): self.n = 0
    def after_fork_in_child(self): self.reset()
state = State()
state.n = 1
if not os.fork():
    os._exit(state.n)
assert os.wait()[1] == 0
assert state.n == 1
"""
    subprocess.run([sys.executable, "-c", source], check=True, timeout=60)


def test_reset_sets_every_field_of_each_state_of_the_package():
    """A field that `reset` forgets would survive from one test to the next."""
    source = """
import instrument.record.recorder, instrument.trace, instrument.startup
from instrument.guest import process_state
for state in process_state.states():
    fresh = type(state)()
    state.reset()
    for kind in type(state).__mro__:
        for name in vars(kind).get("__slots__", ()):
            values = getattr(fresh, name), getattr(state, name)
            assert values[0] == values[1] or type(values[0]) not in (bool, int, list, dict, set, bytearray), (kind, name)
    assert not hasattr(state, "__dict__"), type(state)
"""
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")


#: Names of mutable globals that are not registered. This set only shrinks.
UNREGISTERED = {
    # Modules and functions that this process has loaded for this package. They are loaded once, and reset by nothing.
    "_loaded",
    "_ctypes_copies",
    "_extensions",
    "_is_loaded",
    "_loading",
    "_importlib",
    "_noted",
    "own_modules",
    "_are_unmarshalled",
    "_facts",
    "_late_codes",
    "_late_file",
    "_late_places",
    "_loaded",
    "_new_facts",
    "_others",
    "_stamps",
    "_start_codes",
    "_stored",
    "_unmarshalled",
    "modules",
    # Set during a start only.
    "starting",
    # Filled while modules are imported, and constant from then on.
    "on_pickled",
    # Objects that must live as long as the process: the C library and pickled counters refer to them.
    "_held_for_c_library",
    "_pickled",
    # The registry itself.
    "_containers",
    "_states",
    # Messages about project files, which are written when the recorder starts.
    "ignored_files",
}
#: Folders and modules of commands, which run in processes of their own.
OF_COMMANDS = ("commands/", "diagnosis/", "warming/", "cli.py", "bootstrap/")


def mutable_globals(tree):
    """Yield the names of globals of *tree* that are empty containers at first, or are set by `global` statements."""
    for node in tree.body:
        targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
        match getattr(node, "value", None):
            case ast.List(elts=[]) | ast.Dict(keys=[]) | ast.Call(func=ast.Name(id="set" | "dict" | "list"), args=[]):
                yield from (target.id for target in targets if isinstance(target, ast.Name))
    for node in ast.walk(tree):
        if isinstance(node, ast.Global):
            yield from node.names


@pytest.mark.slow
def test_no_module_keeps_state_that_is_not_registered():
    """Mutable globals of modules are in a ProcessState, or are registered by `cleared_on_reset`."""
    unregistered = {
        name: path
        for path, tree in house.syntax_trees().items()
        if not path.startswith(OF_COMMANDS)
        for name in mutable_globals(tree)
        if name not in UNREGISTERED and not name.isupper()  # those are constant once their module is imported
    }

    assert not unregistered
