"""match statements: literals, sequences, mappings, classes and guards."""


class Shape:
    __match_args__ = ("kind", "size")

    def __init__(self, kind, size):
        self.kind = kind
        self.size = size


def area(thing):
    match thing:
        case 0 | 1:
            return 1
        case int() as number if number % 2:
            return number
        case [first, *rest]:
            return first + len(rest)
        case {"width": width, "height": height}:
            return width * height
        case Shape("square", size):
            return size * size
        case Shape(kind="circle", size=size) if size > 3:
            return 3 * size * size
        case str():
            return len(thing)
        case _:
            return 0


def main(loops):
    things = [0, 7, 8, [3, 4, 5], {"width": 3, "height": 4}, Shape("square", 5), Shape("circle", 6), "text", None]
    total = 0
    for _ in range(loops):
        for _ in range(120):
            for thing in things:
                total += area(thing)
    return total
