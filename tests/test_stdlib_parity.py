"""The standard library, run under its own tests, gets the same counts from both tools: a small part of stdlib_parity.py.

`python tests/stdlib_parity.py` compares all of its modules; these are among the quickest.
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
    """Return whether this interpreter comes with the tests of *module*."""
    return importlib.util.find_spec("test") and importlib.util.find_spec(f"test.{stdlib_parity.SUITES[module]}")


@pytest.mark.skipif(not all(map(has_tests, MODULES)), reason="this Python comes without its test package")
def test_the_standard_library_is_counted_as_by_trace():
    """Modules run under their own tests are counted line for line as `trace` counts them, and behave the same."""
    script = Path(stdlib_parity.__file__)
    environment = {**os.environ}
    environment.pop("PYTHONWARNINGS", None)
    done = subprocess.run(
        [sys.executable, script, *MODULES], env=environment, capture_output=True, text=True, timeout=300
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert "3 modules" in done.stdout
    assert "0 modules differ; 0 came to no end" in done.stdout
