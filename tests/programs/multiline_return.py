def f(a, b):  # 1
    return (  # 2
        a  # 4
        + b  # 2
    )


def g(a):  # 1
    return [  # 1
        a,  # 1
        a + 1,  # 1
    ]


def h():  # 1
    return f(  # 2
        1,  # 1
        2,  # 1
    )


print(f(1, 2), g(1), h())  # 1
