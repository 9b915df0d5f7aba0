def f():
    try:
        yield 1
        yield 2
    finally:
        print("cleanup")


g = f()
print(next(g))
g.close()
g.close()
print(list(g))
