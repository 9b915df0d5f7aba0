def value(n):
    print("default", n)
    return n


def f(
    a=value(1),
    b=value(2),
    *,
    c=value(3),
):
    return a + b + c


print(f(), f(10, c=5))
