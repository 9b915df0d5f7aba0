"""The model of the index: a tree of folders and files with their numbers, and the functions of all files.

Entries of files come in, one at a time, so that the analysis of a file can be dropped once its page is written. An
IndexPage goes out: plain values, which a template shows.
"""

from __future__ import annotations

import heapq
import os
from typing import NamedTuple

from instrument.report.html.function_rows import first_by_calls_and_cost
from instrument.report.html.numbers import Numbers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from instrument.report.html.function_rows import FunctionRow

#: The number of functions that the index names, by calls and by cost.
N_FUNCTIONS = 100
#: Folders are open at first down to the level at which so many rows are seen.
MOST_ROWS_AT_FIRST = 60


class FileEntry(NamedTuple):
    """A file of the index: the name of its page, its path as it is shown, whether all is known of it, and a state.

    The *state* is a word or two, such as "never imported"; empty for an ordinary file. *hottest_line* is the line with
    most counts, 0 if none ran. *has_flow* says whether its ways and cost are known.
    """

    page: str
    label: str
    numbers: Numbers
    is_complete: bool
    state: str
    hottest_line: int
    has_flow: bool


class Row(NamedTuple):
    """A row of the tree.

    - number, parent: the row's number from 0, and that of its folder, -1 for none
    - depth: the number of folders above it
    - name, label: its name within its folder, and its whole path, both as they are shown
    - numbers: its sums
    - file: the FileEntry, None for a folder
    - is_seen, is_open: whether the row is seen at first, and whether the folder is open then
    """

    number: int
    parent: int
    depth: int
    name: str
    label: str
    numbers: Numbers
    file: FileEntry | None
    is_seen: bool
    is_open: bool


class IndexPage(NamedTuple):
    """The index of a report.

    - rows: folders and files, each folder before its content
    - sums: the sums of all files
    - n_files: the number of files
    - functions: those with most calls and with the greatest cost
    - n_functions: the number of all functions
    - has_flow: whether ways and cost are known for some file
    - facts, remarks: lines about the measurement, for people
    - document: the sums and the list of files, for JSON
    """

    rows: list[Row]
    sums: Numbers
    n_files: int
    functions: list[FunctionRow]
    n_functions: int
    has_flow: bool
    facts: list[str]
    remarks: list[str]
    document: dict[str, Any]


class Functions:
    """Collects the functions of all files, and keeps those of the top only."""

    def __init__(self) -> None:
        self.n = 0
        self._kept: list[FunctionRow] = []

    def add(self, rows: list[FunctionRow]) -> None:
        """Add the functions *rows* of a file."""
        self.n += len(rows)
        self._kept += heapq.nlargest(N_FUNCTIONS, rows, key=lambda row: row.calls or 0)
        self._kept += heapq.nlargest(N_FUNCTIONS, rows, key=lambda row: row.cost)
        if len(self._kept) > 100 * N_FUNCTIONS:
            self._kept = self.top()

    def top(self) -> list[FunctionRow]:
        """Return the functions with most calls, and those with the greatest cost, ranked by calls."""
        return first_by_calls_and_cost(set(self._kept), N_FUNCTIONS)


class _Folder:
    """A folder of the tree while it is built: its folders and files by name, and its sums."""

    def __init__(self) -> None:
        self.folders: dict[str, _Folder] = {}
        self.files: list[tuple[str, FileEntry]] = []
        self.numbers = Numbers()


def tree(entries: Iterable[FileEntry]) -> list[Row]:
    """Return the rows for *entries*: folders before files, both by name. A chain of single folders is one row."""
    top = _Folder()
    for entry in entries:
        *names, last = _parts(entry.label)
        folder = top
        folder.numbers = folder.numbers.plus(entry.numbers)
        for name in names:
            folder = folder.folders.setdefault(name, _Folder())
            folder.numbers = folder.numbers.plus(entry.numbers)
        folder.files.append((last, entry))
    rows = _rows(top)
    n_at: dict[int, int] = {}
    for row in rows:
        n_at[row.depth] = n_at.get(row.depth, 0) + 1
    depth, n_seen = 0, n_at.get(0, 0)
    while depth + 1 in n_at and n_seen + n_at[depth + 1] <= MOST_ROWS_AT_FIRST:
        depth += 1
        n_seen += n_at[depth]
    return [row._replace(is_seen=row.depth <= depth, is_open=row.depth < depth and not row.file) for row in rows]


def _parts(label: str) -> list[str]:
    """Return the names of the folders of *label* and of its file; the root of an absolute path is part of the first."""
    drive, path = os.path.splitdrive(label)
    root = drive + path[: len(path) - len(path.lstrip(os.sep))]
    first, *others = path.lstrip(os.sep).split(os.sep)
    return [root + first, *others]


def _rows(top: _Folder) -> list[Row]:
    """Return the rows for the content of the folder *top*. Paths may be deep, so nothing here is recursive."""
    rows: list[Row] = []
    #: Content that has no rows yet, the next one last: parent, depth, text before the name, name, folder or file.
    remaining = _content(top, -1, 0, "")
    while remaining:
        parent, depth, above, name, content = remaining.pop()
        number = len(rows)
        if isinstance(content, FileEntry):
            rows.append(Row(number, parent, depth, name, content.label, content.numbers, content, False, False))
            continue
        while len(content.folders) == 1 and not content.files:
            [(next_name, content)] = content.folders.items()
            name = os.path.join(name, next_name)
        label = above + name + os.sep
        rows.append(Row(number, parent, depth, name, label, content.numbers, None, False, False))
        remaining += _content(content, number, depth + 1, label)
    return rows


def _content(
    folder: _Folder, parent: int, depth: int, above: str
) -> list[tuple[int, int, str, str, _Folder | FileEntry]]:
    """Return the folders and files of *folder*, whose row is *parent*, the first one last."""
    files = sorted(folder.files, key=lambda file: (file[0], file[1].page), reverse=True)
    inner: list[tuple[str, _Folder | FileEntry]] = [*files, *sorted(folder.folders.items(), reverse=True)]
    return [(parent, depth, above, name, each) for name, each in inner]


def index_page(
    entries: list[FileEntry], functions: Functions, *, has_flow: bool, facts: list[str], remarks: list[str]
) -> IndexPage:
    """Return the index of *entries*, the files in any order, and of their *functions*."""
    sums = Numbers()
    for entry in entries:
        sums = sums.plus(entry.numbers)
    document = {
        "format": 1,
        "sums": sums._asdict(),
        "files": [{"page": each.page, "path": each.label, **each.numbers._asdict()} for each in entries],
    }
    return IndexPage(
        tree(entries), sums, len(entries), functions.top(), functions.n, has_flow, facts, remarks, document
    )
