"""Runs programs with tests in them, as pytest would, and compares two such runs, for tests of the gate."""

import textwrap
from fractions import Fraction

from recorded import Tree

from instrument.analysis.gate.bounds import Bounds
from instrument.analysis.gate.runs import Run, compare
from instrument.analysis.gate.work import INSTRUCTIONS
from instrument.analysis.patterns import FilePatterns
from instrument.data.query import StoredMeasurement

#: Calls each function whose name begins with `test_`, in a context of its own.
RUNNER = """
import instrument.record.recorder as recorder
_begin = recorder.current().begin_context
for _name, _test in sorted(globals().copy().items()):
    if _name.startswith("test_"):
        _begin(f"t.py::{_name}|call")
        _test()
        _begin("after")
"""
#: The work of `steps` depends on the hash seed. No other work does.
UNSTABLE = """\
import os
def steps(n):
    for step in range(n):
        pass
def steady():
    return sum(range(3))
def test_steady():
    for n in range(100):
        steady()
def test_unstable():
    steps(int(os.environ["PYTHONHASHSEED"]) * 200)
"""


def tree_of(folder, source, name="program.py", options=()):
    """Return the Tree of a run of *source* with all its tests, in *folder*."""
    folder.mkdir(parents=True, exist_ok=True)
    tree = Tree(folder)
    tree.path = tree.folder / name
    tree.run(textwrap.dedent(source) + RUNNER, options=options, _INSTRUMENT_CONTEXTS="1", PYTEST_CURRENT_TEST="")
    return tree


def run_of(folder, name):
    """Return the Run of the data in *folder*, called *name*."""
    with StoredMeasurement([str(folder)]) as stored:
        return Run(stored, FilePatterns(), name)


def verdict_of(base, head, *, unit=INSTRUCTIONS, reruns=(), bounds=None, **options):
    """Return the Verdict about two data folders, with a bound of 2 % for the total and of 5 % for each test."""
    return compare(
        run_of(base, "BASE"),
        run_of(head, "HEAD"),
        unit,
        bounds or Bounds(Fraction(2), Fraction(5), floor=20),
        reruns=[run_of(folder, f"the rerun {folder}") for folder in reruns],
        **options,
    )
