def fail():  # 1
    raise ValueError  # 2


def f(*args):  # 1
    return args


def g():  # 1
    return f(  # 1
        1,  # 1
        fail(),  # 1
        3,
    )


def h():  # 1
    try:  # 1
        x = [
            1,  # 1
            fail(),  # 1
        ]
    except ValueError:  # 1
        x = (  # 1
            2,
            3,
        )
    return x  # 1


try:  # 1
    g()  # 1
except ValueError:  # 1
    print("g")  # 1
print(h())  # 1
