"""Writes the growth that passes a bound as SARIF 2.1.0, for code scanning.

Each line that is among the first causes of such growth is a result. The format is described at
https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html. Documents are ASCII.
"""

from __future__ import annotations

import json
import os
import sys
from hashlib import sha256
from pathlib import PurePath
from urllib.parse import quote

from instrument.analysis.gate.bounds import FUNCTION, TEST, TOTAL
from instrument.report.gate import words
from instrument.report.gate.gate_table import MOST_CAUSES, MOST_LINES
from instrument.report.text import shown, shown_path
from instrument.version import __version__

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TextIO

    from instrument.analysis.gate.bounds import Failure
    from instrument.analysis.gate.causes import Cause
    from instrument.analysis.gate.verdict import Verdict

_SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
_RULES = {
    TOTAL: "The program executes more than before, above the bound.",
    TEST: "A test executes more than before, above the bound.",
    FUNCTION: "A function executes more than before, above the bound.",
}
#: A cause that explains a smaller part of the growth is no result.
_LEAST_PART = 0.1
#: The most failures that a message names.
_MOST_NAMED = 5


def write(verdict: Verdict, out: TextIO | None = None) -> None:
    """Write the document of *verdict* to *out*, by default standard output."""
    stream = sys.stdout if out is None else out
    json.dump(document_of(verdict), stream, indent=1)
    print(file=stream)


def document_of(verdict: Verdict) -> dict[str, Any]:
    """Return the SARIF document of *verdict*: a result for each line that is a first cause of growth above a bound."""
    driver = {
        "name": "instrument",
        "version": __version__,
        "rules": [
            {"id": f"growth-{subject}", "shortDescription": {"text": text}, "defaultConfiguration": {"level": "error"}}
            for subject, text in _RULES.items()
        ],
    }
    return {
        "$schema": _SCHEMA,
        "version": "2.1.0",
        "runs": [{"tool": {"driver": driver}, "columnKind": "unicodeCodePoints", "results": _results(verdict)}],
    }


def _results(verdict: Verdict) -> list[dict[str, Any]]:
    """Return the results: one for each line and rule; failures without a cause have a result without a place."""
    by_place: dict[tuple[str, str, int], list[tuple[Failure, Cause]]] = {}
    results = []
    for failure, causes in verdict.failures:
        first = [each for each in causes[:MOST_CAUSES] if each.growth >= _LEAST_PART * failure.growth.change]
        for cause in first:
            by_place.setdefault((failure.subject, cause.place.path, cause.line), []).append((failure, cause))
        if not first:
            results.append(_result(failure.subject, f"{words.failure_text(failure, verdict)}."))
    for (subject, path, line), found in by_place.items():
        failure, cause = max(found, key=lambda pair: pair[1].growth)
        more = [words.failure_text(failure, verdict) for failure, _cause in found]
        others = f"; and {len(more) - _MOST_NAMED} more" if len(more) > _MOST_NAMED else ""
        text = f"{shown(cause.place.name)}: {words.cause_text(cause)}. So {'; '.join(more[:_MOST_NAMED])}{others}."
        result = _result(subject, text)
        result["locations"] = [_location(path, line)]
        result["relatedLocations"] = [
            {
                **_location(each.place.path, each.line),
                "message": {"text": words.grown_text(each, verdict.comparison.unit)},
            }
            for each in cause.lines[:MOST_LINES]
        ]
        key = f"{subject}\n{shown_path(path)}\n{cause.place.name}\n{cause.kind}"
        result["partialFingerprints"] = {"cause/v1": sha256(key.encode("utf-8", "surrogatepass")).hexdigest()}
        results.append(result)
    return results


def _result(subject: str, text: str) -> dict[str, Any]:
    index = list(_RULES).index(subject)
    return {"ruleId": f"growth-{subject}", "ruleIndex": index, "level": "error", "message": {"text": text}}


def _location(path: str, line: int) -> dict[str, Any]:
    """Return the location of a *line*; a file in the working directory has a relative address."""
    folder = os.path.join(os.getcwd(), "")
    artifact = (
        {"uri": _address(path.removeprefix(folder)), "uriBaseId": "%SRCROOT%"}
        if path.startswith(folder)
        else {"uri": f"file://{_address(path)}"}
    )
    return {"physicalLocation": {"artifactLocation": artifact, "region": {"startLine": line}}}


def _address(path: str) -> str:
    return quote(PurePath(path).as_posix().encode("utf-8", "surrogatepass"))
