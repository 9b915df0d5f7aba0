def f():
    try:
        yield "try"
    finally:
        yield "finally"
        print("left")


print(list(f()))
g = f()
next(g)
try:
    g.throw(ValueError)
    next(g)
except ValueError:
    print("raised after")
