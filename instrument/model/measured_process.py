"""MeasuredProcess: a process whose counts are in a measurement. Only reports load this module."""

from __future__ import annotations


class MeasuredProcess:
    """One row of the table `process`, which `instrument.data.schema` describes column by column.

    `scope` has the items of the scope: none for the project's own code, None if the scope is unknown. `is_optimized` is
    True if the process ran with -O, which leaves out assert statements and `if __debug__:`.
    """

    __slots__ = (
        *("directory", "ended", "flushes", "host", "id", "is_optimized", "parent", "pid", "place", "python", "root"),
        *("scope", "started", "ticks", "updated"),
    )

    def __init__(
        self,
        *,
        id: str,  # noqa: A002 - the column's name
        pid: int,
        parent: int,
        host: str,
        place: str,
        ticks: int,
        started: float,
        python: str,
        directory: str,
        scope: str | None,
        root: int,
        flushes: int,
        updated: float,
        ended: str,
    ) -> None:
        self.id = id
        self.pid = pid
        self.parent = parent
        self.host = host
        self.place = place
        self.ticks = ticks
        self.started = started
        self.python = python
        self.directory = directory
        self.root = root
        self.flushes = flushes
        self.updated = updated
        self.ended = ended
        self.is_optimized = " -O" in python
        self.scope = None if scope is None else tuple(item for item in scope.split("\n") if item)
