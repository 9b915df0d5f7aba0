"""The originals of live code, and which of them were given out.

A live code object comes in, the code object that it was made from goes out. Some callers take it where nothing counts:
`pickle`, `marshal`, another interpreter. They call `give_out`, which notes that a function was given out, so that no
report calls its lines missing.
"""

from __future__ import annotations

from _operator import is_
from itertools import compress, count, repeat
from types import CodeType

from instrument.guest.process_state import ProcessState
from instrument.link.unlinked_values import nested_code
from instrument.session.registry import live_place

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from instrument.link.code_group import CodeGroup
    from instrument.session.registry import LivePlace, Registry

#: The names that the program can change by the `replace` of a live code object.
_REPLACEABLE_NAMES = ("co_filename", "co_name", "co_qualname", "co_firstlineno")


def original_of(code: CodeType) -> CodeType:
    """Return the code object that the live *code* was made from.

    Return *code* itself if it is not live, or if its original can no longer be had.
    """
    place = live_place(code)
    return code if place is None else original_at(place, code)


def original_at(place: LivePlace, code: CodeType) -> CodeType:
    """Return the original of *code*, which is live at *place*; *code* itself if the original can no longer be had."""
    group, index = place.group, place.index()
    originals = group.originals
    if originals is None:
        outermost = group.origin() if group.origin is not None else None
        originals = nested_code(outermost) if outermost is not None else []
        if len(originals) != len(group) or originals[index].co_qualname != group.packed().fast_path_info(index).name:
            return code  # the module was edited, and its loader returns other code now
        group.originals = originals
    original = originals[index]
    changed: dict[str, Any] = {}
    for name in _REPLACEABLE_NAMES:  # no comprehension: code with handlers cannot be hidden on 3.15
        if getattr(code, name) != getattr(original, name):
            changed[name] = getattr(code, name)
    return original.replace(**changed) if changed else original


class GivenOut:
    """A function whose original was given out.

    - source: the path and the version of its source file.
    - name: its qualified name.
    - first_line: its first line.
    - receiver: "pickle", or whoever else got the original.
    - module: the name of the module that it runs in, or None.
    - file: the `__file__` of that module, or None.
    """

    __slots__ = ("file", "first_line", "module", "name", "receiver", "source")

    def __init__(self, source: tuple[str, str], group: CodeGroup, index: int, receiver: str) -> None:
        originals = group.originals
        self.source = source
        self.name = group.packed().fast_path_info(index).name if originals is None else originals[index].co_qualname
        self.first_line = group.first_line(index)
        self.receiver = receiver
        self.module = group.module
        self.file = group.file

    def _key(self) -> tuple[object, ...]:
        return self.source, self.name, self.first_line, self.receiver, self.module, self.file

    def __hash__(self) -> int:
        return hash(self._key())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, GivenOut) and self._key() == other._key()


class _State(ProcessState):
    """All functions of this process that were `given_out`; a dictionary in place of a set, as it keeps the order."""

    __slots__ = ("given_out",)
    given_out: dict[GivenOut, None]

    def reset(self) -> None:
        """Forget all functions."""
        self.given_out = {}


_state = _State()


def give_out(code: CodeType, receiver: str) -> CodeType:
    """Return the original of *code*, as `original_of` does, and note that *receiver* got it."""
    place = live_place(code)
    if place is None:
        return code
    original = original_at(place, code)
    if original is not code:
        _note_given_out(place.group, place.index(), receiver)
    return original


def given_out(n_seen: int = 0) -> list[GivenOut]:
    """Return the functions whose originals were given out, in that order, without the first *n_seen*.

    If another process runs such a function and is not measured, its counts are missing.
    """
    return list(_state.given_out)[n_seen:] if len(_state.given_out) > n_seen else []


def _note_given_out(group: CodeGroup, index: int, receiver: str) -> None:
    """Note that *receiver* got the original of code *index* of *group*, if its counts are recorded at all."""
    source = group.source_key()
    if source is not None:
        _state.given_out[GivenOut(source, group, index, receiver)] = None


def note_pickled(counter: repeat[None], registries: list[Registry]) -> None:
    """Note that live code with *counter*, in one of *registries*, was pickled: nobody reads the counts of the copy."""
    for registry in registries:
        among_all = _index_of(counter, registry.counters)
        for group in list(registry.groups.values()):
            probe = _index_of(counter, group.counters) if group.counters else among_all - group.first
            if among_all < 0 and not group.counters:
                continue
            if 0 <= probe < group.starts[-1]:
                _note_given_out(group, group.code_of_probe(probe), "pickle")


def _index_of(counter: repeat[None], counters: list[repeat[None]]) -> int:
    """Return the index of *counter* in *counters*; -1 if it is not there."""
    return next(compress(count(), map(is_, counters, repeat(counter))), -1)
