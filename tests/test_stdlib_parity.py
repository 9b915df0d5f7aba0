"""Modules of the standard library, run under their own tests, get the same counts from both tools.

`python tests/stdlib_parity.py` compares all modules. This test compares three of the fastest.
"""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest
import stdlib_parity

MODULES = ["textwrap", "graphlib", "colorsys"]


def has_tests(module):
    """Return whether this interpreter has the standard library's tests of *module*."""
    return importlib.util.find_spec("test") and importlib.util.find_spec(f"test.{stdlib_parity.SUITES[module]}")


@pytest.mark.skipif(not all(map(has_tests, MODULES)), reason="this Python comes without its test package")
def test_modules_under_their_own_tests_have_the_counts_of_trace():
    """Each line has the count that `trace` finds, and each test has the same verdict."""
    script = Path(stdlib_parity.__file__)
    environment = {**os.environ}
    environment.pop("PYTHONWARNINGS", None)
    done = subprocess.run(
        [sys.executable, script, *MODULES], env=environment, capture_output=True, text=True, timeout=300
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert "3 modules" in done.stdout
    assert "0 modules differ; 0 came to no end" in done.stdout
