def f():
    yield 1
    yield 2


g = f()
print(next(g))
g.close()
h = f()
next(h)
del h
print(list(g))
