"""ProcessCounts: the counts of this process since it began, and which of them have changed since the last write."""

from __future__ import annotations

from instrument.model.measurement import FACTS, Measurement

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from typing import Any

    from instrument.model.counts import Counts
    from instrument.model.measurement import FileKey, FunctionKey


class Changes:
    """The keys of one fact whose counts have changed since the last write, by file."""

    __slots__ = ("_keys", "_taken")

    def __init__(self) -> None:
        self._keys: dict[FileKey, set[Any]] = {}
        #: Keys that are being written.
        self._taken: list[tuple[FileKey, set[Any]]] = []

    def mark(self, file: FileKey, keys: Collection[Any]) -> None:
        """Note that the counts of *keys* in *file* have changed."""
        if not keys:
            return
        changed = self._keys.get(file)
        if changed is None:
            changed = self._keys[file] = set()
        changed.update(keys)

    def take(self) -> Iterator[tuple[FileKey, set[Any]]]:
        """Yield the changed keys by file, and unmark them. Then `commit` or `restore` must be called."""
        for file in list(self._keys):
            keys = self._keys.pop(file)
            self._taken.append((file, keys))
            yield file, keys

    def commit(self) -> None:
        """Forget the keys that `take` has yielded, because they are written."""
        self._taken = []

    def restore(self) -> None:
        """Mark the keys that `take` has yielded as changed again, because they could not be written."""
        for file, keys in self._taken:
            self.mark(file, keys)
        self._taken = []

    def __bool__(self) -> bool:
        return bool(self._keys)


class ProcessCounts:
    """The counts of this process since it began: `measurement`, and the `changes` since the last write, by field."""

    def __init__(self) -> None:
        self.measurement = Measurement()
        self.changes = {fact.field: Changes() for fact in FACTS}

    def add(self, file: FileKey, function: FunctionKey, counts: Counts, now: float) -> None:
        """Add the *counts* of the code object of *function* in *file*, which were read *now*."""
        for field, keys in self.measurement.file(file).add_code(function, counts, now).items():
            self.changes[field].mark(file, keys)

    def have_changed(self) -> bool:
        """Return whether any counts have changed since the last write."""
        return any(self.changes.values())

    def commit(self) -> None:
        """Forget the changes that were taken, because they are written."""
        for changes in self.changes.values():
            changes.commit()

    def restore(self) -> None:
        """Mark the changes that were taken as changes again, because they could not be written."""
        for changes in self.changes.values():
            changes.restore()

    def mark_all(self) -> None:
        """Mark all counts as changed, because the data file is lost."""
        for file, counts in self.measurement.files.items():
            for fact, series in counts.series():
                self.changes[fact.field].mark(file, series.keys())
