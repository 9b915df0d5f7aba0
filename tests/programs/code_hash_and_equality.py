def f():
    return 1


def make():
    def g(n):
        return n
    return g


a, b = make(), make()
print(a.__code__ is b.__code__, a.__code__ == b.__code__, hash(a.__code__) == hash(b.__code__))
print(len({f.__code__, a.__code__, b.__code__}), f.__code__ == a.__code__, a(1), b(2))
