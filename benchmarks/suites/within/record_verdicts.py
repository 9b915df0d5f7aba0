"""A plugin of pytest: writes the verdict of each test, and can repeat the run of one worker of xdist.

SUITES_VERDICTS names the file for the verdicts, a JSON list of [node id, phase, verdict, worker, frames] in their
order. Frames are those on the stack, and 0 for a collection. With SUITES_FRAMES=N there are N more.
SUITES_TESTS names a file with a JSON list of node ids: these tests run, in this order.
SUITES_COLLECTS=0 turns the garbage collector off: the lines of finalizers run at other moments in each run.

Some tests loop over the variables of the environment, and xdist and `instrument` set some of their own. So further ones
are set until there are N_VARIABLES.
"""

import gc
import json
import os
import sys
import traceback
from pathlib import Path

import _pytest.main
import pytest

VERDICTS, TESTS, COLLECTS, FRAMES = "SUITES_VERDICTS", "SUITES_TESTS", "SUITES_COLLECTS", "SUITES_FRAMES"
#: As it was before the tests: one of attrs removes it.
FRAME = sys._getframe
#: The beginning of the names of further variables, and how many variables there are during the tests.
FILLING = "SUITES_FILLING_"
N_VARIABLES = 200


class Verdicts:
    """Collects the reports of all tests; a report that is not passed also has its kind, such as an expected failure."""

    def __init__(self, path):
        self.path = Path(path)
        self.found = []

    def pytest_collectreport(self, report):
        if report.failed:
            self.found.append([report.nodeid, "collection", report.outcome, "", 0])

    def pytest_runtest_logreport(self, report):
        kind = report.outcome + (", expected to fail" if hasattr(report, "wasxfail") else "")
        worker = getattr(getattr(report, "node", None), "gateway", None)
        frames = getattr(report, "suites_frames", 0)
        self.found.append([report.nodeid, report.when, kind, worker.id if worker else "", frames])

    def pytest_unconfigure(self):
        self.path.write_text(json.dumps(self.found), encoding="utf-8")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport():
    report = yield
    report.suites_frames = sum(1 for _ in traceback.walk_stack(FRAME()))
    return report


def pytest_cmdline_main(config):
    """Run the session with SUITES_FRAMES further frames on the stack, if there are two or more."""
    n_frames = int(os.environ.get(FRAMES, "0"))
    return deeper(n_frames - 2, config) if n_frames >= 2 else None


def deeper(n_calls, config):
    """Run the session below *n_calls* further calls of this function."""
    return deeper(n_calls - 1, config) if n_calls else _pytest.main.pytest_cmdline_main(config)


def pytest_configure(config):
    if os.environ.get(COLLECTS) == "0":
        gc.disable()
    if VERDICTS in os.environ and not hasattr(config, "workerinput"):
        config.pluginmanager.register(Verdicts(os.environ[VERDICTS]))


@pytest.hookimpl(tryfirst=True)
def pytest_sessionstart():
    fill_up(os.environ)


def fill_up(variables):
    """Remove the further variables of a parent process from *variables*, and add some until they are N_VARIABLES."""
    for name in [name for name in variables if name.startswith(FILLING)]:
        del variables[name]
    for n in range(N_VARIABLES - len(variables)):
        variables[f"{FILLING}{n}"] = ""


def pytest_collection_modifyitems(items):
    if TESTS in os.environ:
        order = {name: n for n, name in enumerate(json.loads(Path(os.environ[TESTS]).read_text(encoding="utf-8")))}
        items[:] = sorted((item for item in items if item.nodeid in order), key=lambda item: order[item.nodeid])
