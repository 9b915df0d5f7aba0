"""Fits a sum of columns to numbers by least squares; no coefficient is negative (Lawson and Hanson).

Problem: laws need a fit of a dozen numbers by a dozen columns. numpy and scipy would be imported in measured processes.
Solution: this module.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

#: Columns of length 1 that differ by less are the same column, as far as floats can tell.
_SAME = 1e-10


def coefficients(columns: Sequence[Sequence[float]], numbers: Sequence[float]) -> list[float]:
    """Return one coefficient for each of *columns*, from 0 on. The sum of the columns is close to *numbers*.

    A column has as many values as *numbers*. The sum of the squares of the differences is the least that is possible.
    """
    lengths = [sum(value * value for value in column) ** 0.5 for column in columns]
    unit = [
        [value / length for value in column] if length else list(column) for column, length in zip(columns, lengths)
    ]
    products = [[_product(one, other) for other in unit] for one in unit]
    targets = [_product(column, numbers) for column in unit]
    found = _solve(products, targets)
    return [each / length if length else 0.0 for each, length in zip(found, lengths)]


def _product(one: Sequence[float], other: Sequence[float]) -> float:
    return sum(a * b for a, b in zip(one, other))


def _solve(products: list[list[float]], targets: list[float]) -> list[float]:
    """Return the coefficients of unit columns with these *products* of each two, and of each with the numbers."""
    n = len(targets)
    found = [0.0] * n
    used: list[int] = []
    refused: set[int] = set()
    least = _SAME * max(map(abs, targets), default=0.0)
    while True:
        gains = {
            each: targets[each] - _product(products[each], found)
            for each in range(n)
            if each not in used and each not in refused
        }
        best = max(gains, key=gains.__getitem__, default=-1)
        if best < 0 or gains[best] <= least:
            return found
        used.append(best)
        if (new := _solve_equations(products, targets, used)) is None or new[-1] <= 0:
            used.pop()  # it is a sum of the used columns
            refused.add(best)
            continue
        while min(new) <= 0:
            steps = [found[each] / (found[each] - value) for each, value in zip(used, new) if value <= 0]
            step = min(steps)
            moved = [found[each] + step * (value - found[each]) for each, value in zip(used, new)]
            found = [0.0] * n
            kept = [(each, value) for each, value in zip(used, moved) if value > _SAME]
            used = [each for each, _ in kept]
            for each, value in kept:
                found[each] = value
            solved = _solve_equations(products, targets, used)
            if solved is None or not used:
                return found
            new = solved
        found = [0.0] * n
        for each, value in zip(used, new):
            found[each] = value
        refused.clear()


def _solve_equations(products: list[list[float]], targets: list[float], used: list[int]) -> list[float] | None:
    """Return the best coefficients of the columns *used*, of any sign; None if one is a sum of the others."""
    rows = [[*(products[one][other] for other in used), targets[one]] for one in used]
    n = len(rows)
    for column in range(n):
        pivot = max(range(column, n), key=lambda row: abs(rows[row][column]))
        if abs(rows[pivot][column]) < _SAME:
            return None
        rows[column], rows[pivot] = rows[pivot], rows[column]
        for row in range(column + 1, n):
            factor = rows[row][column] / rows[column][column]
            rows[row] = [value - factor * above for value, above in zip(rows[row], rows[column])]
    solution = [0.0] * n
    for row in reversed(range(n)):
        rest = sum(rows[row][other] * solution[other] for other in range(row + 1, n))
        solution[row] = (rows[row][n] - rest) / rows[row][row]
    return solution
