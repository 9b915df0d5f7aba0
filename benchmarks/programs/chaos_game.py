"""A fractal by the chaos game along a spline: closures, small objects, a generator of random numbers."""

LOOPS = 610


class Point:
    def __init__(self, x, y):
        self.x = x
        self.y = y

    def towards(self, other, share):
        return Point(self.x + (other.x - self.x) * share, self.y + (other.y - self.y) * share)


class Spline:
    """A Bézier curve, evaluated by de Casteljau's construction."""

    def __init__(self, points):
        self.points = points

    def __call__(self, share):
        points = self.points
        while len(points) > 1:
            points = [left.towards(right, share) for left, right in zip(points, points[1:])]
        return points[0]


def random_numbers(seed):
    while True:
        seed = (seed * 1103515245 + 12345) % 2147483648
        yield seed


def make_bend(spline, number):
    def bend(point):
        on_curve = spline((point.x + number) / 3 % 1.0)
        return on_curve.towards(point, 0.45)
    return bend


def main(loops):
    width = height = 64
    image = [[0] * width for _ in range(height)]
    spline = Spline([Point(0.1, 0.2), Point(0.9, 0.0), Point(0.5, 1.0), Point(0.2, 0.8), Point(1.0, 1.0)])
    bends = [make_bend(spline, number) for number in range(3)]
    numbers = random_numbers(42)
    point = Point(0.5, 0.5)
    for _ in range(loops * 100):
        point = bends[next(numbers) // 65536 % 3](point)
        column = int(point.x * (width - 1))
        row = int(point.y * (height - 1))
        if 0 <= column < width and 0 <= row < height:
            image[row][column] += 1
    return sum(row * 7 + column * value for row, line in enumerate(image) for column, value in enumerate(line))
