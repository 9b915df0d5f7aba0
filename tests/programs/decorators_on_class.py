def register(cls):  # 1
    registry.append(cls.__name__)  # 2
    return cls  # 2


def named(name):  # 1
    def rename(cls):  # 1
        cls.name = name  # 1
        return cls  # 1
    return rename  # 1


registry = []  # 1


@register  # 3
@named(  # 3
    "first"  # 1
)
class A:  # 2
    x = 1  # 1


@register  # 3
class B(A):  # 2
    pass  # 1


print(registry, B.name)  # 1
