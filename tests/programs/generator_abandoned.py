def f(name):  # 1
    try:  # 2
        yield name  # 2
        print("unreached")
    finally:
        print("dropped", name)  # 2


def start(name):  # 1
    g = f(name)  # 1
    return next(g)  # 1


print(start("a"))  # 1
g = f("b")  # 1
print(next(g))  # 1
g = None  # 1
print("end")  # 1
