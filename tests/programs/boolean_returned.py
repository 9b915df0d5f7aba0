def f():
    return 3


def g(c):
    return c and f()


def h(c):
    return c or f()


def k(c):
    return not c and f() or None


print(g(0), g(1), h(0), h(1), k(0), k(1))
