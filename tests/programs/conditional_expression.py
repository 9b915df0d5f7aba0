def f():
    return 1


def g():
    return 2


for c in (0, 1):
    x = f() if c else g()
    y = (
        f()
        if c
        else g()
    )
    z = c if c else f() if x else g()
    print(x, y, z)
    f() if c else g()
