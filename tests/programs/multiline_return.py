def f(a, b):
    return (
        a
        + b
    )


def g(a):
    return [
        a,
        a + 1,
    ]


def h():
    return f(
        1,
        2,
    )


print(f(1, 2), g(1), h())
