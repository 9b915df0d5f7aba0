"""Writes how the work of tests grows with a size: as tables, or as JSON."""

from __future__ import annotations

import json
import sys

from instrument.report.tables import table
from instrument.report.text import say, shown, shown_path, terminal_width

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any, TextIO

    from instrument.analysis.growth.fit import Growth
    from instrument.analysis.growth.sized_tests import GrowthsOfTest


def write_tables(tests: Iterable[GrowthsOfTest], unit: str, top: int | None = None, out: TextIO | None = None) -> None:
    """Write a table for each of *tests* to *out*, by default standard output; with *top*, so many functions each.

    Each number of a table is the work at the size in its head, in *unit*.
    """
    for number, test in enumerate(tests):
        say([*([""] if number else []), *_table(test, unit, top)], out)


def _table(test: GrowthsOfTest, unit: str, top: int | None) -> Iterator[str]:
    yield f"{shown(test.test.name)}, {unit} for each N:"
    sizes = [*test.test.node_ids]
    rows = [
        [f"{shown_path(place.path)}:{place.line} {shown(place.name)}", *_cells(growth)]
        for place, growth in [*test.functions.items()][:top]
    ]
    head = ["Function", "Growth", "Certainty", *map(str, sizes)]
    yield from table(head, rows, ["Total", *_cells(test.total)], terminal_width())


def _cells(growth: Growth) -> list[str]:
    law = f"{growth.base:g}^n" if growth.law == "2^n" else growth.law
    if growth.certainty == "no law":
        law = f"about n^{growth.power:.2f}"
    return [law, growth.certainty, *map(str, growth.counts.values())]


def write_json(tests: Iterable[GrowthsOfTest], unit: str, out: TextIO | None = None) -> None:
    """Write all that is known of *tests* to *out*, by default standard output; errors are fractions."""
    document = {
        "format": 1,
        "unit": unit,
        "tests": [
            {
                "test": each.test.name,
                "sizes": [*each.test.node_ids],
                "total": _as_json(each.total),
                "functions": [
                    {"path": place.path, "name": place.name, "line": place.line, **_as_json(growth)}
                    for place, growth in each.functions.items()
                ],
            }
            for each in tests
        ],
    }
    stream = sys.stdout if out is None else out
    json.dump(document, stream, indent=1)
    stream.write("\n")


def _as_json(growth: Growth) -> dict[str, Any]:
    rival = growth.rival
    return {
        "law": growth.law,
        "base": growth.base if growth.law == "2^n" else None,
        "certainty": growth.certainty,
        "error": growth.error,
        "rival": None if rival is None else {"law": rival[0], "error": rival[1]},
        "power": growth.power,
        "counts": [*growth.counts.values()],
    }
