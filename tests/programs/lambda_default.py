fs = [lambda n=n: n for n in range(3)]
print([f() for f in fs])
g = lambda a, *b, c=5, **d: (a, b, c, d)
print(g(1, 2, x=3))
