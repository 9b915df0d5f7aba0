def source(n):
    for i in range(n):
        yield i


def double(items):
    for item in items:
        yield item * 2


def until(items, limit):
    for item in items:
        if item > limit:
            return
        yield item


print(list(until(double(source(10)), 7)))
