def f():  # 1
    return 3  # 3


def g(c):  # 1
    return c and f()  # 2, from 3.12: 3, from 3.13: 2


def h(c):  # 1
    return c or f()  # 2, from 3.12: 3, from 3.13: 2


def k(c):  # 1
    return not c and f() or None  # 2, from 3.12: 3, from 3.13: 2


print(g(0), g(1), h(0), h(1), k(0), k(1))  # 1
