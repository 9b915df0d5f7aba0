class Point:  # 2
    __match_args__ = ("x", "y")  # 1

    def __init__(self, x, y):  # 1
        self.x = x  # 4
        self.y = y  # 4


def positive(n):  # 1
    return n > 0  # 3


def f(value):  # 1
    match value:  # 8
        case Point(0, 0):  # 8
            return "origin"  # 1
        case Point(x, y=0) if positive(x):  # 7
            return "right"  # 1
        case Point(x=x) if not positive(x):  # 6
            return "left"  # 1
        case Point():  # 5
            return "somewhere"  # 1
        case int(n) | float(n):  # 4
            return n  # 2
        case str() as text if text:  # 2
            return text  # 1
        case _:  # 1
            pass  # 1


print([f(value) for value in (Point(0, 0), Point(1, 0), Point(-1, 1), Point(1, 1), 3, 2.5, "t", "")])  # 10, from 3.12: 9
