def f():  # 3
    """Nothing but words."""


class C:  # 2
    """Nothing but words."""  # 1


print(f(), f(), C.__doc__)  # 1
