"""Spheres and a chequered floor, ray by ray: operator methods, properties and recursion on small immutable objects."""

import math

LOOPS = 92


class Vector:
    __slots__ = ("x", "y", "z")

    def __init__(self, x, y, z):
        self.x = x
        self.y = y
        self.z = z

    def __add__(self, other):
        return Vector(self.x + other.x, self.y + other.y, self.z + other.z)

    def __sub__(self, other):
        return Vector(self.x - other.x, self.y - other.y, self.z - other.z)

    def __mul__(self, factor):
        return Vector(self.x * factor, self.y * factor, self.z * factor)

    def dot(self, other):
        return self.x * other.x + self.y * other.y + self.z * other.z

    @property
    def length(self):
        return math.sqrt(self.dot(self))

    def normal(self):
        return self * (1.0 / self.length)

    def reflected(self, normal):
        return self - normal * (2.0 * self.dot(normal))


class Sphere:
    def __init__(self, centre, radius, colour, shine):
        self.centre = centre
        self.radius = radius
        self.colour = colour
        self.shine = shine

    def distance(self, origin, direction):
        """Return how far along the ray the sphere is met, or None."""
        to_centre = self.centre - origin
        along = to_centre.dot(direction)
        if along < 0.0:
            return None
        rest = self.radius ** 2 - (to_centre.dot(to_centre) - along * along)
        if rest < 0.0:
            return None
        return along - math.sqrt(rest)

    def normal_at(self, point):
        return (point - self.centre).normal()

    def colour_at(self, point):
        return self.colour


class Floor:
    shine = 0.1
    up = Vector(0.0, 1.0, 0.0)

    def distance(self, origin, direction):
        if abs(direction.y) < 1e-9:
            return None
        distance = -origin.y / direction.y
        return distance if distance > 1e-6 else None

    def normal_at(self, point):
        return self.up

    def colour_at(self, point):
        return 1.0 if (math.floor(point.x) + math.floor(point.z)) % 2 else 0.2


class Scene:
    def __init__(self):
        self.light = Vector(5.0, 8.0, -4.0)
        self.things = [Floor(), *(Sphere(Vector(i * 1.5 - 3.0, 1.0 + 0.2 * i, 3.0 + i % 2), 0.8, 0.5 + 0.1 * i, 0.4)
                                  for i in range(5))]

    def nearest(self, origin, direction):
        best = None
        for thing in self.things:
            distance = thing.distance(origin, direction)
            if distance is not None and distance > 1e-6 and (best is None or distance < best[0]):
                best = distance, thing
        return best

    def colour(self, origin, direction, depth=0):
        hit = self.nearest(origin, direction)
        if hit is None:
            return 0.3 + 0.2 * direction.y
        distance, thing = hit
        point = origin + direction * distance
        normal = thing.normal_at(point)
        point = point + normal * 1e-4
        to_light = (self.light - point).normal()
        bright = 0.15
        if self.nearest(point, to_light) is None:
            bright += max(0.0, to_light.dot(normal))
        result = thing.colour_at(point) * bright
        if depth < 3 and thing.shine:
            result += thing.shine * self.colour(point, direction.reflected(normal).normal(), depth + 1)
        return result


def main(loops):
    scene = Scene()
    eye = Vector(0.0, 2.0, -6.0)
    total = 0.0
    for _ in range(loops):
        for y in range(20):
            for x in range(28):
                total += scene.colour(eye, Vector((x - 14) / 14, (10 - y) / 14, 1.0).normal())
    return round(total, 6)
