def f():
    yield 1
    yield from 5


g = f()
print(next(g))
try:
    next(g)
except TypeError as error:
    print("TypeError")
