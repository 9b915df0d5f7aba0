def ticks(n):
    for i in range(n):
        yield i


def use(items):
    return sum(items)


def fail():
    raise ValueError
