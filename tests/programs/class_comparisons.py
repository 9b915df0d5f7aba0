import functools


@functools.total_ordering
class Version:
    def __init__(self, *parts):
        self.parts = parts

    def __eq__(self, other):
        return self.parts == other.parts

    def __lt__(self, other):
        return self.parts < other.parts

    def __hash__(self):
        return hash(self.parts)


a, b, c = Version(1, 2), Version(1, 3), Version(2)
print(a < b, a >= b, a < b < c, b > a, max(a, c, b) is c, len({a, Version(1, 2)}))
print(sorted([c, a, b])[0] is a)
