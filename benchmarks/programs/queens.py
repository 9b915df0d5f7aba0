"""Eight queens in three styles: bit masks and recursion, generators and tuples, and permutations filtered by sets."""

LOOPS = 95


def count_by_bits(size):
    full = (1 << size) - 1

    def place(columns, left, right):
        if columns == full:
            return 1
        found = 0
        free = full & ~(columns | left | right)
        while free:
            bit = free & -free
            free ^= bit
            found += place(columns | bit, (left | bit) << 1, (right | bit) >> 1)
        return found
    return place(0, 0, 0)


def solutions(size, queens=()):
    row = len(queens)
    if row == size:
        yield queens
        return
    for column in range(size):
        if not any(column == other or abs(column - other) == row - index for index, other in enumerate(queens)):
            yield from solutions(size, (*queens, column))


def permutations(items):
    if len(items) <= 1:
        yield list(items)
        return
    for index in range(len(items)):
        for rest in permutations(items[:index] + items[index + 1:]):
            yield [items[index], *rest]


def count_by_sets(size):
    return sum(1 for queens in permutations(list(range(size)))
               if len({column + row for row, column in enumerate(queens)}) == size
               and len({column - row for row, column in enumerate(queens)}) == size)


def main(loops):
    total = 0
    for _ in range(loops):
        total += count_by_bits(8) * 10_000 + sum(1 for _ in solutions(7)) * 100 + count_by_sets(6)
    return total
