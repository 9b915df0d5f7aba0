def fail():
    raise ValueError


def f(*args):
    return args


def g():
    return f(
        1,
        fail(),
        3,
    )


def h():
    try:
        x = [
            1,
            fail(),
        ]
    except ValueError:
        x = (
            2,
            3,
        )
    return x


try:
    g()
except ValueError:
    print("g")
print(h())
