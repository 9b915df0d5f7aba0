"""Options, markers and Hypothesis profiles of the tests, and fixtures that all of them use.

`pytest --quick` runs the tests that start no process and are not slow, with few Hypothesis examples. Of the tests that
go through each of many library modules, it runs those of two.
The marker `process` is set by rule (process_use.py), the marker `slow` by hand.

Hypothesis profiles: "ci", the default, is small and the same every time; "quick" is smaller; HYPOTHESIS_PROFILE=long
looks for new failures. Each Python has examples of its own, so all five together try more than one with many examples.
"""

import gc
import os
import signal
import sys
import threading

import process_use
import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

# Hypothesis explains a failure with a trace function, which would replace the one that a test sets.
PHASES = [phase for phase in Phase if phase is not Phase.explain]

settings.register_profile(
    "ci",
    max_examples=60,
    deadline=None,
    derandomize=True,
    phases=PHASES,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
settings.register_profile("quick", settings.get_profile("ci"), max_examples=5)
settings.register_profile("long", settings.get_profile("ci"), max_examples=10_000, derandomize=False)

#: The modules of the standard library that quick tests go through: two of the 14 in tests/flow/codes.py.
QUICK_MODULES = ("bdb", "contextlib")

# A shell that starts the tests in the background has them ignore SIGINT, nohup has them ignore SIGHUP, and child
# processes inherit that. Child processes do not inherit a handler, so set one that does nothing.
for _number in {signal.SIGINT, getattr(signal, "SIGHUP", signal.SIGINT)}:
    if signal.getsignal(_number) is signal.SIG_IGN and threading.current_thread() is threading.main_thread():
        signal.signal(_number, lambda *_: None)


def pytest_addoption(parser):
    """Add the option --quick."""
    parser.addoption("--quick", action="store_true", help="run the tests that start no process and are not slow")


def pytest_xdist_auto_num_workers(config):
    """Return 0 workers for the tests of one file, which mostly end before workers have started; None for xdist's choice."""
    if len(config.args) == 1 and os.path.isfile(config.args[0].partition("::")[0]):
        return 0
    return None


def pytest_configure(config):
    """Load a Hypothesis profile before any test module is imported, for some compute with its numbers."""
    default = "quick" if config.getoption("--quick") else "ci"
    settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", default))


def pytest_collection_modifyitems(config, items):
    """Mark the tests that start processes, and give each property the examples of this Python.

    With --quick, deselect the tests that start processes and the slow ones.
    """
    for item in items:
        if _starts_processes(item):
            item.add_marker("process")
        if hasattr(item.function, "hypothesis") and settings().derandomize:
            seed(f"{item.function.__name__} on {sys.version_info[0]}.{sys.version_info[1]}")(item.function)
    if config.getoption("--quick"):
        deselected = [item for item in items if not _is_quick(item)]
        config.hook.pytest_deselected(items=deselected)
        items[:] = [item for item in items if item not in set(deselected)]


def _is_quick(item):
    """Return whether the test *item* starts no process, is not slow, and is not of a library module that is left out."""
    parameters = item.callspec.params if hasattr(item, "callspec") else {}
    is_left_out = parameters.get("module", QUICK_MODULES[0]) not in QUICK_MODULES
    return not (is_left_out or item.get_closest_marker("process") or item.get_closest_marker("slow"))


def _starts_processes(item):
    """Return whether the test *item*, or a fixture of its, starts processes."""
    test = item.function
    if hasattr(test, "hypothesis"):
        test = test.hypothesis.inner_test
    fixtures = [definition.func for name in item._fixtureinfo.name2fixturedefs.values() for definition in name]
    return process_use.any_starts_processes([test, *fixtures])


@pytest.fixture(scope="module", autouse=True)
def _restore_instrumented_functions():
    """Give existing functions their original code back after each test module: the next one may test that code."""
    yield
    sessions = sys.modules.get("instrument.session.session")
    if sessions is not None:
        from instrument.session.existing_functions import restore_all_functions

        for session in sessions.sessions():
            if session.groups:
                restore_all_functions(session)


@pytest.fixture(scope="session")
def _hypothesis_has_run():
    """Run one example, for which Hypothesis registers its Random: it warns if no object that is not frozen refers to it."""
    settings(max_examples=1, database=None)(given(st.none())(lambda _: None))()


@pytest.fixture(scope="module", autouse=True)
def _freeze_heap_before_module(_hypothesis_has_run):
    """Freeze all objects that exist when a module's tests begin: a run does not instrument functions among them.

    Those of pytest, of Hypothesis and of all test modules took most of the time of many tests.
    """
    gc.collect()
    gc.freeze()


@pytest.fixture
def frozen_heap():
    """Freeze all objects that exist when the test begins, those of earlier tests of its module among them."""
    gc.collect()
    gc.freeze()


@pytest.fixture
def thawed_heap():
    """Thaw all objects during the test, so that a run instruments every existing function."""
    gc.unfreeze()
    yield
    gc.collect()
    gc.freeze()
