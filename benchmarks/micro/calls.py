"""Calls of small functions with positional, default, keyword and variable arguments."""


def plus(left, right):
    return left + right


def scale(value, factor=3):
    return value * factor


def spread(*values, offset=0):
    return values[0] + values[-1] + offset


def main(loops):
    total = 0
    for _ in range(loops):
        for number in range(2_000):
            total = plus(total, number)
            total = plus(total, scale(number))
            total = plus(total, spread(number, total, offset=1)) & 0xFFFFFF
    return total
