"""Writes the verdict of the gate as a table for terminals, with the causes of growth below it."""

from __future__ import annotations

from instrument.analysis.gate.bounds import FUNCTION, TEST, TOTAL
from instrument.report.gate import words
from instrument.report.tables import table
from instrument.report.text import number_of, say, shortened, shown, terminal_width

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import TextIO

    from instrument.analysis.gate.comparison import Growth
    from instrument.analysis.gate.verdict import Explained, Verdict

#: The most causes of one growth, and the most lines of a cause, that are printed.
MOST_CAUSES, MOST_LINES = 3, 3
#: The widest source text of a line.
_WIDTH_OF_TEXT = 60


def write(verdict: Verdict, top: int, out: TextIO | None = None) -> None:
    """Write *verdict* to *out*, by default standard output, with *top* tests and functions of each kind at most."""
    say(_lines(verdict, top), out)


def _lines(verdict: Verdict, top: int) -> Iterator[str]:
    unit = verdict.comparison.unit
    rows = []
    for name, growth in verdict.grown_tests[:top]:
        rows.append(_row(shown(name), growth, verdict, TEST))
    for change in verdict.grown[:top]:
        subject = FUNCTION if change.place_before is not None else ""
        rows.append(_row(words.function_text(change), change.growth(unit), verdict, subject))
    rows.sort(key=lambda row: not row[-1])  # growth above a bound comes first
    rows.insert(0, _row("Total", verdict.comparison.total, verdict, TOTAL))
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
        yield from _causes(group[0], verdict, is_alone=len(group) == 1)
    if len(verdict.failures) > top:
        yield ""
        yield f"({number_of(len(verdict.failures) - top, 'more growth')} above the bounds)"
    if not verdict.failures and verdict.causes and verdict.comparison.total.change > 0:
        yield ""
        yield "Causes of the growth, none of which passes a bound:"
        yield from _causes(verdict.explained_total(), verdict, is_alone=True)
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


def _causes(explained: Explained, verdict: Verdict, *, is_alone: bool) -> Iterator[str]:
    """Yield the first causes of *explained*, each with the lines whose growth it explains, and the sum of all causes.

    *is_alone* says that it is not one of several failures with the same causes.
    """
    unit, causes = verdict.comparison.unit, explained.causes
    subject = words.subject_text(explained.failure)
    share = words.share_text(explained, subject, is_alone=is_alone)
    for number, cause in enumerate(causes[:MOST_CAUSES], start=1):
        yield f"  {number}. {words.place_text(cause.place, cause.line)}: {words.cause_text(cause)}"
        yield f"     it explains {cause.growth} more {unit}{share}"
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
    if text := words.sum_text(explained, subject, verdict):
        yield f"  {text}"
