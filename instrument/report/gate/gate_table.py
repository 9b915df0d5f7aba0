"""Writes the verdict of the gate as a table for terminals, with the causes of growth below it."""

from __future__ import annotations

from instrument.analysis.gate.bounds import FUNCTION, TEST, TOTAL
from instrument.report.gate import words
from instrument.report.tables import table
from instrument.report.text import number_of, say, shortened, shown, terminal_width

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import TextIO

    from instrument.analysis.gate.causes import Cause
    from instrument.analysis.gate.comparison import Growth
    from instrument.analysis.gate.verdict import Verdict

#: The most causes of one growth, and the most lines of a cause, that are printed.
MOST_CAUSES, MOST_LINES = 3, 3
#: The widest source text of a line.
_WIDTH_OF_TEXT = 60


def write(verdict: Verdict, top: int, out: TextIO | None = None) -> None:
    """Write *verdict* to *out*, by default standard output, with *top* tests and functions of each kind at most."""
    say(_lines(verdict, top), out)


def _lines(verdict: Verdict, top: int) -> Iterator[str]:
    unit = verdict.comparison.unit
    rows = [_row("Total", verdict.comparison.total, verdict, TOTAL)]
    for name, growth in verdict.grown_tests[:top]:
        rows.append(_row(shown(name), growth, verdict, TEST))
    for change in verdict.grown[:top]:
        subject = FUNCTION if change.place_before is not None else ""
        rows.append(_row(words.function_text(change), change.growth(unit), verdict, subject))
    yield from table([unit.capitalize(), "BASE", "HEAD", "Growth", ""], rows, None, terminal_width())
    for things, n_all in (("test", len(verdict.grown_tests)), ("function", len(verdict.grown))):
        if n_all > top:
            yield f"({number_of(n_all - top, f'more {things}')} that grew)"
    yield ""
    yield words.summary(verdict)
    for group in words.grouped(verdict.failures[:top], MOST_CAUSES):
        yield ""
        for explained in group:
            text = words.failure_text(explained.failure, verdict)
            yield f"{text[0].upper()}{text[1:]}{':' if explained is group[-1] else ','}"
        yield from _causes(group[0].causes, verdict)
    if len(verdict.failures) > top:
        yield ""
        yield f"({number_of(len(verdict.failures) - top, 'more growth')} above the bounds)"
    if not verdict.failures and verdict.causes and verdict.comparison.total.change > 0:
        yield ""
        yield "Causes of the growth, none of which passes a bound:"
        yield from _causes(verdict.causes, verdict)
    if verdict.shrunk:
        yield ""
        yield "Became less:"
        for change in verdict.shrunk[:top]:
            growth = change.growth(unit)
            yield f"  {words.function_text(change)}: {growth.before} → {growth.after} ({words.percent_text(growth)})"
    notes = list(words.notes(verdict))
    if notes:
        yield ""
        yield from notes


def _row(name: str, growth: Growth, verdict: Verdict, subject: str) -> list[str]:
    remark = f"above {words.bound_text(subject, verdict)}" if subject and verdict.bounds.passed(growth, subject) else ""
    return [name, f"{growth.before}", f"{growth.after}", words.percent_text(growth), remark]


def _causes(causes: Sequence[Cause], verdict: Verdict) -> Iterator[str]:
    """Yield the first of *causes*, each with the lines whose growth it explains."""
    unit = verdict.comparison.unit
    for number, cause in enumerate(causes[:MOST_CAUSES], start=1):
        yield f"  {number}. {words.place_text(cause.place, cause.line)}: {words.cause_text(cause)}"
        yield f"     it explains {cause.growth} more {unit}"
        if text := verdict.text_of(cause.place, cause.line).strip():
            yield f"     > {shortened(shown(text), _WIDTH_OF_TEXT)}"
        for grown in [each for each in cause.lines if (each.place, each.line) != (cause.place, cause.line)][
            : MOST_LINES - 1
        ]:
            yield f"     {words.place_text(grown.place, grown.line)}: {words.grown_text(grown, unit)}"
            if text := verdict.text_of(grown.place, grown.line).strip():
                yield f"     > {shortened(shown(text), _WIDTH_OF_TEXT)}"
    if len(causes) > MOST_CAUSES:
        rest = sum(cause.growth for cause in causes[MOST_CAUSES:])
        yield f"  ({number_of(len(causes) - MOST_CAUSES, 'more cause')}, which explain {rest} more {unit})"
