def f():  # 1
    yield 1  # 1
    return "done"  # 1


g = f()  # 1
print(next(g))  # 1
try:  # 1
    next(g)  # 1
except StopIteration as stop:  # 1
    print(stop.value)  # 1
print(next(g, "default"))  # 1
