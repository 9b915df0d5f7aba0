class Source:
    def __init__(self, n):
        self.n = n

    def __iter__(self):
        return self

    def __next__(self):
        self.n -= 1
        if self.n < 0:
            raise StopIteration("out")
        return self.n


def first(source):
    try:
        return next(source)
    except StopIteration as stop:
        return stop.value


source = Source(2)
print(first(source), first(source), first(source))
print(list(zip(Source(3), Source(2))), sum(Source(4)), [*Source(2)], dict.fromkeys(Source(2)))
a, b = Source(2)
print(a, b)
try:
    a, b = Source(3)
except ValueError:
    print("too many")
