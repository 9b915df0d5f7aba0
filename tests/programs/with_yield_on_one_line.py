class Manager:
    def __enter__(self): pass
    def __exit__(self, *error): return error[0] is ValueError


def f():
    with Manager(): yield 1
    with Manager(): yield 2


g = f()
print(next(g))
print(g.throw(ValueError))
try:
    g.throw(KeyError)
except KeyError:
    print("key")
h = f()
next(h)
h.close()
