"""Checks in a test by which law the work of a function grows with the size of its input.

A function, a law and a callable of a size come in. The callable runs once for each size, and the work of the function
is counted exactly. A `Growth` goes out, or an AssertionError with all counts.
"""

from __future__ import annotations

import os

from instrument.analysis.growth.fit import growth_of
from instrument.analysis.growth.laws import LAWS, position
from instrument.analysis.growth.units import INSTRUCTIONS, UNITS
from instrument.errors import InstrumentError
from instrument.in_process import scope_item
from instrument.sections.section import Section

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Any

    from instrument.analysis.growth.fit import Growth

#: The first and the last of the sizes, each twice the one before, if a test gives none.
_FIRST, _LAST = 4, 4096
#: The next of these sizes is left out if its work is likely to be more instructions than this: a second or so.
_MOST_WORK = 20_000_000
#: If that leaves fewer, sizes in between are added.
_ENOUGH = 7


def assert_growth(
    function: str,
    law: str,
    run: Callable[[Any], object],
    *,
    sizes: Iterable[int] | None = None,
    prepare: Callable[[int], object] | None = None,
    unit: str = INSTRUCTIONS,
) -> Growth:
    """Raise AssertionError if the work of *function* grows faster than *law* with the size of its input.

    - function: a function such as "shop.cart.total", or "shop/cart.py:total". Its work is without that of the functions
      that it calls. The name of a module or package stands for all of its code.
    - law: "1", "log n", "n", "n log n", "n²", "n³" or "2^n"; "n^2" and "O(n)" are understood. Slower growth passes.
    - run: is called with each size, or with the value that *prepare* returns for the size.
    - sizes: whole numbers from 1 on, at least three. Without them: 4, 8, 16 and so on, up to 4096 or some 20 million
      instructions.
    - prepare: is called with the size. Its work is not counted.
    - unit: "instructions" (of bytecode), "calls" of the function, or "executions" of its lines.

    AssertionError is also raised if the sizes do not suffice to tell the law from the next faster one. Return the
    Growth. Raise InstrumentError if the function is not found or never runs, or if an argument is impossible.
    """
    __tracebackhide__ = True
    bound = position(law)
    growth = measure_growth(function, run, sizes=sizes, prepare=prepare, unit=unit)
    verdict = growth.is_at_most(bound)
    if verdict is True:
        return growth
    if verdict is False:
        problem = f"{function} grows faster than {LAWS[bound]}: {growth}"
    else:
        problem = (
            f"the sizes do not suffice to tell whether {function} grows faster than {LAWS[bound]}: {growth}; "
            "give more sizes, or larger ones"
        )
    raise AssertionError(f"{problem}\n{_table(growth.counts, unit)}")


def measure_growth(
    function: str,
    run: Callable[[Any], object],
    *,
    sizes: Iterable[int] | None = None,
    prepare: Callable[[int], object] | None = None,
    unit: str = INSTRUCTIONS,
) -> Growth:
    """Return how the work of *function* grows with the size; the arguments are those of `assert_growth`."""
    if unit not in UNITS:
        raise InstrumentError(f"{unit!r} is no unit of work; name one of {', '.join(map(repr, UNITS))}")
    items = [_scope_of(function)]
    counts: dict[int, int] = {}
    for size in _usual_sizes(counts) if sizes is None else _checked(sizes):
        argument = size if prepare is None else prepare(size)
        with Section(items) as section:
            run(argument)
        counts[size] = section.work(function, unit)
    if not any(counts.values()):
        raise InstrumentError(f"{function} did not run for any of the sizes {', '.join(map(str, counts))}")
    return growth_of(counts)


def _scope_of(function: str) -> str:
    """Return the scope that has *function*: the top package of its module, or its file."""
    file, colon, _ = function.rpartition(":")
    if colon or function.endswith(".py"):
        return scope_item(os.path.abspath(file if colon else function))
    return scope_item(function.partition(".")[0])


def _checked(sizes: Iterable[int]) -> list[int]:
    """Return *sizes*, each once, in ascending order; raise InstrumentError if one is no whole number from 1 on."""
    found = list(sizes)
    for size in found:
        if type(size) is not int or size < 1:
            raise InstrumentError(f"{size!r} is no size; sizes are whole numbers from 1 on")
    return sorted(set(found))


def _usual_sizes(counts: dict[int, int]) -> Iterator[int]:
    """Yield sizes until there are enough, or the work becomes too much; *counts* has the work of those before."""
    size = last = _FIRST
    while size <= _LAST:
        yield size
        last, now, before = size, counts[size], counts.get(size // 2, 0)
        if before and now * (now / before) ** 2 > _MOST_WORK:  # twice the power, as in 2^n
            break
        size *= 2
    n_more = _ENOUGH - len(counts)
    if n_more > 0:
        step = max(1, (last - _FIRST) // (_ENOUGH - 1))
        yield from (each for each in range(_FIRST + step, last, step) if each not in counts)


def _table(counts: dict[int, int], unit: str) -> str:
    """Return the lines of a table of *counts* by size."""
    width = max(len(f"{size}") for size in [*counts, "size"])
    width_of_counts = max(len(f"{n}") for n in [*counts.values(), unit])
    rows: list[tuple[object, object]] = [("size", unit), *counts.items()]
    return "\n".join(f"{f'{size}':>{width}}  {f'{n}':>{width_of_counts}}" for size, n in rows)
