"""The growth laws: 1, log n, n, n log n, n², n³ and 2^n, from the slowest to the fastest.

`position` finds a law by a text of the user. `columns_up_to` returns the terms that a law allows, for sizes.
"""

from __future__ import annotations

import re
from math import log2

from instrument.errors import InstrumentError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

#: From the slowest to the fastest. "2^n" stands for growth by any constant factor from 1.2 on.
LAWS = ("1", "log n", "n", "n log n", "n²", "n³", "2^n")
EXPONENTIAL = len(LAWS) - 1
#: The reciprocal of any base to this power adds nothing to a float.
_LARGE = 500
#: Other texts for a law, without spaces.
_OTHER_TEXTS = {"constant": "1", "logn": "log n", "linear": "n", "nlogn": "n log n", "n^2": "n²", "n^3": "n³"}

#: The terms of each law but the last: a function of the size. The second one has a negative part of lower order, as in
#: n(n - 1) comparisons. So a fit without negative coefficients finds all terms between the two.
_TERMS: tuple[tuple[Callable[[float], float], ...], ...] = (
    (lambda _: 1.0,),
    (log2,),
    (lambda n: n, lambda n: n - 1),
    (lambda n: n * log2(n), lambda n: n * max(0.0, log2(n) - 1)),
    (lambda n: n * n, lambda n: n * (n - 1)),
    (lambda n: n**3, lambda n: n * n * (n - 1)),
)


def position(text: str) -> int:
    """Return the position in LAWS of the law that *text* says, such as "n log n", "n^2" or "O(n)".

    Raise InstrumentError if it says none.
    """
    bare = re.sub(r"[\s*·]", "", text.replace("**", "^"))
    if match := re.fullmatch(r"O\((.*)\)", bare):
        bare = match[1]
    bare = re.sub(r"log(?:\(n\)|2n)", "logn", bare)
    name = _OTHER_TEXTS.get(bare, bare)
    if name not in LAWS:
        raise InstrumentError(f"{text!r} is no growth law; name one of {', '.join(map(repr, LAWS))}")
    return LAWS.index(name)


def columns_up_to(law: int, sizes: Sequence[int], base: float) -> list[list[float]]:
    """Return the terms of all laws up to the position *law*: for each term its value at each of *sizes*.

    The sizes are numbers from 1 on, in ascending order. The largest value of a term is 1, so none is too large for a
    float. *base* is that of 2^n.
    """
    columns = [[term(size) for size in sizes] for terms in _TERMS[: law + 1] for term in terms]
    if law == EXPONENTIAL:
        columns.append([base ** (size - sizes[-1]) for size in sizes])
        columns.append([base ** (size - sizes[-1]) * (1 - base ** -min(size, _LARGE)) for size in sizes])
    return [[value / column[-1] for value in column] for column in columns if column[-1]]


def column_of(law: int, sizes: Sequence[int], base: float) -> list[float]:
    """Return the main term of the law at the position *law*, at each of *sizes*, as in `columns_up_to`."""
    values = [base ** (each - sizes[-1]) if law == EXPONENTIAL else _TERMS[law][0](each) for each in sizes]
    return [value / values[-1] for value in values] if values[-1] else values
