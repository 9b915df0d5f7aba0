"""Methods and attributes: calls on self, a call through super, slots and an instance dict."""


class Point:
    __slots__ = ("x", "y")

    def __init__(self, x, y):
        self.x = x
        self.y = y

    def move(self, dx, dy):
        self.x += dx
        self.y += dy
        return self

    def length(self):
        return abs(self.x) + abs(self.y)


class Weighted(Point):
    def __init__(self, x, y, weight):
        super().__init__(x, y)
        self.weight = weight

    def length(self):
        return super().length() * self.weight


def main(loops):
    total = 0
    for turn in range(loops):
        light, heavy = Point(turn, 1), Weighted(1, turn, 3)
        for step in range(1_500):
            light.move(step, -step)
            total += light.length() + heavy.move(1, -1).length()
            total &= 0xFFFFFF
    return total
