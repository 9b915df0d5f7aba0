class Vector:
    def __init__(self, x, y):
        self.x, self.y = x, y

    def __add__(self, other):
        if not isinstance(other, Vector):
            return NotImplemented
        return Vector(self.x + other.x, self.y + other.y)

    def __radd__(self, other):
        return self if other == 0 else NotImplemented

    def __iadd__(self, other):
        self.x += other.x
        return self

    def __neg__(self):
        return Vector(-self.x, -self.y)

    def __mul__(self, n):
        return Vector(self.x * n, self.y * n)

    __rmul__ = __mul__

    def __eq__(self, other):
        return (self.x, self.y) == (other.x, other.y)

    def __matmul__(self, other):
        return self.x * other.x + self.y * other.y

    def __bool__(self):
        return bool(self.x or self.y)

    def __repr__(self):
        return f"({self.x}, {self.y})"


a, b = Vector(1, 2), Vector(3, 4)
print(a + b, sum([a, b]), -a, 2 * a, a * 3, a == b, a @ b, not a)
a += b
print(a)
try:
    a + 1
except TypeError:
    print("TypeError")
while b:
    b = b + -b
