"""Trace functions that raise exceptions in a counted program, and trace functions that read counts."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

DRIVER = Path(__file__).with_name("raising_driver.py")


def printed_by(*arguments, **variables):
    """Return the output of the driver, which runs in a process of its own, where few functions are loaded."""
    command = [sys.executable, str(DRIVER), *arguments]
    environment = {**os.environ, **variables}
    done = subprocess.run(command, cwd=DRIVER.parent, env=environment, capture_output=True, text=True, timeout=100)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.mark.parametrize("placement", ["minimal", "line"])
@pytest.mark.parametrize("kind", ["KeyError", "Stop"])
def test_an_exception_of_a_trace_function_goes_the_same_way_in_counted_code(kind, placement):
    """From each event on, outcome and traceback equal those of original code, and no count contradicts another."""
    assert printed_by("raise", kind, placement) == ""


@pytest.mark.parametrize("placement", ["minimal", "line"])
def test_rewriting_in_the_midst_of_a_traced_program_raises_no_exception(placement, tmp_path):
    """The cache is empty. On 3.12 a trace function would be called for each exception in hidden code, even a handled one."""
    assert printed_by("raise", "KeyError", placement, INSTRUMENT_CACHE=str(tmp_path)) == ""


@pytest.mark.parametrize("placement", ["minimal", "line"])
def test_counts_that_a_trace_function_reads_are_consistent(placement):
    """A trace function reads the counts at each line: they are exact up to the line that begins."""
    assert printed_by("read", placement) == ""
