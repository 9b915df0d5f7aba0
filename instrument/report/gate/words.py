"""The words for growth and its causes that all formats of the gate share."""

from __future__ import annotations

from instrument.analysis.gate.bounds import FUNCTION, TEST, TOTAL
from instrument.analysis.gate.line_causes import BRANCH, CALLS, CHANGED_LINE, COST, LOOP, NEW_LINE
from instrument.analysis.gate.work import INSTRUCTIONS
from instrument.model.flow_counts import RAISED
from instrument.report.text import number_of, percentage, ranges, shown, shown_path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from instrument.analysis.gate.bounds import Failure
    from instrument.analysis.gate.causes import Cause, GrownLine
    from instrument.analysis.gate.comparison import FunctionChange, Growth
    from instrument.analysis.gate.verdict import Explained, Verdict
    from instrument.analysis.gate.work import FunctionPlace

#: The options of the bounds, by subject.
OPTIONS = {TOTAL: "--max-growth", TEST: "--max-growth-per-test", FUNCTION: "--max-growth-per-function"}
#: The most decimals of a percentage.
_MOST_DECIMALS = 4


def percent_text(growth: Growth) -> str:
    """Return the change of *growth* in percent of the work before, such as `+12.1%`; `new` if there was none."""
    if not growth.before:
        return "new" if growth.after else "0%"
    percent = 100 * growth.change / growth.before
    for decimals in range(1, _MOST_DECIMALS + 1):
        if round(percent, decimals):
            return f"{percent:+.{decimals}f}%"
    return f"{percent:+.1g}%" if growth.change else "0%"


def place_text(place: FunctionPlace, line: int) -> str:
    """Return the place of a line, such as `shop.py:17 price`."""
    return f"{shown_path(place.path)}:{line} {shown(place.name)}"


def cause_text(cause: Cause) -> str:
    """Return a clause that says how the run in HEAD differs at the line of *cause*."""
    before, after = cause.counts
    times = f"{before} → {after} times"
    match cause.kind:
        case kind if kind == NEW_LINE:
            return f"a new line, which ran {_times(after)}"
        case kind if kind == CHANGED_LINE:
            return f"a changed line, which ran {_times(after)}"
        case kind if kind == LOOP:
            return f"the loop turned {times}"
        case kind if kind == BRANCH:
            way = {0: "out of the function", RAISED: "on by an exception"}.get(cause.target, f"to line {cause.target}")
            return f"control went {way} more often, {times}"
        case kind if kind == COST:
            return f"the line executed {before} → {after} instructions"
        case kind if kind == CALLS:
            return f"the function was called {times}, by no line that is known to have run more often"
        case _:
            return f"the line ran {times}"


def _times(n: int) -> str:
    return "once" if n == 1 else f"{n} times"


def grown_text(grown: GrownLine, unit: str) -> str:
    """Return a clause about a line that grew: its work before and after, and that of the functions it called."""
    own = f"{grown.growth.before} → {grown.growth.after} {unit}"
    called = grown.inclusive - grown.growth.change
    return f"{own}, and {called} more in functions that it calls" if called else own


def subject_text(failure: Failure) -> str:
    """Return the subject of *failure* with its name, such as `the total` or `test test_price`."""
    return "the total" if failure.subject == TOTAL else f"{failure.subject} {shown(failure.name)}"


def failure_text(failure: Failure, verdict: Verdict) -> str:
    """Return a sentence without a stop about *failure*: the subject, its growth, and the bound that it passes."""
    growth = failure.growth
    return (
        f"{subject_text(failure)} grew from {growth.before} to {number_of_work(growth.after, verdict)} "
        f"({percent_text(growth)}), above {bound_text(failure.subject, verdict)}"
    )


def share_text(explained: Explained, subject: str, *, is_alone: bool) -> str:
    """Return the end of a clause about the growth by a cause of *explained*: where it is, or an empty text.

    The text is empty if the failure *is_alone*, and is that of a run or of a test. *subject* is its name in the text.
    """
    if explained.failure.subject == FUNCTION:  # its causes made other functions grow, too
        return " in all functions"
    return "" if is_alone else f" in {subject}"


def sum_text(explained: Explained, subject: str, verdict: Verdict) -> str:
    """Return a sentence that adds up the causes of *explained* if other lines became less; else an empty text.

    *subject* is the name of the failure in the sentence.
    """
    growth = explained.failure.growth
    more = sum(cause.growth for cause in explained.causes)
    less = more - growth.change
    if not explained.causes or explained.failure.subject == FUNCTION or not less:
        return ""
    return (
        f"{more} more in lines that grew, and {less} less in other lines: {subject} grew by "
        f"{number_of_work(growth.change, verdict)}"
    )


def bound_text(subject: str, verdict: Verdict) -> str:
    """Return the option that set the bound of *subject*, such as `--max-growth 2%`."""
    percent = {TOTAL: verdict.bounds.total, TEST: verdict.bounds.test, FUNCTION: verdict.bounds.function}[subject]
    assert percent is not None
    return f"{OPTIONS[subject]} {float(percent):g}%"


def number_of_work(n: int, verdict: Verdict) -> str:
    """Return the number *n* with the unit of *verdict*."""
    return number_of(n, verdict.comparison.unit[:-1])


def function_text(change: FunctionChange) -> str:
    """Return the name of a function, with a remark if only one of the runs has it."""
    remark = " (new)" if change.place_before is None else " (gone)" if change.place_after is None else ""
    return f"{place_text(change.place, change.place.line)}{remark}"


def summary(verdict: Verdict) -> str:
    """Return one line about the comparison as a whole."""
    comparison = verdict.comparison
    texts = [f"Total: {comparison.total.before} → {number_of_work(comparison.total.after, verdict)}"]
    texts.append(f"({percent_text(comparison.total)}).")
    if comparison.tests:
        n_less = sum(growth.change < 0 for growth in comparison.tests.values())
        texts.append(
            f"{number_of(len(comparison.tests), 'test')} compared: {len(verdict.grown_tests)} grew, "
            f"{n_less} became less."
        )
    return " ".join(texts)


def notes(verdict: Verdict) -> Iterator[str]:
    """Yield sentences about facts that the numbers lack: tests of one run only, unstable lines and tests, reruns."""
    comparison = verdict.comparison
    for names, run in ((comparison.new_tests, "HEAD"), (comparison.gone_tests, "BASE")):
        if names:
            yield f"Not compared: {number_of(len(names), 'test')} that only {run} has: {_some(names)}"
    if verdict.unstable_lines:
        n_lines = sum(map(len, verdict.unstable_lines.values()))
        work = comparison.left_out_work
        share = percentage(work, work + comparison.total.after, 1)
        yield f"Left out, because the work differs from run to run: {number_of(n_lines, 'line')}, {share} of HEAD:"
        for place, lines in verdict.unstable_lines.items():
            yield f"  {shown_path(place.path)}: {ranges(lines)} ({shown(place.name)})"
    if verdict.unstable_tests:
        n_tests = number_of(len(verdict.unstable_tests), "test")
        yield f"Left out, because the work differs from run to run: {n_tests}:"
        yield from (f"  {shown(name)}" for name in verdict.unstable_tests)
    if verdict.n_reruns and not verdict.unstable_lines and not verdict.unstable_tests:
        yield f"{number_of(verdict.n_reruns, 'further run')}: no line differs"
    yield from verdict.notes


def _some(names: Sequence[str], most: int = 5) -> str:
    return ", ".join(map(shown, names[:most])) + (f" and {len(names) - most} more" if len(names) > most else "")


def grouped(failures: Iterable[Explained], most_causes: int) -> list[list[Explained]]:
    """Return *failures* in groups, each with the same first *most_causes* causes, in the order of the first ones."""
    groups: dict[tuple[object, ...], list[Explained]] = {}
    for explained in failures:
        causes = tuple((cause.kind, cause.place, cause.line) for cause in explained.causes[:most_causes])
        groups.setdefault(causes, []).append(explained)
    return [*groups.values()]


def unit_note(verdict: Verdict) -> str:
    """Return a sentence that explains the unit of the numbers."""
    if verdict.comparison.unit == INSTRUCTIONS:
        return "The unit is executed bytecode instructions. Work of functions written in C is not among them."
    return "The unit is executions of lines. A statement over several lines counts once on each."
