"""Writes all of the verdict of the gate as JSON, for other programs.

A Verdict comes in; a document goes out that the JSON Schema in this folder describes, `schema_text`. Documents are
ASCII.
"""

from __future__ import annotations

import json
import sys
from importlib import resources

from instrument.report.gate import words

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TextIO

    from instrument.analysis.gate.causes import Cause
    from instrument.analysis.gate.comparison import FunctionChange, Growth
    from instrument.analysis.gate.verdict import Verdict
    from instrument.analysis.gate.work import FunctionPlace


def write(verdict: Verdict, out: TextIO | None = None) -> None:
    """Write the document of *verdict* to *out*, by default standard output."""
    stream = sys.stdout if out is None else out
    json.dump(document_of(verdict), stream, indent=1)
    print(file=stream)


def document_of(verdict: Verdict) -> dict[str, Any]:
    """Return the document of *verdict*. `format` is the version of its shape."""
    comparison, bounds = verdict.comparison, verdict.bounds
    return {
        "format": 1,
        "passed": not verdict.failures,
        "unit": comparison.unit,
        "bounds": {
            "total": _percent(bounds.total),
            "test": _percent(bounds.test),
            "function": _percent(bounds.function),
            "floor": bounds.floor,
        },
        "total": _growth(comparison.total),
        "failures": [
            {
                "subject": explained.failure.subject,
                "name": explained.failure.name or None,
                **_growth(explained.failure.growth),
                "causes": [_cause(cause, verdict) for cause in explained.causes],
            }
            for explained in verdict.failures
        ],
        "causes": [_cause(cause, verdict) for cause in verdict.causes],
        "tests": [{"test": name, **_growth(growth)} for name, growth in comparison.tests.items()],
        "new_tests": comparison.new_tests,
        "gone_tests": comparison.gone_tests,
        "functions": [_function(change, comparison.unit) for change in comparison.changes],
        "unstable_lines": [{**_place(place), "lines": lines} for place, lines in verdict.unstable_lines.items()],
        "unstable_work": comparison.left_out_work,
        "unstable_tests": verdict.unstable_tests,
        "remarks": [*words.notes(verdict)],
    }


def schema_text() -> str:
    """Return the JSON Schema of the documents."""
    return resources.files("instrument.report.gate").joinpath("gate_schema.json").read_text(encoding="ascii")


def _percent(value: object) -> float | None:
    return None if value is None else float(value)  # type: ignore[arg-type]


def _growth(growth: Growth) -> dict[str, int]:
    return {"before": growth.before, "after": growth.after}


def _place(place: FunctionPlace) -> dict[str, Any]:
    return {"path": place.path, "function": {"name": place.name, "line": place.line}}


def _cause(cause: Cause, verdict: Verdict) -> dict[str, Any]:
    return {
        **_place(cause.place),
        "line": cause.line,
        "kind": cause.kind,
        "to": cause.target or None,
        "times": _growth(cause.counts),
        "growth": cause.growth,
        "text": verdict.text_of(cause.place, cause.line) or None,
        "lines": [
            {**_place(each.place), "line": each.line, **_growth(each.growth), "with_calls": each.inclusive}
            for each in cause.lines
        ],
    }


def _function(change: FunctionChange, unit: str) -> dict[str, Any]:
    before = change.place_before
    return {
        **_place(change.place),
        "state": "new" if before is None else "gone" if change.place_after is None else "both",
        "earlier": None if before is None or before == change.place else _place(before),
        **_growth(change.growth(unit)),
        "calls": {"before": change.before.calls, "after": change.after.calls},
        "lines": {line: _growth(growth) for line, growth in change.line_growth(unit).items() if line > 0},
        "gone_lines": {-1 - line: _growth(growth) for line, growth in change.line_growth(unit).items() if line < 0},
    }
