fs = [lambda n=n: n for n in range(3)]  # 8, from 3.12: 7
print([f() for f in fs])  # 5, from 3.12: 4
g = lambda a, *b, c=5, **d: (a, b, c, d)  # 2
print(g(1, 2, x=3))  # 1
