def f():
    yield 1
    try:
        next(g)
    except ValueError as error:
        print(error)
    yield 2


g = f()
print(list(g))
