value = 10


def f(n):
    return value + n
