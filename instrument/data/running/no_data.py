"""Explains to users why data folders have no counts, of all processes or of some.

Paths of data folders come in. `processes_without_counts` returns the running processes that have written no counts.
`no_data_message` returns the message of a report that finds no counts at all.
"""

from __future__ import annotations

import contextlib
import os

from instrument.config import DIRECTORY, read_settings
from instrument.data import schema
from instrument.data.process_identity import KernelIdentity
from instrument.data.running.processes import about_to_write
from instrument.errors import InstrumentError
from instrument.guest.trusted_files import objection_to_folder

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from instrument.data.running.processes import RunningProcess
    from instrument.model.measured_process import MeasuredProcess

#: The way out that the message names, for data of any program.
HOW_TO_COUNT = (
    "run a program with `instrument run` or INSTRUMENT=1 (installed packages are counted only if the scope names "
    "them), or name the folder that its data is in"
)
#: The number of running processes that a message describes one by one.
_DESCRIBED = 3


def processes_without_counts(paths: Sequence[str], processes: Iterable[MeasuredProcess]) -> list[RunningProcess]:
    """Return the running processes that were started to write to *paths*, and are not among *processes*.

    A process that became another program by `exec` is among them only if that program has written, too.
    """
    by_pid: dict[int, list[MeasuredProcess]] = {}
    for process in processes:
        if process.ended[:4] != "exec":
            by_pid.setdefault(process.pid, []).append(process)
    without_counts: dict[int, RunningProcess] = {}
    for path in paths:
        for running in about_to_write(path):
            identity = KernelIdentity(running.pid)
            if not any(
                measured.place in ("", identity.place) and measured.ticks in (0, identity.ticks)
                for measured in by_pid.get(running.pid, ())
            ):
                without_counts[running.pid] = running
    return list(without_counts.values())


def no_data_message(paths: Sequence[str], refused: Sequence[tuple[str, str]], way_out: str = HOW_TO_COUNT) -> str:
    """Return the message of a report if *paths* hold no counts; *refused* has the unreadable files, with the reason.

    *way_out* says how the counts are made that the report needs.
    """
    running = [process for path in paths for process in about_to_write(path)]
    if running:
        refused = [(path, reason) for path, reason in refused if os.path.lexists(path)]
    reasons = "".join(f"; {path!r} was skipped: {reason}" for path, reason in refused)
    named = ", ".join(map(repr, paths))
    if running:
        descriptions = "; ".join(
            f"process {process.pid} ({process.command()!r}) is running, and {process.when_it_writes()}"
            for process in running[:_DESCRIBED]
        )
        n_more = len(running) - _DESCRIBED
        more = f"; and {n_more} more processes are running" if n_more > 0 else ""
        return f"no data in {named} yet{reasons}; {descriptions}{more}"
    # A file that cannot be read may be data.
    subject = "no data that can be read" if any(os.path.lexists(path) for path, _reason in refused) else "no data"
    hints = "".join(f"; {hint}" for hint in map(_hint, paths) if hint)
    return f"{subject} in {named}{reasons}{hints}; {way_out}"


def _hint(path: str) -> str:
    """Return why *path* may hold no data, or where the data may be; an empty text if there is no hint."""
    if path.endswith((".py", ".pyw")) and os.path.isfile(path):
        return f"--include {path!r} chooses a source file, a PATH is of data"
    if path == DIRECTORY:
        folder = parent = os.getcwd()
        while (parent := os.path.dirname(folder)) != folder:
            folder = parent
            data = os.path.join(folder, DIRECTORY)
            with contextlib.suppress(OSError):
                if any(name.endswith(schema.SUFFIXES) for name in os.listdir(data)):
                    return f"there is data in {data!r}"
    try:
        objection = objection_to_folder(path, lenient=True) if os.path.isdir(path) else ""
        if objection and not read_settings({}).shared:
            return f"a process of this user saves nothing in {path!r}: {objection} (`instrument debug` says more)"
    except (OSError, InstrumentError):
        pass
    return ""
