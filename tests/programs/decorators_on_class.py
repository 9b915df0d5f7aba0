def register(cls):
    registry.append(cls.__name__)
    return cls


def named(name):
    def rename(cls):
        cls.name = name
        return cls
    return rename


registry = []


@register
@named(
    "first"
)
class A:
    x = 1


@register
class B(A):
    pass


print(registry, B.name)
