from . import name


def f():
    return name * 2
