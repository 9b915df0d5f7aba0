"""Tests of instrument/warming/progress.py: problems and the summary are printed to standard error."""

import pytest

from instrument.warming.outcomes import Outcome, Result
from instrument.warming.progress import ProgressBar


@pytest.mark.parametrize("prints_only_problems", [False, True])
def test_problems_and_a_summary_are_printed(capsys, prints_only_problems):
    """Each file that failed or was refused has a line; the summary counts all results."""
    progress = ProgressBar(4, prints_only_problems)
    progress.add(Outcome("a.py", Result.PREPARED))
    progress.add(Outcome("b.py", Result.READY))
    progress.add(Outcome("c.py", Result.REFUSED, "not rewritten: too large"))
    progress.add(Outcome("d.py", Result.FAILED, "is no regular file"))
    progress.end("done")

    *lines, last = capsys.readouterr().err.splitlines() + [""] * prints_only_problems
    assert lines == ["instrument: c.py: not rewritten: too large", "instrument: d.py: is no regular file"]
    assert progress.n_failed == 1
    if not prints_only_problems:
        assert last.startswith("instrument: done: 4 files in ")
        assert last.endswith(" s: 1 prepared, 1 ready before, 1 that cannot be rewritten, 1 failed")
