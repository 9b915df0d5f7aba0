class Point:
    __match_args__ = ("x", "y")

    def __init__(self, x, y):
        self.x = x
        self.y = y


def positive(n):
    return n > 0


def f(value):
    match value:
        case Point(0, 0):
            return "origin"
        case Point(x, y=0) if positive(x):
            return "right"
        case Point(x=x) if not positive(x):
            return "left"
        case Point():
            return "somewhere"
        case int(n) | float(n):
            return n
        case str() as text if text:
            return text
        case _:
            pass


print([f(value) for value in (Point(0, 0), Point(1, 0), Point(-1, 1), Point(1, 1), 3, 2.5, "t", "")])
