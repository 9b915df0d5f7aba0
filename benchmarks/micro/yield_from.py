"""yield from, down a tree: each value passes through as many generators as its node is deep."""


class Node:
    def __init__(self, value, left=None, right=None):
        self.value = value
        self.left = left
        self.right = right

    def __iter__(self):
        if self.left is not None:
            yield from self.left
        yield self.value
        if self.right is not None:
            yield from self.right


def tree(low, high):
    if low >= high:
        return None
    middle = (low + high) // 2
    return Node(middle, tree(low, middle), tree(middle + 1, high))


def main(loops):
    root = tree(0, 1_500)
    total = 0
    for _ in range(loops):
        for value in root:
            total += value
    return total
