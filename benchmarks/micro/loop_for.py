"""A for loop over a range with next to nothing in it: the worst case for a probe a turn."""


def main(loops):
    total = 0
    for _ in range(loops):
        for number in range(20_000):
            total += number
    return total
