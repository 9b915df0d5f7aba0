import sys


def lines():
    frame = sys._getframe(1)
    found = []
    while frame and frame.f_code.co_filename == __file__:
        found.append(frame.f_lineno)
        frame = frame.f_back
    return found


def f():
    return (
        lines()
    )


def g():
    for n in range(1):
        with open(__file__):
            print(
                n,
                f(),
            )


g()
print(list(map(lambda n: lines(), range(2))))
