"""Writes the verdict of the gate as GitHub Flavored Markdown, for a comment on a pull request.

The failures and their causes come first. All else is folded.
"""

from __future__ import annotations

from instrument.report.gate import words
from instrument.report.gate.gate_table import MOST_CAUSES, MOST_LINES
from instrument.report.summary.markdown import code
from instrument.report.text import number_of, say, shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from typing import TextIO

    from instrument.analysis.gate.comparison import Growth
    from instrument.analysis.gate.verdict import Explained, Verdict

_HEAD = ("", "BASE", "HEAD", "growth")


def write(verdict: Verdict, top: int, out: TextIO | None = None) -> None:
    """Write *verdict* to *out*, by default standard output, with *top* tests and functions of each kind at most."""
    say(_lines(verdict, top), out)


def _lines(verdict: Verdict, top: int) -> Iterator[str]:
    comparison, unit = verdict.comparison, verdict.comparison.unit
    n_failed = len(verdict.failures)
    mark = f"❌ {number_of(n_failed, 'growth')} above the bounds" if n_failed else "✅ No growth above the bounds"
    yield f"### {mark}"
    yield ""
    yield words.summary(verdict)
    yield ""
    if verdict.failures:
        rows = [
            (_name(each.failure.subject, each.failure.name), each.failure.growth) for each in verdict.failures[:top]
        ]
        yield from _table(rows)
        yield ""
        for group in words.grouped(verdict.failures[:top], MOST_CAUSES):
            names = [_name(explained.failure.subject, explained.failure.name) for explained in group]
            yield f"Causes for {', '.join(names)}:"
            yield ""
            yield from _causes(group[0], verdict, is_alone=len(group) == 1)
            yield ""
    elif verdict.causes and comparison.total.change > 0:
        yield from _folded("Causes of the growth", _causes(verdict.explained_total(), verdict, is_alone=True))
    tests = [(code(shown(name)), growth) for name, growth in verdict.grown_tests[:top]]
    grown = [(code(words.function_text(change)), change.growth(unit)) for change in verdict.grown[:top]]
    shrunk = [(code(words.function_text(change)), change.growth(unit)) for change in verdict.shrunk[:top]]
    for title, rows, n_all in (
        ("Tests that grew", tests, len(verdict.grown_tests)),
        ("Functions that grew", grown, len(verdict.grown)),
        ("Functions that became less", shrunk, len(verdict.shrunk)),
    ):
        if rows:
            first = f", the first {len(rows)}" if len(rows) < n_all else ""
            yield from _folded(f"{title}: {n_all}{first}", _table(rows))
    notes = [words.unit_note(verdict), *words.notes(verdict)]
    yield from _folded("About these numbers", (f"- {code(note.strip())}" for note in notes))


def _name(subject: str, name: str) -> str:
    return f"{subject} {code(shown(name))}" if name else subject


def _table(rows: Sequence[tuple[str, Growth]]) -> Iterator[str]:
    yield f"| {' | '.join(_HEAD)} |"
    yield "| :--- | ---: | ---: | ---: |"
    for name, growth in rows:
        yield f"| {name} | {growth.before} | {growth.after} | {words.percent_text(growth)} |"


def _causes(explained: Explained, verdict: Verdict, *, is_alone: bool) -> Iterator[str]:
    unit, causes = verdict.comparison.unit, explained.causes
    failure = explained.failure
    subject = _name(failure.subject, failure.name) if failure.name else words.subject_text(failure)
    share = words.share_text(explained, subject, is_alone=is_alone)
    for number, cause in enumerate(causes[:MOST_CAUSES], start=1):
        place = code(words.place_text(cause.place, cause.line))
        yield f"{number}. {place}: {words.cause_text(cause)}, {cause.growth} more {unit}{share}"
        if text := verdict.text_of(cause.place, cause.line).strip():
            yield f"   {code(shown(text))}"
        others = [each for each in cause.lines if (each.place, each.line) != (cause.place, cause.line)]
        for grown in others[: MOST_LINES - 1]:
            yield f"   - {code(words.place_text(grown.place, grown.line))}: {words.grown_text(grown, unit)}"
    if len(causes) > MOST_CAUSES:
        yield ""
        yield f"({number_of(len(causes) - MOST_CAUSES, 'more cause')})"
    if text := words.sum_text(explained, subject, verdict):
        yield ""
        yield text


def _folded(title: str, lines: Iterable[str]) -> Iterator[str]:
    yield f"<details><summary>{title}</summary>"
    yield ""
    yield from lines
    yield ""
    yield "</details>"
    yield ""
