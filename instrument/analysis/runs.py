"""Counts runs: how many times a user started a program, where each program may have started more processes."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import TypeAlias

    from instrument.model.measured_process import MeasuredProcess

    #: Host, kernel and namespace, and the number of a process there.
    ProcessKey: TypeAlias = tuple[str, str, int]


def count_runs(processes: Sequence[MeasuredProcess]) -> int:
    """Return how many of *processes*, in the order of their start, are of a program that a user started.

    A process that became another program by `exec` counts once.
    """
    roots: set[ProcessKey] = set()
    started: dict[ProcessKey, list[MeasuredProcess]] = {}
    n_runs = 0
    for process in processes:
        host, place = process.host, process.place
        same_number = started.setdefault((host, place, process.pid), [])
        became_this = any(each.ticks == process.ticks != 0 for each in same_number)
        if not became_this and not started.get((host, place, process.parent)):
            root = (host, place, process.root)
            # The root, and processes between it and this one, may have counted nothing, and so have no data.
            if process.root in (0, process.pid) or (root not in started and root not in roots):
                n_runs += 1
            if process.root:
                roots.add(root)
        same_number.append(process)
    return n_runs
