"""Writes the report on an analysis: to a folder with a page for each source file, or to a single file.

An Analysis, a path and Choices come in. `require_libraries` names the libraries of the extra `report` that are not
installed.
"""

from __future__ import annotations

import os
import time
from importlib.util import find_spec
from typing import NamedTuple

from instrument.analysis.file_analysis import EVENTS, EXECUTIONS
from instrument.analysis.source_file import CURRENT
from instrument.errors import ConfigError, DataError
from instrument.guest.atomic_files import replace_file, write_all
from instrument.report import remarks
from instrument.report.html.file_page import FilePage, file_page
from instrument.report.html.function_rows import function_rows
from instrument.report.html.index_page import FileEntry, Functions, IndexPage, index_page
from instrument.report.html.numbers import counts_of, numbers_of
from instrument.report.html.output_folder import OutputFolder
from instrument.report.html.packed_tests import ContextNames, packed_names, packed_patterns
from instrument.report.html.page_names import page_names
from instrument.report.text import date, number_of, shown_path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from instrument.analysis.analysis import Analysis
    from instrument.analysis.contexts.by_file import PatternsByFile
    from instrument.analysis.file_analysis import FileAnalysis
    from instrument.report.html.function_rows import FunctionRow
    from instrument.report.html.rendering import Renderer


class Choices(NamedTuple):
    """The options of a report: its title, the unit of counts, and whether files without missing code are left out.

    Without a unit, counts are executions if these are known of each file that ran, and otherwise events.
    """

    title: str = "Execution counts"
    unit: str | None = None
    skips_covered: bool = False


def require_libraries() -> None:
    """Raise ConfigError if libraries of the extra `report` that are needed here are not installed."""
    missing = [name for name in ("jinja2", "markupsafe") if find_spec(name) is None]
    if missing:
        raise ConfigError(
            f"the pages need {' and '.join(missing)}, which the extra `report` has: "
            f"install them with `pip install {' '.join(missing)}`"
        )


class _Part(NamedTuple):
    """The part of the index that belongs to a *file*, with counts in this *unit*: its entry, and its functions."""

    file: FileAnalysis
    unit: str
    entry: FileEntry
    functions: list[FunctionRow]


class Report:
    """The report on *analysis* with *choices*: `write_folder` and `write_file` write it.

    `n_pages` is the number of files that have a page, `unit` that of the counts, and `hottest` the greatest count of a
    line. *progress* is called with the number of pages that are written, and that of all pages. Raise DataError if no
    file is left, or if counts are wanted in a unit in which no file has any.

    *tests* has the tests that ran the lines of the files, if pages list them.

    *earlier* is a report on an earlier Analysis. Its parts of the index are taken for files whose analysis is the same.
    """

    def __init__(
        self,
        analysis: Analysis,
        choices: Choices,
        progress: Callable[[int, int], object],
        earlier: Report | None = None,
        *,
        tests: PatternsByFile | None = None,
    ) -> None:
        self._analysis, self._choices, self._progress = analysis, choices, progress
        self._tests = tests
        self._test_names = ContextNames(tests.tests, tests.others) if tests else None
        self._files = [file for file in analysis.files if not (choices.skips_covered and _is_covered(file))]
        if not self._files:
            raise DataError("nothing is left to report: no file has missing lines")
        self.n_pages = len(self._files)
        # Files that were never imported have a flow of zeros, also in data of which no flow is known.
        self._has_flow = any(file.flow and file.measured_at for file in self._files)
        if choices.unit == EXECUTIONS and not self._has_flow:
            raise DataError("these data have no executions of lines: use --unit events")
        self._names = page_names(shown_path(file.path) for file in self._files)
        is_known = self._has_flow and all(file.flow or not file.measured_at for file in self._files)
        self.unit = choices.unit or (EXECUTIONS if is_known else EVENTS)
        parts = earlier.parts if earlier else {}
        #: The part of the index that each file has, by the name of its page.
        self.parts: dict[str, _Part] = {
            name: self._part(file, name, parts.get(name)) for name, file in zip(self._names, self._files, strict=True)
        }
        self.hottest = max(part.entry.numbers.hottest for part in self.parts.values())

    def _part(self, file: FileAnalysis, name: str, earlier: _Part | None) -> _Part:
        """Return the part of *file*, whose page has this *name*: *earlier*, if nothing has changed since."""
        if earlier is not None and earlier.file is file and earlier.unit == self.unit:
            return earlier
        label = shown_path(file.path)
        counts = counts_of(file, self.unit)
        hottest_line = min(counts, key=lambda line: (-counts[line], line), default=0)
        numbers = numbers_of(file, self.unit)
        entry = FileEntry(name, label, numbers, file.is_complete, _state(file), hottest_line, file.flow is not None)
        return _Part(file, self.unit, entry, function_rows(file, name, label))

    def write_folder(self, path: str) -> str:
        """Write the report to the folder at *path*; return the path of its index. Raise DataError if that fails."""
        from instrument.report.html.rendering import INDEX

        renderer = self.renderer()
        with OutputFolder(path) as folder:
            for page, before, after in self._pages():
                folder.write(f"{page.name}.html", renderer.file(page, before, after))
                if page.tests:
                    folder.write(*renderer.tests_of(page))
            folder.write(INDEX, renderer.index(self.index()))
            for name, text in renderer.shared_files():
                folder.write(name, text)
        return os.path.join(path, INDEX)

    def write_file(self, path: str) -> None:
        """Write the report to the file at *path*, which is unchanged if that fails; raise DataError then."""
        renderer = self.renderer()

        def write(descriptor: int, _: str) -> None:
            for part in renderer.single(self.index(), self._pages()):
                write_all(descriptor, part.encode("utf-8", "backslashreplace"))

        try:
            if os.path.isdir(path):
                raise IsADirectoryError(0, "it is a folder")
            replace_file(path, write, mode=0o666)
        except OSError as error:
            raise DataError(f"the report cannot be written to {path!r}: {error.strerror or error}") from error

    def renderer(self, *, is_live: bool = False) -> Renderer:
        """Return a renderer for the pages of this report; see `Renderer` for *is_live*."""
        from instrument.report.html.rendering import About, Renderer

        choices, now = self._choices, date(time.time(), with_time=True)
        names = packed_names(self._test_names) if self._test_names else ""
        return Renderer(About(choices.title, self.unit, self.hottest, now), is_live=is_live, test_names=names)

    def files(self) -> dict[str, FileAnalysis]:
        """Return the files that have a page, by the names of the pages, in the order of the report."""
        return dict(zip(self._names, self._files, strict=True))

    def page(self, name: str) -> FilePage:
        """Return the page called *name*, a key of `files`."""
        return file_page(self._files[self._names.index(name)], name, self.unit, self.hottest)

    def neighbours(self, name: str) -> tuple[str, str]:
        """Return the names of the pages before and after the one called *name*, empty at the ends."""
        names, at = ["", *self._names, ""], self._names.index(name)
        return names[at], names[at + 2]

    def _pages(self) -> Iterator[tuple[FilePage, str, str]]:
        """Yield the page of each file with the names of the pages before and after it, empty at the ends."""
        neighbours = ["", *self._names, ""]
        for n, (file, name) in enumerate(zip(self._files, self._names, strict=True)):
            page = file_page(file, name, self.unit, self.hottest)._replace(tests=self._packed_tests(file))
            yield page, neighbours[n], neighbours[n + 2]
            self._progress(n + 1, len(self._files))

    def _packed_tests(self, file: FileAnalysis) -> str:
        """Return the tests that ran the lines of *file*, as FilePage has them."""
        if self._tests is None or self._test_names is None:
            return ""
        patterns = self._tests.of_file((path, file.version) for path in file.measured_at)
        return packed_patterns(patterns, file.counts.lines.counts(), self._test_names.unknown)

    def index(self) -> IndexPage:
        """Return the index of the report."""
        functions = Functions()
        for part in self.parts.values():
            functions.add(part.functions)
        entries = [part.entry for part in self.parts.values()]
        return index_page(
            entries, functions, has_flow=self._has_flow, facts=list(self._facts()), remarks=list(self._remarks())
        )

    def _facts(self) -> Iterable[str]:
        """Yield which processes were counted, and which files are left out."""
        analysis = self._analysis
        if analysis.processes:
            since = date(analysis.processes[0].started, with_time=True)
            processes, runs = number_of(len(analysis.processes), "process"), number_of(analysis.n_runs, "run")
            yield f"Counts of {processes} in {runs}, since {since}."
        n_left_out = len(analysis.files) - len(self._files)
        if n_left_out:
            yield f"{number_of(n_left_out, 'file')} without missing code left out."

    def _remarks(self) -> Iterable[str]:
        """Yield the remarks of the analysis, as other reports print them."""
        analysis = self._analysis
        yield from remarks.refused(analysis.refused)
        yield from remarks.unwritten(analysis.unwritten)
        yield from remarks.stale_sources(file.source for file in self._files)
        yield from remarks.not_measured(analysis.not_measured)
        yield from remarks.of_analysis(analysis)


def _is_covered(file: FileAnalysis) -> bool:
    """Return whether all lines of *file* ran, and all ways on from them were taken."""
    return file.is_complete and not file.n_missing and not file.n_missing_arcs


def _state(file: FileAnalysis) -> str:
    """Return a word or two for a *file* that is no ordinary one, an empty text for others."""
    if not file.measured_at:
        return "never imported"
    if file.source.state != CURRENT:
        return file.source.state
    return "" if file.is_complete else "incomplete"
