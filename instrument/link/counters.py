"""Make, read and pickle the counters of probes.

A counter is `itertools.repeat(None, sys.maxsize)`. The length that remains says how often the counter was moved on.
Moving it on and reading it are single C calls. So under the interpreter's lock no count is lost between threads. And
one C call reads all counters as of one moment.
"""

from __future__ import annotations

import sys
from _functools import partial  # type: ignore[import-not-found]
from copyreg import pickle
from itertools import repeat, starmap

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

#: The length of a new counter.
FULL = sys.maxsize
_ARGUMENTS = (None, FULL)
make_counter = partial(repeat, *_ARGUMENTS)
_length_of = repeat.__length_hint__


def make_counters(n: int) -> list[repeat[None]]:
    """Return *n* new counters."""
    return list(starmap(repeat, repeat(_ARGUMENTS, n)))


def read_counters(counters: Iterable[repeat[None]]) -> list[int]:
    """Return the lengths that remain of *counters*, all as of one moment: see the header."""
    return list(map(_length_of, counters))


#: Called with each counter that is pickled, because the program pickles code by value.
on_pickled: list[Callable[[repeat[None]], object]] = []


def _new_counter() -> repeat[None]:
    """Return a new counter. Pickles of counters contain the name of this function."""
    counter: repeat[None] = make_counter()
    return counter


def reduce_counter(iterator: repeat[Any]) -> tuple[Any, ...]:
    """Stand in for `repeat.__reduce__`: a counter is unpickled as a new counter.

    `copyreg` and pickle's dispatch tables call this for each `repeat`. A counter cannot be pickled by the name of its
    class, because the program may have replaced `itertools.repeat`. From 3.14 on, raise TypeError for a `repeat` of the
    program, as pickle does (gh-101588).
    """
    if _length_of(iterator) >= FULL >> 1:
        for callback in on_pickled:
            callback(iterator)
        return _new_counter, ()
    if sys.version_info >= (3, 14):
        raise TypeError("cannot pickle 'itertools.repeat' object")
    return iterator.__reduce__()  # type: ignore[return-value]


if sys.version_info >= (3, 14):  # iterators can no longer be pickled, but the program may pickle live code by value
    pickle(repeat, reduce_counter)
