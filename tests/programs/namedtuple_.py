from collections import namedtuple
from typing import NamedTuple

Point = namedtuple("Point", "x y", defaults=[0])


class Named(NamedTuple):
    a: int
    b: str = "b"

    def both(self):
        return f"{self.a}{self.b}"


print(Point(1), Point(1, 2)._replace(x=5), Point._make([3, 4]), Point(1, 2) == (1, 2))
print(Named(1).both(), Named(2, "c"))
