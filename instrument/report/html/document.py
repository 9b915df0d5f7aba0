"""The numbers of pages as documents for JSON, so that other programs can read them from a page.

A FileAnalysis comes in, and a document of plain values goes out. `format` is the version of its shape.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from instrument.analysis.file_analysis import FileAnalysis
    from instrument.model.flow_counts import FlowCounts

FORMAT = 1


def file_document(file: FileAnalysis) -> dict[str, Any]:
    """Return the document of *file*.

    - path, version, measured_at: the file, its version, and the paths at which it was measured
    - source: its state, see `SourceFile`
    - lines: how many line events each line had
    - executable, missing: lines, None if it is not known which lines are missing
    - uncertain: lines that may have run uncounted
    - functions: name, first line and entries of each code object that ran
    - flow: see `_flow`; None if it is not known
    """
    return {
        "format": FORMAT,
        "path": file.path,
        "version": file.version,
        "measured_at": file.measured_at,
        "source": file.source.state,
        "lines": dict(sorted(file.counts.lines.counts().items())),
        "executable": sorted(file.executable) if file.is_complete else None,
        "missing": file.missing if file.is_complete else None,
        "uncertain": sorted(file.uncertain),
        "functions": [[name, line, n] for (name, line), n in sorted(file.counts.functions.counts().items())],
        "flow": _flow(file.flow) if file.flow else None,
    }


def _flow(flow: FlowCounts) -> dict[str, Any]:
    """Return the document of *flow*: the fields of FlowCounts, with lists in place of dicts whose keys are tuples.

    An entry of a list has the fields of the key, then those of the value.
    """
    return {
        "executions": dict(sorted(flow.executions.items())),
        "instructions": dict(sorted(flow.instructions.items())),
        "decisions": [[*decision, *outcomes] for decision, outcomes in sorted(flow.decisions.items())],
        "arcs": [[*arc.function, arc.line, arc.target, count] for arc, count in sorted(flow.arcs.items())],
        "functions": [[*function, *of_function] for function, of_function in sorted(flow.functions.items())],
    }
