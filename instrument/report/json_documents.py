"""Writes JSON for other programs: `instrument report --json` and `instrument diff --json`.

Documents are ASCII, with escapes for all other characters. `format` is the version of their shape.
"""

from __future__ import annotations

import json
import math
import sys

from instrument.analysis.file_analysis import UnusedCode
from instrument.analysis.source_file import CURRENT, FUNCTION
from instrument.report import remarks
from instrument.report.formats import Format

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any, TextIO

    from instrument.analysis.analysis import Analysis
    from instrument.analysis.difference import Difference
    from instrument.analysis.file_analysis import FileAnalysis
    from instrument.data.running.processes import RunningProcess
    from instrument.model.measured_process import MeasuredProcess
    from instrument.model.measurement import Fact, FunctionKey, Series
    from instrument.report.formats import Choices


def write_analysis(analysis: Analysis, out: TextIO, choices: Choices) -> None:
    """Write all of *analysis* to *out*; if *choices* have a moment, also the code that was not used after it."""
    _write(document_of(analysis, choices), out)


def document_of(analysis: Analysis, choices: Choices) -> dict[str, Any]:
    """Return the document that `write_analysis` writes. Its files are in the order that *choices* have."""
    files, since = analysis.sorted_files(choices.sort), choices.since
    document: dict[str, Any] = {
        "format": 1,
        "processes": len(analysis.processes),
        "runs": analysis.n_runs,
        "began": analysis.began,
        "files": [_file(file, since) for file in files],
        "not_measured": _paths_and_reasons(analysis.not_measured),
        "skipped": _paths_and_reasons(analysis.refused),
        "unwritten": _unwritten(analysis.unwritten),
        "running": _processes(analysis.running),
        "cut_off": _processes(analysis.cut_off),
        "remarks": list(remarks.of_analysis(analysis)),
        "totals": {
            "lines": sum(file.n_lines for file in files),
            "missing": sum(file.n_missing for file in files),
            "hits": sum(file.hits for file in files),
        },
    }
    if since is not None:
        document["unused_since"] = since
        document["uncertain"] = list(remarks.uncertain_uses(analysis, since))
    return document


def write_difference(difference: Difference, out: TextIO | None = None) -> None:
    """Write all of *difference* to *out*, by default standard output."""
    document = {
        "format": 1,
        "files": [
            {"path": each.path, "version": each.version, "hits": each.hits, "lines": each.lines, "less": each.fewer}
            for each in difference.files
        ],
        "remarks": list(remarks.of_difference(difference)),
        "not_measured": _paths_and_reasons(difference.not_measured),
        "given_out": [
            {"path": path, "version": version, "functions": _given_out(functions)}
            for (path, version), functions in difference.given_out.items()
        ],
        "skipped": _paths_and_reasons(difference.refused),
        "unwritten": _unwritten(difference.unwritten),
    }
    _write(document, out)


def _write(document: dict[str, Any], out: TextIO | None) -> None:
    stream = sys.stdout if out is None else out
    json.dump(document, stream)
    print(file=stream)


def _file(file: FileAnalysis, since: float | None) -> dict[str, Any]:
    """Return the object of *file*; with *since*, it has the code that was not used after that moment."""
    described: dict[str, Any] = {
        "path": file.path,
        "measured_at": file.measured_at,
        "imported": bool(file.measured_at),
        "version": file.version,
        "source": file.source.state,
        "reason": file.source.reason,
        "executable": len(file.executable) if file.is_complete else None,
        "missing": file.missing if file.is_complete else None,
        "excluded": sorted(file.source.excluded & file.source.executable),
        "given_out": _given_out(file.counts.given_out),
        "uncertain": sorted(file.uncertain & file.source.executable) if file.is_complete else None,
        "hits": file.hits,
        "lines": {
            line: {"count": count, "first": first, "last": last}
            for line, (count, first, last) in sorted(file.counts.lines.items())
        },
        "functions": _functions(file),
    }
    for fact, series in file.counts.series():
        if fact.field not in described:
            described[fact.field] = _tallies(fact, series)
    if since is not None:
        described["unused"] = _unused(file, since)
    return described


def _tallies(fact: Fact, series: Series) -> list[dict[str, Any]]:
    """Return the objects of the keys of *series*, sorted: the columns of the table of *fact*, and the tally."""
    columns = [column for column, _type in fact.columns]
    return [
        {**dict(zip(columns, key if len(columns) > 1 else (key,))), "count": count, "first": first, "last": last}
        for key, (count, first, last) in sorted(series.items())
    ]


def _functions(file: FileAnalysis) -> list[dict[str, Any]]:
    """Return the objects of the functions of *file*: called functions first, then the others."""
    ids = file.source.function_ids()
    called = [
        {
            "name": name,
            "line": line,
            "id": ids.get((name, line)),
            "kind": file.kind((name, line)),
            "calls": count,
            "first": first,
            "last": last,
        }
        for (name, line), (count, first, last) in sorted(file.counts.functions.items())
    ]
    return called + [
        {
            "name": name,
            "line": line,
            "id": ids.get((name, line)),
            "kind": FUNCTION,
            "calls": calls,
            "first": None,
            "last": None,
        }
        for (name, line), calls in sorted(file.uncalled().items())
    ]


def _unused(file: FileAnalysis, since: float) -> dict[str, Any] | None:
    """Return the object of the code of *file* that was not used after *since*, None if its source is not known."""
    if file.source.state != CURRENT:
        return None
    unused, ids = UnusedCode(file, since), file.source.function_ids()
    return {
        "functions": [
            {
                "name": each.name,
                "line": each.line,
                "id": ids.get((each.name, each.line)),
                "kind": each.kind,
                "last": _last_use(each.last),
            }
            for each in unused.functions
        ],
        "lines": {line: _last_use(last) for line, last in sorted(unused.lines.items())},
    }


def _last_use(moment: float) -> float | None:
    return None if moment == -math.inf else moment


def _given_out(functions: dict[FunctionKey, set[str]]) -> list[dict[str, Any]]:
    """Return the objects of the *functions* that were given out, sorted by line."""
    return [
        {"name": name, "line": line, "to": sorted(receivers)}
        for (name, line), receivers in sorted(functions.items(), key=lambda item: (item[0][1], item[0][0]))
    ]


def _unwritten(processes: list[RunningProcess]) -> list[dict[str, Any]]:
    """Return the objects of *processes*, which are running and have written no counts."""
    return [
        {"pid": each.pid, "command": each.command(), "reason": f"it is running, and {each.when_it_writes()}"}
        for each in processes
    ]


def _processes(processes: list[MeasuredProcess]) -> list[dict[str, Any]]:
    return [{"pid": each.pid, "host": each.host, "updated": each.updated} for each in processes]


def _paths_and_reasons(pairs: Iterable[tuple[str, str]]) -> list[dict[str, str]]:
    return [{"path": path, "reason": reason} for path, reason in pairs]


FORMAT = Format(
    "json",
    write_analysis,
    help="all that is known, for other programs",
    takes=("sort", "missing", "unused-for"),  # missing lines are in the document in any case
    has_remarks=True,
)
