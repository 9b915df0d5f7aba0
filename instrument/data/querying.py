"""What data files say, taken together.

Paths of data files and of folders of them come in; counts of lines and functions go out, by source file and version of
it. Whatever is in the files is checked and added up first (`instrument.data.combining`), in a file of our own.
"""

from __future__ import annotations

import contextlib
import os

from instrument.config import DIRECTORY, read_directory, read_settings
from instrument.data import schema
from instrument.data.combining import Combination, data_files
from instrument.data.reading import Scratch
from instrument.data.running import ProcessRow
from instrument.errors import DataError, InstrumentError
from instrument.guest.trusted_files import objection_to_folder

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import Any

    from instrument.data.running import Process
    from instrument.data.store import Seen


def default_directory() -> str:
    """Return the folder that data is kept in unless another is named: where a process that starts here writes it."""
    return read_directory()


class MeasuredFile:
    """One version of a source file: its place, and what it is called in the database."""

    __slots__ = ("number", "path", "version")

    def __init__(self, number: int, path: str, version: str) -> None:
        self.number = number
        self.path = path
        self.version = version


class Totals:
    """The sum of the data files that *paths* name, as long as it is used in a `with` statement.

    `refused` lists the files that are not in it, and why. `unwritten` are the processes that are running, were
    started to write to these paths, and have no counts in the sum. `running` are the processes of which only the counts
    up to their last flush are in it. So it is with those in `cut_off`, which have ended: they were killed, or the data
    is an earlier copy.
    """

    def __init__(self, paths: Sequence[str], progress: Callable[[int, int], None] | None = None) -> None:
        self.paths = list(paths) or [default_directory()]
        self.progress = progress

    def __enter__(self) -> Totals:
        """Add up; raise DataError if there is nothing at all."""
        with contextlib.ExitStack() as stack:
            folder = stack.enter_context(Scratch())
            self._sum = stack.enter_context(Combination(os.path.join(folder, "sum.sqlite"), folder))
            files, missing = data_files(self.paths)
            self._sum.add_all(files, self.progress)
            self._query = self._sum.connection.execute
            self.running: list[ProcessRow] = []
            self.cut_off = process_rows(self._query, "WHERE part = 0 AND ended = ''")
            for process in process_rows(self._query, "WHERE part <> 0 AND ended = ''"):
                (self.cut_off if self._sum.is_over(process) else self.running).append(process)
            self._sum.settle_all()
            self.refused = missing + self._sum.refused
            self.n_processes = self._sum.n_processes
            if not self.n_processes:
                raise DataError(nothing_in(self.paths, self.refused))
            self.unwritten = unwritten(self.paths, self.processes())
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def files(self) -> list[MeasuredFile]:
        """Return the versions of source files that were seen to run, or of which code was given out, in order."""
        rows = self._query(
            "SELECT id, path, version FROM file WHERE EXISTS (SELECT 1 FROM line WHERE part = 0 AND file = id) "
            "OR EXISTS (SELECT 1 FROM function WHERE part = 0 AND file = id) "
            "OR EXISTS (SELECT 1 FROM given_out WHERE part = 0 AND file = id)"
        )
        files = [MeasuredFile(n, schema.from_text(path), schema.from_text(version)) for n, path, version in rows]
        return sorted(files, key=lambda file: (file.path, file.version))

    def lines(self, file: MeasuredFile) -> dict[int, Seen]:
        """Return the count of each line of *file*, and when it was first and last seen to have run."""
        rows = self._query("SELECT line, count, first, last FROM line WHERE part = 0 AND file = ?", (file.number,))
        return {line: (count, first, last) for line, count, first, last in rows}

    def functions(self, file: MeasuredFile) -> dict[tuple[str, int], Seen]:
        """Return the same for the calls of functions, by qualified name and first line."""
        query = "SELECT name, line, count, first, last FROM function WHERE part = 0 AND file = ?"
        rows = self._query(query, (file.number,))
        return {(schema.from_text(name), line): (count, first, last) for name, line, count, first, last in rows}

    def given_out(self, file: MeasuredFile) -> dict[tuple[str, int], set[str]]:
        """Return what the functions of *file* were given to that were given out, by qualified name and first line."""
        found: dict[tuple[str, int], set[str]] = {}
        for name, line, taker in self._query(
            "SELECT name, line, taker FROM given_out WHERE part = 0 AND file = ?", (file.number,)
        ):
            found.setdefault((schema.from_text(name), line), set()).add(schema.from_text(taker))
        return found

    def not_measured(self) -> list[tuple[str, str]]:
        """Return the files that ran without being counted in full, and why."""
        rows = self._query("SELECT path, reason FROM not_measured")
        return sorted({(schema.from_text(path), schema.from_text(reason)) for path, reason in rows})

    def processes(self) -> list[ProcessRow]:
        """Return what is known of the processes, the first to be started first."""
        return process_rows(self._query)

    def began(self) -> float:
        """Return when the first process was started."""
        [[began]] = self._query("SELECT min(started) FROM process").fetchall()
        return float(began)


def process_rows(query: Callable[..., Any], condition: str = "") -> list[ProcessRow]:
    """Return what the database that *query* asks has of the processes of this *condition*, the first started first."""
    columns = "pid, parent, host, place, ticks, started, python, directory, scope, root, flushes, updated, ended"
    rows = query(f"SELECT {columns} FROM process {condition} ORDER BY started, id").fetchall()
    return [ProcessRow(*map(_plain, row)) for row in rows]


def _plain(value: Any) -> Any:
    return schema.from_text(value) if isinstance(value, bytes) else value


def count_runs(processes: Sequence[ProcessRow]) -> int:
    """Return how many times somebody started a program, *processes* being of them and of what they started.

    They are sorted by when they were started. A process that became another program is one and the same.
    """
    roots: set[tuple[str, str, int]] = set()
    begun: dict[tuple[str, str, int], list[ProcessRow]] = {}
    n_runs = 0
    for process in processes:
        where = process.host, process.place
        ours = begun.setdefault((*where, process.pid), [])
        became_this = any(each.ticks == process.ticks != 0 for each in ours)
        if not became_this and not begun.get((*where, process.parent)):
            root = (*where, process.root)
            # What lies between a process and its root may have counted nothing, and so may the root.
            if process.root in (0, process.pid) or (root not in begun and root not in roots):
                n_runs += 1
            if process.root:
                roots.add(root)
        ours.append(process)
    return n_runs


def unwritten(paths: Sequence[str], processes: Iterable[ProcessRow]) -> list[Process]:
    """Return the running processes that were started to write to *paths*, and are not among *processes*.

    A process that became another program by `exec` is among them only if that program has written, too.
    """
    from instrument.data.running import about_to_write
    from instrument.data.store import place_of

    known: dict[int, list[ProcessRow]] = {}
    for row in processes:
        if row.ended[:4] != "exec":
            known.setdefault(row.pid, []).append(row)
    found: dict[int, Process] = {}
    for path in paths:
        for process in about_to_write(path):
            place, ticks = place_of(process.pid)
            if not any(row.place in ("", place) and row.ticks in (0, ticks) for row in known.get(process.pid, ())):
                found[process.pid] = process
    return list(found.values())


def nothing_in(paths: Sequence[str], refused: Sequence[tuple[str, str]]) -> str:
    """Return what to say when *paths* hold no data, *refused* aside."""
    from instrument.data.running import about_to_write

    running = [process for path in paths for process in about_to_write(path)]
    if running:
        refused = [(path, reason) for path, reason in refused if os.path.lexists(path)]
    reasons = "".join(f"; {path!r} was skipped: {reason}" for path, reason in refused)
    if running:
        what_will_come = "; ".join(map(_what_will_come, running[:3]))
        more_of_them = f"; and {len(running) - 3} more processes are running" if len(running) > 3 else ""
        return f"no data in {', '.join(map(repr, paths))} yet{reasons}; {what_will_come}{more_of_them}"
    # A file that cannot be read may be data.
    what = "no data that can be read" if any(os.path.lexists(path) for path, _reason in refused) else "no data"
    hints = "".join(f"; {hint}" for hint in map(_way_out, paths) if hint)
    return (
        f"{what} in {', '.join(map(repr, paths))}{reasons}{hints}; "
        "run a program with `instrument run` or INSTRUMENT=1 (installed packages are counted only if the scope names "
        "them), or name the folder that its data is in"
    )


def _way_out(path: str) -> str:
    """Return why *path* may hold no data, and where the data may be; an empty text if nothing is known of that."""
    if path.endswith((".py", ".pyw")) and os.path.isfile(path):
        return f"--include {path!r} chooses a source file, a PATH is of data"
    if path == DIRECTORY:
        folder = above = os.getcwd()
        while (above := os.path.dirname(folder)) != folder:
            folder = above
            data = os.path.join(folder, DIRECTORY)
            with contextlib.suppress(OSError):
                if any(name.endswith(schema.SUFFIX) for name in os.listdir(data)):
                    return f"there is data in {data!r}"
    try:
        objection = objection_to_folder(path, lenient=True) if os.path.isdir(path) else ""
        if objection and not read_settings({}).shared:
            return f"a process of this user saves nothing in {path!r}: {objection} (`instrument debug` says more)"
    except (OSError, InstrumentError):
        pass
    return ""


def _what_will_come(process: Process) -> str:
    """Return that *process* is running, and when it writes."""
    return f"process {process.pid} ({process.command()!r}) is running, and {process.when_it_writes()}"
