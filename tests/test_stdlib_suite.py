"""CPython's own tests of `trace`, run on `instrument`: a drop-in passes them.

`test.test_trace` of the running interpreter is loaded in a process of its own. There, `trace` is `instrument.trace`, and
`-m trace` is `-m instrument`. The process prints a verdict for each test.
"""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# Name of a test: why it cannot pass.
EXPECTED_FAILURES = {}

# Runs test.test_trace with the module named in argv[1] in place of `trace`, and prints a verdict for each test.
DRIVER = """
import importlib, json, os, sys, unittest
substitute, command, root = sys.argv[1:]
if substitute != "trace":
    sys.modules["trace"] = importlib.import_module(substitute)

from test.support import script_helper

def on_our_command(run):
    def run_it(*arguments, **environment):
        arguments = [command if argument == "trace" and before == "-m" else argument
                     for before, argument in zip([None, *arguments], arguments)]
        # By default their subprocesses are isolated, and find only installed packages.
        environment = {"PYTHONPATH": root, **environment}
        return run(*arguments, __isolated=False, **environment)
    return run_it

for name in ("assert_python_ok", "assert_python_failure"):
    setattr(script_helper, name, on_our_command(getattr(script_helper, name)))

from test import test_trace, support
assert test_trace.Trace.__module__ == substitute, test_trace.Trace
support.use_resources = ["cpu"]

class Verdicts(unittest.TextTestResult):
    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.verdicts = {}
    def note(self, test, verdict, detail=""):
        name = ".".join(test.id().split(".")[-2:])
        self.verdicts.setdefault(name, [verdict, str(detail)])
    def addSuccess(self, test):
        super().addSuccess(test)
        self.note(test, "ok")
    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self.note(test, "skipped", reason)
    def addFailure(self, test, error):
        super().addFailure(test, error)
        self.note(test, "failed", self.failures[-1][1])
    def addError(self, test, error):
        super().addError(test, error)
        self.note(test, "error", self.errors[-1][1])
    def addSubTest(self, test, subtest, error):
        super().addSubTest(test, subtest, error)
        if error is not None:
            self.note(test, "failed", self._exc_info_to_string(error, test))

suite = unittest.defaultTestLoader.loadTestsFromModule(test_trace)
result = unittest.TextTestRunner(stream=sys.stderr, resultclass=Verdicts, verbosity=0).run(suite)
print(json.dumps(result.verdicts))
"""


def verdicts_of(substitute, command, folder):
    """Return {test: [verdict, detail]} of CPython's tests of `trace` on the module *substitute* and `-m` *command*."""
    # The subprocesses of the tests find the package by this, if it is not installed. Warnings would fail the tests.
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    environment.pop("PYTHONWARNINGS", None)
    done = subprocess.run(
        [sys.executable, "-c", DRIVER, substitute, command, str(ROOT)],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("test") is None or importlib.util.find_spec("test.test_trace") is None,
    reason="this Python comes without its test package",
)


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    """The verdicts on the standard library's own `trace`."""
    return verdicts_of("trace", "trace", tmp_path_factory.mktemp("reference"))


def test_the_standard_library_passes_its_own_tests_of_trace(reference):
    """All tests pass on the standard library's `trace` in the driver, so the driver causes no failure."""
    assert len(reference) >= 26
    assert {name: verdict for name, verdict in reference.items() if verdict[0] not in ("ok", "skipped")} == {}


def test_instrument_passes_cpythons_tests_of_trace(reference, tmp_path):
    """Each test of `test.test_trace` has the same verdict on `instrument`, except those listed with a reason."""
    verdicts = verdicts_of("instrument.trace", "instrument", tmp_path)

    assert verdicts.keys() == reference.keys()
    broken = {
        name: detail
        for name, (verdict, detail) in verdicts.items()
        if verdict != reference[name][0] and name not in EXPECTED_FAILURES
    }
    assert not broken, "\n\n".join(f"{name}:\n{detail}" for name, detail in broken.items())
