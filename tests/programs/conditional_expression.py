def f():  # 1
    return 1  # 4


def g():  # 1
    return 2  # 3


for c in (0, 1):  # 3
    x = f() if c else g()  # 2, from 3.12: 3, from 3.13: 2
    y = (  # 2
        f()  # 2, from 3.12: 1
        if c  # 2
        else g()  # 1
    )
    z = c if c else f() if x else g()  # 2
    print(x, y, z)  # 2
    f() if c else g()  # 2
