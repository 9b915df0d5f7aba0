"""Generators that feed one another: a frame suspended and resumed for each value."""


def numbers(limit):
    value = 0
    while value < limit:
        yield value
        value += 1


def squares(source):
    for value in source:
        yield value * value


def odd(source):
    for value in source:
        if value % 2:
            yield value


def main(loops):
    total = 0
    for _ in range(loops):
        for value in odd(squares(numbers(4_000))):
            total += value
    return total
