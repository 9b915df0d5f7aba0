"""A project with programs of known growth, for tests of sections, growth laws, and the fixture `counts`."""

SHOP = """\
import bisect, functools, random

def make(n):
    rng = random.Random(n)
    return [rng.random() for _ in range(n)]

def merge_sort(xs):
    if len(xs) < 2:
        return xs
    m = len(xs) // 2
    return merge(merge_sort(xs[:m]), merge_sort(xs[m:]))

def merge(a, b):
    merged, i, j = [], 0, 0
    while i < len(a) and j < len(b):
        if a[i] <= b[j]:
            merged.append(a[i])
            i += 1
        else:
            merged.append(b[j])
            j += 1
    return merged + a[i:] + b[j:]

def bubble(xs):
    for i in range(len(xs)):
        for j in range(len(xs) - 1 - i):
            if xs[j] > xs[j + 1]:
                xs[j], xs[j + 1] = xs[j + 1], xs[j]

def fib(n):
    return n if n < 2 else fib(n - 1) + fib(n - 2)

@functools.cache
def cached_fib(n):
    return n if n < 2 else cached_fib(n - 1) + cached_fib(n - 2)

def search(xs, x):
    low, high = 0, len(xs)
    while low < high:
        middle = (low + high) // 2
        if xs[middle] < x:
            low = middle + 1
        else:
            high = middle
    return low

def look_up(table):
    return table.get(1)

class Basket:
    def __init__(self):
        self.items = []

    def add(self, item):
        def price():
            return 2 * item
        self.items.append(price())

    def prices(self):
        return [each + 1 for each in self.items]

def stream(n):
    for i in range(n):
        yield i

def fails(n):
    return 1 // n

def never():
    return 0
"""
