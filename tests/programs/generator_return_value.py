def f():
    yield 1
    return "done"


g = f()
print(next(g))
try:
    next(g)
except StopIteration as stop:
    print(stop.value)
print(next(g, "default"))
