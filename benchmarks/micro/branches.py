"""A chain of if and elif, conditions joined by and and or, and conditional expressions."""


def kind(number):
    if number % 15 == 0:
        return 0
    elif number % 5 == 0:
        return 1
    elif number % 3 == 0:
        return 2
    elif number % 2 == 0 and number % 7 != 0:
        return 3
    elif number > 4_000 or number < 10:
        return 4
    else:
        return 5 if number & 8 else 6


def main(loops):
    seen = [0] * 7
    for _ in range(loops):
        for number in range(5_000):
            seen[kind(number)] += 1
    return seen
