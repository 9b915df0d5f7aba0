class Slotted:
    __slots__ = ("a", "b")

    def __init__(self):
        self.a = 1

    def __repr__(self):
        return f"Slotted({self.a!r})"

    def __format__(self, spec):
        return f"<{spec}>"


slotted = Slotted()
print(slotted, f"{slotted:wide}", f"{slotted!r}")
try:
    slotted.c = 1
except AttributeError:
    print("no c")
