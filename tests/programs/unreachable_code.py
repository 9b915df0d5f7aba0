def f():
    return 1
    print("never")
    for n in range(3):
        print("never")


def g():
    while True:
        return 2
    return 3


def h():
    raise ValueError
    yield 1


def k():
    for n in range(3):
        continue
        print("never")
    return n


print(f(), g(), k())
try:
    next(h())
except ValueError:
    print("ValueError")
