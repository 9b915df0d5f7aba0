def f():  # 1
    yield 1  # 2
    yield 2


g = f()  # 1
print(next(g))  # 1
g.close()  # 1
h = f()  # 1
next(h)  # 1
del h  # 1
print(list(g))  # 1
