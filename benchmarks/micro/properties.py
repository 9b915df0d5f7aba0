"""Properties, __getitem__, __getattr__ and operators written in Python: calls that no call expression shows."""


class Celsius:
    def __init__(self, degrees):
        self._degrees = degrees

    @property
    def degrees(self):
        return self._degrees

    @degrees.setter
    def degrees(self, value):
        self._degrees = value % 1000

    @property
    def fahrenheit(self):
        return self.degrees * 9 // 5 + 32

    def __getitem__(self, index):
        return self._degrees + index

    def __getattr__(self, name):
        return len(name)

    def __add__(self, other):
        return self._degrees + other

    def __bool__(self):
        return self._degrees > 500


def main(loops):
    total = 0
    for turn in range(loops):
        now = Celsius(turn)
        for step in range(1_000):
            now.degrees = now.degrees + 7
            total += now.fahrenheit + now[step] + now.missing
            if now:
                total = (now + total) & 0xFFFFFF
    return total
