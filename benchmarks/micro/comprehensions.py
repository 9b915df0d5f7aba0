"""List, dict, set and nested comprehensions, and generator expressions."""


def main(loops):
    total = 0
    for _ in range(loops):
        numbers = [value * 3 for value in range(2_000)]
        even = {value: value // 2 for value in numbers if value % 2 == 0}
        rests = {value % 97 for value in numbers}
        table = [[row * column for column in range(40)] for row in range(40)]
        turned = [cell for row in table for cell in row if cell % 3]
        total += len(even) + len(rests) + sum(turned) + sum(value for value in numbers if value % 7 == 0)
    return total
