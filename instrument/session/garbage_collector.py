"""Uses of the garbage collector: to collect later, and to list objects.

`GcDeferred` puts collections off while counters are made. `instances_of` returns all objects of a type, and
`all_functions` all functions.
"""

from __future__ import annotations

# The program may replace the names of these modules at any time, so the functions are held by name.
from _operator import call, is_
from gc import disable, enable, freeze, get_freeze_count, get_objects, isenabled, unfreeze
from itertools import chain, compress, repeat
from types import FunctionType

from instrument.guest.process_state import ProcessState

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

#: Two functions that make all objects old, in the sense of the garbage collector, when both are called.
_AGE_ALL_OBJECTS = freeze, unfreeze
_N_COUNTERS_UNTIL_AGED = 1_024
_N_TIMES_AGED_AT_MOST = 128
#: Python 3.12 starts with some hundred frozen objects. A program that freezes objects has more: all that there are.
_N_FROZEN_AT_START = 1_000


class _State(ProcessState):
    """How many counters were made since all objects were made old, how often that was done; the functions found."""

    __slots__ = ("functions", "n_counters", "n_times_aged")
    functions: list[FunctionType] | None
    n_counters: int
    n_times_aged: int

    def reset(self) -> None:
        """Set both to zero, and forget the functions."""
        self.n_counters = self.n_times_aged = 0
        self.functions = None


_state = _State()


def age_all_objects() -> None:
    """Make all objects old, so that the next collection of young ones does not traverse them, unless any are frozen."""
    if get_freeze_count() < _N_FROZEN_AT_START:  # `unfreeze` would thaw the program's frozen objects
        any(map(call, _AGE_ALL_OBJECTS))


class GcDeferred:
    """Defer garbage collection while *n* permanent counters are made.

    Problem: counters are objects that the collector tracks. While modules are imported it would start many times, and
    traverse all of them. [3.12, warm import of sympy, perf: 2 ms of collection; 15 ms without this package's code]
    Solution: turn it off meanwhile. After each `_N_COUNTERS_UNTIL_AGED` counters make all objects old, by `freeze` and
    `unfreeze` in one call, so that no other thread runs in between. That also delays the collection of the program's
    own garbage, so it is done `_N_TIMES_AGED_AT_MOST` times in a process.
    """

    def __init__(self, n: int) -> None:
        self._n = n
        self._was_enabled = False

    def __enter__(self) -> None:
        self._was_enabled = isenabled()
        if self._was_enabled:  # else another thread has disabled it, and may enable it at any moment
            disable()

    def __exit__(self, *exception: object) -> None:
        if not self._was_enabled:
            return
        _state.n_counters += self._n
        if _state.n_counters >= _N_COUNTERS_UNTIL_AGED and _state.n_times_aged < _N_TIMES_AGED_AT_MOST:
            _state.n_counters = 0
            _state.n_times_aged += 1
            age_all_objects()
        enable()


def instances_of(types: list[type]) -> list[Any]:
    """Return all objects whose type is one of *types*, subclasses excluded, as far as the garbage collector has them.

    Problem: among all objects are tuples that another thread is still filling. Filling them fails while we hold a
    reference (tupleobject.c: _PyTuple_Resize).
    Solution: other threads must not run while we hold all objects. So `list` does everything in one call in C: it
    fetches the objects, compares their types by identity, and releases them. No method in Python is called.
    """
    objects: list[Any] = []
    # These iterators do nothing until `list` consumes `candidates`. Then the first fills `objects`, the second yields
    # them, and the third empties the list. `extend` and `clear` return None, which the filters drop.
    fetching = map(objects.extend, map(call, (get_objects,)))
    releasing = map(call, (objects.clear,))
    candidates = chain(filter(None, fetching), objects, filter(None, releasing))
    was_enabled = isenabled()
    if was_enabled:
        disable()  # a finalizer in Python would let other threads run
    try:
        is_instance: Iterator[bool]
        if len(types) == 1:  # takes half the time
            is_instance = map(is_, map(type, objects), repeat(types[0]))
        else:
            is_instance = map(frozenset(map(id, types)).__contains__, map(id, map(type, objects)))
        return list(compress(candidates, is_instance))
    finally:
        if was_enabled:
            enable()


def find_functions() -> None:
    """Find all functions of the heap now, for the next call of `all_functions`.

    A start calls this while most modules of this package are not loaded: two thirds of all objects are theirs. There
    is one thread only, so this need not be one call in C (`instances_of`). [3.12, callgrind, in million instructions:
    2.2; 3.2 by `instances_of`, 8.4 after all modules are loaded]
    """
    type_of, function_type = type, FunctionType  # local names save a seventh
    _state.functions = [value for value in get_objects() if type_of(value) is function_type]


def forget_functions() -> None:
    """Forget the functions of `find_functions`."""
    _state.functions = None


def all_functions() -> list[FunctionType]:
    """Return the functions that `find_functions` has found, and forget them; if there are none, all of the heap."""
    functions = _state.functions
    if functions is None:
        return instances_of([FunctionType])
    _state.functions = None
    return functions
