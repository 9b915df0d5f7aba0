"""A binary tree walked by recursive generators: resumes and `yield from` chains many levels deep."""

LOOPS = 150


class Node:
    __slots__ = ("left", "right", "value")

    def __init__(self, left, value, right):
        self.left = left
        self.value = value
        self.right = right

    def __iter__(self):
        if self.left is not None:
            yield from self.left
        yield self.value
        if self.right is not None:
            yield from self.right

    def leaves(self):
        if self.left is None and self.right is None:
            yield self
            return
        for child in (self.left, self.right):
            if child is not None:
                for leaf in child.leaves():
                    yield leaf


def build(values):
    if not values:
        return None
    middle = len(values) // 2
    return Node(build(values[:middle]), values[middle], build(values[middle + 1:]))


def pairs(values):
    """Yield each value with the one before it."""
    before = None
    for value in values:
        if before is not None:
            yield before, value
        before = value


def take_while_below(values, limit):
    for value in values:
        if value >= limit:
            break
        yield value


def main(loops):
    total = 0
    for turn in range(loops):
        tree = build(range(2000))
        total += sum(b - a for a, b in pairs(tree))
        total += sum(leaf.value % 7 for leaf in tree.leaves())
        total += sum(1 for _ in take_while_below(iter(tree), 500 + turn))
        total += sum(value * value % 11 for value in tree if value % 3)
    return total
