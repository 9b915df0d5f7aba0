def f():
    try:
        yield 1
    except GeneratorExit:
        yield 2


g = f()
next(g)
try:
    g.close()
except RuntimeError as error:
    print(error)
print(list(g))
