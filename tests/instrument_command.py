"""Runs `python -m instrument` in a process of its own, for tests."""

import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]


class Finished(NamedTuple):
    """A process that has ended: exit status, text on standard output and on standard error, and process number."""

    status: int
    out: str
    err: str
    pid: int


def environment_without_settings(**variables):
    """Return the environment of this process without variables for Python and `instrument`, and with *variables*."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("INSTRUMENT", "PYTHON"))}
    return {**kept, "PYTHONPATH": str(ROOT), **variables}


def run_instrument(folder, *arguments, options=(), **variables):
    """Run `python OPTIONS -m instrument ARGUMENTS` in *folder*; return the finished process.

    The environment is this one without its settings, and with *variables*.
    """
    process = subprocess.Popen(
        [sys.executable, *options, "-m", "instrument", *arguments],
        cwd=folder,
        env=environment_without_settings(**variables),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    out, err = process.communicate(timeout=100)
    return Finished(process.returncode, out, err, process.pid)
