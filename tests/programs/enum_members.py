import enum


class Color(enum.Enum):
    RED = 1
    GREEN = 2

    @property
    def lower(self):
        return self.name.lower()

    @classmethod
    def _missing_(cls, value):
        return cls.RED


class Flag(enum.IntFlag):
    A = enum.auto()
    B = enum.auto()


print(Color.RED.lower, Color(2), Color(9), [color.value for color in Color], Flag.A | Flag.B)
