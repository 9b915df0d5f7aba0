"""Finds the law by which counts grow with a size, and says how sure that is.

Sizes and exact counts come in; a `Growth` goes out.

A law stands for all sums of its term and terms of slower laws, with coefficients from 0 on. So the sums of a law are
sums of each faster law, too. Each count in turn is left out, and is predicted by the best sum for the others. The error
of the law is the root of the mean square of the relative differences. A prediction of half a count is 100 % off, and so
is one of twice a count. The count at the smallest size is never left out: often it alone shows the terms of slower
laws. The law of the counts is the slowest one whose error is negligible, or at most `CLEAR` times the least error.

If no law predicts the counts, as none predicts n^1.5, the law is the slowest one that they certainly stay below.

Two rivals say how sure that is. One is the next slower law. The other is the next faster law, whose term has at least
three quarters of the count at the largest size. A smaller part could hide in any data.
"""

from __future__ import annotations

from math import log
from typing import NamedTuple

from instrument.analysis.growth.laws import EXPONENTIAL, LAWS, column_of, columns_up_to
from instrument.analysis.growth.nonnegative_fit import coefficients
from instrument.errors import InstrumentError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

#: Fewer sizes fit almost any law.
FEWEST_SIZES = 3
#: Errors that differ by this factor tell laws apart, and by the larger one surely.
CLEAR, _SURE = 2.0, 4.0
#: With fewer sizes, nothing is sure.
_FEWEST_FOR_SURE = 5
#: Exact counts differ from a law by rounding: logarithms become whole numbers of steps. Few sizes leave terms of slower
#: laws open, so predictions differ by more.
_NEGLIGIBLE, _NEGLIGIBLE_OF_FEW, _FEW = 0.02, 0.05, 7
#: No error is taken for less than this: else the least rounding would decide between laws that fit exactly.
_LEAST_ERROR = 0.005
#: A law with a larger error predicts nothing.
_MOST_ERROR = 0.15
#: If no law predicts counts, and their share of a law's term rises by this factor, they grow faster than the law.
_RISE = 2.0
#: The part of the count at the largest size that is the term of the faster rival.
_SHARE = 0.75
#: The bases of 2^n. The number of calls of a naive Fibonacci function grows by 1.618.
_BASES = (1.2, 1.26, 1.33, 1.414, 1.5, 1.618, 1.75, 1.9, 2.0, 2.25, 2.5, 3.0, 4.0)
#: Counts that grow more slowly than this power of the size, at its end, are not exponential.
_LEAST_POWER = 2.0


class Growth(NamedTuple):
    """How counts grow with sizes.

    - counts: the count at each size, in ascending order of the sizes.
    - position: the position of the law in LAWS.
    - base: by which factor the counts grow from n to n + 1, if the law is 2^n.
    - error: the error of the law, a fraction: 0.05 is 5 %.
    - slower_error: that of the next slower law; None if there is none.
    - faster_errors: those of the faster laws, by position, each with a large part of the last count.
    """

    counts: dict[int, int]
    position: int
    base: float
    error: float
    slower_error: float | None
    faster_errors: dict[int, float]

    @property
    def law(self) -> str:
        """The law, one of LAWS."""
        return LAWS[self.position]

    @property
    def certainty(self) -> str:
        """How sure the law is: "sure", "likely" or "unsure"; "no law" if none predicts the counts.

        It is sure if both rivals have at least four times its error, and likely from two times on. With fewer than five
        sizes no law is sure. With fewer than seven, counts that are not exact may fit another law by chance. So the
        rivals of a law that does not fit exactly must have four times the error that is negligible.
        """
        if self.error > _MOST_ERROR:
            return "no law"
        if self.ratio < CLEAR:
            return "unsure"
        n = len(self.counts)
        is_exact = n >= _FEW or self.error <= _LEAST_ERROR
        is_clear = self.rival is None or self.rival[1] >= _SURE * _NEGLIGIBLE_OF_FEW
        is_sure = self.ratio >= _SURE and n >= _FEWEST_FOR_SURE and (is_exact or is_clear)
        return "sure" if is_sure else "likely"

    @property
    def rival(self) -> tuple[str, float] | None:
        """The other law that fits best, with its error; None if no other law is possible."""
        rivals = [] if self.slower_error is None else [(LAWS[self.position - 1], self.slower_error)]
        faster = self.position + 1
        if faster in self.faster_errors:
            rivals.append((LAWS[faster], self.faster_errors[faster]))
        return min(rivals, key=lambda each: each[1], default=None)

    @property
    def power(self) -> float:
        """The power of the size by which the counts grow from the smallest to the largest size."""
        sizes = [*self.counts]
        return _power(sizes[0], self.counts[sizes[0]], sizes[-1], self.counts[sizes[-1]])

    @property
    def ratio(self) -> float:
        """The error of the rival as a multiple of the law's own, or of `_LEAST_ERROR` if that is larger."""
        return self.rival[1] / max(self.error, _LEAST_ERROR) if self.rival else _SURE

    def is_at_most(self, bound: int) -> bool | None:
        """Return whether the counts grow no faster than the law at the position *bound*.

        Return None if the sizes do not suffice to tell: the next faster law fits nearly as well.
        """
        if self.error > _MOST_ERROR:
            rise = _rise(self.counts, bound, self.base)
            if rise >= _RISE:
                return False
            return True if rise <= 1 + _MOST_ERROR and len(self.counts) >= _FEW else None
        if self.position > bound:
            return False
        error = self.faster_errors.get(bound + 1)
        return True if error is None or error >= CLEAR * max(self.error, _LEAST_ERROR) else None

    def __str__(self) -> str:
        law = f"{self.base:g}^n" if self.position == EXPONENTIAL else self.law
        if self.certainty == "no law":
            return f"no law (about n^{self.power:.2f})"
        text = f"{law} ({self.certainty}: it is {_percent(self.error)} off"
        return f"{text}, and {self.rival[0]} {_percent(self.rival[1])})" if self.rival else f"{text})"


def _percent(fraction: float) -> str:
    return f"{100 * fraction:.1f}%" if fraction < 10 else "over 1000%"


def growth_of(counts: Mapping[int, int]) -> Growth:
    """Return how *counts*, the count at each size, grow.

    Raise InstrumentError if there are fewer than three sizes, if a size is less than 1, or a count less than 0.
    """
    if len(counts) < FEWEST_SIZES:
        raise InstrumentError(
            f"a growth law needs at least {FEWEST_SIZES} sizes, and there are {len(counts)}: "
            f"{', '.join(map(str, counts)) or 'none'}"
        )
    sizes = sorted(counts)
    if sizes[0] < 1:
        raise InstrumentError(f"the size {sizes[0]} has no logarithm; sizes are whole numbers from 1 on")
    if min(counts.values()) < 0:
        raise InstrumentError(f"the count {min(counts.values())} is negative; no count is")
    ordered = {size: counts[size] for size in sizes}
    numbers = [*ordered.values()]
    if numbers.count(numbers[0]) == len(numbers):  # most functions: the rest is not computed for them
        return Growth(ordered, 0, 2.0, 0.0, None, _Errors(sizes, numbers, 2.0).of_faster(0))
    is_steep = _power(sizes[-2], numbers[-2], sizes[-1], numbers[-1]) > _LEAST_POWER
    base = _best_base(sizes, numbers) if is_steep else 2.0
    errors = _Errors(sizes, numbers, base)
    by_law = [errors.of(law) for law in range(len(LAWS) if is_steep else EXPONENTIAL)]
    if min(by_law) > _MOST_ERROR:
        position = next(
            (law for law in range(EXPONENTIAL) if _rise(ordered, law, base) <= 1 + _MOST_ERROR), EXPONENTIAL
        )
        return Growth(ordered, position, base, min(by_law), None, {})
    bound = max(CLEAR * min(by_law), _NEGLIGIBLE if len(sizes) >= _FEW else _NEGLIGIBLE_OF_FEW)
    position = next(law for law, error in enumerate(by_law) if error <= bound)
    slower_error = by_law[position - 1] if position else None
    return Growth(ordered, position, base, by_law[position], slower_error, errors.of_faster(position))


class _Errors:
    """The errors of laws for *numbers*, the counts at *sizes*; *base* is that of 2^n."""

    def __init__(self, sizes: Sequence[int], numbers: Sequence[int], base: float) -> None:
        self._sizes, self._numbers, self._base = sizes, numbers, base
        self._weights = [1 / max(number, 1) for number in numbers]

    def of(self, law: int, least_share: float = 0.0) -> float:
        """Return the error of the law at the position *law*.

        Its term has at least *least_share* of the last number.
        """
        fixed = [least_share * self._numbers[-1] * value for value in column_of(law, self._sizes, self._base)]
        targets = [weight * (n - part) for weight, n, part in zip(self._weights, self._numbers, fixed)]
        columns = [
            [weight * value for weight, value in zip(self._weights, column)]
            for column in columns_up_to(law, self._sizes, self._base)
        ]
        square = 0.0
        for left_out in range(1, len(targets)):
            found = coefficients([_without(left_out, column) for column in columns], _without(left_out, targets))
            predicted = sum(factor * column[left_out] for factor, column in zip(found, columns))
            square += (predicted - targets[left_out]) ** 2 / self._smaller(left_out, predicted - targets[left_out]) ** 2
        return float((square / (len(targets) - 1)) ** 0.5)

    def _smaller(self, index: int, difference: float) -> float:
        """Return the number at *index*, or its prediction if that is smaller, divided by the number.

        *difference* is the prediction minus the number, divided by the number.
        """
        least = self._weights[index]  # a count of 1
        return max(min(1.0, 1 + difference), min(1.0, least))

    def of_faster(self, law: int) -> dict[int, float]:
        """Return the error of each law that is faster than that at the position *law*, as in Growth."""
        if not self._numbers[-1]:
            return {}
        return {faster: self.of(faster, _SHARE) for faster in range(law + 1, len(LAWS))}


def _without(index: int, values: Sequence[float]) -> list[float]:
    return [*values[:index], *values[index + 1 :]]


def _power(size: int, number: int, other_size: int, other_number: int) -> float:
    """Return the power of the size by which a *number* grows to *other_number*."""
    return log(max(other_number, 1) / max(number, 1)) / log(other_size / size)


def _rise(counts: Mapping[int, int], law: int, base: float) -> float:
    """Return how much faster than a *law* the *counts* grow: by which factor their quotient by its term rises.

    It rises from the least quotient to the one at the largest size.
    """
    column = column_of(law, [*counts], base)
    shares = [max(number, 1) / value for number, value in zip(counts.values(), column) if value]
    return shares[-1] / min(shares)


def _best_base(sizes: Sequence[int], numbers: Sequence[int]) -> float:
    """Return the base of 2^n that describes *numbers* best."""
    return min(_BASES, key=lambda base: _Errors(sizes, numbers, base).of(EXPONENTIAL))
