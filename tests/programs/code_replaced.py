def f():
    return 1


def g():
    return 2


print(f())
f.__code__ = f.__code__.replace(co_name="renamed")
print(f(), f.__code__.co_name)
f.__code__, g.__code__ = g.__code__, f.__code__
print(f(), g())
