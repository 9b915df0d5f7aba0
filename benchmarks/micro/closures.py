"""Closures and lambdas: functions made in functions, cells read and written, functions as arguments."""


def counter():
    count = 0

    def step(by=1):
        nonlocal count
        count += by
        return count

    return step


def compose(outer, inner):
    return lambda value: outer(inner(value))


def main(loops):
    total = 0
    double = compose(lambda value: value * 2, lambda value: value + 1)
    for _ in range(loops):
        step = counter()
        for value in range(2_500):
            total += double(step(value & 3))
        total += sum(map(lambda value: value % 5, range(2_000)))  # noqa: C417 - a lambda called from C is the point
    return total
