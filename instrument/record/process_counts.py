"""ProcessCounts: the counts of this process since it began, and which of them have changed since the last write."""

from __future__ import annotations

from instrument.model.measurement import FACTS, Measurement
from instrument.model.probe_counts import ProbeCounts

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from typing import Any

    from instrument.link.code_group import CodeGroup
    from instrument.model.counts import Counts
    from instrument.model.measurement import FileCounts, FileKey, FunctionKey, Series
    from instrument.session.deltas import SpanDelta

    #: A source file, and the name of a plan file.
    PlanKey = tuple[FileKey, str]


class Changes:
    """The keys of one *field* of *files* whose counts have changed since the last write, by file.

    Until the first write all keys have changed, and none is noted: a short process writes once, when it ends.
    """

    __slots__ = ("_field", "_files", "_have_all_changed", "_keys", "_taken", "_were_all_taken")

    def __init__(self, files: dict[FileKey, FileCounts], field: str) -> None:
        self._files = files
        self._field = field
        self._have_all_changed = True
        self._were_all_taken = False
        self._keys: dict[FileKey, set[Any]] = {}
        #: Keys that are being written.
        self._taken: list[tuple[FileKey, set[Any]]] = []

    def mark(self, file: FileKey, keys: Collection[Any]) -> None:
        """Note that the counts of *keys* in *file* have changed."""
        if not keys or self._have_all_changed:
            return
        changed = self._keys.get(file)
        if changed is None:
            changed = self._keys[file] = set()
        changed.update(keys)

    def mark_all(self) -> None:
        """Note that the counts of all keys have changed."""
        self._have_all_changed = True

    def take(self) -> Iterator[tuple[FileKey, Collection[Any]]]:
        """Yield the changed keys by file, and unmark them. Then `commit` or `restore` must be called."""
        if self._have_all_changed:
            self._keys.clear()
            self._have_all_changed, self._were_all_taken = False, True
            for file, series in self._all():
                if series:
                    yield file, series.keys()
            return
        for file in list(self._keys):
            keys = self._keys.pop(file)
            self._taken.append((file, keys))
            yield file, keys

    def commit(self) -> None:
        """Forget the keys that `take` has yielded, because they are written."""
        self._taken, self._were_all_taken = [], False

    def restore(self) -> None:
        """Mark the keys that `take` has yielded as changed again, because they could not be written."""
        if self._were_all_taken:
            self._have_all_changed = True
        for file, keys in self._taken:
            self.mark(file, keys)
        self._taken, self._were_all_taken = [], False

    def _all(self) -> Iterator[tuple[FileKey, Series]]:
        """Yield each file with all its counts."""
        for file, counts in self._files.items():
            yield file, getattr(counts, self._field)

    def __bool__(self) -> bool:
        return bool(self._keys) or (self._have_all_changed and any(series for _, series in self._all()))


class ProcessCounts:
    """The counts of this process since it began: `measurement`, and the `changes` since the last write, by field.

    The counts of probes are kept by source file and plan file, each with a code group that has this plan.
    """

    def __init__(self) -> None:
        self.measurement = Measurement()
        self.changes = {fact.field: Changes(self.measurement.files, fact.field) for fact in FACTS}
        self._probes: dict[PlanKey, tuple[CodeGroup, ProbeCounts]] = {}
        #: The keys of `_probes` whose counts have changed since the last write, and the keys that are being written.
        self._changed_probes: dict[PlanKey, None] = {}
        self._taken_probes: dict[PlanKey, None] = {}

    def add_probes(self, file: FileKey, plan_name: str, delta: SpanDelta) -> None:
        """Add the work *delta* of a code group in *file* that has the plan file *plan_name*."""
        span, key = delta.span, (file, plan_name)
        starts = span.group.starts
        total = self._probes.get(key)
        if total is None:
            total = self._probes[key] = span.group, ProbeCounts(starts[-1])
        total[1].add(starts[span.first], delta.fired, delta.exits, delta.in_flight)
        self._changed_probes[key] = None

    def take_probes(self) -> Iterator[tuple[FileKey, str, CodeGroup, ProbeCounts]]:
        """Yield file, name of the plan file, code group and counts of the probes that have changed, and unmark them.

        Then `commit` or `restore` must be called.
        """
        while self._changed_probes:
            key = next(iter(self._changed_probes))
            self._taken_probes[key] = self._changed_probes.pop(key)
            yield *key, *self._probes[key]

    def add(self, file: FileKey, function: FunctionKey, counts: Counts, now: float) -> None:
        """Add the *counts* of the code object of *function* in *file*, which were read *now*."""
        for field, keys in self.measurement.file(file).add_code(function, counts, now).items():
            self.changes[field].mark(file, keys)

    def have_changed(self) -> bool:
        """Return whether any counts have changed since the last write."""
        return bool(self._changed_probes) or any(self.changes.values())

    def commit(self) -> None:
        """Forget the changes that were taken, because they are written."""
        self._taken_probes.clear()
        for changes in self.changes.values():
            changes.commit()

    def restore(self) -> None:
        """Mark the changes that were taken as changes again, because they could not be written."""
        self._changed_probes.update(self._taken_probes)
        self._taken_probes.clear()
        for changes in self.changes.values():
            changes.restore()

    def mark_all(self) -> None:
        """Mark all counts as changed, because the data file is lost."""
        self._changed_probes.update(dict.fromkeys(self._probes))
        for changes in self.changes.values():
            changes.mark_all()
