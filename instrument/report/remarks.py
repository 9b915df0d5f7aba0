"""Writes the remarks of reports: facts about data and sources that a reader of the numbers needs.

Analyses come in; lines of text go out, for standard error or for JSON.
"""

from __future__ import annotations

from instrument.analysis.source_file import CURRENT, MISSING, STALE, UNKNOWN
from instrument.report.text import date, number_of, ranges, shown, shown_path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from instrument.analysis.analysis import Analysis
    from instrument.analysis.difference import Difference
    from instrument.analysis.exclusions import Pattern
    from instrument.analysis.never_imported import NeverImported
    from instrument.analysis.source_file import SourceFile
    from instrument.data.running.processes import RunningProcess
    from instrument.model.measurement import FileKey, FunctionKey

#: The number of names in a remark, and of remarks of one kind; the others are counted.
MOST_NAMED = 5


def refused(data_files: Iterable[tuple[str, str]]) -> Iterator[str]:
    """Yield a line for each of *data_files* that was left out, a path and a reason, and a line with their number."""
    n_files = 0
    for path, reason in data_files:
        n_files += 1
        yield f"Skipping data file {path!r}: {shown(reason)}"
    if n_files:
        yield f"{number_of(n_files, 'data file')} left out: these counts are incomplete"


def unwritten(processes: list[RunningProcess]) -> Iterator[str]:
    """Yield a line for each of *processes*, which are running and have written no counts: when they will."""
    for process in processes[:MOST_NAMED]:
        yield (
            f"Not in these counts: process {process.pid} ({process.command()!r}) is running, "
            f"and {process.when_it_writes()}"
        )
    if len(processes) > MOST_NAMED:
        yield f"Not in these counts: {number_of(len(processes) - MOST_NAMED, 'more running process')}"


def stale_sources(sources: Iterable[SourceFile]) -> Iterator[str]:
    """Yield a line for each of *sources* whose lines are not known, because it has changed for example."""
    words = {STALE: "Stale source", MISSING: "No source", CURRENT: "No lines known", UNKNOWN: "Unknown source"}
    for source in sources:
        if source.reason:
            yield f"{words[source.state]}: {source.path!r}: {source.reason}"


def not_measured(reasons: Iterable[tuple[str, str]]) -> Iterator[str]:
    """Yield a line for each file that ran uncounted, in whole or in part: its path and the reason."""
    for path, reason in reasons:
        yield f"Not measured: {path!r}: {shown(reason)}"


def of_analysis(analysis: Analysis) -> Iterator[str]:
    """Yield the remarks about the files of *analysis*."""
    yield from _local(analysis.local)
    if analysis.other_pythons:
        yield (
            f"Measured by Python {', '.join(analysis.other_pythons)}, reported by {analysis.own_python}: "
            "which lines can run may differ; a report by the same version is exact"
        )
    if analysis.n_optimized:
        n_optimized, n_all = analysis.n_optimized, len(analysis.processes)
        of_all = f" of {n_all}" if n_optimized < n_all else ""
        yield (
            "Assert statements and code in `if __debug__:` are not called missing where they did not run: "
            f"{n_optimized}{of_all} {'process' if n_optimized == 1 and not of_all else 'processes'} ran with -O, "
            "which leaves them out"
        )
    yield from without_flow(analysis.without_flow)
    yield from given_out((file.path, file.counts.given_out) for file in analysis.files)
    yield from unmatched_exclusions(analysis.exclusions.unmatched())
    if analysis.never_imported is not None:
        yield from _never_imported(analysis, analysis.never_imported)


def without_flow(reasons: Mapping[str, str]) -> Iterator[str]:
    """Yield a line for each of the first files without branches and costs; *reasons* has the reason by path."""
    for path, reason in [*reasons.items()][:MOST_NAMED]:
        yield f"Branches, executions and costs are not known: {path!r}: {reason}"
    if len(reasons) > MOST_NAMED:
        yield f"They are not known of {number_of(len(reasons) - MOST_NAMED, 'more file')}"


def unmatched_exclusions(patterns: Iterable[Pattern]) -> Iterator[str]:
    """Yield a line for each of *patterns*, regular expressions of the settings that matched in no reported source."""
    for pattern in patterns:
        yield (
            f"[tool.instrument] of pyproject.toml, key {pattern.key!r}: {pattern.expression.pattern!r} matches no line "
            "of the reported files"
        )


def _local(local: dict[FileKey, str]) -> Iterator[str]:
    """Yield a line for each measured file that has another path here."""
    moved = sorted({(local_path, path) for (path, _version), local_path in local.items()})
    for local_path, path in moved[:MOST_NAMED]:
        yield f"Same source: {path!r} is {local_path!r} here"
    if len(moved) > MOST_NAMED:
        yield f"Same source: so are {number_of(len(moved) - MOST_NAMED, 'more file')}"


def given_out(files: Iterable[tuple[str, dict[FunctionKey, set[str]]]]) -> Iterator[str]:
    """Yield a line that names the functions that were given out, if there are any; *files* have them by path."""
    names: list[str] = []
    receivers: set[str] = set()
    for path, functions in files:
        for (name, line), receivers_of_function in sorted(functions.items(), key=_by_line):
            receivers |= receivers_of_function
            names.append(f"{name} ({shown_path(path)}, line {line})")
    if names:
        more = ", …" if len(names) > MOST_NAMED else ""
        yield (
            f"{', '.join(sorted(receivers))} got the code of {number_of(len(names), 'function')}, which may have run "
            f"elsewhere, uncounted. No line of {'it' if len(names) == 1 else 'them'} is called missing: "
            f"{', '.join(names[:MOST_NAMED])}{more}"
        )


def _by_line(item: tuple[FunctionKey, object]) -> tuple[int, str]:
    (name, line), _value = item
    return line, name


def _never_imported(analysis: Analysis, search: NeverImported) -> Iterator[str]:
    """Yield the remarks about the *search* for files that were never imported, and about its result."""
    if search.has_unknown_scope:
        yield (
            "Files that were never imported are not listed for data of earlier versions of instrument, "
            "which does not say what was to be measured"
        )
    for directory, reason in sorted(search.not_searched.items()):
        yield f"Files that were never imported are not looked for in {directory!r}: {reason}"
    if search.is_cut_off:
        yield (
            f"Not all files that were never imported are listed: the search ended after {len(search.paths)} files "
            f"({search.n_entries} entries of folders). For a whole list, name fewer folders or packages as the scope "
            "of the next run"
        )
    not_compiled, copies = analysis.not_compiled, analysis.copies_that_ran
    if not_compiled:
        names = ", ".join(map(repr, not_compiled[:MOST_NAMED])) + (", …" if len(not_compiled) > MOST_NAMED else "")
        yield (
            f"Left out: {number_of(len(not_compiled), 'file')} never imported that this Python cannot compile: {names}"
        )
    if copies:
        path, copy = next(iter(copies.items()))
        yield (
            f"Left out: {number_of(len(copies), 'file')} of which a copy ran, such as {path!r}, which ran as "
            f"{copy!r}; [tool.instrument.paths] can say that both folders are the same"
        )
    if analysis.installed_copies:
        path, copy = next(iter(analysis.installed_copies.items()))
        yield (
            f"Never imported from here: {number_of(len(analysis.installed_copies), 'file')} of which a copy is "
            f"installed, such as {path!r}; {copy!r} may have run in its place: a scope that names the package counts it"
        )


def of_difference(difference: Difference) -> Iterator[str]:
    """Yield the remarks about the files of *difference*."""
    for file in difference.all_files:
        if file.only_in:
            yield (
                f"Not compared: {file.path!r}: its source differs between A and B "
                f"(version {file.version[:19]} is only in {file.only_in})"
            )
        elif file.fewer:
            lines = ranges(file.fewer)
            yield (
                f"Not counted: {file.path!r}: lines {lines} have smaller counts in B than in A: "
                "B must be later data of the same processes"
            )
    if difference.all_files:
        yield from _local(difference.local)


def uncertain_uses(analysis: Analysis, since: float) -> Iterator[str]:
    """Yield why it is not certain which code ran after *since*."""
    if analysis.unwritten:
        yield f"(Not certain: {number_of(len(analysis.unwritten), 'running process')} wrote no counts yet.)"
    for process in analysis.running[:MOST_NAMED]:
        yield (
            f"(Not certain: process {process.pid} may be running. "
            f"What it used after {date(process.updated, with_time=True)}, its last flush, is not known.)"
        )
    if len(analysis.running) > MOST_NAMED:
        yield f"(Not certain: {number_of(len(analysis.running) - MOST_NAMED, 'more process')} may be running.)"
    if analysis.cut_off:
        yield (
            f"(Not certain: {number_of(len(analysis.cut_off), 'process')} ended without saving the last counts, "
            "because of `kill -9` for example. Code that ran just before may be listed here.)"
        )
    interval = analysis.longest_flush_interval(since)
    if interval:
        yield (
            f"(Not certain: counts are saved up to {interval:.0f} s after code ran, and have the time of that. "
            "Code that ran so shortly before may be missing here.)"
        )
