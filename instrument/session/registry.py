"""The registry of all live code of one placement: where a reader finds everything that can be read.

A code group comes in when its code is linked, and leaves when it is retired (`session.retirement`). Readers take the
groups, their counters and their exit records from here.

Problem: counters of code that comes and goes would leave holes in one list of all counters.
Solution: permanent code has its counters in one list, `counters`, which only grows; a reader gets all of them by one
call in C. Short-lived code has a list of its own for each group.
"""

from __future__ import annotations

from itertools import count
from types import CodeType

from instrument.guest.messages import warn_of
from instrument.link.code_group import group_of
from instrument.link.counters import make_counters
from instrument.link.exit_records import ExitRecords
from instrument.link.linker import appended_constants
from instrument.scope.trace_ignore import module_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from itertools import repeat
    from typing import Protocol

    from instrument.link.code_group import CodeGroup

    class Reader(Protocol):
        """Reads the counters of a registry. It banks the counts of code groups before they are retired."""

        def bank_counts(self, groups: list[CodeGroup]) -> None: ...


class Registry:
    """All live code of this process that was linked with one *placement*."""

    def __init__(self, placement: str) -> None:
        self.placement = placement
        #: By number.
        self.groups: dict[int, CodeGroup] = {}
        #: Groups of exec'd code, and of modules that were loaded before, by number: each is likely to be dropped.
        self.short_lived: dict[int, CodeGroup] = {}
        #: Of all permanent groups: each has the counters from `CodeGroup.first` on.
        self.counters: list[repeat[None]] = []
        #: Makes counters. A reader of single contexts puts another function in its place.
        self.make_counters: Callable[[int], list[repeat[None]]] = make_counters
        self.records = ExitRecords(self)
        self.readers: list[Reader] = []
        #: Why files are not measured, by file name.
        self.not_measured: dict[str, str] = {}
        self._numbers = count(1)
        #: By the bare name of the module, then by number.
        self._groups_by_name: dict[str, dict[int, CodeGroup]] = {}

    def next_number(self) -> int:
        """Return a number for a new code group."""
        return next(self._numbers)

    def add(self, group: CodeGroup) -> None:
        """Add *group*, whose code was linked."""
        self.groups[group.number] = group
        if group.file:
            self._groups_by_name.setdefault(module_name(group.file), {})[group.number] = group

    def add_counters(self, group: CodeGroup, counters: list[repeat[None]]) -> None:
        """Append *counters*, those of the permanent *group*, to the counters of all."""
        if not counters:
            return
        self.counters.extend(counters)
        # Another thread may have appended counters in between, so the place of these is searched for.
        last = len(self.counters) - 1
        while self.counters[last] is not counters[-1]:
            last -= 1
        group.first = last - len(counters) + 1

    def remove(self, group: CodeGroup) -> None:
        """Remove the short-lived *group*, unless it was removed before."""
        if group.file:
            self._groups_by_name[module_name(group.file)].pop(group.number, None)
        self.groups.pop(group.number, None)
        self.short_lived.pop(group.number, None)

    def groups_named(self, name: str) -> list[CodeGroup]:
        """Return the groups whose code runs in modules with the bare name *name*."""
        return list(self._groups_by_name.get(name, {}).values())

    def refuse(self, file: str, name: str, reason: object) -> None:
        """Note that *file* is not fully measured, as the function *name* cannot be; warn once for each file."""
        is_first = file not in self.not_measured
        self.not_measured.setdefault(file, f"{name}: {reason}")
        if is_first:
            warn_of(f"{name} in {file} is not measured: {reason}")


class LivePlace:
    """Where live code belongs: the *registry*, the code *group* in it, and the first *key* of the code object.

    *is_copy* is whether the code was pickled by value and unpickled: nobody reads its counters.
    """

    __slots__ = ("group", "is_copy", "key", "registry")

    def __init__(self, registry: Registry, group: CodeGroup, key: int, is_copy: bool) -> None:
        self.registry = registry
        self.group = group
        self.key = key
        self.is_copy = is_copy

    def index(self) -> int:
        """Return the number of the code object in its group."""
        return self.group.code_at(self.key)


def is_live(code: CodeType) -> bool:
    """Return whether *code* was linked by a session, even if its group was retired since."""
    return appended_constants(code) is not None


def live_place(code: CodeType) -> LivePlace | None:
    """Return where the live *code* belongs; None if *code* is not live, or its group was retired."""
    constants = appended_constants(code)
    if constants is None:
        return None
    records, key = constants
    group: CodeGroup | None = records.session.groups.get(group_of(key))
    return None if group is None else LivePlace(records.session, group, key, records is not records.session.records)
