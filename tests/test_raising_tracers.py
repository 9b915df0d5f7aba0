"""Trace functions of a counted program that raise exceptions, and counts that are read while one is called."""

import subprocess
import sys
from pathlib import Path

import pytest

DRIVER = Path(__file__).with_name("raising_driver.py")


def printed_by(*arguments):
    """Return what the driver prints, in a process of its own: few functions are loaded there."""
    command = [sys.executable, str(DRIVER), *arguments]
    done = subprocess.run(command, cwd=DRIVER.parent, capture_output=True, text=True, timeout=100)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.mark.parametrize("placement", ["minimal", "line"])
@pytest.mark.parametrize("kind", ["KeyError", "Stop"])
def test_what_they_raise_goes_where_it_goes_in_plain_code(kind, placement):
    """From each event; and the counts do not contradict each other, which would be a warning."""
    assert printed_by("raise", kind, placement) == ""


@pytest.mark.parametrize("placement", ["minimal", "line"])
def test_counts_can_be_read_at_each_line(placement):
    """A debugger stops at a line, and counts are read meanwhile: they contradict each other at no line."""
    assert printed_by("read", placement) == ""
