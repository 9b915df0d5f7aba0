def f():
    """Nothing but words."""


class C:
    """Nothing but words."""


print(f(), f(), C.__doc__)
