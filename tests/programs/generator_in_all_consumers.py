def f():
    yield 1
    yield 2
    yield 3


print(list(f()), tuple(f()), set(f()), sum(f()), max(f()), any(f()), 2 in f(), sorted(f(), reverse=True))
a, *b = f()
print(a, b, [*f()], dict(zip(f(), f())), list(enumerate(f())), list(map(str, f())))
print(*f(), sep="-")
