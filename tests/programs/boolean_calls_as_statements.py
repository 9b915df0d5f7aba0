def f():  # 1
    calls.append("f")  # 4


def g():  # 1
    calls.append("g")  # 3
    return True  # 3


calls = []  # 1
a = 1  # 1
a and f()  # 1
a or f()  # 1
g() and f()  # 1
g() or f()  # 1
f() or g() and f()  # 1
print(calls)  # 1
