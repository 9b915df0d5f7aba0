"""Runs pytest in processes of their own, and measures them.

A suite and arguments come in; the end of the process goes out: its exit status, its output, its CPU time and its time.
"""

import os
import signal
import subprocess
import threading
import time
from pathlib import Path
from typing import NamedTuple

from peers.measure import FOREIGN

WITHIN = Path(__file__).resolve().parent / "within"
TIMEOUT = 900


class Ended(NamedTuple):
    """How a process ended; *cpu* includes its child processes."""

    status: int
    output: str
    cpu: float
    wall: float


class Runner:
    """Runs the tests of *suite* with the Python of *environment*; runs leave their files in *scratch*, one folder."""

    def __init__(self, environment, suite, scratch):
        self.environment = environment
        self.suite = suite
        self.scratch = Path(scratch)

    def variables(self, **given):
        """Return the environment of a run: one hash seed, no settings of the caller, and the variables *given*."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}
        return {
            **kept,
            "PYTHONHASHSEED": "0",
            "PYTHONPATH": os.pathsep.join([str(self.suite.installed), str(WITHIN)]),
            "PYTHONPYCACHEPREFIX": str(self.scratch / "pycache"),
            "INSTRUMENT_CACHE": str(self.scratch / "cache"),
            "INSTRUMENT_QUIET": "1",
            # Examples of Hypothesis are the same in each run.
            "CI": "true",
            **given,
        }

    def pytest(self, *arguments, before=("-m", "pytest"), **given):
        """Run pytest with *arguments* and those of the suite; *before* has the words from the interpreter to pytest."""
        command = [
            *(self.environment.python, *before, *self.suite.arguments, "-p", "no:cacheprovider", "-q"),
            *("-o", "addopts=", "--continue-on-collection-errors", f"--basetemp={self.scratch / 'temporary'}"),
            *arguments,
        ]
        return run(command, self.suite.source, self.variables(**given), self.scratch / "output")


def run(command, folder, environment, output, timeout=TIMEOUT):
    """Run *command* in *folder*, with its output in the file *output*; return an Ended. Status -9: it took too long."""
    with output.open("wb") as file:
        begin = time.perf_counter()
        process = subprocess.Popen(
            command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=file, stderr=file,
            start_new_session=True,
        )
        timer = threading.Timer(timeout, os.killpg, (process.pid, signal.SIGKILL))
        timer.start()
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - begin
        timer.cancel()
    process.returncode = os.waitstatus_to_exitcode(status)
    text = output.read_text(encoding="utf-8", errors="replace")
    return Ended(process.returncode, text, usage.ru_utime + usage.ru_stime, wall)
