"""The norm of an infinite matrix by the power method: a tiny function called in a nest of loops."""

LOOPS = 220

SIZE = 60


def element(i, j):
    return 1.0 / ((i + j) * (i + j + 1) // 2 + i + 1)


def times(vector):
    """Return the matrix times *vector*."""
    result = []
    for i in range(SIZE):
        total = 0.0
        for j, value in enumerate(vector):
            total += element(i, j) * value
        result.append(total)
    return result


def times_transposed(vector):
    """Return the transposed matrix times *vector*."""
    return [sum(element(j, i) * value for j, value in enumerate(vector)) for i in range(SIZE)]


def main(loops):
    u = [1.0] * SIZE
    for _ in range(loops):
        v = times_transposed(times(u))
        u = times_transposed(times(v))
        scale = max(u)
        u = [value / scale for value in u]
    v = times_transposed(times(u))
    return round((sum(a * b for a, b in zip(u, v)) / sum(a * a for a in u)) ** 0.5, 9)
