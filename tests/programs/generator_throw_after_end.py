def f():
    yield 1


g = f()
print(list(g))
try:
    g.throw(KeyError("late"))
except KeyError as error:
    print(error)
