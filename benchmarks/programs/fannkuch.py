"""Pancake flips over all permutations: list slices, swaps and nested while loops."""

LOOPS = 88

SIZE = 7


def advance(order):
    """Turn *order* into the next permutation in lexical order; say whether there was one."""
    pivot = len(order) - 2
    while pivot >= 0 and order[pivot] > order[pivot + 1]:
        pivot -= 1
    if pivot < 0:
        return False
    swap = len(order) - 1
    while order[swap] < order[pivot]:
        swap -= 1
    order[pivot], order[swap] = order[swap], order[pivot]
    order[pivot + 1:] = order[:pivot:-1]
    return True


def flips(order):
    """Return how often the pancakes are turned until the smallest is on top."""
    pancakes = order[:]
    count = 0
    while top := pancakes[0]:
        pancakes[:top + 1] = pancakes[top::-1]
        count += 1
    return count


def main(loops):
    checksum = most = 0
    for _ in range(loops):
        order = list(range(SIZE))
        checksum = most = sign = 0
        while True:
            count = flips(order)
            most = max(most, count)
            checksum += -count if sign else count
            sign = 1 - sign
            if not advance(order):
                break
    return checksum, most
