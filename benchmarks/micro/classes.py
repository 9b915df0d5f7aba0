"""Classes and functions made at run time: class bodies, decorators, dataclass-like construction."""


def registered(registry):
    def register(cls):
        registry.append(cls.__name__)
        return cls

    return register


def make(base, size, registry):
    @registered(registry)
    class Made(base):
        kind = "made"
        width = size

        def __init__(self, value):
            self.value = value + self.width

        @classmethod
        def default(cls):
            return cls(1)

        @staticmethod
        def double(value):
            return value * 2

    return Made


def main(loops):
    registry, total = [], 0
    for _ in range(loops):
        registry.clear()
        base = object
        for size in range(25):
            made = make(base, size, registry)
            total += made.double(made.default().value)
    return total, len(registry)
