"""Prints the tests that changes affect: their node ids, a table with the reasons, or JSON.

A Finding comes in. A test module of which all tests must run is printed as one node id. It stands for new tests, too.
"""

from __future__ import annotations

import json
import sys

from instrument.report.tables import table
from instrument.report.text import number_of, say, terminal_width

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TextIO

    from instrument.analysis.affected.finding import Finding
    from instrument.analysis.affected.verdict import Verdict

#: The most reasons why all tests must run that are printed for people.
_MOST_REASONS = 10


def node_ids(verdict: Verdict) -> list[str]:
    """Return the node ids of the tests that must run, sorted; of a module of which all tests must run, only its own."""
    if verdict.reasons_for_all:
        return verdict.known
    tests = [test for test in verdict.affected if test.partition("::")[0] not in verdict.modules]
    return sorted({*tests, *verdict.modules} - verdict.gone)


def write_ids(finding: Finding, out: TextIO | None = None) -> None:
    """Write the node ids, one a line, to *out*, by default standard output."""
    say(node_ids(finding.verdict), out)


def write_reasons(finding: Finding, out: TextIO | None = None) -> None:
    """Write a table with the reasons for each test to *out*, by default standard output."""
    verdict = finding.verdict
    if not verdict.reasons_for_all:
        reasons = {**verdict.affected, **verdict.modules}
        rows = [[test, "; ".join(reasons[test])] for test in node_ids(verdict)]
        if rows:
            say(table(["Test", "Affected by"], rows, None, terminal_width()), out)


def write_summary(finding: Finding) -> None:
    """Write to standard error how many tests are affected, or why all must run."""
    verdict = finding.verdict
    if verdict.reasons_for_all:
        more = len(verdict.reasons_for_all) - _MOST_REASONS
        say(["instrument: all tests must run:"], sys.stderr)
        say((f"  {reason}" for reason in verdict.reasons_for_all[:_MOST_REASONS]), sys.stderr)
        if more > 0:
            say([f"  and {number_of(more, 'other reason')}"], sys.stderr)
        return
    verb = "is" if len(verdict.affected) == 1 else "are"
    say([f"instrument: {len(verdict.affected)} of {number_of(len(verdict.known), 'test')} {verb} affected"], sys.stderr)


def write_json(finding: Finding, out: TextIO | None = None) -> None:
    """Write all of *finding* to *out*, by default standard output."""
    verdict = finding.verdict
    document = {
        "format": 1,
        "commits": finding.commits,
        "all": bool(verdict.reasons_for_all),
        "reasons_for_all": verdict.reasons_for_all,
        "run": node_ids(verdict),
        "tests": [{"test": test, "because": verdict.affected[test]} for test in sorted(verdict.affected)],
        "modules": [{"path": path, "because": verdict.modules[path]} for path in sorted(verdict.modules)],
        "known": verdict.known,
        "options": finding.options,
    }
    stream = sys.stdout if out is None else out
    json.dump(document, stream, indent=1)
    stream.write("\n")
