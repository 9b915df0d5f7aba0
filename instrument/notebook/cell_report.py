"""The report on a measured cell: an object that front ends show as HTML, and terminals as text.

Counts come in (`measuring.Counted`), a CellReport goes out.
"""

from __future__ import annotations

import linecache
import os
import re
import sys
from html import escape

from instrument.notebook.listing import ListedLine, Section, Source, lines_of
from instrument.report.html.short_numbers import N_LEVELS, heat
from instrument.report.html.source_markup import marked_lines
from instrument.report.text import number_of, shown, shown_path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any

    from instrument.notebook.cells import Cells
    from instrument.notebook.measuring import Counted, LineCounts
    from instrument.notebook.options import MeasuredCell, Options

_RED, _PLAIN = "\x1b[31m", "\x1b[0m"
_GAP = "…"
#: Colours that can be read on a light and on a dark page. The classes are those of `source_markup`.
_STYLE = (
    ".instrument-counts i{font-style:normal}.instrument-counts .k{color:#a347ba}.instrument-counts .b{color:#2e7fb8}"
    ".instrument-counts .s{color:#3f8f3f}.instrument-counts .n{color:#c06a10}.instrument-counts .c{color:#808080}"
    ".instrument-counts .d{color:#a347ba}.instrument-counts .f{color:#2e7fb8}"
)
_PRE = "margin:0;line-height:1.3;font-family:monospace"


class CellReport:
    """How often lines ran in one execution of a cell.

    - sections: the lines of the cell, then those of earlier cells and of the scope, each with its count.
    - remarks: sentences about code that is not counted.
    - counts: how often each line ran, by the file name of its cell or module, and the line number. These are the counts
      of `trace`. In the measured cell, `%%instrument` is line 1.
    """

    def __init__(self, sections: list[Section], remarks: list[str], counts: dict[tuple[str, int], int]) -> None:
        self.sections = sections
        self.remarks = remarks
        self.counts = counts

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        has_colours = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
        printer.text(self.text(has_colours=has_colours))

    def text(self, *, has_colours: bool = False) -> str:
        """Return the report as text; with *has_colours*, the count 0 is red."""
        width = max((len(f"{line.times}") for each in self.sections for line in each.lines if line.times), default=1)
        lines = []
        for section in self.sections:
            lines.append(shown(_heading(section)))
            for number, run in enumerate(section.runs_of_lines()):
                if number:
                    lines.append(f"{'':{width}}  {_GAP}")
                for line in run:
                    count = "" if line.times is None else f"{line.times:{width}}: "
                    if has_colours and line.times == 0:
                        count = f"{_RED}{count}{_PLAIN}"
                    lines.append(f"{count or ' ' * (width + 2)}{shown(line.text.expandtabs(8))}".rstrip())
        return "\n".join([*lines, *map(shown, self.remarks)])

    def _repr_html_(self) -> str:
        hottest = max((line.times or 0 for section in self.sections for line in section.lines), default=0)
        parts = [f'<div class="instrument-counts"><style>{_STYLE}</style>']
        for number, section in enumerate(self.sections):
            parts.append(f'<div style="margin-top:{0.6 if number else 0}em">{escape(_heading(section))}</div>')
            parts.append(f'<pre style="{_PRE}">{_GAP.join(_html_runs(section, hottest))}</pre>')
        parts += [f"<div>{escape(remark)}</div>" for remark in self.remarks]
        return "".join([*parts, "</div>"])


def _heading(section: Section) -> str:
    """Return the heading of *section*: its title and functions, and its sums."""
    name = ": ".join(filter(None, (section.title, ", ".join(section.functions))))
    share = f"{section.n_ran()} of {number_of(section.n_lines(), 'line')} ran"
    return f"{name} ({share}, {number_of(section.hits(), 'hit')})"


def _html_runs(section: Section, hottest: int) -> Iterator[str]:
    """Yield the runs of lines of *section* as HTML; the scale of heat ends at *hottest*."""
    width = max([1, *(len(f"{line.times}") for line in section.lines if line.times)])
    for run in section.runs_of_lines():
        marked = marked_lines("".join(f"{line.text}\n" for line in run))
        yield "".join(f"{_html_count(line, width, hottest)} {text}\n" for line, text in zip(run, marked))


def _html_count(line: ListedLine, width: int, hottest: int) -> str:
    """Return the count of *line* as HTML, on a ground as warm as the count is high; the count 0 is red."""
    text = f"{'' if line.times is None else line.times:>{width}} "
    if line.times is None:
        return f"<span>{text}</span>"
    if not line.times:
        return f'<span style="background:rgba(220,40,40,.35)" title="it did not run">{text}</span>'
    warmth = heat(line.times, hottest) / N_LEVELS
    return f'<span style="background:rgba(255,150,0,{0.6 * warmth:.2f})">{text}</span>'


def report_of(counted: Counted, cell: MeasuredCell | None, options: Options, cells: Cells) -> CellReport:
    """Return the report on *counted*; *cell* is the measured cell, and None for a statement of `%instrument`."""
    remarks: list[str] = []
    files = dict(counted.files)
    sections = [_section_of_cell(counted, cell, cells, files, remarks)] if counted.cell else []
    for file_name in sorted(files, key=lambda name: _place(name, cells)):
        if cells.is_cell(file_name):
            if not options.only_cell:
                source = Source(cells.text(file_name))
                sections.append(source.parts(cells.label(file_name), files[file_name]))
        else:
            linecache.checkcache(file_name)
            source = Source("".join(linecache.getlines(file_name)))
            if not source.compiled.issuperset(files[file_name]):
                remarks.append(
                    f"{shown_path(file_name)} has changed since it was imported, and its lines are not shown."
                )
                source = Source("")
            sections.append(source.parts(shown_path(file_name), files[file_name]))
    if options.scope and all(map(cells.is_cell, files)):
        remarks.append(f"No line of {', '.join(options.scope)} ran.")
    remarks += [
        f"Not counted: {cells.label(file_name) if name == '<module>' else f'{name} of {cells.label(file_name)}'}. "
        "It had begun before, as plain code."
        for file_name, name in counted.uncounted
    ]
    remarks += [
        f"Not all of {cells.label(name)} is counted: {reason}" for name, reason in sorted(counted.not_measured.items())
    ]
    return CellReport(sections, remarks, _all_counts(counted, cell))


def _all_counts(counted: Counted, cell: MeasuredCell | None) -> dict[tuple[str, int], int]:
    """Return the counts in *counted* as CellReport has them; *cell* is the measured cell, None for a statement."""
    counts = {(name, line): n for name, lines in counted.files.items() for line, n in lines.items()}
    if cell is None:
        return counts
    numbered = {(name, cell.number(line) if name == counted.cell else line): n for (name, line), n in counts.items()}
    below_time = {(counted.cell, cell.number(line + 1)): n for line, n in counted.timed.items()}
    return numbered | below_time


def _place(file_name: str, cells: Cells) -> tuple[bool, list[int], str]:
    """Return a key that sorts cells by their numbers, before all modules."""
    label = cells.label(file_name)
    is_module = not cells.is_cell(file_name)
    return is_module, [] if is_module else [int(number) for number in re.findall(r"\d+", label)], label


def _section_of_cell(
    counted: Counted, cell: MeasuredCell | None, cells: Cells, files: dict[str, LineCounts], remarks: list[str]
) -> Section:
    """Return the section of the measured cell, and take its counts out of *files*; add to *remarks*."""
    counts, text, title = files.pop(counted.cell, {}), cells.text(counted.cell), cells.label(counted.cell)
    lines = Source(text).whole(counts)
    if cell is not None and cell.inner_magic():
        body = "".join(cell.body[1:])
        inner = counted.timed or _nested_counts(cells.transformed(body), cells, files)
        if inner is None:
            remarks.append(f"The body of %%{cell.inner_magic()} is not counted.")
        first = ListedLine(cell.number(1), cell.body[0].rstrip("\n"), counts.get(1, 0))
        lines = [first, *_inner_lines(lines_of(body), first.number, cells.transformed(body), inner)]
    elif cell is not None:
        if not cell.is_shortened():  # a comment stands for the line of the magic
            lines = lines[1:]
        body_lines = lines_of("".join(cell.body))
        if len(body_lines) == len(lines):
            lines = [line._replace(text=text) for line, text in zip(lines, body_lines)]
        if cell.is_shortened():
            lines = [line._replace(number=cell.number(line.number)) for line in lines]
    return Section(title, (), tuple(lines))


def _nested_counts(text: str, cells: Cells, files: dict[str, LineCounts]) -> LineCounts | None:
    """Take the counts of a cell with this *text*, which a magic has run, out of *files*; None if there is none."""
    for file_name in files:
        if cells.is_cell(file_name) and cells.text(file_name).rstrip() == text.rstrip():
            return files.pop(file_name)
    return None


def _inner_lines(raw: list[str], above: int, text: str, counts: LineCounts | None) -> Iterable[ListedLine]:
    """Yield the *raw* lines of the body of a magic, which is line *above*; *text* is the body as it is compiled."""
    listed = Source(text).whole(counts or {})
    for number, line in enumerate(raw, 1):
        is_known = counts is not None and number <= len(listed)
        yield ListedLine(above + number, line, listed[number - 1].times if is_known else None)
