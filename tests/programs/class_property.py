class Circle:
    def __init__(self, radius):
        self._radius = radius

    @property
    def radius(self):
        return self._radius

    @radius.setter
    def radius(self, value):
        if value < 0:
            raise ValueError(value)
        self._radius = value

    @radius.deleter
    def radius(self):
        del self._radius


circle = Circle(1)
print(circle.radius)
circle.radius = 5
print(circle.radius)
try:
    circle.radius = -1
except ValueError:
    print("refused")
del circle.radius
try:
    circle.radius
except AttributeError:
    print("gone")
