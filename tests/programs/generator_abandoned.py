def f(name):
    try:
        yield name
        print("unreached")
    finally:
        print("dropped", name)


def start(name):
    g = f(name)
    return next(g)


print(start("a"))
g = f("b")
print(next(g))
g = None
print("end")
