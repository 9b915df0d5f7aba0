"""Lists the functions of source files with their calls and their cost, and ranks them.

FileAnalysis values come in, and a FunctionRow goes out for each code object that has a name or that ran.
"""

from __future__ import annotations

from typing import NamedTuple

from instrument.analysis.source_file import ANNOTATIONS, TYPE_PARAMETERS
from instrument.report.text import shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from instrument.analysis.file_analysis import FileAnalysis
    from instrument.model.flow_counts import FunctionFlow


class FunctionRow(NamedTuple):
    """A code object of a source file.

    - page, label: the name of the page of its file, and the path as it is shown
    - name, line, kind: its qualified name as it is shown, its first line, and its kind, as in `SourceFile.kinds`
    - calls: how often it was called; None if it may have run uncounted
    - flow: how often control entered and left it, and its cost; None if that is not known. Then resumptions of
      generators count as calls, too.
    """

    page: str
    label: str
    name: str
    line: int
    kind: str
    calls: int | None
    flow: FunctionFlow | None

    @property
    def cost(self) -> int:
        """How many bytecode instructions were executed in it; 0 if that is not known."""
        return self.flow.instructions if self.flow else 0


def function_rows(file: FileAnalysis, page: str, label: str) -> list[FunctionRow]:
    """Return the functions of *file*, whose *page* has this name and *label*, ranked by calls."""
    flows = file.flow.functions if file.flow else {}
    calls: dict[tuple[str, int], int | None] = {**file.uncalled()}
    calls.update(file.counts.functions.counts())
    calls.update({function: flow.calls for function, flow in flows.items()})
    rows = [
        FunctionRow(page, label, shown(name), line, file.kind((name, line)), n_calls, flows.get((name, line)))
        for (name, line), n_calls in calls.items()
    ]
    return ranked(row for row in rows if row.kind not in (ANNOTATIONS, TYPE_PARAMETERS))


def ranked(rows: Iterable[FunctionRow]) -> list[FunctionRow]:
    """Return *rows* sorted by calls from the top, and those with equal calls by cost."""
    return sorted(rows, key=lambda row: (-(row.calls or 0), -row.cost, row.label, row.line, row.name))


def first_by_calls_and_cost(rows: Iterable[FunctionRow], n: int) -> list[FunctionRow]:
    """Return the *n* functions of *rows* with most calls, and the *n* with the greatest cost, ranked by calls."""
    by_calls = [row for row in ranked(rows) if row.calls]
    by_cost = sorted((row for row in by_calls if row.cost), key=lambda row: -row.cost)
    return ranked(set(by_calls[:n]).union(by_cost[:n]))
