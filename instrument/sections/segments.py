"""Splits the work of this process into segments, one after the other. A section is a row of segments.

Scopes come in (`measure`). The work of code objects goes out, from the beginning of any segment until now.

One reader has all segments (`record.contexts.ContextCounts`). A segment is a context of it, whose name is a number.
Sections may lie in each other, and may overlap. The counts of the recorder stay as they are: all readers compare
counters with their own last reading.
"""

from __future__ import annotations

from collections import Counter
from itertools import count

from instrument.guest.process_state import ProcessState
from instrument.hooks import process_end
from instrument.model.probe_counts import ProbeCounts
from instrument.record.contexts import ContextCounts
from instrument.record.recorder import current
from instrument.scope.project import Scope
from instrument.session.scoped import scoped_instrumenter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import TypeAlias

    from instrument.link.code_group import CodeGroup

    #: The counts of a code object, by the number of its group and its own number in it.
    Work: TypeAlias = dict[tuple[int, int], tuple[CodeGroup, ProbeCounts]]


class _State(ProcessState):
    """The reader of this process, the scopes that are measured, and the numbers of segments."""

    __slots__ = ("began", "has_exit_handler", "numbers", "reader", "scopes")
    #: None until there is a segment.
    reader: ContextCounts | None
    #: By their items.
    scopes: dict[tuple[str, ...], Scope]
    #: The first segments of the sections that have not ended.
    began: list[int]
    numbers: count[int]
    has_exit_handler: bool

    def reset(self) -> None:
        """Forget all segments."""
        self.reader = None
        self.scopes, self.began, self.numbers = {}, [], count()
        self.has_exit_handler = False

    def after_fork_in_child(self) -> None:
        """Count from the fork on, in sections that began before, too: frames of other threads are gone."""
        if self.reader is not None:
            self.reader.close()
            self.reader = _new_reader(next(self.numbers))


_state = _State()


def measure(items: Sequence[str]) -> Scope:
    """Measure the code that a scope with these *items* selects, until the process ends; return the scope.

    No scope ends before. Each beginning and each end examines all functions of the process: a quarter of a second for
    13,000 functions [3.12]. Code that was measured once costs next to nothing later. The scope of the recorder is
    measured already.
    """
    key = tuple(items)
    recorder = current()
    if recorder is not None and tuple(recorder.settings.scope) == key:
        return recorder.scope
    scope = _state.scopes.get(key)
    if scope is None:
        scope = _state.scopes[key] = Scope(key)
        scoped_instrumenter().begin(scope)
        if not _state.has_exit_handler:
            _state.has_exit_handler = True
            process_end.at_last(_end_scopes)
    return scope


def _end_scopes() -> None:
    for scope in _state.scopes.values():
        scoped_instrumenter().end(scope)
    _state.scopes.clear()


def _next_segment() -> int:
    """Begin the next segment, and return its number."""
    number = next(_state.numbers)
    if _state.reader is None:
        _state.reader = _new_reader(number)
    else:
        _state.reader.begin(f"{number}")
    return number


def _new_reader(number: int) -> ContextCounts:
    """Return a reader whose first segment has this *number*, and begins now."""
    return ContextCounts(scoped_instrumenter().session, f"{number}", from_now_on=True)


def begin() -> int:
    """Begin a section; return the number of its first segment."""
    number = _next_segment()
    _state.began.append(number)
    return number


def end(first: int) -> Work:
    """End the section that began with the segment *first*; return its work."""
    work = work_since(first)
    _state.began.remove(first)
    if _state.reader is not None:
        kept = min(_state.began, default=-1)
        contexts = _state.reader.contexts
        for name in [name for name in contexts if kept < 0 or int(name) < kept]:
            contexts.pop(name, None)
    return work


def work_since(first: int) -> Work:
    """Return the work of each code object since the beginning of the segment *first*."""
    last = _next_segment()
    reader = _state.reader
    assert reader is not None
    patterns: Counter[int] = Counter()
    for number in range(first, last):
        patterns.update(reader.contexts.get(f"{number}", ()))
    work: Work = {}
    for number, times in patterns.items():
        _, group, code, counts = reader.pattern(number)
        key = group.number, code
        if key not in work:
            work[key] = group, ProbeCounts(len(counts.fired))
        work[key][1].add_all(counts.times(times) if times > 1 else counts)
    return work


def groups_now() -> list[CodeGroup]:
    """Return the groups of all live code."""
    return list(scoped_instrumenter().session.groups.values())


def not_measured() -> dict[str, str]:
    """Return why files are not fully measured, by path."""
    return dict(scoped_instrumenter().session.not_measured)
