"""Runs notebooks in shells of IPython, in a process of their own."""

import json
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from instrument_command import environment_without_settings

DRIVER = Path(__file__).with_name("notebook_driver.py")


class Outcome(NamedTuple):
    """The outcome of a cell: output, value and error as texts, and the report on it."""

    out: str = ""
    err: str = ""
    value: str = ""
    error: str = ""
    counts: list | None = None
    remarks: list = ()
    html: str = ""


def run_notebooks(notebooks, folder, *, is_traced=False, launcher=(), **variables):
    """Return the Outcomes of *notebooks*, lists of cells, by notebook and cell; *folder* is the working directory.

    With *is_traced*, `trace` counts the measured cells in place of `instrument`. *launcher* has arguments of Python
    before those of the driver.
    """
    finished = subprocess.run(
        [sys.executable, "-W", "error::RuntimeWarning", *launcher, str(DRIVER)],
        input=json.dumps([notebooks, is_traced]),
        cwd=folder,
        env=environment_without_settings(
            IPYTHONDIR=str(folder / "ipython"), INSTRUMENT_CACHE=str(folder / "cache"), **variables
        ),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=300,
    )
    return [[Outcome(**each) for each in outcomes] for outcomes in json.loads(finished.stdout)]


def run_cells(folder, *cells, **options):
    """Return the Outcomes of *cells* in one shell with the extension; *options* are those of `run_notebooks`."""
    return run_notebooks([list(cells)], folder, **options)[0]
