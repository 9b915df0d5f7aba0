"""The model of the page of a source file: plain values, which a template shows.

A FileAnalysis comes in. A FilePage goes out, with a Line for each line of the source.
"""

from __future__ import annotations

from typing import NamedTuple

from instrument.analysis.file_analysis import EXECUTIONS
from instrument.analysis.source_file import CURRENT
from instrument.model.flow_counts import DecisionKind
from instrument.report.html.document import file_document
from instrument.report.html.function_rows import FunctionRow, function_rows
from instrument.report.html.numbers import Numbers, counts_of, numbers_of
from instrument.report.html.short_numbers import heat
from instrument.report.html.source_markup import marked_lines, source_text
from instrument.report.text import shown, shown_path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from instrument.analysis.file_analysis import FileAnalysis
    from instrument.model.flow_counts import Decision

#: The states of lines, as the style sheet has them. PARTIAL: it ran, and a way on from it was never taken.
RAN, PARTIAL, MISSING, UNCERTAIN, EXCLUDED, OTHER = "r", "p", "m", "u", "x", ""

#: The words for the two outcomes of a decision, by its kind.
OUTCOMES = {
    DecisionKind.TEST: ("true", "false"),
    DecisionKind.NONE: ("None", "not None"),
    DecisionKind.LOOP: ("another element", "end"),
    DecisionKind.CASE: ("fits", "does not fit"),
    DecisionKind.EXCEPT: ("this exception", "another exception"),
}

#: Characters of an expression that is shown.
_LONGEST_EXPRESSION = 60


class Way(NamedTuple):
    """A way on from a line: the *target* line, 0 for a return, and how often it was *taken*."""

    target: int
    taken: int


class Condition(NamedTuple):
    """A decision within a line: its column from 1, its text, and word and count of both outcomes.

    The column is 0, and the text is empty, if they are not known.
    """

    column: int
    text: str
    true: tuple[str, int]
    false: tuple[str, int]

    @property
    def is_one_sided(self) -> bool:
        """Whether one of the outcomes never came, and that is a gap."""
        return any(not count and not self.is_optional(word) for word, count in (self.true, self.false))

    def is_optional(self, word: str) -> bool:
        """Return whether the outcome *word* is no gap if it never came: no program raises all exceptions everywhere."""
        return word == OUTCOMES[DecisionKind.EXCEPT][1]


class Line(NamedTuple):
    """A line of a page.

    - number: its number from 1
    - markup: its text as HTML
    - state: RAN, PARTIAL, MISSING, UNCERTAIN, EXCLUDED or OTHER
    - times: how often it ran; None if it did not
    - heat: the level of its count, see `short_numbers.heat`
    - cost: how many bytecode instructions of it were executed; None if that is not known
    - ways: the ways on from it, if it has several
    - conditions: the decisions within it
    """

    number: int
    markup: str
    state: str
    times: int | None
    heat: int
    cost: int | None
    ways: tuple[Way, ...]
    conditions: tuple[Condition, ...]


class FilePage(NamedTuple):
    """The page of a source file.

    - name: the name of the page, without a suffix
    - label: the path of the source file as it is shown
    - notices: remarks about the file, for people
    - is_complete: whether it is known which lines are missing
    - numbers: the sums of the file
    - lines, functions: its lines and its functions
    - has_flow: whether the flow of control is known: ways, conditions and cost
    - document: all its numbers, for JSON
    - tests: the tests that ran its lines, see `packed_tests`; empty if they are not known
    """

    name: str
    label: str
    notices: list[str]
    is_complete: bool
    numbers: Numbers
    lines: list[Line]
    functions: list[FunctionRow]
    has_flow: bool
    document: dict[str, Any]
    tests: str = ""


def file_page(file: FileAnalysis, name: str, unit: str, hottest: int) -> FilePage:
    """Return the page of *file*, called *name*. Counts are in this *unit*; the scale of heat ends at *hottest*."""
    label = shown_path(file.path)
    return FilePage(
        name,
        label,
        notices_of(file, unit),
        file.is_complete,
        numbers_of(file, unit),
        _lines(file, unit, hottest),
        function_rows(file, name, label),
        file.flow is not None,
        file_document(file),
    )


def notices_of(file: FileAnalysis, unit: str) -> list[str]:
    """Return the remarks about *file* that its page shows."""
    notices = []
    if not file.measured_at:
        notices.append("This file was never imported.")
    if file.source.reason:
        notices.append(f"The lines of this file are not known: {shown(file.source.reason)}.")
    elif not file.is_complete:
        notices.append("This file ran uncounted in part, so no line is called missing.")
    if file.uncertain:
        notices.append("Functions of this file may have run elsewhere, uncounted. No line of them is called missing.")
    if unit == EXECUTIONS and file.flow is None and file.measured_at:
        notices.append("Executions of lines are not known for this file, only line events.")
    return notices


def _lines(file: FileAnalysis, unit: str, hottest: int) -> list[Line]:
    """Return the lines of *file*, with no text if the source is not the measured version."""
    counts, costs = counts_of(file, unit), file.flow.instructions if file.flow else {}
    text = source_text(file.source) if file.source.state == CURRENT else ""
    marked = marked_lines(text)
    # No text is known of a source that has changed. Its lines that ran are shown by number.
    marked += [""] * (max([0, *counts, *costs]) - len(marked))
    ways = _ways(file)
    conditions = _conditions(file, text)
    missing, uncertain = frozenset(file.missing), file.uncertain & file.source.executable
    excluded = file.source.excluded & file.source.executable
    lines = []
    for number, markup in enumerate(marked, 1):
        count = counts.get(number)
        on = ways.get(number, ())
        state = OTHER
        if number in missing:
            state = MISSING
        elif number in file.counts.lines:
            state = PARTIAL if any(not way.taken for way in on) else RAN
        elif number in uncertain:
            state = UNCERTAIN
        elif number in excluded:
            state = EXCLUDED
        level = heat(count, hottest) if count else 0
        lines.append(Line(number, markup, state, count, level, costs.get(number), on, conditions.get(number, ())))
    return lines


def _ways(file: FileAnalysis) -> dict[int, tuple[Way, ...]]:
    """Return the ways on from each line of *file* that has several. Two code objects may share a line."""
    ways: dict[int, tuple[Way, ...]] = {}
    for branch in file.branches:
        ways[branch.line] = ways.get(branch.line, ()) + tuple(Way(*way) for way in branch.arcs.items())
    return ways


def _conditions(file: FileAnalysis, text: str) -> dict[int, tuple[Condition, ...]]:
    """Return the decisions of each line of *file*, by column; *text* is the source."""
    lines = text.split("\n")
    conditions: dict[int, tuple[Condition, ...]] = {}
    decisions = file.flow.decisions if file.flow else {}
    for decision, outcomes in sorted(decisions.items()):
        column, expression = _expression(decision, lines)
        words = OUTCOMES.get(decision.kind, ("true", "false"))
        condition = Condition(column, expression, (words[0], outcomes.true), (words[1], outcomes.false))
        conditions[decision.line] = (*conditions.get(decision.line, ()), condition)
    return conditions


def _expression(decision: Decision, lines: list[str]) -> tuple[int, str]:
    """Return the column of *decision* in characters from 1, and its text in the *lines* of the source."""
    if decision.column < 0 or not 0 < decision.line <= len(lines):
        return 0, ""
    data = lines[decision.line - 1].encode()
    is_whole = decision.end_line == decision.line and decision.end_column >= 0
    text = data[decision.column : decision.end_column if is_whole else len(data)].decode(errors="replace").strip()
    if not is_whole or len(text) > _LONGEST_EXPRESSION:
        text = f"{text[:_LONGEST_EXPRESSION]}…"
    return len(data[: decision.column].decode(errors="replace")) + 1, shown(text)
