def f(a, b):
    return a + b


def bad():
    raise ValueError("bad")


try:
    f(
        1,
        bad(),
    )
except ValueError as error:
    print(error)
print(f(
    1,
    2,
))
