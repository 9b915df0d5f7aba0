import types


def f(a):
    b = a + 1
    return b


g = types.FunctionType(f.__code__, {"__name__": "g"}, "g")
h = types.FunctionType(f.__code__, globals(), "h")
print(f(1), g(2), h(3))


def k(a):
    return -a


k.__code__ = f.__code__
print(k(5), k.__code__ is f.__code__)
