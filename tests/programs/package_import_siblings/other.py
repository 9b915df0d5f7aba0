NAMES = [name for name in ('a', 'b')]


def double(n):
    return n * 2


def unused():
    return 0
