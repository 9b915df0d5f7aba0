def f():
    calls.append("f")


def g():
    calls.append("g")
    return True


calls = []
a = 1
a and f()
a or f()
g() and f()
g() or f()
f() or g() and f()
print(calls)
