"""Loops that raise and catch: in each turn, in some turns, in each copy of an unrolled body."""


def caught(numbers, known):
    total = 0
    for number in numbers:
        try:
            total += known[number % 3]
        except KeyError:
            total -= 1
    return total


def passed_over(numbers, known):
    for number in numbers:
        try:
            known[number]
        except KeyError:
            continue
        else:
            known[number] += 1


def ended(numbers, known):
    for number in numbers:
        try:
            known[number]
        except KeyError:
            break
        finally:
            known[number] = number


def while_caught(numbers, known):
    while numbers:
        try:
            known[numbers.pop()]
        except KeyError: pass


for known in ({}, {0: 1}, {0: 1, 1: 2}, {1: 1}, {0: 1, 1: 2, 2: 3}, {2: 1}, {0: 1, 2: 2}):
    for length in range(7):
        caught(range(length), known)
        passed_over(range(length), dict(known))
        ended(range(length), dict(known))
        while_caught([*range(length)], known)
try:
    caught([1, 2, "%d"], {})
except TypeError:
    pass
