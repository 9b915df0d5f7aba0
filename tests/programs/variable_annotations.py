a: int = 1
b: str
c: list[
    int
] = [1]


class Point:
    x: int
    y: int = 2
    z: "later" = 3


def f():
    local: int = 5
    other: undefined
    return local


print(a, c, Point.y, f())
