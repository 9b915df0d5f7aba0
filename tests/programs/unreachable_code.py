def f():  # 1
    return 1  # 1
    print("never")
    for n in range(3):
        print("never")


def g():  # 1
    while True:  # 1
        return 2  # 1
    return 3


def h():  # 1
    raise ValueError  # 1
    yield 1


def k():  # 1
    for n in range(3):  # 4
        continue  # 3
        print("never")
    return n  # 1


print(f(), g(), k())  # 1
try:  # 1
    next(h())  # 1
except ValueError:  # 1
    print("ValueError")  # 1
