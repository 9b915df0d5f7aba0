"""Comparison of whole runs."""

import pytest
from gate_programs import run_of, tree_of

from instrument.analysis.gate.bounds import Bounds
from instrument.analysis.gate.runs import compare
from instrument.analysis.gate.work import INSTRUCTIONS


@pytest.mark.parametrize("is_base", [True, False])
def test_a_file_whose_work_one_run_lacks_is_left_out_of_both(is_base, tmp_path):
    """It would be growth otherwise. A note names the file for each run."""
    (tmp_path / "other.py").write_text("def work(n):\n    for i in range(n):\n        pass\n")
    tree = tree_of(tmp_path, "from other import work\ndef test_work():\n    work(500)\n")
    base, head = run_of(tree.data, "BASE"), run_of(tree.data, "HEAD")
    whole = compare(base, head, INSTRUCTIONS, Bounds(0, 0)).comparison.total.after
    run, other = (base, head) if is_base else (head, base)
    path = str(tmp_path.resolve() / "other.py")
    run._reading.leave_out(path, "its counts contradict each other")
    verdict = compare(base, head, INSTRUCTIONS, Bounds(0, 0))
    assert verdict.failures == []
    assert verdict.comparison.total.before == verdict.comparison.total.after < whole - 1000
    assert verdict.comparison.tests["t.py::test_work"].change == 0
    assert f"{other.name}: not compared: {path}: its work in {run.name} is not known" in verdict.notes
