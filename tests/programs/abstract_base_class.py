import abc


class Shape(abc.ABC):
    @abc.abstractmethod
    def area(self):
        """Return the area."""

    @property
    @abc.abstractmethod
    def name(self):
        return "shape"


class Square(Shape):
    def __init__(self, side):
        self.side = side

    def area(self):
        return self.side**2

    @property
    def name(self):
        return super().name + ": square"


print(Square(3).area(), Square(3).name, isinstance(Square(1), Shape))
try:
    Shape()
except TypeError:
    print("abstract")
