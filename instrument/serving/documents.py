"""Makes the JSON documents that the script of live pages fetches.

A Sample comes in, and plain values go out. Counts are texts of digits: a script would round numbers above 2**53.
"""

from __future__ import annotations

import time

from instrument.analysis.source_file import CURRENT
from instrument.report.html.short_numbers import least_counts
from instrument.report.html.source_markup import source_text
from instrument.report.text import shown, shown_path
from instrument.serving.rates import hottest, plot

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from instrument.report.html.file_page import Line
    from instrument.report.html.function_rows import FunctionRow
    from instrument.report.html.index_page import Row
    from instrument.report.html.numbers import Numbers
    from instrument.serving.rates import CodeKey
    from instrument.serving.samples import Sample, Samples

#: Functions and lines with the highest rates that a page names, and the lines of its plot.
N_HOTTEST, N_SERIES = 8, 5
#: Characters of a source line that a page shows beside its rate.
_LONGEST_TEXT = 80


def state(sample: Sample | None, reason: str) -> dict[str, Any]:
    """Return which sample is the newest, how old it is, and notices; *reason* says why there is none."""
    if sample is None:
        return {
            "sample": 0,
            "age": 0.0,
            "pause": 0.0,
            "running": 0,
            "is_final": False,
            "notices": [],
            "reason": reason,
        }
    return {
        "sample": sample.number,
        "age": max(0.0, round(time.monotonic() - sample.moment, 1)),
        "pause": round(sample.pause, 1),
        "running": sample.running,
        "is_final": sample.is_final,
        "notices": list(sample.notices),
        "reason": "",
    }


def index_document(sample: Sample) -> dict[str, Any]:
    """Return all numbers of the index at *sample*."""
    index = sample.index_page
    return {
        **state(sample, ""),
        "rates": _rates(sample, ""),
        "has_flow": index.has_flow,
        **_sums(index.sums),
        "rows": [_row(row) for row in index.rows],
        "functions": [_function(row) for row in index.functions],
    }


def file_document(samples: Samples, sample: Sample, name: str, since: int) -> dict[str, Any]:
    """Return the numbers of the page called *name* at *sample*, with the lines that changed after sample *since*."""
    page = samples.page(sample, name)
    return {
        **state(sample, ""),
        "rates": _rates(sample, name),
        "version": page.document["version"],
        "has_flow": page.has_flow,
        **_sums(page.numbers),
        "levels": [str(count) for count in least_counts(sample.report.hottest)],
        "lines": [_line(line) for line in samples.changed_lines(sample, name, since)],
        "functions": [_function(row, is_own=True) for row in page.functions],
    }


def _sums(numbers: Numbers) -> dict[str, Any]:
    return {"numbers": _digits(numbers._asdict()), "ran": {"text": numbers.ran, "twentieths": numbers.twentieths}}


def _digits(counts: dict[str, int | None]) -> dict[str, str | None]:
    return {key: None if count is None else str(count) for key, count in counts.items()}


def _row(row: Row) -> dict[str, Any]:
    """Return a folder or a file of the index."""
    file = row.file
    return {
        "label": row.label,
        "is_folder": file is None,
        "is_known": file is None or file.is_complete,
        "has_flow": file is None or file.has_flow,
        "hottest_line": file.hottest_line if file else 0,
        "hottest_address": f"{file.page}.html#L{file.hottest_line}" if file else "",
        **_sums(row.numbers),
    }


def _function(row: FunctionRow, *, is_own: bool = False) -> dict[str, Any]:
    """Return a function. Its address leads from the index, or from the page of its file if that *is_own*."""
    flow = row.flow
    return {
        "address": f"#L{row.line}" if is_own else f"{row.page}.html#L{row.line}",
        "name": row.name,
        "label": row.label,
        "line": row.line,
        "kind": row.kind,
        "numbers": _digits(
            {
                "calls": row.calls,
                "cost": row.cost if flow else None,
                "each": row.cost // (row.calls or 1) if flow else None,
                "returned": flow.returned if flow else None,
                "yielded": flow.yielded if flow else None,
                "raised": flow.raised if flow else None,
            }
        ),
    }


def _line(line: Line) -> list[Any]:
    """Return number, state, count, heat, cost, ways and conditions of *line*."""
    return [
        line.number,
        line.state,
        None if line.times is None else str(line.times),
        line.heat,
        None if line.cost is None else str(line.cost),
        [[way.target, str(way.taken)] for way in line.ways],
        [[str(each.true[1]), str(each.false[1])] for each in line.conditions],
    ]


def _rates(sample: Sample, page: str) -> dict[str, Any]:
    """Return the hottest functions and lines of *page*, or of all pages if that is empty, and a plot of functions."""
    series = plot(sample.moments, N_SERIES, page)
    newest = sample.moments[-1][0] if sample.moments else 0.0
    functions, lines = sample.rates
    return {
        "functions": [
            [_address(key), _place(sample, key), shown(key[2]), round(functions[key], 2), str(sample.functions[key])]
            for key in hottest(functions, N_HOTTEST, page)
        ],
        "lines": [
            [_address(key), _place(sample, key), _text(sample, key), round(lines[key], 2), str(sample.lines[key])]
            for key in hottest(lines, N_HOTTEST, page)
        ],
        "plot": {
            "seconds": [round(moment - newest, 2) for moment, _ in sample.moments],
            "series": [
                {"key": f"{_address(key)} {shown(key[2])}", "rates": [round(rate, 2) for rate in rates]}
                for key, rates in series
            ],
        },
    }


def _address(key: CodeKey) -> str:
    return f"{key[0]}.html#L{key[1]}"


def _place(sample: Sample, key: CodeKey) -> str:
    """Return the path and the line of *key* as they are shown."""
    return f"{shown_path(sample.report.files()[key[0]].path)}:{key[1]}"


def _text(sample: Sample, key: CodeKey) -> str:
    """Return the text of the line *key*, shortened; empty if the source is not the measured version."""
    source = sample.report.files()[key[0]].source
    if source.state != CURRENT:
        return ""
    lines = source_text(source).split("\n")
    text = lines[key[1] - 1].strip() if 0 < key[1] <= len(lines) else ""
    return shown(text if len(text) <= _LONGEST_TEXT else f"{text[: _LONGEST_TEXT - 1]}…")
