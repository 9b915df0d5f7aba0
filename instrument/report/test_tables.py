"""Writes the tests that ran a place, and the work of a test: as tables, or as JSON."""

from __future__ import annotations

import json
import sys

from instrument.analysis.contexts.names import PHASES
from instrument.report.tables import table
from instrument.report.text import number_of, ranges, say, shown_path, terminal_width

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any, TextIO

    from instrument.analysis.contexts.names import Context
    from instrument.analysis.contexts.places import Place
    from instrument.analysis.contexts.work import FileWork


class Ranking:
    """The tests that ran *place*, out of *n_tests*; *counts* says how often each context did.

    `tests` has a dictionary of counts by phase for each test, the test with the highest sum first. `others` has the
    counts of contexts that are no tests, by name.
    """

    def __init__(self, place: Place, counts: dict[Context, int], n_tests: int) -> None:
        self.place = place
        self.n_tests = n_tests
        tests: dict[str, dict[str, int]] = {}
        for context, n in counts.items():
            if context.is_test:
                tests.setdefault(context.name, {})[context.phase] = n
        order = sorted(tests, key=lambda name: (-sum(tests[name].values()), name))
        self.tests = {name: {phase: tests[name][phase] for phase in PHASES if phase in tests[name]} for name in order}
        self.others = {context.name: n for context, n in sorted(counts.items()) if not context.is_test}


def write_ranking(ranking: Ranking, top: int | None = None, out: TextIO | None = None) -> None:
    """Write the table of *ranking* to *out*, by default standard output; with *top*, so many tests at most."""
    place = ranking.place
    lines: list[str] = []
    if ranking.tests:
        rows = []
        for name, phases in list(ranking.tests.items())[:top]:
            remark = "" if [*phases] == ["call"] else ", ".join(f"{phase} {n}" for phase, n in phases.items())
            rows.append([name, f"{sum(phases.values())}", remark])
        lines += table(["Test", "Hits" if place.line else "Entered", ""], rows, None, terminal_width())
    verb = "runs" if len(ranking.tests) == 1 else "run"
    lines.append(
        f"{len(ranking.tests) or 'none'} of {number_of(ranking.n_tests, 'test')} {verb} {place} of "
        f"{shown_path(place.path)}"
    )
    lines += [f"outside of tests: {n} by {name or 'other code'}" for name, n in ranking.others.items()]
    say(lines, out)


def write_ranking_as_json(ranking: Ranking, out: TextIO | None = None) -> None:
    """Write all of *ranking* to *out*, by default standard output."""
    place = ranking.place
    document: dict[str, Any] = {
        "format": 1,
        "path": place.path,
        "line": place.line or None,
        "functions": [{"name": name, "line": line} for name, line in place.functions],
        "tests": [{"test": name, **phases} for name, phases in ranking.tests.items()],
        "others": ranking.others,
        "all_tests": ranking.n_tests,
        "stale": place.is_stale,
    }
    _write(document, out)


def write_work(files: Sequence[FileWork], top: int | None = None, out: TextIO | None = None) -> None:
    """Write a table of the functions that ran in *files*, those with the most instructions first; *top* at most."""
    functions = [
        (flow.instructions, shown_path(work.file[0]), name, line, flow)
        for work in files
        for (name, line), flow in work.flow.functions.items()
        if flow.instructions
    ]
    functions.sort(key=lambda each: (-each[0], each[1], each[3]))
    rows = [
        [f"{path}:{line} {name}", f"{flow.calls}", f"{flow.instructions}"]
        for _, path, name, line, flow in functions[:top]
    ]
    total = ["Total", f"{sum(each[4].calls for each in functions)}", f"{sum(each[0] for each in functions)}"]
    say(table(["Function", "Calls", "Instructions"], rows, total, terminal_width()), out)


def write_lines(files: Sequence[FileWork], out: TextIO | None = None) -> None:
    """Write a table of the lines that ran in *files*."""
    rows = [
        [shown_path(work.file[0]), f"{len(work.lines)}", f"{sum(work.lines.values())}", ranges(work.lines)]
        for work in files
    ]
    total = ["Total", f"{sum(len(work.lines) for work in files)}", f"{sum(sum(work.lines.values()) for work in files)}"]
    say(table(["File", "Lines that ran", "Hits", ""], rows, [*total, ""], terminal_width()), out)


def write_work_as_json(contexts: Sequence[Context], files: Sequence[FileWork], out: TextIO | None = None) -> None:
    """Write all that *contexts* ran in *files* to *out*, by default standard output."""
    document = {
        "format": 1,
        "contexts": [{"name": each.name, "phase": each.phase} for each in contexts],
        "files": [
            {
                "path": work.file[0],
                "version": work.file[1],
                "lines": dict(sorted(work.lines.items())),
                "executions": {line: n for line, n in sorted(work.flow.executions.items()) if n},
                "instructions": {line: n for line, n in sorted(work.flow.instructions.items()) if n},
                "functions": [
                    {"name": name, "line": line, "entered": work.entered.get((name, line), 0), **flow._asdict()}
                    for (name, line), flow in sorted(work.flow.functions.items(), key=_by_line)
                ],
            }
            for work in files
        ],
    }
    _write(document, out)


def _by_line(item: tuple[tuple[str, int], Any]) -> tuple[int, str]:
    (name, line), _ = item
    return line, name


def _write(document: dict[str, Any], out: TextIO | None) -> None:
    stream = sys.stdout if out is None else out
    json.dump(document, stream, indent=1)
    stream.write("\n")
