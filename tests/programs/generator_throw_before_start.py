def f():
    try:
        yield 1
    except ValueError:
        yield 2


g = f()
try:
    g.throw(ValueError("early"))
except ValueError as error:
    print(error)
print(list(g))
