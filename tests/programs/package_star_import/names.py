a = 1
_private = 2


def f():
    return a
