"""Writes JSON with all that is known: the document of `report --format json`, and the flow of control of each file.

An Analysis comes in; a document goes out that the JSON Schema in this folder describes, `schema_text`. Documents are
ASCII, with escapes for all other characters.
"""

from __future__ import annotations

import json
from importlib import resources

from instrument.model.measurement import GREATEST_COUNT
from instrument.report.formats import Choices
from instrument.report.json_documents import document_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from instrument.analysis.analysis import Analysis
    from instrument.analysis.file_analysis import FileAnalysis

#: The keys of counts, of which a value above the greatest count is clipped: of a number, or of all numbers in a dict.
_COUNTS = frozenset(
    (
        *("hits", "count", "calls", "true", "false", "returned", "yielded", "raised"),
        *("instructions", "executions"),
    )
)


def write(analysis: Analysis, greatest: int = GREATEST_COUNT) -> Iterator[bytes]:
    """Yield the parts of the document of *analysis*; counts above *greatest* become *greatest*."""
    choices = Choices()
    document = document_of(analysis, choices)
    files = analysis.sorted_files(choices.sort)
    for described, file in zip(document["files"], files, strict=True):
        described["flow"] = _flow(file)
    known = [file for file in files if file.flow is not None]
    document["totals"]["branches"] = sum(file.n_arcs for file in known) if known else None
    document["totals"]["missing_branches"] = sum(file.n_missing_arcs for file in known) if known else None
    encoder = json.JSONEncoder(allow_nan=False)
    for part in encoder.iterencode(_clipped(document, greatest)):
        yield part.encode("ascii")
    yield b"\n"


def schema_text() -> str:
    """Return the JSON Schema of the documents."""
    return resources.files("instrument.report.exports").joinpath("json_schema.json").read_text(encoding="ascii")


def _flow(file: FileAnalysis) -> dict[str, Any] | None:
    """Return the object of the flow of control through *file*, None if that is not known."""
    flow = file.flow
    if flow is None:
        return None
    ids = file.source.function_ids()
    return {
        "executions": dict(sorted(flow.executions.items())),
        "instructions": dict(sorted(flow.instructions.items())),
        "branches": [
            {
                "line": branch.line,
                "function": {"name": branch.function[0], "line": branch.function[1]},
                "ways": [
                    {"to": target or None, "count": count, "missing": target in branch.missing}
                    for target, count in branch.arcs.items()
                ],
            }
            for branch in file.branches
        ],
        "decisions": [
            {**decision._asdict(), **outcomes._asdict()} for decision, outcomes in sorted(flow.decisions.items())
        ],
        "functions": [
            {"name": name, "line": line, "id": ids.get((name, line)), **counts._asdict()}
            for (name, line), counts in sorted(flow.functions.items(), key=lambda item: (item[0][1], item[0][0]))
        ],
    }


def _clipped(value: Any, greatest: int, *, is_count: bool = False) -> Any:
    """Return *value*, a part of a document, with *greatest* in place of larger counts."""
    if isinstance(value, dict):
        return {key: _clipped(each, greatest, is_count=is_count or key in _COUNTS) for key, each in value.items()}
    if isinstance(value, list):
        return [_clipped(each, greatest) for each in value]
    return min(value, greatest) if is_count and isinstance(value, int) else value
