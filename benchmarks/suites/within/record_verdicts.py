"""A plugin of pytest: writes the verdict of each test, and can repeat the run of one worker of xdist.

SUITES_VERDICTS names the file for the verdicts, a JSON list of [node id, phase, verdict, worker] in their order.
SUITES_TESTS names a file with a JSON list of node ids: these tests run, in this order.
SUITES_COLLECTS=0 turns the garbage collector off: the lines of finalizers run at other moments in each run.

Some tests loop over the variables of the environment, and xdist and `instrument` set some of their own. So further ones
are set until there are N_VARIABLES.
"""

import gc
import json
import os
from pathlib import Path

import pytest

VERDICTS, TESTS, COLLECTS = "SUITES_VERDICTS", "SUITES_TESTS", "SUITES_COLLECTS"
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
            self.found.append([report.nodeid, "collection", report.outcome, ""])

    def pytest_runtest_logreport(self, report):
        kind = report.outcome + (", expected to fail" if hasattr(report, "wasxfail") else "")
        worker = getattr(getattr(report, "node", None), "gateway", None)
        self.found.append([report.nodeid, report.when, kind, worker.id if worker else ""])

    def pytest_unconfigure(self):
        self.path.write_text(json.dumps(self.found), encoding="utf-8")


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
